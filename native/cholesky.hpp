// A = U^T U in float64, in place, and the triangular solves with U.
//
// Two forms. Of one matrix (stride, stride), by panels of kPanel rows: row-major, upper triangle; the stride is a
// multiple of kPanel, and the padding of A is the identity. Of kDoubles matrices of one small rank at once, one per
// lane: entry (i, j >= i) is a vector D, and the right side b is column k, so that factoring also solves U^T y = b.
//
// Left-looking: an entry is loaded once, all products are subtracted from it in a register, and it is stored once.
// `inverse` holds 1 / U[i][i]. A pivot that is not a positive number makes the functions return false.
#pragma once

#include <cfloat>

#include "shape.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kPanelVectors = kPanel / kDoubles;

MATINEE_INLINE D square_root(D v) {
    for (int lane = 0; lane < kDoubles; lane++) v[lane] = __builtin_sqrt(v[lane]);
    return v;
}

MATINEE_INLINE bool is_pivot(double d) { return d > 0 && d <= DBL_MAX; }

// T = A[p ..][j ..] minus the products of the rows above p.
template <int width>
MATINEE_INLINE void subtract_products(const double* A, int stride, int p, int j, D T[kPanel][width]) {
    MATINEE_UNROLL
    for (int r = 0; r < kPanel; r++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) T[r][c] = load<D>(A + (int64_t)(p + r) * stride + j + c * kDoubles);
    }
    const double *rows = A + p, *columns = A + j;
    for (int t = 0; t < p; t++, rows += stride, columns += stride) {
        D u[width];
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) u[c] = load<D>(columns + c * kDoubles);
        MATINEE_UNROLL
        for (int r = 0; r < kPanel; r++) {
            const D x = all(rows[r]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) T[r][c] -= u[c] * x;
        }
    }
}

template <int width>
MATINEE_INLINE void store_panel(double* A, int stride, int p, int j, const D T[kPanel][width]) {
    MATINEE_UNROLL
    for (int r = 0; r < kPanel; r++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) store(A + (int64_t)(p + r) * stride + j + c * kDoubles, T[r][c]);
    }
}

// Eliminate row i from the rows below it, without a square root: the next pivot waits for one division only.
template <int i, int... l>
MATINEE_INLINE void eliminate(D T[kPanel][kPanelVectors], Sequence<l...>) {
    const D reciprocal = 1 / broadcast_lane<i % kDoubles>(T[i][i / kDoubles]);
    const D factors[] = {broadcast_lane<l % kDoubles>(T[i][l / kDoubles]) * reciprocal...};
    MATINEE_UNROLL
    for (int r = i + 1; r < kPanel; r++) {
        MATINEE_UNROLL
        for (int c = 0; c < kPanelVectors; c++) T[r][c] -= T[i][c] * factors[r];
    }
    if constexpr (i + 1 < kPanel) eliminate<i + 1>(T, Sequence<l...>{});
}

inline bool factor_diagonal(double* A, int stride, int p, double* inverse) {
    D T[kPanel][kPanelVectors];
    subtract_products<kPanelVectors>(A, stride, p, p, T);
    eliminate<0>(T, typename Counting<kPanel>::type{});
    bool fine = true;
    MATINEE_UNROLL
    for (int i = 0; i < kPanel; i++) {
        const double pivot = T[i][i / kDoubles][i % kDoubles];
        fine &= is_pivot(pivot);
        inverse[p + i] = pivot;
    }
    MATINEE_UNROLL
    for (int c = 0; c < kPanelVectors; c++)
        store(inverse + p + c * kDoubles, 1 / square_root(load<D>(inverse + p + c * kDoubles)));
    MATINEE_UNROLL
    for (int i = 0; i < kPanel; i++) {
        MATINEE_UNROLL
        for (int c = 0; c < kPanelVectors; c++) T[i][c] *= inverse[p + i];
    }
    store_panel<kPanelVectors>(A, stride, p, p, T);
    return fine;
}

template <int width>
void factor_panel(double* A, int stride, int p, int j, const double* inverse) {
    D T[kPanel][width];
    subtract_products<width>(A, stride, p, j, T);
    MATINEE_UNROLL
    for (int i = 0; i < kPanel; i++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) T[i][c] *= inverse[p + i];
        MATINEE_UNROLL
        for (int l = i + 1; l < kPanel; l++) {
            const D x = all(A[(int64_t)(p + i) * stride + p + l]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) T[l][c] -= T[i][c] * x;
        }
    }
    store_panel<width>(A, stride, p, j, T);
}

MATINEE_INLINE int factor_chunk(double* A, int stride, int p, int j, const double* inverse) {
    if (j + 3 * kDoubles <= stride) {
        factor_panel<3>(A, stride, p, j, inverse);
        return j + 3 * kDoubles;
    }
    if (j + 2 * kDoubles <= stride) {
        factor_panel<2>(A, stride, p, j, inverse);
        return j + 2 * kDoubles;
    }
    factor_panel<1>(A, stride, p, j, inverse);
    return j + kDoubles;
}

inline bool factor(double* A, int stride, double* inverse) {
    bool fine = factor_diagonal(A, stride, 0, inverse);
    for (int p = 0; p + kPanel < stride; p += kPanel) {
        int j = p + kPanel;
        while (j < p + 2 * kPanel) j = factor_chunk(A, stride, p, j, inverse);
        // the next pivots are ready now; their long chain runs beside the rest of this panel
        fine &= factor_diagonal(A, stride, p + kPanel, inverse);
        while (j < stride) j = factor_chunk(A, stride, p, j, inverse);
    }
    return fine;
}

// b <- U^-T b
inline void solve_forward(const double* U, int stride, const double* inverse, double* b) {
    for (int p = 0; p < stride; p += kPanel) {
        const double* rows = U + (int64_t)p * stride;
        double y[kPanel];
        MATINEE_UNROLL
        for (int i = 0; i < kPanel; i++) y[i] = b[p + i];
        MATINEE_UNROLL
        for (int i = 0; i < kPanel; i++) {
            y[i] *= inverse[p + i];
            MATINEE_UNROLL
            for (int l = i + 1; l < kPanel; l++) y[l] -= rows[(int64_t)i * stride + p + l] * y[i];
            b[p + i] = y[i];
        }
        for (int c = p + kPanel; c < stride; c += kDoubles) {
            D rest = load<D>(b + c);
            MATINEE_UNROLL
            for (int i = 0; i < kPanel; i++) rest -= load<D>(rows + (int64_t)i * stride + c) * y[i];
            store(b + c, rest);
        }
    }
}

// b <- U^-1 b
inline void solve_backward(const double* U, int stride, const double* inverse, double* b) {
    for (int p = stride - kPanel; p >= 0; p -= kPanel) {
        const double* rows = U + (int64_t)p * stride;
        D sums[kPanel] = {};
        for (int c = stride - kDoubles; c >= p + kPanel; c -= kDoubles) {
            const D x = load<D>(b + c);
            MATINEE_UNROLL
            for (int i = 0; i < kPanel; i++) sums[i] += load<D>(rows + (int64_t)i * stride + c) * x;
        }
        alignas(kBytes) double x[kPanel];
        MATINEE_UNROLL
        for (int c = 0; c < kPanelVectors; c++)
            store(x + c * kDoubles, load<D>(b + p + c * kDoubles) - sums_of_each(sums + c * kDoubles));
        MATINEE_UNROLL
        for (int i = kPanel - 1; i >= 0; i--) {
            x[i] *= inverse[p + i];
            MATINEE_UNROLL
            for (int l = 0; l < i; l++) x[l] -= rows[(int64_t)l * stride + p + i] * x[i];
            b[p + i] = x[i];
        }
    }
}

// Entry (i, j) of kDoubles matrices of rank k with their right sides as column k.
MATINEE_INLINE int lane_place(int k, int i, int j) { return i * (k + 1) - i * (i - 1) / 2 + j - i; }

template <int width>
MATINEE_INLINE void factor_lanes_row(D* T, int k, int i, int j, D inverse) {
    D* row = T + lane_place(k, i, j);
    D x[width];
    MATINEE_UNROLL
    for (int c = 0; c < width; c++) x[c] = row[c];
    for (int t = 0; t < i; t++) {
        const D *above = T + lane_place(k, t, j), u = T[lane_place(k, t, i)];
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) x[c] -= above[c] * u;
    }
    MATINEE_UNROLL
    for (int c = 0; c < width; c++) row[c] = x[c] * inverse;
}

// Factor all lanes and solve U^T y = b in column k. Lanes without a positive pivot are set in `failed`.
inline void factor_lanes(D* T, int k, D* inverse, L* failed) {
    for (int i = 0; i < k; i++) {
        D pivot = T[lane_place(k, i, i)];
        for (int t = 0; t < i; t++) {
            const D u = T[lane_place(k, t, i)];
            pivot -= u * u;
        }
        *failed |= ~((pivot > 0) & (pivot <= DBL_MAX));
        inverse[i] = 1 / square_root(pivot);
        int j = i + 1;
        for (; j + 8 <= k + 1; j += 8) factor_lanes_row<8>(T, k, i, j, inverse[i]);
        for (; j + 4 <= k + 1; j += 4) factor_lanes_row<4>(T, k, i, j, inverse[i]);
        for (; j < k + 1; j++) factor_lanes_row<1>(T, k, i, j, inverse[i]);
    }
}

// Column k of T <- U^-T times it.
inline void solve_lanes_forward(D* T, int k, const D* inverse) {
    for (int i = 0; i < k; i++) {
        const D y = T[lane_place(k, i, k)] *= inverse[i];
        for (int j = i + 1; j < k; j++) T[lane_place(k, j, k)] -= T[lane_place(k, i, j)] * y;
    }
}

// x <- U^-1 y, y in column k of T.
inline void solve_lanes_backward(const D* T, int k, const D* inverse, D* x) {
    for (int i = 0; i < k; i++) x[i] = T[lane_place(k, i, k)];
    for (int j = k - 1; j >= 0; j--) {
        x[j] *= inverse[j];
        for (int i = 0; i < j; i++) x[i] -= T[lane_place(k, i, j)] * x[j];
    }
}

}  // namespace matinee::MATINEE_ISA
