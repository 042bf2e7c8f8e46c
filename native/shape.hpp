// How the factors of one rank fill vectors, and where the float64 sums of one row lie.
#pragma once

#include "simd.hpp"

namespace matinee::MATINEE_ISA {

struct Shape {
    int k;
    bool paired;
    int padded;     // k rounded up to whole vectors, or half a vector: the length of a gathered row
    int stride;     // the same, rounded up to what factoring takes: the length of a row of A
    int tiles;      // vectors in a padded row
    int rotations;  // vectors per diagonal tile
    int period;     // lanes of a diagonal tile
};

constexpr int kPanel = kDoubles < 4 ? 4 : kDoubles;  // rows of A factored together

inline Shape shape_of(int k) {
    const bool paired = k <= kLanes / 2;
    const int period = paired ? kLanes / 2 : kLanes;
    const int padded = round_up(k, period);
    return {k, paired, padded, round_up(padded, kPanel), paired ? 1 : padded / kLanes, period / 2 + 1, period};
}

// Where the float64 sums of one row lie in one array of doubles.
struct SumsLayout {
    int upper, diagonal, b, squares, size;  // squares: one place, the sum of v^2
};

inline SumsLayout layout_of(const Shape& s) {
    const int diagonal = s.stride * s.stride, b = diagonal + s.tiles * s.rotations * s.period;
    return {0, diagonal, b, b + s.stride, round_up(b + s.stride + 1, kDoubles)};
}

// The place of entry (i, j >= i) within a row's sums.
inline int place_of(const Shape& s, int i, int j) {
    const int tile = i / s.period;
    if (j / s.period != tile) return i * s.stride + j;
    const int p = i % s.period, q = j % s.period, ahead = q - p;
    const int start = layout_of(s).diagonal + tile * s.rotations * s.period;
    return ahead < s.rotations ? start + ahead * s.period + p : start + (s.period - ahead) * s.period + q;
}

}  // namespace matinee::MATINEE_ISA
