// A^-1 of each row, all of it in float64.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kWide = 4;  // vectors of columns that are summed in registers

// Columns j ... j + width vectors of V = U^-T from row j on, zeros above the diagonal.
template <int width>
void invert_columns(const double* U, int stride, const double* inverse, int k, int j, double* V) {
    for (int i = j; i < k; i++) {
        D sums[width] = {};
        for (int t = j; t < i; t++) {
            const D u = all(U[(int64_t)t * stride + i]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) sums[c] += u * load<D>(V + (int64_t)t * stride + j + c * kDoubles);
        }
        double* v = V + (int64_t)i * stride;
        const D scale = all(-inverse[i]);
        for (int c = 0; c < width; c++) store(v + j + c * kDoubles, sums[c] * scale);
        if (i < j + width * kDoubles) v[i] = inverse[i];
    }
}

// V = U^-T, the lower triangle row by row; above it only what `multiply_transposed` reads is written.
inline void invert_factor(const double* U, int stride, const double* inverse, int k, double* V) {
    int j = 0;
    for (; j + kWide * kDoubles <= stride; j += kWide * kDoubles) invert_columns<kWide>(U, stride, inverse, k, j, V);
    for (; j < k; j += kDoubles) invert_columns<1>(U, stride, inverse, k, j, V);
}

// Columns j ... j + width vectors of V^T V on and below the diagonal, and their mirror image, into out (k, k).
template <int width>
void multiply_columns(const double* V, int stride, int k, int j, double* out) {
    for (int i = j; i < k; i++) {
        D sums[width] = {};
        for (int t = i; t < k; t++) {
            const double* v = V + (int64_t)t * stride;
            const D x = all(v[i]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) sums[c] += x * load<D>(v + j + c * kDoubles);
        }
        double row[width * kDoubles];
        for (int c = 0; c < width; c++) store(row + c * kDoubles, sums[c]);
        for (int c = 0; c < width * kDoubles && j + c <= i; c++)
            out[(int64_t)i * k + j + c] = out[(int64_t)(j + c) * k + i] = row[c];
    }
}

// out = V^T V
inline void multiply_transposed(const double* V, int stride, int k, double* out) {
    int j = 0;
    for (; j + kWide * kDoubles <= stride; j += kWide * kDoubles) multiply_columns<kWide>(V, stride, k, j, out);
    for (; j < k; j += kDoubles) multiply_columns<1>(V, stride, k, j, out);
}

MATINEE_INLINE bool columns_of_row_in_range(const Side& side, int64_t row) {
    const int64_t start = side.rows.indptr[row], end = side.rows.indptr[row + 1];
    for (int64_t p = start; p < end; p += kBlock)
        if (!columns_in_range(side.rows.indices + p, (int)smaller(kBlock, end - p), side.rows.n_columns)) return false;
    return true;
}

inline size_t covariance_bytes(int k) {
    const size_t n = shape_of(k).stride;
    return sizeof(double) * (2 * n * n + 2 * n);
}

inline void covariance_rows(const Side& side, char* buffer, int64_t begin, int64_t end, Failure* failure) {
    const Shape s = shape_of(side.k);
    const int n = s.stride;
    double *A = (double*)buffer, *V = A + (int64_t)n * n, *b = V + (int64_t)n * n, *inverse = b + n;
    for (int64_t row = begin; row < end; row++) {
        if (!columns_of_row_in_range(side, row)) {
            failure->note(row, Fault::column_out_of_range);
            continue;
        }
        assemble_precisely(side, s, row, A, b);
        if (!factor(A, n, inverse)) {
            failure->note(row, Fault::not_positive_definite);
            continue;
        }
        invert_factor(A, n, inverse, s.k, V);
        multiply_transposed(V, n, s.k, side.covariances + row * s.k * s.k);
    }
}

}  // namespace matinee::MATINEE_ISA
