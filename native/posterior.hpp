// What people folded into several samples would say of movies: mean and variance, person by person.
//
//   C = (A0 + sum_p w_p y_p y_p^T)^-1        mean_s[x . a + offset], mean_s[1 / (g w) + a^T C a] + var_s[x . a +
//   offset] g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))
//
// y are the movies as they are rated, a as they are asked about. x and A = U^T U as in solve.hpp; C is never formed, as
// a^T C a = |U^-T a|^2, and panels of movies are solved at once.
#pragma once

#include "arguments.hpp"
#include "panel.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "solve.hpp"

namespace matinee::MATINEE_ISA {

struct MomentsSpace {
    float *panel, *U, *inverse, *x, *first, *sum, *squares, *variance;  // the last four with whole panels
    size_t bytes;
};

// `at` is where the arrays of a solve end.
inline MomentsSpace moments_space(int k, int64_t n_asked, char* at) {
    MomentsSpace space;
    size_t used = 0;
    auto take = [&](float*& array, size_t count) {
        array = (float*)(at + used);
        used += (count * sizeof(float) + 63) / 64 * 64;
    };
    const size_t stride = shape_of(k).stride;
    take(space.panel, (size_t)kPanelRows * k);
    take(space.U, stride * stride);
    take(space.inverse, stride);
    take(space.x, stride);
    const size_t padded = (n_asked + kPanelRows - 1) / kPanelRows * kPanelRows;
    take(space.first, padded);
    take(space.sum, padded);
    take(space.squares, padded);
    take(space.variance, padded);
    space.bytes = used;
    return space;
}

inline size_t moments_bytes(int k, int64_t n_asked) {
    return solve_bytes(k) + moments_space(k, n_asked, nullptr).bytes;
}

// The factors of one person in one sample, in float32.
struct Factored {
    const float *U, *inverse;
    int stride, k;
};

// Solve for one person in one sample: x and U are left in `space`; false where that cannot be.
inline bool solve_sample(Side side, const Shape& s, int64_t row, const Space& solving, const MomentsSpace& space,
                         Failure* failure) {
    side.out = space.x - row * side.k;
    Block block = block_in(side, solving);
    if (!sum_row(side, s, row, block, solving.sums)) {
        failure->note(row, Fault::column_out_of_range);
        return false;
    }
    const double* U = solve_row(side, s, row, solving.sums, solving);
    if (!U) {
        failure->note(row, Fault::not_positive_definite);
        return false;
    }
    for (int i = 0; i < s.k * s.stride; i += kDoubles) store_narrowed(space.U + i, load<D>(U + i));
    for (int i = 0; i < s.stride; i += kDoubles) store_narrowed(space.inverse + i, load<D>(solving.inverse + i));
    return true;
}

// Rows i ... i + rows of U^-T times the columns of a panel, whose rows before `from` are zero; adds their squares.
template <int rows, int width>
MATINEE_INLINE void solve_panel_rows(const Factored& A, int from, int i, float* panel, F* squares) {
    F z[rows][width];
    MATINEE_UNROLL
    for (int r = 0; r < rows; r++) {
        MATINEE_UNROLL
        for (int v = 0; v < width; v++) z[r][v] = load<F>(panel + (i + r) * kPanelRows + v * kLanes);
    }
    for (int t = from; t < i; t++) {
        F above[width];
        MATINEE_UNROLL
        for (int v = 0; v < width; v++) above[v] = load<F>(panel + t * kPanelRows + v * kLanes);
        MATINEE_UNROLL
        for (int r = 0; r < rows; r++) {
            const F u = all(A.U[t * A.stride + i + r]);
            MATINEE_UNROLL
            for (int v = 0; v < width; v++) z[r][v] -= above[v] * u;
        }
    }
    MATINEE_UNROLL
    for (int r = 0; r < rows; r++) {
        MATINEE_UNROLL
        for (int v = 0; v < width; v++) {
            z[r][v] *= A.inverse[i + r];
            MATINEE_UNROLL
            for (int l = r + 1; l < rows; l++) z[l][v] -= z[r][v] * A.U[(i + r) * A.stride + i + l];
            store(panel + (i + r) * kPanelRows + v * kLanes, z[r][v]);
            squares[v] += z[r][v] * z[r][v];
        }
    }
}

// |U^-T y|^2 of the columns y of a panel, which is used up; their entries before `from` are zero.
template <int width>
inline void panel_norms(const Factored& A, int from, float* panel, F* out) {
    constexpr int at_once = 4;
    MATINEE_UNROLL
    for (int v = 0; v < width; v++) out[v] = F{};
    int i = from;
    for (; i + at_once <= A.k; i += at_once) solve_panel_rows<at_once, width>(A, from, i, panel, out);
    for (; i < A.k; i++) solve_panel_rows<1, width>(A, from, i, panel, out);
}

// Call run(Width<n>) with the number n of vectors that hold so many columns, at most a panel's.
template <int n>
struct Width {
    static constexpr int vectors = n;
};
template <class Run>
MATINEE_INLINE void with_width(int64_t columns, const Run& run) {
    if (columns > 2 * kLanes) run(Width<3>{});
    else if (columns > kLanes) run(Width<2>{});
    else run(Width<1>{});
}
static_assert(kPanelWidth == 3, "with_width knows every width of a panel");

// |U^-T y|^2, summed over columns `from` ... of L, as many as a panel has.
template <int width>
inline double open_in_panel(const Factored& A, const float* L, int from, float* panel) {
    for (int i = from; i < A.k; i++)
        for (int v = 0; v < width; v++) {
            const int j = from + v * kLanes, n = (int)smaller(kLanes, A.k - j);
            store(panel + i * kPanelRows + v * kLanes, load_first(L + (int64_t)i * A.k + j, n));
        }
    F squares[width];
    panel_norms<width>(A, from, panel, squares);
    double sum = 0;
    for (int i = 0; i < width * kLanes; i++) sum += squares[i / kLanes][i % kLanes];
    return sum;
}

// tr(C A0) = |U^-T L|^2: of the k dimensions of x, how many the ratings leave open.
inline double left_open(const Factored& A, const float* L, float* panel) {
    double trace = 0;
    for (int from = 0; from < A.k; from += kPanelRows)
        with_width(A.k - from, [&](auto width) { trace += open_in_panel<width.vectors>(A, L, from, panel); });
    return trace;
}

// g of one person in one sample; sum_p w_p y_p^T C y_p is k - tr(C A0).
inline double noise_weight(const Side& side, const float* x, int64_t row, double open, double degrees) {
    const Residuals residuals = {side.rows,         x - row * side.k,  side.Y, side.k, nullptr,
                                 side.other_offset, side.other_weight, nullptr};
    const double n = (double)(side.rows.indptr[row + 1] - side.rows.indptr[row]);
    return (degrees + n) / (degrees + residual_sum(residuals, row) + side.k - open);
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

// Fetch what a person's next sample needs first: rows lie a sample's size apart, where nothing else expects them.
MATINEE_INLINE void fetch_sample(const Side& side, const int32_t* columns, int64_t n) {
    fetch_rows(side.Y, side.k, columns, n);
    for (int64_t m = 0; m < n; m++) {
        __builtin_prefetch(side.other_offset + columns[m]);
        __builtin_prefetch(side.other_weight + columns[m]);
    }
}

// A panel of the rows of Y at these columns, zeros behind them.
template <int width>
MATINEE_INLINE void fill_panel_at(const float* Y, int k, const int32_t* columns, int n, float* panel) {
    fill_panel([&](int m) { return m < n ? Y + (int64_t)k * columns[m] : kNoRow; }, k, panel, width);
}

// Add x . y of `people` rows x, k apart, to sums of `width` vectors each.
template <int people, int width>
MATINEE_INLINE void add_products(const float* panel, const float* x, int k, float* sums) {
    F total[people][width];
    MATINEE_UNROLL
    for (int i = 0; i < people * width; i++) total[i / width][i % width] = load<F>(sums + i * kLanes);
    for (int c = 0; c < k; c++) {
        MATINEE_UNROLL
        for (int i = 0; i < people; i++) {
            MATINEE_UNROLL
            for (int v = 0; v < width; v++) total[i][v] += load<F>(panel + c * kPanelRows + v * kLanes) * x[i * k + c];
        }
    }
    MATINEE_UNROLL
    for (int i = 0; i < people * width; i++) store(sums + i * kLanes, total[i / width][i % width]);
}

// Add one panel of movies in one sample to their sums.
template <int width>
inline void add_panel_of(const Side& side, const Factored& A, const float* x, float noise, const int32_t* columns,
                         int n, bool first_sample, float* panel, const PanelSums& sums) {
    const int k = side.k;
    alignas(kBytes) float means[width * kLanes], weights[width * kLanes];
    for (int m = 0; m < width * kLanes; m++) {
        means[m] = m < n ? side.other_offset[columns[m]] : 0;
        weights[m] = m < n ? side.other_weight[columns[m]] : 1;
    }
    fill_panel_at<width>(side.Y, k, columns, n, panel);
    add_products<1, width>(panel, x, k, means);
    F forms[width];
    panel_norms<width>(A, 0, panel, forms);
    MATINEE_UNROLL
    for (int v = 0; v < width; v++) {
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

inline void add_panel(const Side& side, const Factored& A, const float* x, float noise, const int32_t* columns, int n,
                      bool first_sample, float* panel, const PanelSums& sums) {
    with_width(
        n, [&](auto width) { add_panel_of<width.vectors>(side, A, x, noise, columns, n, first_sample, panel, sums); });
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
    const Factored A = {space.U, space.inverse, s.stride, k};
    const int32_t *columns = args.columns + row * args.columns_stride, *rated = posterior.rows.indices;
    const int64_t from = posterior.rows.indptr[row], n_rated = posterior.rows.indptr[row + 1] - from;
    for (int64_t sample = 0; sample < posterior.n_samples; sample++) {
        const Side side = posterior.side(sample), asked = asked_side(args, sample);
        if (!solve_sample(side, s, row, solving, space, failure)) return;
        if (sample + 1 < posterior.n_samples) {
            fetch_sample(posterior.side(sample + 1), rated + from, smaller(n_rated, (int64_t)kBlock));
            fetch_sample(asked_side(args, sample + 1), columns, smaller(args.n_asked, (int64_t)kPanelRows));
        }
        const double open = left_open(A, args.roots + sample * k * k, space.panel);
        const float noise = (float)(1 / noise_weight(side, space.x, row, open, args.degrees));
        for (int64_t first = 0; first < args.n_asked; first += kPanelRows) {
            const int64_t left = args.n_asked - first, after = left - kPanelRows;
            if (after > 0) fetch_rows(asked.Y, k, columns + first + kPanelRows, smaller(after, (int64_t)kPanelRows));
            add_panel(asked, A, space.x, noise, columns + first, (int)smaller((int64_t)kPanelRows, left), sample == 0,
                      space.panel, sums_at(space, first));
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
    for (; row + 4 <= n_rows; row += 4) add_products<4, kPanelWidth>(panel, X + row * k, k, sums + row * kPanelRows);
    for (; row < n_rows; row++) add_products<1, kPanelWidth>(panel, X + row * k, k, sums + row * kPanelRows);
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
            fill_panel_at<kPanelWidth>(Y, k, args.columns + from, (int)smaller((int64_t)kPanelRows, end - from), panel);
            add_rows_products(panel, X, args.n_rows, k, sums + p * per_panel);
        }
    }
    for (int64_t p = 0; p < panels; p++) {
        const int64_t from = begin + p * kPanelRows;
        write_scores(args, sums + p * per_panel, from, (int)smaller((int64_t)kPanelRows, end - from));
    }
}

}  // namespace matinee::MATINEE_ISA
