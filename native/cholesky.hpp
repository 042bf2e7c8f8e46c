// A = U^T U in float64, in place, and the triangular solves with U.
//
// Two forms. Of one matrix, by rows of tiles: A row-major with `padded` columns, upper triangle; k a multiple of
// kPanel (the padding of A is the identity). Of kDoubles matrices of one small rank at once, one per lane: entry
// (i, j >= i) is a vector D, and the right side b is column k, so that factoring also solves U^T y = b.
//
// Left-looking: an entry is loaded once, all products are subtracted from it in a register, and it is stored once.
// `inverse` holds 1 / U[i][i]. A pivot that is not a positive number makes the functions return false.
#pragma once

#include <cfloat>

#include "simd.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kPanel = kDoubles < 4 ? 4 : kDoubles;  // rows factored together
constexpr int kPanelVectors = kPanel / kDoubles;

MATINEE_INLINE bool is_pivot(double d) { return d > 0 && d <= DBL_MAX; }

// T = A[p ..][j ..] minus the products of the rows above p.
template <int width>
MATINEE_INLINE void subtract_products(const double* A, int padded, int p, int j, D T[kPanel][width]) {
    MATINEE_UNROLL
    for (int r = 0; r < kPanel; r++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) T[r][c] = load<D>(A + (int64_t)(p + r) * padded + j + c * kDoubles);
    }
    const double *rows = A + p, *columns = A + j;
    for (int t = 0; t < p; t++, rows += padded, columns += padded) {
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
MATINEE_INLINE void store_panel(double* A, int padded, int p, int j, const D T[kPanel][width]) {
    MATINEE_UNROLL
    for (int r = 0; r < kPanel; r++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) store(A + (int64_t)(p + r) * padded + j + c * kDoubles, T[r][c]);
    }
}

inline bool factor_diagonal(double* A, int padded, int p, double* inverse) {
    D T[kPanel][kPanelVectors];
    subtract_products<kPanelVectors>(A, padded, p, p, T);
    bool fine = true;
    MATINEE_UNROLL
    for (int i = 0; i < kPanel; i++) {
        const double pivot = T[i][i / kDoubles][i % kDoubles];
        fine &= is_pivot(pivot);
        inverse[p + i] = 1 / __builtin_sqrt(pivot);
        MATINEE_UNROLL
        for (int c = 0; c < kPanelVectors; c++) T[i][c] *= inverse[p + i];
        MATINEE_UNROLL
        for (int l = i + 1; l < kPanel; l++) {
            const double x = T[i][l / kDoubles][l % kDoubles];
            MATINEE_UNROLL
            for (int c = 0; c < kPanelVectors; c++) T[l][c] -= T[i][c] * x;
        }
    }
    store_panel<kPanelVectors>(A, padded, p, p, T);
    return fine;
}

template <int width>
void factor_panel(double* A, int padded, int p, int j, const double* inverse) {
    D T[kPanel][width];
    subtract_products<width>(A, padded, p, j, T);
    MATINEE_UNROLL
    for (int i = 0; i < kPanel; i++) {
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) T[i][c] *= inverse[p + i];
        MATINEE_UNROLL
        for (int l = i + 1; l < kPanel; l++) {
            const D x = all(A[(int64_t)(p + i) * padded + p + l]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) T[l][c] -= T[i][c] * x;
        }
    }
    store_panel<width>(A, padded, p, j, T);
}

inline bool factor(double* A, int padded, int k, double* inverse) {
    for (int p = 0; p < k; p += kPanel) {
        if (!factor_diagonal(A, padded, p, inverse)) return false;
        int j = p + kPanel;
        for (; j + 3 * kDoubles <= k; j += 3 * kDoubles) factor_panel<3>(A, padded, p, j, inverse);
        for (; j < k; j += kDoubles) factor_panel<1>(A, padded, p, j, inverse);
    }
    return true;
}

// b <- U^-T b
inline void solve_forward(const double* U, int padded, int k, const double* inverse, double* b) {
    for (int p = 0; p < k; p += kPanel) {
        const double* rows = U + (int64_t)p * padded;
        for (int i = 0; i < kPanel; i++) {
            b[p + i] *= inverse[p + i];
            for (int l = i + 1; l < kPanel; l++) b[p + l] -= rows[i * padded + p + l] * b[p + i];
        }
        for (int c = p + kPanel; c < k; c += kDoubles) {
            D rest = load<D>(b + c);
            MATINEE_UNROLL
            for (int i = 0; i < kPanel; i++) rest -= load<D>(rows + i * padded + c) * b[p + i];
            store(b + c, rest);
        }
    }
}

// b <- U^-1 b
inline void solve_backward(const double* U, int padded, int k, const double* inverse, double* b) {
    for (int p = k - kPanel; p >= 0; p -= kPanel) {
        const double* rows = U + (int64_t)p * padded;
        D sums[kPanel] = {};
        for (int c = p + kPanel; c < k; c += kDoubles) {
            const D x = load<D>(b + c);
            MATINEE_UNROLL
            for (int i = 0; i < kPanel; i++) sums[i] += load<D>(rows + i * padded + c) * x;
        }
        MATINEE_UNROLL
        for (int v = 0; v < kPanelVectors; v++) store(b + p + v * kDoubles, load<D>(b + p + v * kDoubles) - sums_of_each(sums + v * kDoubles));
        for (int i = kPanel - 1; i >= 0; i--) {
            for (int l = i + 1; l < kPanel; l++) b[p + i] -= rows[i * padded + p + l] * b[p + l];
            b[p + i] *= inverse[p + i];
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

MATINEE_INLINE D square_root(D v) {
    for (int lane = 0; lane < kDoubles; lane++) v[lane] = __builtin_sqrt(v[lane]);
    return v;
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

// x <- U^-1 y, y in column k of T.
inline void solve_lanes_backward(const D* T, int k, const D* inverse, D* x) {
    for (int i = 0; i < k; i++) x[i] = T[lane_place(k, i, k)];
    for (int j = k - 1; j >= 0; j--) {
        x[j] *= inverse[j];
        for (int i = 0; i < j; i++) x[i] -= T[lane_place(k, i, j)] * x[j];
    }
}

}  // namespace matinee::MATINEE_ISA
