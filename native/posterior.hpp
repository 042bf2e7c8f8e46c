// What people folded into several samples would say of movies: mean and variance, person by person.
//
//   C = (A0 + sum_p w_p y_p y_p^T)^-1        mean_s[x . a + offset], mean_s[1 / (g w) + a^T C a] + var_s[x . a +
//   offset] g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))
//
// y are the movies as they are rated, a as they are asked about. Sums, factors and C as in solve.hpp; forms over panels
// of movies as in products.hpp.
#pragma once

#include "arguments.hpp"
#include "covariance.hpp"
#include "panel.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "solve.hpp"

namespace matinee::MATINEE_ISA {

struct MomentsSpace {
    float *panel, *folded, *first, *sum, *squares, *variance;  // the last four with whole panels
    double *V, *C;
    size_t bytes;
};

// `at` is where the arrays of a solve end.
inline MomentsSpace moments_space(int k, int64_t n_asked, char* at) {
    MomentsSpace space;
    size_t used = 0;
    auto take = [&](auto*& array, size_t count) {
        array = (decltype(+array))(at + used);
        used += (count * sizeof(*array) + 63) / 64 * 64;
    };
    const size_t stride = shape_of(k).stride;
    take(space.panel, (size_t)kPanelRows * k);
    take(space.folded, (size_t)round_up(k, kFormRows) * k);
    const size_t padded = (n_asked + kPanelRows - 1) / kPanelRows * kPanelRows;
    take(space.first, padded);
    take(space.sum, padded);
    take(space.squares, padded);
    take(space.variance, padded);
    take(space.V, stride * stride);
    take(space.C, (size_t)k * k);
    space.bytes = used;
    return space;
}

inline size_t moments_bytes(int k, int64_t n_asked) {
    return solve_bytes(k) + moments_space(k, n_asked, nullptr).bytes;
}

// C of one person in one sample, from sums in float32 blocks; from sums in float64 where those do not factor.
inline bool covariance_of_row(const Side& side, const Shape& s, int64_t row, const Space& space, double* V, double* C,
                              Failure* failure) {
    Block block = block_in(side, space);
    if (!sum_row(side, s, row, block, space.sums)) {
        failure->note(row, Fault::column_out_of_range);
        return false;
    }
    double* U = assemble(side, s, row, space.sums, space.b);
    if (!factor(U, s.stride, space.inverse)) {
        U = space.A;
        assemble_precisely(side, s, row, U, space.b);
        if (!factor(U, s.stride, space.inverse)) {
            failure->note(row, Fault::not_positive_definite);
            return false;
        }
    }
    invert_factor(U, s.stride, space.inverse, s.k, V);
    multiply_transposed(V, s.stride, s.k, C);
    return true;
}

// tr(C A0): of the k dimensions of x, how many the ratings leave open.
inline double left_open(const double* C, const double* A0, int k) {
    double trace = 0;
    for (int i = 0; i < k * k; i++) trace += C[i] * A0[i];
    return trace;
}

// g of one person in one sample; sum_p w_p y_p^T C y_p is k - tr(C A0).
inline double noise_weight(const Side& side, const float* x, const double* C, int64_t row, double degrees) {
    const Residuals residuals = {side.rows,         x - row * side.k,  side.Y, side.k, nullptr,
                                 side.other_offset, side.other_weight, nullptr};
    const double n = (double)(side.rows.indptr[row + 1] - side.rows.indptr[row]);
    return (degrees + n) / (degrees + residual_sum(residuals, row) + side.k - left_open(C, side.A0, side.k));
}

// One sample of the movies as they are asked about.
MATINEE_INLINE Side asked_side(const Moments& args, int64_t s) {
    const int64_t n_columns = args.posterior.rows.n_columns;
    Side side{};
    side.Y = args.asked_Y + s * n_columns * args.posterior.k;
    side.k = args.posterior.k;
    side.other_offset = args.asked_offsets + s * n_columns;
    side.other_weight = args.asked_precisions + s * n_columns;
    return side;
}

// The sums over samples of one panel of movies.
struct PanelSums {
    float *first, *sum, *squares, *variance;
};

MATINEE_INLINE PanelSums sums_at(const MomentsSpace& space, int64_t at) {
    return {space.first + at, space.sum + at, space.squares + at, space.variance + at};
}

MATINEE_INLINE void fetch_rows(const float* Y, int k, const int32_t* columns, int64_t n) {
    for (int64_t m = 0; m < n; m++)
        for (int c = 0; c < k; c += 16) __builtin_prefetch(Y + (int64_t)k * columns[m] + c);
}

// A panel of the rows of Y at these columns, zeros behind them.
MATINEE_INLINE void fill_panel_at(const float* Y, int k, const int32_t* columns, int n, float* panel) {
    fill_panel([&](int m) { return m < n ? Y + (int64_t)k * columns[m] : kNoRow; }, k, panel);
}

// Add x . y of `people` rows x, k apart, to sums of kPanelRows each.
template <int people>
MATINEE_INLINE void add_products(const float* panel, const float* x, int k, float* sums) {
    F total[people][kPanelWidth];
    MATINEE_UNROLL
    for (int i = 0; i < people * kPanelWidth; i++) total[i / kPanelWidth][i % kPanelWidth] = load<F>(sums + i * kLanes);
    for (int c = 0; c < k; c++) {
        MATINEE_UNROLL
        for (int i = 0; i < people; i++) {
            MATINEE_UNROLL
            for (int v = 0; v < kPanelWidth; v++)
                total[i][v] += load<F>(panel + c * kPanelRows + v * kLanes) * x[i * k + c];
        }
    }
    MATINEE_UNROLL
    for (int i = 0; i < people * kPanelWidth; i++) store(sums + i * kLanes, total[i / kPanelWidth][i % kPanelWidth]);
}

// Add one panel of movies in one sample to their sums.
inline void add_panel(const Side& side, const float* x, float noise, const int32_t* columns, int n, bool first_sample,
                      const MomentsSpace& space, const PanelSums& sums) {
    const int k = side.k;
    alignas(kBytes) float means[kPanelRows], weights[kPanelRows];
    for (int m = 0; m < kPanelRows; m++) {
        means[m] = m < n ? side.other_offset[columns[m]] : 0;
        weights[m] = m < n ? side.other_weight[columns[m]] : 1;
    }
    fill_panel_at(side.Y, k, columns, n, space.panel);
    F forms[kPanelWidth];
    panel_forms(space.folded, k, space.panel, forms);
    add_products<1>(space.panel, x, k, means);
    for (int v = 0; v < kPanelWidth; v++) {
        const F mean = load<F>(means + v * kLanes), variance = forms[v] + noise / load<F>(weights + v * kLanes);
        if (first_sample) {
            store(sums.first + v * kLanes, mean);
            store(sums.sum + v * kLanes, F{});
            store(sums.squares + v * kLanes, F{});
            store(sums.variance + v * kLanes, variance);
        } else {
            const F off = mean - load<F>(sums.first + v * kLanes);
            store(sums.sum + v * kLanes, load<F>(sums.sum + v * kLanes) + off);
            store(sums.squares + v * kLanes, load<F>(sums.squares + v * kLanes) + off * off);
            store(sums.variance + v * kLanes, load<F>(sums.variance + v * kLanes) + variance);
        }
    }
}

inline void write_moments(const Moments& args, int64_t row, const MomentsSpace& space) {
    float *mean = args.mean + row * args.n_asked, *variance = args.variance + row * args.n_asked;
    const float part = 1.0f / (float)args.posterior.n_samples;
    for (int64_t m = 0; m < args.n_asked; m++) {
        const float off = space.sum[m] * part;
        mean[m] = space.first[m] + off;
        variance[m] = space.variance[m] * part + space.squares[m] * part - off * off;
    }
}

// Mean and variance of one person's movies.
inline void moments_row(const Moments& args, char* buffer, int64_t row, Failure* failure) {
    const Posterior& posterior = args.posterior;
    const int k = posterior.k;
    const Shape s = shape_of(k);
    const Space solving = space_of(s, buffer);
    const MomentsSpace space = moments_space(k, args.n_asked, buffer + solving.bytes);
    const int32_t* columns = args.columns + row * args.columns_stride;
    for (int64_t sample = 0; sample < posterior.n_samples; sample++) {
        const Side side = posterior.side(sample), asked = asked_side(args, sample);
        const float* x = args.X + (sample * posterior.rows.n_rows + row) * k;
        if (!covariance_of_row(side, s, row, solving, space.V, space.C, failure)) return;
        fold_symmetric({space.C, nullptr, k, nullptr, nullptr}, space.folded);
        const float noise = (float)(1 / noise_weight(side, x, space.C, row, args.degrees));
        for (int64_t from = 0; from < args.n_asked; from += kPanelRows) {
            const int64_t left = args.n_asked - from, after = left - kPanelRows;
            if (after > 0) fetch_rows(asked.Y, k, columns + from + kPanelRows, smaller(after, (int64_t)kPanelRows));
            add_panel(asked, x, noise, columns + from, (int)smaller((int64_t)kPanelRows, left), sample == 0, space,
                      sums_at(space, from));
        }
    }
    write_moments(args, row, space);
}

inline size_t score_bytes(int k, int64_t n_rows, int64_t n_columns) {
    const int64_t padded = (n_columns + kPanelRows - 1) / kPanelRows * kPanelRows;
    return sizeof(float) * ((size_t)kPanelRows * k + n_rows * padded) + 64;
}

// Add the products of all rows with one panel.
MATINEE_INLINE void add_rows_products(const float* panel, const float* X, int64_t n_rows, int k, float* sums) {
    int64_t row = 0;
    for (; row + 4 <= n_rows; row += 4) add_products<4>(panel, X + row * k, k, sums + row * kPanelRows);
    for (; row < n_rows; row++) add_products<1>(panel, X + row * k, k, sums + row * kPanelRows);
}

inline void write_scores(const Scores& args, const float* sums, int64_t from, int n) {
    const float part = 1.0f / (float)args.n_samples;
    for (int m = 0; m < n; m++) {
        float offset = 0;
        for (int64_t s = 0; s < args.n_samples; s++)
            offset += args.offsets[s * args.n_columns + args.columns[from + m]];
        for (int64_t row = 0; row < args.n_rows; row++)
            args.out[row * args.n_asked + from + m] = (sums[row * kPanelRows + m] + offset) * part;
    }
}

// Scores of columns begin ... end of those asked about, for every row: one sample after the other, as they lie.
inline void score_columns(const Scores& args, char* buffer, int64_t begin, int64_t end) {
    const int k = args.k;
    const int64_t per_panel = args.n_rows * kPanelRows, panels = (end - begin + kPanelRows - 1) / kPanelRows;
    float *panel = (float*)buffer, *sums = panel + (int64_t)kPanelRows * k;
    for (int64_t i = 0; i < panels * per_panel; i++) sums[i] = 0;
    for (int64_t s = 0; s < args.n_samples; s++) {
        const float *Y = args.Y + s * args.n_columns * k, *X = args.X + s * args.n_rows * k;
        for (int64_t p = 0; p < panels; p++) {
            const int64_t from = begin + p * kPanelRows, next = from + kPanelRows;
            if (next < end) fetch_rows(Y, k, args.columns + next, smaller((int64_t)kPanelRows, end - next));
            fill_panel_at(Y, k, args.columns + from, (int)smaller((int64_t)kPanelRows, end - from), panel);
            add_rows_products(panel, X, args.n_rows, k, sums + p * per_panel);
        }
    }
    for (int64_t p = 0; p < panels; p++) {
        const int64_t from = begin + p * kPanelRows;
        write_scores(args, sums + p * per_panel, from, (int)smaller((int64_t)kPanelRows, end - from));
    }
}

}  // namespace matinee::MATINEE_ISA
