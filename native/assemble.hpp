// A and b of one row: from its float32 block sums, in place, or all of it in float64.
#pragma once

#include "arguments.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

MATINEE_INLINE double row_scale(const Side& side, int64_t row) { return side.row_weight ? side.row_weight[row] : 1.0; }
MATINEE_INLINE const double* b0_of(const Side& side, int64_t row) {
    return side.b0 ? side.b0 + row * side.b0_stride : nullptr;
}
MATINEE_INLINE bool is_empty(const Side& side, int64_t row) {
    return side.rows.indptr[row] == side.rows.indptr[row + 1] && !side.A0 && !side.b0;
}

// Unfold the diagonal tiles of a row's sums into the upper triangle of A.
inline void unfold_diagonal(const Shape& s, double* sums) {
    const SumsLayout at = layout_of(s);
    for (int tile = 0; tile < s.tiles; tile++) {
        const double* from = sums + at.diagonal + tile * s.rotations * s.period;
        double* to = sums + at.upper + (int64_t)tile * s.period * (s.stride + 1);
        for (int ahead = 0; ahead < s.rotations; ahead++, from += s.period) {
            const int here = s.period - ahead;  // lanes from here on have wrapped around
            for (int i = 0; i < here; i++) to[(int64_t)i * s.stride + i + ahead] = from[i];
            for (int i = here; i < s.period; i++) to[(int64_t)(i - here) * s.stride + i] = from[i];
        }
    }
}

MATINEE_INLINE void scale_upper(double* A, int k, int stride, double scale) {
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) A[(int64_t)i * stride + j] *= scale;
}

MATINEE_INLINE void add_upper(double* A, int k, int stride, const double* A0) {
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) A[(int64_t)i * stride + j] += A0[(int64_t)i * k + j];
}

// Turn a row's sums into A (upper triangle, padded with the identity) where they lie, and write b.
inline double* assemble(const Side& side, const Shape& s, int64_t row, double* sums, double* b) {
    const int k = s.k, n = s.stride;
    const double scale = row_scale(side, row), reg = side.reg[row];
    const double *b0 = b0_of(side, row), *b_sums = sums + layout_of(s).b;
    double* A = sums + layout_of(s).upper;
    if (n > s.padded) memset(A, 0, sizeof(double) * n * n);
    unfold_diagonal(s, sums);
    if (scale != 1) scale_upper(A, k, n, scale);
    if (side.A0) add_upper(A, k, n, side.A0);
    for (int i = 0; i < k; i++) A[(int64_t)i * (n + 1)] += reg;
    for (int i = k; i < n; i++) A[(int64_t)i * (n + 1)] = 1;
    for (int i = 0; i < n; i += kDoubles) store(b + i, load<D>(b_sums + i) * scale);
    if (b0)
        for (int i = 0; i < k; i++) b[i] += b0[i];
    return A;
}

// One rating's weight and target in float64.
struct Term {
    double w, v;
};

MATINEE_INLINE Term term_of(const Side& side, int64_t row, int64_t p) {
    const double r = side.rows.values[p];
    const int32_t c = side.rows.indices[p];
    if (side.implicit) {
        const double w = side.alpha * __builtin_fabs(r);
        return {w, r > 0 || r != r ? 1 + w : 0};
    }
    const double w = row_scale(side, row) * (side.other_weight ? side.weight(c) : 1.0);
    return {w, w * (r - (side.other_offset ? side.offset(c) : 0.0))};
}

// A and b of one row, all of it in float64; its columns are known to be in range.
inline void assemble_precisely(const Side& side, const Shape& s, int64_t row, double* A, double* b) {
    const int k = s.k, n = s.stride;
    const double* b0 = b0_of(side, row);
    memset(A, 0, sizeof(double) * n * n);
    if (side.A0) add_upper(A, k, n, side.A0);
    for (int i = 0; i < n; i++) {
        A[(int64_t)i * (n + 1)] += i < k ? side.reg[row] : 1;
        b[i] = i < k && b0 ? b0[i] : 0;
    }
    for (int64_t p = side.rows.indptr[row]; p < side.rows.indptr[row + 1]; p++) {
        const float* y = side.factors(side.rows.indices[p]);
        const Term term = term_of(side, row, p);
        for (int i = 0; i < k; i++) {
            double* to = A + (int64_t)i * n;
            const double x = term.w * y[i];
            for (int j = i; j < k; j++) to[j] += x * y[j];
            b[i] += term.v * y[i];
        }
    }
}

}  // namespace matinee::MATINEE_ISA
