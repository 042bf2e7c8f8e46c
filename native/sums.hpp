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

struct Block {
    const int32_t* columns;
    const float* values;
    int n;
    float *G, *H, *v, *w;  // H is G where all weights are one
};

MATINEE_INLINE bool columns_in_range(const int32_t* columns, int n, int64_t n_columns) {
    uint32_t worst = 0;
    for (int q = 0; q < n; q++) {
        const uint32_t c = (uint32_t)columns[q];
        worst = c > worst ? c : worst;
    }
    return n == 0 || worst < (uint64_t)n_columns;
}

inline void weigh(const Side& side, Block& block) {
    const int n = block.n;
    const float* h = side.other_weight;
    if (side.implicit) {
        for (int q = 0; q < n; q++) {
            const float r = block.values[q], w = side.alpha * __builtin_fabsf(r);
            block.w[q] = w;
            block.v[q] = r > 0 || r != r ? 1 + w : 0;
        }
        return;
    }
    for (int q = 0; q < n; q++) block.v[q] = block.values[q];
    if (side.other_offset)
        for (int q = 0; q < n; q++) block.v[q] -= side.other_offset[block.columns[q]];
    if (h)
        for (int q = 0; q < n; q++) {
            block.w[q] = h[block.columns[q]];
            block.v[q] *= block.w[q];
        }
}

MATINEE_INLINE double sum_of_squares(const float* v, int n) {
    F sums{};
    int q = 0;
    for (; q + kLanes <= n; q += kLanes) sums += load<F>(v + q) * load<F>(v + q);
    const F rest = load_first(v + q, n - q);
    sums += rest * rest;
    double sum = 0;
    for (int i = 0; i < kLanes; i++) sum += sums[i];
    return sum;
}

inline bool weighted(const Side& side) { return side.implicit || side.other_weight; }

constexpr int kAhead = 24;  // ratings between a prefetch and its use

template <bool with_weights>
MATINEE_INLINE void gather_tiles(const Side& side, const Shape& s, Block& block, const int32_t* end) {
    const int k = s.k, whole = k / kLanes * kLanes, lines = (k * 4 + 63) / 64;
    for (int q = 0; q < block.n; q++) {
        const int32_t* soon = block.columns + q + kAhead;
        const float* next = side.Y + (int64_t)k * (uint32_t)*(soon < end ? soon : end - 1);
        for (int line = 0; line < lines; line++) __builtin_prefetch(next + 16 * line);
        const float* y = side.Y + (int64_t)k * block.columns[q];
        float *g = block.G + q * s.padded, *h = block.H + q * s.padded;
        for (int c = 0; c < s.padded; c += kLanes) {
            const F part = c < whole ? load<F>(y + c) : load_first(y + c, k - c);
            store(g + c, part);
            if (with_weights) store(h + c, part * block.w[q]);
        }
    }
}

template <bool with_weights>
MATINEE_INLINE void gather_halves(const Side& side, const Shape& s, Block& block, const int32_t* end) {
    const int k = s.k;
    for (int q = 0; q < block.n; q++) {
        const int32_t* soon = block.columns + q + kAhead;
        __builtin_prefetch(side.Y + (int64_t)k * (uint32_t)*(soon < end ? soon : end - 1));
        const float* y = side.Y + (int64_t)k * block.columns[q];
        H part;
        if (k == s.period) part = load<H>(y);
        else {
            const F all_lanes = load_first(y, k);
            memcpy(&part, &all_lanes, sizeof part);
        }
        store(block.G + q * s.padded, part);
        if (with_weights) store(block.H + q * s.padded, part * block.w[q]);
    }
    if (block.n % 2) {
        store(block.G + block.n * s.padded, H{});
        if (with_weights) store(block.H + block.n * s.padded, H{});
        block.v[block.n] = 0;
    }
}

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
    for (int d = 0; d < rotations; d++) flush<first>(diagonal + d * s.period, widen(lower_half(A[d]) + upper_half(A[d])));
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
        sum_diagonal<first>(s, block, tile, sums + at.diagonal + tile * s.rotations * kLanes, sums + at.b + tile * kLanes);
    sum_above_diagonal<first>(s, block, sums + at.upper);
}

inline void gather(const Side& side, const Shape& s, Block& block, const int32_t* end) {
    if (s.paired) weighted(side) ? gather_halves<true>(side, s, block, end) : gather_halves<false>(side, s, block, end);
    else weighted(side) ? gather_tiles<true>(side, s, block, end) : gather_tiles<false>(side, s, block, end);
}

// Fill `block` with each block of a row in turn and call each(block); false where a column is out of range.
template <class Each>
MATINEE_INLINE bool for_blocks(const Side& side, const Shape& s, int64_t row, Block& block, const Each& each) {
    const int64_t end = side.rows.indptr[row + 1];
    const int32_t* all_end = side.rows.indices + side.rows.indptr[side.rows.n_rows];
    for (int64_t p = side.rows.indptr[row]; p < end; p += kBlock) {
        block.columns = side.rows.indices + p;
        block.values = side.rows.values + p;
        block.n = (int)smaller(kBlock, end - p);
        if (!columns_in_range(block.columns, block.n, side.rows.n_columns)) return false;
        weigh(side, block);
        gather(side, s, block, all_end);
        each();
    }
    return true;
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
