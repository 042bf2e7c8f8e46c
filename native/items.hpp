// Items that score items: a row's weights are gathered, scaled and compared a block at a time, while it is in cache.
#pragma once

#include "arguments.hpp"
#include "products.hpp"
#include "select.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

// Scores of items begin ... end for one row, into out.
inline void score_items(const Items& items, const Rows& rows, int64_t row, int64_t begin, int64_t end, float* out) {
    const float share = items.base_weight / ((float)(rows.indptr[row + 1] - rows.indptr[row]) + items.damping);
    gather_columns(rows, items.W, items.n, row, begin, end, out);
    const float *scale = items.scale + begin, *base = items.base + begin;
    int64_t c = 0;
    for (; c + kLanes <= end - begin; c += kLanes)
        store(out + c, load<F>(out + c) * load<F>(scale + c) + load<F>(base + c) * share);
    if (const int left = (int)(end - begin - c)) {
        const F last = load_first(out + c, left) * load_first(scale + c, left) + load_first(base + c, left) * share;
        memcpy(out + c, &last, sizeof(float) * left);
    }
}

inline void item_scores(const ItemScores& args, int64_t begin, int64_t end) {
    const int64_t M = args.items.n;
    for (int64_t row = begin; row < end; row++)
        for (int64_t c = 0; c < M; c += kGatherColumns)
            score_items(args.items, args.rows, row, c, smaller(c + kGatherColumns, M), args.out + row * M + c);
}

// Of some lanes those whose items are allowed; there are few, so that no mask of all items is made.
MATINEE_INLINE uint32_t allowed_of(uint32_t bits, const bool* allowed, const int32_t* names) {
    for (uint32_t left = bits; left; left &= left - 1) {
        const int lane = __builtin_ctz(left);
        if (!allowed[names[lane]]) bits &= ~(1u << lane);
    }
    return bits;
}

inline size_t item_bytes() { return sizeof(float) * (kGatherColumns + kLanes); }

inline void item_top_row(const ItemTopN& args, char* buffer, int64_t row) {
    Best best = best_of(row, args.n, args.scores, args.positions, args.exclude_indptr, args.exclude);
    float* scores = (float*)buffer;
    for (int64_t from = 0; from < args.items.n; from += kGatherColumns) {
        const int64_t end = smaller(from + kGatherColumns, args.items.n), n = end - from;
        const int32_t* names = args.items.names + from;
        score_items(args.items, args.rows, row, from, end, scores);
        for (int64_t c = 0; c < n; c += kLanes) {
            const int lanes = (int)smaller(kLanes, n - c);
            const F some = lanes == kLanes ? load<F>(scores + c) : load_first(scores + c, lanes);
            uint32_t bits = bits_of(some > all(best.threshold())) & (uint32_t)((1ull << lanes) - 1);
            if (__builtin_expect(bits != 0, 0)) {
                if (args.allowed) bits = allowed_of(bits, args.allowed, names + c);
                offer_some(best, bits, scores + c, names + c, 0);
            }
        }
    }
    finish(best);
}

}  // namespace matinee::MATINEE_ISA
