// The sums of the equation over one row's ratings: sum w y y^T and sum v y, w and v as arguments.hpp tells.
//
// Ratings come in blocks of kBlock. A block's factors are gathered into `G` (and w times them into `H`), summed in
// float32 registers, and the block's sums are added to the row's in float64.
//
// The normal matrix is cut into tiles of kLanes x kLanes, of which only those on and above the diagonal are summed.
//   above the diagonal   A[i][j] at `upper + i * stride + j`
//   on the diagonal      by rotations: lane j of vector d is the entry (j, (j + d) mod kLanes), d = 0 ... kLanes / 2,
//                        which is every pair once with nine products in place of sixteen
// Ranks up to half a vector take two ratings per vector (`paired`), and the two halves are added at the end.
#pragma once

#include "arguments.hpp"
#include "gather.hpp"
#include "shape.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

template <bool first>
MATINEE_INLINE void flush(double* sums, D part) {
    store(sums, first ? part : load<D>(sums) + part);
}
template <bool first>
MATINEE_INLINE void flush(double* sums, F part) {
    flush<first>(sums, widen(lower_half(part)));
    flush<first>(sums + kDoubles, widen(upper_half(part)));
}

template <int... d>
MATINEE_INLINE void add_rotations(F* A, F h, F g, Sequence<d...>) {
    ((A[d] += h * rotate<d>(g)), ...);
}
template <int... d>
MATINEE_INLINE void add_half_rotations(F* A, F h, F g, Sequence<d...>) {
    ((A[d] += h * rotate_halves<d>(g)), ...);
}

// A diagonal tile and its part of b.
template <bool first>
void sum_diagonal(const Shape& s, const Block& block, int tile, double* diagonal, double* b) {
    constexpr int rotations = kLanes / 2 + 1;
    F A[rotations] = {}, bs{};
    const float *g = block.G + tile * kLanes, *h = block.H + tile * kLanes;
    for (int q = 0; q < block.n; q++, g += s.padded, h += s.padded) {
        const F y = load<F>(g);
        add_rotations(A, load<F>(h), y, typename Counting<rotations>::type{});
        bs += y * block.v[q];
    }
    MATINEE_UNROLL
    for (int d = 0; d < rotations; d++) flush<first>(diagonal + d * kLanes, A[d]);
    flush<first>(b, bs);
}

// The whole matrix of a rank up to half a vector, two ratings at a time.
template <bool first>
void sum_paired(const Shape& s, const Block& block, double* diagonal, double* b) {
    constexpr int rotations = kLanes / 4 + 1;
    F A[rotations] = {}, bs{};
    const float *g = block.G, *h = block.H;
    for (int q = 0; q < block.n; q += 2, g += kLanes, h += kLanes) {
        const F y = load<F>(g);
        add_half_rotations(A, load<F>(h), y, typename Counting<rotations>::type{});
        bs += y * halves(block.v[q], block.v[q + 1]);
    }
    MATINEE_UNROLL
    for (int d = 0; d < rotations; d++)
        flush<first>(diagonal + d * s.period, widen(lower_half(A[d]) + upper_half(A[d])));
    flush<first>(b, widen(lower_half(bs) + upper_half(bs)));
}

// `height` rows of the matrix from row i, `width` vectors of columns from column j.
template <bool first, int height, int width>
void sum_strip(const Shape& s, const Block& block, int i, int j, double* upper) {
    F A[height][width] = {};
    const float *rows = block.H + i, *columns = block.G + j;
    for (int q = 0; q < block.n; q++, rows += s.padded, columns += s.padded) {
        F y[width];
        MATINEE_UNROLL
        for (int c = 0; c < width; c++) y[c] = load<F>(columns + c * kLanes);
        MATINEE_UNROLL
        for (int r = 0; r < height; r++) {
            const F x = all(rows[r]);
            MATINEE_UNROLL
            for (int c = 0; c < width; c++) A[r][c] += y[c] * x;
        }
    }
    MATINEE_UNROLL
    for (int r = 0; r < height; r++)
        for (int c = 0; c < width; c++) flush<first>(upper + (int64_t)(i + r) * s.stride + j + c * kLanes, A[r][c]);
}

#if defined(__AVX512F__)
constexpr int kStripRows = 8, kStripColumns = 3;
#elif defined(__AVX2__)
constexpr int kStripRows = 4, kStripColumns = 3;
#else
constexpr int kStripRows = 4, kStripColumns = 2;
#endif

template <bool first>
void sum_above_diagonal(const Shape& s, const Block& block, double* upper) {
    for (int tile = 0; tile + 1 < s.tiles; tile++)
        for (int j = (tile + 1) * kLanes; j < s.padded;) {
            const int width = (int)smaller(kStripColumns, (s.padded - j) / kLanes);
            for (int i = tile * kLanes; i < (tile + 1) * kLanes; i += kStripRows) {
                if (width == 3) sum_strip<first, kStripRows, 3>(s, block, i, j, upper);
                else if (width == 2) sum_strip<first, kStripRows, 2>(s, block, i, j, upper);
                else sum_strip<first, kStripRows, 1>(s, block, i, j, upper);
            }
            j += width * kLanes;
        }
}

template <bool first>
void sum_block(const Shape& s, const Block& block, double* sums) {
    const SumsLayout at = layout_of(s);
    if (s.paired) return sum_paired<first>(s, block, sums + at.diagonal, sums + at.b);
    for (int tile = 0; tile < s.tiles; tile++)
        sum_diagonal<first>(s, block, tile, sums + at.diagonal + tile * s.rotations * kLanes,
                            sums + at.b + tile * kLanes);
    sum_above_diagonal<first>(s, block, sums + at.upper);
}

// Write the sums of one row; false where a column is out of range.
inline bool sum_row(const Side& side, const Shape& s, int64_t row, Block& block, double* sums) {
    double squares = 0;
    bool first = true;
    const bool fine = for_blocks(side, s, row, block, [&] {
        squares += sum_of_squares(block.v, block.n);
        first ? sum_block<true>(s, block, sums) : sum_block<false>(s, block, sums);
        first = false;
    });
    if (first) memset(sums, 0, sizeof(double) * layout_of(s).size);
    sums[layout_of(s).squares] = squares;
    return fine;
}

}  // namespace matinee::MATINEE_ISA
