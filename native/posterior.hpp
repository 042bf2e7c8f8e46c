// People folded into several samples, person by person: solutions, and what they would say of movies.
//
//   A = A0 + sum_p w_p y_p y_p^T       b = b0 + sum_p w_p y_p (r_p - offset_p)       x = A^-1 b       C = A^-1
//
//   mean_s[x . a + offset]             mean_s[1 / (g w) + a^T C a] + var_s[x . a + offset]
//   g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))
//
// y are the movies as they are rated, a as they are asked about. A sample is a side whose rows are a movie's samples
// apart, so that sums and factors are those of solve.hpp. C is never formed: with A = U^T U is a^T C a the square of
// U^-T a, which is solved for panels of movies.
#pragma once

#include "arguments.hpp"
#include "panel.hpp"
#include "products.hpp"
#include "scores.hpp"
#include "simd.hpp"
#include "solve.hpp"

namespace matinee::MATINEE_ISA {

// One person: their one row, features (D), and b0 (k) in the sample at hand.
struct Person {
    Rows row;
    double *features, *b0;
};

inline Person person_in(const Samples& samples, Cutting& take) {
    Person person{};
    take(person.features, samples.n_features);
    take(person.b0, samples.k);
    return person;
}

// f = sum_p components_p / sqrt(n + pseudo_ratings)
inline void sum_components(const Samples& samples, const int32_t* columns, int64_t n, double* f) {
    const int n_features = samples.n_features;
    const double scale = 1 / __builtin_sqrt((double)n + samples.pseudo_ratings);
    for (int d = 0; d < n_features; d++) f[d] = 0;
    for (int64_t p = 0; p < n; p++)
        for (int d = 0; d < n_features; d++) f[d] += samples.components[(int64_t)columns[p] * n_features + d];
    for (int d = 0; d < n_features; d++) f[d] *= scale;
}

MATINEE_INLINE void fetch_row(const float* row, int64_t n) {
    for (int64_t c = 0; c < n; c += 16) __builtin_prefetch(row + c);
}

MATINEE_INLINE const int32_t* columns_of(const Rows& row) { return row.indices + row.indptr[0]; }
MATINEE_INLINE int64_t count_of(const Rows& row) { return row.indptr[1] - row.indptr[0]; }

// Turn to a person; false where a column is out of range.
inline bool turn_to(Person& person, const Samples& samples, const Rows& rows, int64_t row) {
    person.row = {rows.indptr + row, rows.indices, rows.values, 1, rows.n_columns};
    const int32_t* columns = columns_of(person.row);
    const int64_t n = count_of(person.row);
    for (int64_t p = 0; p < n; p += kBlock)
        if (!columns_in_range(columns + p, (int)smaller(kBlock, n - p), samples.n_columns)) return false;
    sum_components(samples, columns, n, person.features);
    return true;
}

// b0 = base + f slopes
inline void add_features(const double* base, const double* slopes, const double* f, int n, int k, double* b0) {
    int i = 0;
    for (; i + kDoubles <= k; i += kDoubles) {
        D sum = load<D>(base + i);
        for (int d = 0; d < n; d++) sum += load<D>(slopes + (int64_t)d * k + i) * f[d];
        store(b0 + i, sum);
    }
    for (; i < k; i++) {
        double sum = base[i];
        for (int d = 0; d < n; d++) sum += slopes[(int64_t)d * k + i] * f[d];
        b0[i] = sum;
    }
}

constexpr double kNoRidge[1] = {0};

// One sample's row of a movie.
MATINEE_INLINE const float* row_in(const float* Y, int64_t n_samples, int k, int64_t column, int64_t s) {
    return Y + (column * n_samples + s) * k;
}

// One sample as a side of this one person, who is its row 0; b0 is written.
inline Side side_of(const Samples& samples, const Person& person, int64_t s) {
    const int k = samples.k, n_features = samples.n_features;
    add_features(samples.base + s * k, samples.slopes + s * n_features * k, person.features, n_features, k, person.b0);
    Side side{};
    side.rows = person.row;
    side.Y = samples.rated.Y + s * k;
    side.k = k;
    side.stride = samples.n * k;
    side.reg = kNoRidge;
    side.A0 = samples.A0 + s * k * k;
    side.b0 = person.b0;
    side.other_weight = samples.rated.precisions + s;
    side.other_offset = samples.rated.offsets + s;
    side.apart = samples.n;
    return side;
}

// Fetch what the next sample reads first.
inline void fetch_sample(const Samples& samples, const Person& person, int64_t s) {
    const int64_t n = smaller(count_of(person.row), (int64_t)kBlock);
    for (int64_t p = 0; s < samples.n && p < n; p++)
        fetch_row(row_in(samples.rated.Y, samples.n, samples.k, columns_of(person.row)[p], s), samples.k);
}

// Solve for one person in one sample, whose factors U are returned; null where that cannot be.
inline const double* solve_person(const Side& side, const Shape& s, const Space& solving) {
    Block block = block_in(side, solving);
    return sum_row(side, s, 0, block, solving.sums) ? solve_row(side, s, 0, solving.sums, solving) : nullptr;
}

inline size_t means_bytes(const Samples& samples) {
    Cutting take{nullptr, solve_bytes(samples.k)};
    person_in(samples, take);
    return take.used;
}

// x of one person in every sample.
inline void means_row(const Means& args, char* buffer, int64_t row, Failure* failure) {
    const Samples& samples = args.samples;
    const Shape shape = shape_of(samples.k);
    const Space solving = space_of(shape, buffer);
    Cutting take{buffer, solving.bytes};
    Person person = person_in(samples, take);
    if (!turn_to(person, samples, args.rows, row)) return failure->note(row, Fault::column_out_of_range);
    for (int64_t s = 0; s < samples.n; s++) {
        Side side = side_of(samples, person, s);
        fetch_sample(samples, person, s + 1);
        side.out = args.X + (s * args.rows.n_rows + row) * samples.k;
        if (!solve_person(side, shape, solving)) return failure->note(row, Fault::not_positive_definite);
    }
}

struct MomentsSpace {
    float *panel, *U, *inverse, *X, *first, *sum, *squares, *variance;  // the last four with whole panels
};

inline MomentsSpace moments_space(const Samples& samples, int64_t n_asked, Cutting& take) {
    MomentsSpace space;
    const int k = samples.k;
    const size_t stride = shape_of(k).stride;
    take(space.panel, (size_t)kPanelRows * k);
    take(space.U, stride * stride);
    take(space.inverse, stride);
    take(space.X, (size_t)samples.n * k);
    const size_t padded = (n_asked + kPanelRows - 1) / kPanelRows * kPanelRows;
    take(space.first, padded);
    take(space.sum, padded);
    take(space.squares, padded);
    take(space.variance, padded);
    return space;
}

inline size_t moments_bytes(const Samples& samples, int64_t n_asked) {
    Cutting take{nullptr, solve_bytes(samples.k)};
    person_in(samples, take);
    moments_space(samples, n_asked, take);
    return take.used;
}

// The factors of one person in one sample, in float32.
struct Factored {
    const float *U, *inverse;
    int stride, k;
};

// Solve for one person in one sample: x goes to side.out, U is left in `space`; false where that cannot be.
inline bool solve_sample(const Side& side, const Shape& s, const Space& solving, const MomentsSpace& space) {
    const double* U = solve_person(side, s, solving);
    if (!U) return false;
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
inline double noise_weight(const Side& side, const float* x, double open, double degrees) {
    const Residuals residuals = {side.rows,         x,          side.Y, side.k, side.stride, nullptr, side.other_offset,
                                 side.other_weight, side.apart, nullptr};
    const double n = (double)count_of(side.rows);
    return (degrees + n) / (degrees + residual_sum(residuals, 0) + side.k - open);
}

// The sums over samples of one panel of movies.
struct PanelSums {
    float *first, *sum, *squares, *variance;
};

MATINEE_INLINE PanelSums sums_at(const MomentsSpace& space, int64_t at) {
    return {space.first + at, space.sum + at, space.squares + at, space.variance + at};
}

// Add x . y to sums of `width` vectors.
template <int width>
MATINEE_INLINE void add_products(const float* panel, const float* x, int k, float* sums) {
    F total[width];
    MATINEE_UNROLL
    for (int v = 0; v < width; v++) total[v] = load<F>(sums + v * kLanes);
    for (int c = 0; c < k; c++) {
        MATINEE_UNROLL
        for (int v = 0; v < width; v++) total[v] += load<F>(panel + c * kPanelRows + v * kLanes) * x[c];
    }
    MATINEE_UNROLL
    for (int v = 0; v < width; v++) store(sums + v * kLanes, total[v]);
}

// One person in one sample.
struct Solved {
    int64_t s;
    Factored A;
    const float* x;
    float noise;
};

// Add one panel of movies in one sample to their sums.
template <int width>
inline void add_panel_of(const Samples& samples, const Solved& solved, const int32_t* columns, int n, float* panel,
                         const PanelSums& sums) {
    const int64_t S = samples.n, s = solved.s, next = s + 1 < S ? s + 1 : s;
    const int k = samples.k;
    const Sampled& asked = samples.asked;
    alignas(kBytes) float means[width * kLanes], weights[width * kLanes];
    for (int m = 0; m < width * kLanes; m++) {
        means[m] = m < n ? asked.offsets[columns[m] * S + s] : 0;
        weights[m] = m < n ? asked.precisions[columns[m] * S + s] : 1;
    }
    for (int m = 0; m < n; m++) fetch_row(row_in(asked.Y, S, k, columns[m], next), k);
    fill_panel([&](int m) { return m < n ? row_in(asked.Y, S, k, columns[m], s) : kNoRow; }, k, panel, width);
    add_products<width>(panel, solved.x, k, means);
    F forms[width];
    panel_norms<width>(solved.A, 0, panel, forms);
    MATINEE_UNROLL
    for (int v = 0; v < width; v++) {
        const F mean = load<F>(means + v * kLanes), variance = forms[v] + solved.noise / load<F>(weights + v * kLanes);
        if (s == 0) {
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

// The means are made as scores are, so that both are the same bits.
inline void write_means(const Moments& args, int64_t row, const float* X) {
    const Samples& samples = args.samples;
    const Scores scores = {X,
                           samples.asked.Y,
                           samples.asked.offsets,
                           samples.n,
                           1,
                           samples.k,
                           args.columns + row * args.columns_stride,
                           args.n_asked,
                           args.mean + row * args.n_asked};
    for (int64_t from = 0; from < args.n_asked; from += kScoredColumns)
        score_columns(scores, from, smaller(from + kScoredColumns, args.n_asked));
}

inline void write_variances(const Moments& args, int64_t row, const MomentsSpace& space) {
    float* variance = args.variance + row * args.n_asked;
    const float part = 1.0f / (float)args.samples.n;
    for (int64_t m = 0; m < args.n_asked; m++) {
        const float off = space.sum[m] * part;
        variance[m] = space.variance[m] * part + space.squares[m] * part - off * off;
    }
}

// Mean and variance of one person's movies.
inline void moments_row(const Moments& args, char* buffer, int64_t row, Failure* failure) {
    const Samples& samples = args.samples;
    const int k = samples.k;
    const Shape shape = shape_of(k);
    const Space solving = space_of(shape, buffer);
    Cutting take{buffer, solving.bytes};
    Person person = person_in(samples, take);
    const MomentsSpace space = moments_space(samples, args.n_asked, take);
    if (!turn_to(person, samples, args.rows, row)) return failure->note(row, Fault::column_out_of_range);
    const int32_t* columns = args.columns + row * args.columns_stride;
    for (int64_t s = 0; s < samples.n; s++) {
        Side side = side_of(samples, person, s);
        float* x = side.out = space.X + s * k;
        fetch_sample(samples, person, s + 1);
        if (!solve_sample(side, shape, solving, space)) return failure->note(row, Fault::not_positive_definite);
        const Factored A = {space.U, space.inverse, shape.stride, k};
        const double open = left_open(A, samples.roots + s * k * k, space.panel);
        const Solved solved = {s, A, x, (float)(1 / noise_weight(side, x, open, samples.degrees))};
        for (int64_t from = 0; from < args.n_asked; from += kPanelRows) {
            const int n = (int)smaller((int64_t)kPanelRows, args.n_asked - from);
            with_width(n, [&](auto width) {
                add_panel_of<width.vectors>(samples, solved, columns + from, n, space.panel, sums_at(space, from));
            });
        }
    }
    write_means(args, row, space.X);
    write_variances(args, row, space);
}

}  // namespace matinee::MATINEE_ISA
