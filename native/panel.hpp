// Panels: some rows of Y transposed, so that one vector holds one factor of kLanes rows.
//
// A panel has kPanelWidth vectors' worth of rows; factor c of row m is at panel[c * kPanelRows + m].
#pragma once

#include "arguments.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kPanelWidth = 3;
constexpr int kPanelRows = kPanelWidth * kLanes;

// What a panel holds where there is no row.
constexpr float kNoRow[kMaxRank] = {};

MATINEE_INLINE F row_part(const float* row, int c, int k) {
    return c + kLanes <= k ? load<F>(row + c) : load_first(row + c, k - c);
}

// The transpose of kLanes rows by up to kLanes factors from factor c on.
template <class RowAt>
MATINEE_INLINE void transpose_part(const RowAt& row_at, int from, int c, int k, float* panel) {
    F v[kLanes];
    MATINEE_UNROLL
    for (int i = 0; i < kLanes; i++) v[i] = row_part(row_at(from + i), c, k);
    transpose_squares<kLanes>(v);
    if (k - c >= kLanes) {
        MATINEE_UNROLL
        for (int i = 0; i < kLanes; i++) store(panel + (int64_t)(c + i) * kPanelRows, v[i]);
    } else {
        for (int i = 0; i < k - c; i++) store(panel + (int64_t)(c + i) * kPanelRows, v[i]);
    }
}

// The same for ranks up to half a vector: two rows share a vector.
template <class RowAt>
MATINEE_INLINE void transpose_narrow(const RowAt& row_at, int from, int k, float* panel) {
    constexpr int half = kLanes / 2;
    F v[half];
    MATINEE_UNROLL
    for (int i = 0; i < half; i++)
        v[i] = join_lower(load_first(row_at(from + i), k), load_first(row_at(from + i + half), k));
    transpose_squares<half>(v);
    if (k == half) {
        MATINEE_UNROLL
        for (int i = 0; i < half; i++) store(panel + (int64_t)i * kPanelRows, v[i]);
    } else {
        for (int i = 0; i < k; i++) store(panel + (int64_t)i * kPanelRows, v[i]);
    }
}

// Fill a panel whose row m is row_at(m), k floats; or only its first `width` vectors.
template <class RowAt>
MATINEE_INLINE void fill_panel(const RowAt& row_at, int k, float* panel, int width = kPanelWidth) {
    for (int v = 0; v < width; v++) {
        if (k <= kLanes / 2) transpose_narrow(row_at, v * kLanes, k, panel + v * kLanes);
        else
            for (int c = 0; c < k; c += kLanes) transpose_part(row_at, v * kLanes, c, k, panel + v * kLanes);
    }
}

#if defined(__AVX512F__)
constexpr int kPeople = 8;  // rows multiplied with a panel together
#else
constexpr int kPeople = 4;
#endif

// bias + x . y of `people` rows x (people, k) and all rows y of a panel, added factor by factor: the bits of one
// product are the same wherever it stands in a panel, and whatever is multiplied with it.
template <int people>
MATINEE_INLINE void panel_products(const float* x, int k, const float* panel, const float* bias,
                                   F (*products)[kPanelWidth]) {
    MATINEE_UNROLL
    for (int u = 0; u < people; u++) {
        MATINEE_UNROLL
        for (int v = 0; v < kPanelWidth; v++) products[u][v] = load<F>(bias + v * kLanes);
    }
    for (int c = 0; c < k; c++, panel += kPanelRows) {
        MATINEE_UNROLL
        for (int u = 0; u < people; u++) {
            const F factor = all(x[(int64_t)u * k + c]);
            MATINEE_UNROLL
            for (int v = 0; v < kPanelWidth; v++) products[u][v] += load<F>(panel + v * kLanes) * factor;
        }
    }
}

}  // namespace matinee::MATINEE_ISA
