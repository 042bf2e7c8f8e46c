// What people in several samples would say of movies: the mean over samples of x . a + offset.
//
// The bits of one score are the same whoever and whatever else is asked about.
#pragma once

#include "arguments.hpp"
#include "panel.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

#if defined(__AVX512F__)
constexpr int kScoredRows = 4, kScoredAtOnce = 4;  // rows and columns whose sums are in registers
#else
constexpr int kScoredRows = 4, kScoredAtOnce = 2;
#endif
// Of a single row one column after the other: memory is the limit, and it is fetched ahead in one stream only.
constexpr int scored_at_once(int people) { return people == 1 ? 1 : kScoredAtOnce; }

// The sums over samples of x . y for rows row ... row + people and up to kLanes columns, as they lie.
template <int people, bool whole>
inline void score_rows(const Scores& args, int64_t row, const int32_t* columns, int n, F* sums) {
    constexpr int at_once = scored_at_once(people);
    const int k = args.k;
    F parts[people][kLanes];
    for (int m = 0; m < kLanes; m += at_once) {
        F total[people][at_once] = {};
        const float* y[at_once];
        for (int j = 0; j < at_once; j++) y[j] = args.Y + columns[m + j < n ? m + j : n - 1] * args.n_samples * k;
        for (int64_t s = 0; s < args.n_samples; s++) {
            const float* x = args.X + (s * args.n_rows + row) * k;
            for (int c = 0; c < k; c += kLanes) {
                F factors[people];
                MATINEE_UNROLL
                for (int i = 0; i < people; i++)
                    factors[i] = whole ? load<F>(x + i * k + c) : row_part(x + i * k, c, k);
                MATINEE_UNROLL
                for (int j = 0; j < at_once; j++) {
                    const F theirs = whole ? load<F>(y[j] + c) : row_part(y[j], c, k);
                    MATINEE_UNROLL
                    for (int i = 0; i < people; i++) total[i][j] += factors[i] * theirs;
                }
            }
            MATINEE_UNROLL
            for (int j = 0; j < at_once; j++) y[j] += k;
        }
        MATINEE_UNROLL
        for (int i = 0; i < people * at_once; i++)
            parts[i / at_once][m + i % at_once] = total[i / at_once][i % at_once];
    }
    for (int i = 0; i < people; i++) sums[i] = sums_of_each(parts[i]);
}

template <int people>
inline void write_scores(const Scores& args, int64_t row, int64_t begin, int64_t end, const float* offsets) {
    for (int64_t from = begin; from < end; from += kLanes) {
        const int32_t* columns = args.columns + from;
        const int n = (int)smaller((int64_t)kLanes, end - from);
        F sums[people];
        args.k % kLanes ? score_rows<people, false>(args, row, columns, n, sums)
                        : score_rows<people, true>(args, row, columns, n, sums);
        for (int i = 0; i < people; i++)
            for (int m = 0; m < n; m++)
                args.out[(row + i) * args.n_asked + from + m] =
                    (sums[i][m] + offsets[from - begin + m]) / (float)args.n_samples;
    }
}

constexpr int64_t kScoredColumns = 128;  // so that they stay in cache while rows go by

// Scores of columns begin ... end of those asked about, at most kScoredColumns of them, for every row.
inline void score_columns(const Scores& args, int64_t begin, int64_t end) {
    float offsets[kScoredColumns];
    for (int64_t m = begin; m < end; m++) {
        offsets[m - begin] = 0;
        for (int64_t s = 0; s < args.n_samples; s++)
            offsets[m - begin] += args.offsets[args.columns[m] * args.n_samples + s];
    }
    int64_t row = 0;
    for (; row + kScoredRows <= args.n_rows; row += kScoredRows)
        write_scores<kScoredRows>(args, row, begin, end, offsets);
    for (; row < args.n_rows; row++) write_scores<1>(args, row, begin, end, offsets);
}

}  // namespace matinee::MATINEE_ISA
