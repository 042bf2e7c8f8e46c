// Solve the equation for a range of rows: sum, factor, solve, and add noise where asked.
//
// Small ranks are factored kDoubles rows at a time, one per lane; larger ones one by one. A row whose sums in float32
// could cost more than 1e-5 of the solution is refined with residuals in float64, and where that does
// not converge its sums are made again in float64. What is done with a row depends on that row alone.
#pragma once

#include "arguments.hpp"
#include "cholesky.hpp"
#include "draws.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kLaneRank = 32;            // the highest rank that is factored one row per lane
constexpr double kCareFrom = 100;        // trace of the sums over the smallest eigenvalue
constexpr int kRefinements = 6;
constexpr double kRefined = 1e-7;        // last correction over the solution

// The arrays of one thread, cut from one buffer.
struct Space {
    float *G, *H, *v, *w, *z;
    double *sums, *A, *inverse, *b, *x, *rest;
    D *T, *lane_inverse, *lane_x;
    int* places;
    size_t bytes;
};

inline int factored_size(int k) { return round_up(k, kPanel < kDoubles ? kDoubles : kPanel); }

inline Space space_of(const Shape& s, char* buffer) {
    Space space;
    size_t used = 0;
    auto take = [&](auto*& array, size_t count) {
        array = (decltype(+array))(buffer + used);
        used += (count * sizeof(*array) + 63) / 64 * 64;
    };
    const int rank = factored_size(s.k), lanes = s.k <= kLaneRank ? kDoubles : 1;
    take(space.G, (kBlock + 1) * s.padded + kLanes);
    take(space.H, (kBlock + 1) * s.padded + kLanes);
    take(space.v, kBlock + 1);
    take(space.w, kBlock + 1);
    take(space.z, s.k + 4);
    take(space.sums, (size_t)lanes * layout_of(s).size);
    take(space.A, (size_t)rank * rank);
    take(space.inverse, rank);
    take(space.b, rank);
    take(space.x, rank);
    take(space.rest, rank);
    if (s.k <= kLaneRank) {
        take(space.T, lane_place(s.k, s.k, s.k));
        take(space.lane_inverse, s.k);
        take(space.lane_x, s.k);
        take(space.places, lane_place(s.k, s.k, s.k));
    }
    space.bytes = used;
    return space;
}

MATINEE_INLINE double row_scale(const Side& side, int64_t row) { return side.row_weight ? side.row_weight[row] : 1.0; }
MATINEE_INLINE bool is_empty(const Side& side, int64_t row) {
    return side.rows.indptr[row] == side.rows.indptr[row + 1] && !side.A0 && !side.b0;
}

inline Block block_in(const Side& side, const Space& space) {
    return {nullptr, nullptr, 0, space.G, weighted(side) ? space.H : space.G, space.v, space.w};
}

// The trace of the ratings' part of A, from their sums.
inline double trace_of(const Shape& s, const double* sums) {
    const double* diagonal = sums + layout_of(s).diagonal;
    double trace = 0;
    for (int tile = 0; tile < s.tiles; tile++)
        for (int i = 0; i < s.period; i++) trace += diagonal[tile * s.rotations * s.period + i];
    return trace;
}

// Whether rounding in the sums of A may show: they are off by some 1e-7 of their trace, and the solution by that over
// the smallest eigenvalue, which is at least reg.
MATINEE_INLINE bool is_ill_conditioned(double trace, double reg, double smallest_pivot) {
    const double eigenvalue = reg > smallest_pivot / 16 ? reg : smallest_pivot / 16;
    return !(trace <= kCareFrom * eigenvalue);
}

// Whether rounding in the sum of b may show: |sum v y|^2 is at most sum v^2 times the trace, and much less where the
// terms cancel.
inline bool b_cancels(const Shape& s, const double* sums, double trace) {
    const SumsLayout at = layout_of(s);
    double square = 0;
    for (int i = 0; i < s.k; i++) square += sums[at.b + i] * sums[at.b + i];
    return sums[at.squares] * trace > kCareFrom * kCareFrom / 4 * square;
}

// A of one row, upper triangle, padded with the identity.
inline void assemble(const Side& side, const Shape& s, int64_t row, const double* sums, double* A) {
    const int k = s.k, rank = factored_size(k);
    const SumsLayout at = layout_of(s);
    const double scale = row_scale(side, row), reg = side.reg[row];
    for (int i = 0; i < rank; i++) {
        double* to = A + (int64_t)i * rank;
        for (int j = i; j < rank; j++) to[j] = 0;
        if (i >= k) {
            to[i] = 1;
            continue;
        }
        const int tile_end = (int)smaller((i / s.period + 1) * s.period, k);
        for (int j = i; j < tile_end; j++) to[j] = scale * sums[place_of(s, i, j)];
        const double* from = sums + at.upper + (int64_t)i * s.padded;
        for (int j = tile_end; j < k; j++) to[j] = scale * from[j];
        if (side.A0)
            for (int j = i; j < k; j++) to[j] += side.A0[(int64_t)i * k + j];
        to[i] += reg;
    }
}

inline void assemble_b(const Side& side, const Shape& s, int64_t row, const double* sums, double* b) {
    const double scale = row_scale(side, row);
    const double* from = sums + layout_of(s).b;
    const double* b0 = side.b0 ? side.b0 + row * side.b0_stride : nullptr;
    for (int i = 0; i < factored_size(s.k); i++) b[i] = i < s.k ? scale * from[i] + (b0 ? b0[i] : 0) : 0;
}

// One rating's weight and target in float64.
struct Term {
    double w, v;
};
inline Term term_of(const Side& side, int64_t row, int64_t p) {
    const double r = side.rows.values[p];
    const int32_t c = side.rows.indices[p];
    if (side.implicit) {
        const double w = side.alpha * __builtin_fabs(r);
        return {w, r > 0 || r != r ? 1 + w : 0};
    }
    const double w = row_scale(side, row) * (side.other_weight ? side.other_weight[c] : 1.0);
    return {w, w * (r - (side.other_offset ? side.other_offset[c] : 0.0))};
}

// A and b of one row, all of it in float64.
inline void assemble_precisely(const Side& side, const Shape& s, int64_t row, double* A, double* b) {
    const int k = s.k, rank = factored_size(k);
    for (int i = 0; i < rank; i++) {
        for (int j = i; j < rank; j++) A[(int64_t)i * rank + j] = i < k && side.A0 && j < k ? side.A0[(int64_t)i * k + j] : 0;
        A[(int64_t)i * rank + i] += i < k ? side.reg[row] : 1;
        b[i] = i < k && side.b0 ? side.b0[row * side.b0_stride + i] : 0;
    }
    for (int64_t p = side.rows.indptr[row]; p < side.rows.indptr[row + 1]; p++) {
        const float* y = side.Y + (int64_t)k * side.rows.indices[p];
        const Term term = term_of(side, row, p);
        for (int i = 0; i < k; i++) {
            double* to = A + (int64_t)i * rank;
            const double x = term.w * y[i];
            for (int j = i; j < k; j++) to[j] += x * y[j];
            b[i] += term.v * y[i];
        }
    }
}

// rest = b - A x in float64, without A.
inline void residual(const Side& side, const Shape& s, int64_t row, const double* x, double* rest) {
    const int k = s.k;
    for (int i = 0; i < k; i++) rest[i] = (side.b0 ? side.b0[row * side.b0_stride + i] : 0) - side.reg[row] * x[i];
    if (side.A0)
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++) rest[i] -= side.A0[(int64_t)j * k + i] * x[j];
    for (int64_t p = side.rows.indptr[row]; p < side.rows.indptr[row + 1]; p++) {
        const float* y = side.Y + (int64_t)k * side.rows.indices[p];
        const Term term = term_of(side, row, p);
        double dot = 0;
        for (int i = 0; i < k; i++) dot += y[i] * x[i];
        const double left = term.v - term.w * dot;
        for (int i = 0; i < k; i++) rest[i] += left * y[i];
    }
    for (int i = k; i < factored_size(k); i++) rest[i] = 0;
}

inline double square_norm(const double* x, int k) {
    double sum = 0;
    for (int i = 0; i < k; i++) sum += x[i] * x[i];
    return sum;
}

// Improve x with the factors of a nearby A; false where that does not converge.
inline bool refine(const Side& side, const Shape& s, int64_t row, const Space& space, double* x) {
    const int rank = factored_size(s.k);
    for (int step = 0; step < kRefinements; step++) {
        residual(side, s, row, x, space.rest);
        solve_forward(space.A, rank, rank, space.inverse, space.rest);
        solve_backward(space.A, rank, rank, space.inverse, space.rest);
        for (int i = 0; i < s.k; i++) x[i] += space.rest[i];
        if (square_norm(space.rest, s.k) <= kRefined * kRefined * square_norm(x, s.k)) return true;
    }
    return false;
}

inline void add_noise(const Side& side, const Shape& s, int64_t row, float* z, double* y) {
    draw_normals(side.seed, side.sweep, (uint64_t)(side.first_row + row), s.k, z);
    for (int i = 0; i < s.k; i++) y[i] += z[i];
}

// A^-1 = V^T V with V = U^-T, row by row.
inline void invert(const double* U, int rank, const double* inverse, int k, double* V, double* out) {
    for (int i = 0; i < k; i++) {
        double* v = V + (int64_t)i * rank;
        for (int j = 0; j < k; j++) v[j] = i == j;
        for (int t = 0; t < i; t++) {
            const double u = U[(int64_t)t * rank + i], *above = V + (int64_t)t * rank;
            for (int j = 0; j <= t; j++) v[j] -= u * above[j];
        }
        for (int j = 0; j <= i; j++) v[j] *= inverse[i];
    }
    for (int64_t i = 0; i < (int64_t)k * k; i++) out[i] = 0;
    for (int t = 0; t < k; t++)
        for (int i = 0; i <= t; i++) {
            const double x = V[(int64_t)t * rank + i], *v = V + (int64_t)t * rank;
            for (int j = 0; j <= t; j++) out[(int64_t)i * k + j] += x * v[j];
        }
}

MATINEE_INLINE bool write_solution(const Side& side, int64_t row, const double* x) {
    float* out = side.out + row * side.k;
    bool finite = true;
    for (int i = 0; i < side.k; i++) {
        out[i] = (float)x[i];
        finite &= out[i] - out[i] == 0;
    }
    return finite;
}

// Solve with the factors in `space`, from b in `space`; false where the result is not finite or did not converge.
inline bool finish_row(const Side& side, const Shape& s, int64_t row, const Space& space, bool with_care) {
    const int rank = factored_size(s.k);
    double* x = space.x;
    memcpy(x, space.b, sizeof(double) * rank);
    solve_forward(space.A, rank, rank, space.inverse, x);
    if (side.noisy) add_noise(side, s, row, space.z, x);
    solve_backward(space.A, rank, rank, space.inverse, x);
    if (with_care && !refine(side, s, row, space, x)) return false;
    return write_solution(side, row, x);
}

inline double smallest_pivot(const double* inverse, int k) {
    double largest = 0;
    for (int i = 0; i < k; i++) largest = inverse[i] > largest ? inverse[i] : largest;
    return 1 / (largest * largest);
}

inline bool solve_precisely(const Side& side, const Shape& s, int64_t row, const Space& space) {
    const int rank = factored_size(s.k);
    assemble_precisely(side, s, row, space.A, space.b);
    return factor(space.A, rank, rank, space.inverse) && finish_row(side, s, row, space, false);
}

// Solve one row from its sums.
inline bool solve_row(const Side& side, const Shape& s, int64_t row, const double* sums, const Space& space) {
    const int rank = factored_size(s.k);
    assemble(side, s, row, sums, space.A);
    assemble_b(side, s, row, sums, space.b);
    if (!factor(space.A, rank, rank, space.inverse)) return solve_precisely(side, s, row, space);
    const double trace = trace_of(s, sums);
    const bool care = !side.noisy && (b_cancels(s, sums, trace) || is_ill_conditioned(row_scale(side, row) * trace, side.reg[row], smallest_pivot(space.inverse, s.k)));
    return finish_row(side, s, row, space, care) || solve_precisely(side, s, row, space);
}

inline void write_zeros(const Side& side, int64_t row) { memset(side.out + row * side.k, 0, sizeof(float) * side.k); }

inline void solve_one_by_one(const Side& side, const Shape& s, const Space& space, int64_t begin, int64_t end, Failure* failure) {
    Block block = block_in(side, space);
    for (int64_t row = begin; row < end; row++) {
        if (is_empty(side, row)) write_zeros(side, row);
        else if (!sum_row(side, s, row, block, space.sums)) failure->note(row, Fault::column_out_of_range);
        else if (!solve_row(side, s, row, space.sums, space)) failure->note(row, Fault::not_positive_definite);
    }
}

// The places of the entries of T within a row's sums, in the order of T.
inline void fill_places(const Shape& s, int* places) {
    for (int i = 0; i < s.k; i++) {
        for (int j = i; j < s.k; j++) places[lane_place(s.k, i, j)] = place_of(s, i, j);
        places[lane_place(s.k, i, s.k)] = layout_of(s).b + i;
    }
}

MATINEE_INLINE void set_lane(D* T, int at, int lane, double x) { ((double*)(T + at))[lane] = x; }

// Copy a row's A and b into its lane of T; a lane without a row gets the identity.
inline void fill_lane(const Side& side, const Shape& s, int64_t row, const double* sums, const Space& space, int lane) {
    const int k = s.k, n = lane_place(k, k, k);
    const double scale = row_scale(side, row), reg = side.reg[row];
    for (int e = 0; e < n; e++) set_lane(space.T, e, lane, scale * sums[space.places[e]]);
    if (side.A0)
        for (int i = 0; i < k; i++)
            for (int j = i; j < k; j++) ((double*)(space.T + lane_place(k, i, j)))[lane] += side.A0[i * k + j];
    if (side.b0)
        for (int i = 0; i < k; i++) ((double*)(space.T + lane_place(k, i, k)))[lane] += side.b0[row * side.b0_stride + i];
    for (int i = 0; i < k; i++) ((double*)(space.T + lane_place(k, i, i)))[lane] += reg;
}

inline void fill_identity(const Shape& s, const Space& space, int lane) {
    for (int i = 0; i < s.k; i++)
        for (int j = i; j <= s.k; j++) set_lane(space.T, lane_place(s.k, i, j), lane, i == j);
}

// The rows that wait to be factored together.
struct Waiting {
    int64_t row[kDoubles];
    double trace[kDoubles];
    bool cancels[kDoubles];
    int n = 0;
};

inline void solve_waiting(const Side& side, const Shape& s, const Space& space, Waiting* waiting, Failure* failure) {
    const int k = s.k;
    for (int lane = waiting->n; lane < kDoubles; lane++) fill_identity(s, space, lane);
    L failed{};
    factor_lanes(space.T, k, space.lane_inverse, &failed);
    if (side.noisy)
        for (int lane = 0; lane < waiting->n; lane++) {
            draw_normals(side.seed, side.sweep, (uint64_t)(side.first_row + waiting->row[lane]), k, space.z);
            for (int i = 0; i < k; i++) ((double*)(space.T + lane_place(k, i, k)))[lane] += space.z[i];
        }
    solve_lanes_backward(space.T, k, space.lane_inverse, space.lane_x);
    D largest{};
    for (int i = 0; i < k; i++) largest = space.lane_inverse[i] > largest ? space.lane_inverse[i] : largest;
    for (int lane = 0; lane < waiting->n; lane++) {
        const int64_t row = waiting->row[lane];
        for (int i = 0; i < k; i++) space.x[i] = space.lane_x[i][lane];
        const bool care = !side.noisy && (waiting->cancels[lane] || is_ill_conditioned(waiting->trace[lane], side.reg[row], 1 / (largest[lane] * largest[lane])));
        if (!care && !failed[lane] && write_solution(side, row, space.x)) continue;
        const double* sums = space.sums + (size_t)lane * layout_of(s).size;
        if (!solve_row(side, s, row, sums, space)) failure->note(row, Fault::not_positive_definite);
    }
    waiting->n = 0;
}

inline void solve_in_lanes(const Side& side, const Shape& s, const Space& space, int64_t begin, int64_t end, Failure* failure) {
    Block block = block_in(side, space);
    Waiting waiting;
    fill_places(s, space.places);
    for (int64_t row = begin; row < end; row++) {
        if (is_empty(side, row)) {
            write_zeros(side, row);
            continue;
        }
        double* sums = space.sums + (size_t)waiting.n * layout_of(s).size;
        if (!sum_row(side, s, row, block, sums)) {
            failure->note(row, Fault::column_out_of_range);
            continue;
        }
        fill_lane(side, s, row, sums, space, waiting.n);
        const double trace = trace_of(s, sums);
        waiting.cancels[waiting.n] = b_cancels(s, sums, trace);
        waiting.trace[waiting.n] = row_scale(side, row) * trace;
        waiting.row[waiting.n++] = row;
        if (waiting.n == kDoubles) solve_waiting(side, s, space, &waiting, failure);
    }
    if (waiting.n) solve_waiting(side, s, space, &waiting, failure);
}

inline void solve_rows(const Side& side, char* buffer, int64_t begin, int64_t end, Failure* failure) {
    const Shape s = shape_of(side.k);
    const Space space = space_of(s, buffer);
    if (side.k <= kLaneRank) solve_in_lanes(side, s, space, begin, end, failure);
    else solve_one_by_one(side, s, space, begin, end, failure);
}

inline size_t solve_bytes(int k) { return space_of(shape_of(k), nullptr).bytes; }

// A^-1 of each row, from sums in float64.
inline void covariance_rows(const Side& side, char* buffer, int64_t begin, int64_t end, Failure* failure) {
    const Shape s = shape_of(side.k);
    const int rank = factored_size(s.k);
    const Space space = space_of(s, buffer);
    double* V = (double*)(buffer + space.bytes);
    for (int64_t row = begin; row < end; row++) {
        const int64_t start = side.rows.indptr[row], n = side.rows.indptr[row + 1] - start;
        bool in_range = true;
        for (int64_t p = start; p < start + n; p++) in_range &= (uint64_t)(uint32_t)side.rows.indices[p] < (uint64_t)side.rows.n_columns;
        if (!in_range) {
            failure->note(row, Fault::column_out_of_range);
            continue;
        }
        assemble_precisely(side, s, row, space.A, space.b);
        if (!factor(space.A, rank, rank, space.inverse)) failure->note(row, Fault::not_positive_definite);
        else invert(space.A, rank, space.inverse, s.k, V, side.covariances + row * side.k * side.k);
    }
}

inline size_t covariance_bytes(int k) {
    const size_t rank = factored_size(k);
    return solve_bytes(k) + rank * rank * sizeof(double);
}

}  // namespace matinee::MATINEE_ISA
