// Panels: some rows of Y transposed, so that one vector holds one factor of kLanes rows.
//
// A panel has kPanelWidth vectors' worth of rows; factor c of row m is at panel[c * kPanelRows + m].
#pragma once

#include "simd.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kPanelWidth = 3;
constexpr int kPanelRows = kPanelWidth * kLanes;

// Where row m of a panel is read: a row of Y, or null for zeros.
struct PanelRows {
    const float* row[kPanelRows];
};

MATINEE_INLINE F row_part(const float* row, int c, int k) {
    if (!row) return F{};
    return c + kLanes <= k ? load<F>(row + c) : load_first(row + c, k - c);
}

// The transpose of kLanes rows by up to kLanes factors from factor c on.
MATINEE_INLINE void transpose_part(const float* const* rows, int c, int k, float* panel) {
    F v[kLanes];
    MATINEE_UNROLL
    for (int i = 0; i < kLanes; i++) v[i] = row_part(rows[i], c, k);
    transpose_squares<kLanes>(v);
    for (int i = 0; i < smaller(kLanes, k - c); i++) store(panel + (int64_t)(c + i) * kPanelRows, v[i]);
}

// The same for ranks up to half a vector: two rows share a vector.
MATINEE_INLINE void transpose_narrow(const float* const* rows, int k, float* panel) {
    constexpr int half = kLanes / 2;
    F v[half];
    MATINEE_UNROLL
    for (int i = 0; i < half; i++) {
        const F a = row_part(rows[i], 0, k), b = row_part(rows[i + half], 0, k);
        v[i] = join_lower(a, b);
    }
    transpose_squares<half>(v);
    for (int i = 0; i < k; i++) store(panel + (int64_t)i * kPanelRows, v[i]);
}

inline void fill_panel(const PanelRows& rows, int k, float* panel) {
    for (int v = 0; v < kPanelWidth; v++) {
        const float* const* part = rows.row + v * kLanes;
        if (k <= kLanes / 2) transpose_narrow(part, k, panel + v * kLanes);
        else
            for (int c = 0; c < k; c += kLanes) transpose_part(part, c, k, panel + v * kLanes);
    }
}

}  // namespace matinee::MATINEE_ISA
