// A^-1 of each row, all of it in float64.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

// V = U^-T, lower triangle row by row.
inline void invert_factor(const double* U, int stride, const double* inverse, int k, double* V) {
    for (int i = 0; i < k; i++) {
        double* v = V + (int64_t)i * stride;
        for (int j = 0; j < i; j++) v[j] = 0;
        v[i] = inverse[i];
        for (int t = 0; t < i; t++) {
            const double u = U[(int64_t)t * stride + i] * inverse[i], *above = V + (int64_t)t * stride;
            for (int j = 0; j <= t; j++) v[j] -= u * above[j];
        }
    }
}

// out = V^T V
inline void multiply_transposed(const double* V, int stride, int k, double* out) {
    for (int64_t i = 0; i < (int64_t)k * k; i++) out[i] = 0;
    for (int t = 0; t < k; t++) {
        const double* v = V + (int64_t)t * stride;
        for (int i = 0; i <= t; i++)
            for (int j = 0; j <= t; j++) out[(int64_t)i * k + j] += v[i] * v[j];
    }
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
