// Ratings in blocks of kBlock: their weights and targets, and their factors side by side.
#pragma once

#include "arguments.hpp"
#include "shape.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

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
        for (int q = 0; q < n; q++) block.v[q] -= side.offset(block.columns[q]);
    if (side.other_weight)
        for (int q = 0; q < n; q++) {
            block.w[q] = side.weight(block.columns[q]);
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
        const float* next = side.factors((uint32_t)*(soon < end ? soon : end - 1));
        for (int line = 0; line < lines; line++) __builtin_prefetch(next + 16 * line);
        const float* y = side.factors(block.columns[q]);
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
        __builtin_prefetch(side.factors((uint32_t)*(soon < end ? soon : end - 1)));
        const float* y = side.factors(block.columns[q]);
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

}  // namespace matinee::MATINEE_ISA
