// The n best of each row: scores against a falling threshold, a small heap, no array of all scores.
//
// A candidate comes before another if its score is higher, or as high and its position lower. The worst kept one is
// the root of a heap laid in the caller's output; its score is the threshold that a vector of new scores is compared
// with. Candidates come by rising position, so an equal score never replaces a kept one. NaN and -inf are never kept.
#pragma once

#include "arguments.hpp"
#include "panel.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

constexpr float kLowest = -__builtin_inff();

// The best so far of one row.
struct Best {
    float* score;
    int32_t* position;
    int64_t n, kept;
    const int32_t *exclude, *exclude_end;

    MATINEE_INLINE float threshold() const { return n == 0 ? -kLowest : kept < n ? kLowest : score[0]; }
};

inline bool is_excluded(const Best& best, int32_t position) {
    const int32_t* at = best.exclude;
    for (int64_t left = best.exclude_end - at; left > 0;) {
        const int64_t half = left / 2;
        if (at[half] < position) at += half + 1, left -= half + 1;
        else left = half;
    }
    return at < best.exclude_end && *at == position;
}

MATINEE_INLINE bool comes_before(const Best& best, int64_t a, int64_t b) {
    return best.score[a] > best.score[b] || (best.score[a] == best.score[b] && best.position[a] < best.position[b]);
}

MATINEE_INLINE void swap_kept(Best& best, int64_t a, int64_t b) {
    const float score = best.score[a];
    const int32_t position = best.position[a];
    best.score[a] = best.score[b], best.position[a] = best.position[b];
    best.score[b] = score, best.position[b] = position;
}

inline void sink(Best& best, int64_t at, int64_t end) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= end) return;
        if (child + 1 < end && comes_before(best, child, child + 1)) child++;
        if (!comes_before(best, at, child)) return;
        swap_kept(best, at, child);
        at = child;
    }
}

inline void keep(Best& best, float score, int32_t position) {
    if (best.kept == best.n) {
        best.score[0] = score, best.position[0] = position;
        return sink(best, 0, best.n);
    }
    int64_t at = best.kept++;
    best.score[at] = score, best.position[at] = position;
    for (int64_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (!comes_before(best, parent, at)) return;
        swap_kept(best, parent, at);
    }
}

// Order what was kept, best first, and fill the rest with -1 and -inf.
inline void finish(Best& best) {
    for (int64_t end = best.kept - 1; end > 0; end--) {
        swap_kept(best, 0, end);
        sink(best, 0, end);
    }
    for (int64_t i = best.kept; i < best.n; i++) best.score[i] = kLowest, best.position[i] = -1;
}

MATINEE_INLINE void offer(Best& best, float score, int32_t position) {
    if (score > best.threshold() && !is_excluded(best, position)) keep(best, score, position);
}

// Not inlined: the rare part of the loops below.
__attribute__((noinline)) inline void offer_some(Best& best, uint32_t bits, const float* scores,
                                                 const int32_t* positions, int32_t from) {
    for (; bits; bits &= bits - 1) {
        const int lane = __builtin_ctz(bits);
        offer(best, scores[lane], positions ? positions[lane] : from + lane);
    }
}

inline Best best_of(int64_t row, int64_t n, float* scores, int32_t* positions, const int64_t* exclude_indptr,
                    const int32_t* exclude) {
    Best best{scores + row * n, positions + row * n, n, 0, nullptr, nullptr};
    if (exclude_indptr) {
        best.exclude = exclude + exclude_indptr[row];
        best.exclude_end = exclude + exclude_indptr[row + 1];
    }
    return best;
}

// A panel of candidates from number `first` on: their factors and biases, and their positions, which count up from
// `first` where `positions` is null.
struct Panel {
    const float *factors, *bias;
    const int32_t* positions;
    int32_t first;
};

// The biases of `n` candidates; -inf where the panel has none, so that it is never kept.
inline void fill_biases(const TopN& top, const Panel& panel, int n, float* bias) {
    for (int m = 0; m < kPanelRows; m++) {
        const int64_t position = panel.positions ? panel.positions[m < n ? m : 0] : panel.first + m;
        bias[m] = m >= n ? kLowest : top.bias ? top.bias[position] : 0;
    }
}

inline void fill_candidates(const TopN& top, const Panel& panel, int n, float* factors) {
    const int64_t k = top.k;
    const float* first = top.Y + k * panel.first;
    if (n < kPanelRows)
        fill_panel(
            [&](int m) { return m >= n            ? kNoRow
                                : panel.positions ? top.Y + k * panel.positions[m]
                                                  : first + k * m; },
            top.k, factors);
    else if (panel.positions) fill_panel([&](int m) { return top.Y + k * panel.positions[m]; }, top.k, factors);
    else fill_panel([&](int m) { return first + k * m; }, top.k, factors);
}

template <int people>
MATINEE_INLINE void score_panel(const TopN& top, const Panel& panel, int64_t row, Best* best) {
    F scores[people][kPanelWidth];
    panel_products<people>(top.X + row * top.k, top.k, panel.factors, panel.bias, scores);
    MATINEE_UNROLL
    for (int u = 0; u < people; u++) {
        const F threshold = all(best[u].threshold());
        MATINEE_UNROLL
        for (int v = 0; v < kPanelWidth; v++) {
            const uint32_t bits = bits_of(scores[u][v] > threshold);
            if (__builtin_expect(bits != 0, 0)) {
                alignas(kBytes) float out[kLanes];
                store(out, scores[u][v]);
                offer_some(best[u], bits, out, panel.positions ? panel.positions + v * kLanes : nullptr,
                           panel.first + v * kLanes);
            }
        }
    }
}

constexpr int kPanelUsers = 128;  // rows that share a panel once it is filled

inline size_t top_n_bytes(int k) {
    return sizeof(float) * kPanelRows * (size_t)(k + 1) + sizeof(Best) * kPanelUsers + 128;
}

// Rows begin ... end, at most kPanelUsers of them.
inline void top_n_rows(const TopN& top, char* buffer, int64_t begin, int64_t end) {
    float* factors = (float*)buffer;
    float* bias = factors + (int64_t)kPanelRows * top.k;
    Best* best = (Best*)(bias + kPanelRows);
    for (int64_t row = begin; row < end; row++)
        best[row - begin] = best_of(row, top.n, top.scores, top.positions, top.exclude_indptr, top.exclude);
    for (int64_t from = 0; from < top.n_candidates; from += kPanelRows) {
        const int n = (int)smaller(kPanelRows, top.n_candidates - from);
        const Panel panel{factors, bias, top.candidates ? top.candidates + from : nullptr, (int32_t)from};
        if (from == 0 || top.bias || n < kPanelRows) fill_biases(top, panel, n, bias);
        fill_candidates(top, panel, n, factors);
        int64_t row = begin;
        for (; row + kPeople <= end; row += kPeople) score_panel<kPeople>(top, panel, row, best + (row - begin));
        for (; row < end; row++) score_panel<1>(top, panel, row, best + (row - begin));
    }
    for (int64_t row = begin; row < end; row++) finish(best[row - begin]);
}

typedef uint8_t Bytes __attribute__((vector_size(kLanes)));

inline void select_rows(const Selection& s, int64_t begin, int64_t end) {
    const int64_t whole = s.n_columns / kLanes * kLanes;
    for (int64_t row = begin; row < end; row++) {
        Best best = best_of(row, s.n, s.best, s.positions, s.exclude_indptr, s.exclude);
        const float* scores = s.scores + row * s.n_columns;
        for (int64_t m = 0; m < whole; m += kLanes) {
            I chosen = load<F>(scores + m) > best.threshold();
            if (s.allowed) chosen &= __builtin_convertvector(load<Bytes>(s.allowed + m), I) != 0;
            const uint32_t bits = bits_of(chosen);
            if (__builtin_expect(bits != 0, 0)) offer_some(best, bits, scores + m, nullptr, (int32_t)m);
        }
        for (int64_t m = whole; m < s.n_columns; m++)
            if (!s.allowed || s.allowed[m]) offer(best, scores[m], (int32_t)m);
        finish(best);
    }
}

}  // namespace matinee::MATINEE_ISA
