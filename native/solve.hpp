// Solve the equation for a range of rows: sum, factor, solve, and add noise where asked.
//
// Small ranks are factored kDoubles rows at a time, one per lane; larger ones one by one. A row whose float32 sums may
// cost more than 1e-5 of the solution is refined (refine.hpp), and where that does not help its sums are made again
// in float64. Plain rows with fewer ratings than factors are solved by their dual (dual.hpp). What is done with a row depends on that row alone, not on its neighbours or the thread.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "draws.hpp"
#include "dual.hpp"
#include "refine.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kLaneRank = 32;  // the highest rank that is factored one row per lane

// The arrays of one thread, cut from one buffer.
struct Space {
    float *G, *H, *v, *w, *z, *Yt, *zeros;
    double *sums, *A, *inverse, *b, *x, *rest;
    D *T, *lane_inverse, *lane_x;
    int* places;
    size_t bytes;
};

inline Space space_of(const Shape& s, char* buffer) {
    Space space{};
    size_t used = 0;
    auto take = [&](auto*& array, size_t count) {
        array = (decltype(+array))(buffer + used);
        used += (count * sizeof(*array) + 63) / 64 * 64;
    };
    const bool lanes = s.k <= kLaneRank;
    take(space.G, (kBlock + 1) * s.padded + kLanes);
    take(space.H, (kBlock + 1) * s.padded + kLanes);
    take(space.v, kBlock + kLanes);
    take(space.w, kBlock + kLanes);
    take(space.z, s.k + 4);
    take(space.sums, (size_t)(lanes ? kDoubles : 1) * layout_of(s).size);
    take(space.A, (size_t)s.stride * s.stride);
    take(space.inverse, s.stride);
    take(space.b, s.stride);
    take(space.x, (lanes ? kDoubles : 1) * s.stride);
    take(space.rest, s.padded + s.stride + kBlock + kLanes);
    if (lanes) {
        take(space.T, lane_place(s.k, s.k, s.k));
        take(space.lane_inverse, s.k);
        take(space.lane_x, s.k);
        take(space.places, lane_place(s.k, s.k, s.k));
    }
    if (!lanes) {
        take(space.Yt, (size_t)s.padded * kBlock);
        take(space.zeros, kBlock);
    }
    space.bytes = used;
    return space;
}

inline Block block_in(const Side& side, const Space& space) {
    return {nullptr, nullptr, 0, space.G, weighted(side) ? space.H : space.G, space.v, space.w};
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

inline void write_zeros(const Side& side, int64_t row) { memset(side.out + row * side.k, 0, sizeof(float) * side.k); }

inline bool refine(const Side& side, const Shape& s, int64_t row, const Space& space, const double* U, const Doubt& doubt) {
    Block block = block_in(side, space);
    Progress progress;
    for (int step = 0; step < kRefinements && !progress.done && !progress.failed; step++) {
        residual(side, s, row, block, in_double(s, doubt), space.x, space.rest);
        solve_forward(U, s.stride, space.inverse, space.rest);
        solve_backward(U, s.stride, space.inverse, space.rest);
        correct(s, doubt, space.rest, space.x, &progress);
    }
    return progress.done;
}

// Solve with the factors U, from b in `space`.
inline void solve_factored(const Side& side, const Shape& s, int64_t row, const Space& space, const double* U) {
    memcpy(space.x, space.b, sizeof(double) * s.stride);
    solve_forward(U, s.stride, space.inverse, space.x);
    if (side.noisy) {
        draw_normals(side.seed, side.sweep, (uint64_t)(side.first_row + row), s.k, space.z);
        for (int i = 0; i < s.k; i++) space.x[i] += space.z[i];
    }
    solve_backward(U, s.stride, space.inverse, space.x);
}

inline bool solve_precisely(const Side& side, const Shape& s, int64_t row, const Space& space) {
    assemble_precisely(side, s, row, space.A, space.b);
    if (!factor(space.A, s.stride, space.inverse)) return false;
    solve_factored(side, s, row, space, space.A);
    return write_solution(side, row, space.x);
}

inline double smallest_pivot(const double* inverse, int k) {
    double largest = 0;
    for (int i = 0; i < k; i++) largest = inverse[i] > largest ? inverse[i] : largest;
    return 1 / (largest * largest);
}

// Solve one row from its sums, which are used up; false where A has no factors.
inline bool solve_row(const Side& side, const Shape& s, int64_t row, double* sums, const Space& space) {
    Doubt doubt = judge_sums(side, s, row, sums);
    const double* U = assemble(side, s, row, sums, space.b);
    if (!factor(sums + layout_of(s).upper, s.stride, space.inverse)) return solve_precisely(side, s, row, space);
    judge_factors(doubt, side.reg[row], smallest_pivot(space.inverse, s.k));
    solve_factored(side, s, row, space, U);
    if (!side.noisy && doubt.needs_care()) {
        const bool refined = doubt.conditioning <= kHopelessFrom && refine(side, s, row, space, U, doubt);
        if (!refined) return solve_precisely(side, s, row, space);
    }
    return write_solution(side, row, space.x);
}

// Solve a row by its smaller dual; false where a column is out of range or that does not succeed.
inline bool solve_row_by_dual(const Side& side, const Shape& s, int64_t row, Block& block, const Space& space) {
    bool solved = false;
    const DualSpace dual{space.Yt, space.zeros, space.sums, space.inverse, space.b, space.rest, space.x};
    for_blocks(side, s, row, block, [&] { solved = solve_dual(side, s, row, block, dual); });
    return solved && write_solution(side, row, space.x);
}

inline void solve_one_by_one(const Side& side, const Shape& s, const Space& space, int64_t begin, int64_t end, Failure* failure) {
    Block block = block_in(side, space);
    memset(space.zeros, 0, sizeof(float) * kBlock);
    for (int64_t row = begin; row < end; row++) {
        if (is_empty(side, row)) write_zeros(side, row);
        else if (is_dual(side, s, row) && solve_row_by_dual(side, s, row, block, space)) continue;
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

MATINEE_INLINE double& in_lane(D* T, int at, int lane) { return ((double*)(T + at))[lane]; }

// Copy a row's A and b into its lane of T.
inline void fill_lane(const Side& side, const Shape& s, int64_t row, const double* sums, const Space& space, int lane) {
    const int k = s.k, n = lane_place(k, k, k);
    const double scale = row_scale(side, row), reg = side.reg[row];
    const double* b0 = b0_of(side, row);
    for (int e = 0; e < n; e++) in_lane(space.T, e, lane) = scale * sums[space.places[e]];
    for (int i = 0; i < k; i++) {
        in_lane(space.T, lane_place(k, i, i), lane) += reg;
        if (b0) in_lane(space.T, lane_place(k, i, k), lane) += b0[i];
        if (side.A0)
            for (int j = i; j < k; j++) in_lane(space.T, lane_place(k, i, j), lane) += side.A0[i * k + j];
    }
}

// A lane without a row gets the identity.
inline void fill_identity(const Shape& s, const Space& space, int lane) {
    for (int i = 0; i < s.k; i++)
        for (int j = i; j <= s.k; j++) in_lane(space.T, lane_place(s.k, i, j), lane) = i == j;
}

// The rows that wait to be factored together, one per lane.
struct Waiting {
    int64_t row[kDoubles];
    Doubt doubt[kDoubles];
    int n = 0;
};

inline void add_lane_noise(const Side& side, const Shape& s, const Space& space, const Waiting& waiting) {
    for (int lane = 0; lane < waiting.n; lane++) {
        draw_normals(side.seed, side.sweep, (uint64_t)(side.first_row + waiting.row[lane]), s.k, space.z);
        for (int i = 0; i < s.k; i++) in_lane(space.T, lane_place(s.k, i, s.k), lane) += space.z[i];
    }
}

// Refine the lanes in doubt together, their solutions in space.x; a lane that does not converge is set in `failed`.
inline void refine_lanes(const Side& side, const Shape& s, const Space& space, const Waiting& waiting, bool* failed) {
    Block block = block_in(side, space);
    Progress progress[kDoubles];
    bool busy = false;
    for (int lane = 0; lane < waiting.n; lane++) {
        const Doubt& doubt = waiting.doubt[lane];
        progress[lane].done = failed[lane] || !doubt.needs_care();
        progress[lane].failed = !progress[lane].done && !(doubt.conditioning <= kHopelessFrom);
        busy |= !progress[lane].done;
    }
    for (int step = 0; step < kRefinements && busy; step++) {
        for (int i = 0; i < s.k; i++) space.T[lane_place(s.k, i, s.k)] = D{};
        for (int lane = 0; lane < waiting.n; lane++) {
            if (progress[lane].done || progress[lane].failed) continue;
            residual(side, s, waiting.row[lane], block, in_double(s, waiting.doubt[lane]), space.x + lane * s.stride, space.rest);
            for (int i = 0; i < s.k; i++) in_lane(space.T, lane_place(s.k, i, s.k), lane) = space.rest[i];
        }
        solve_lanes_forward(space.T, s.k, space.lane_inverse);
        solve_lanes_backward(space.T, s.k, space.lane_inverse, space.lane_x);
        busy = false;
        for (int lane = 0; lane < waiting.n; lane++) {
            if (progress[lane].done || progress[lane].failed) continue;
            for (int i = 0; i < s.k; i++) space.rest[i] = space.lane_x[i][lane];
            correct(s, waiting.doubt[lane], space.rest, space.x + lane * s.stride, progress + lane);
            busy |= !progress[lane].done && !progress[lane].failed;
        }
    }
    for (int lane = 0; lane < waiting.n; lane++) failed[lane] |= !progress[lane].done;
}

inline void solve_waiting(const Side& side, const Shape& s, const Space& space, Waiting* waiting, Failure* failure) {
    const int k = s.k;
    for (int lane = waiting->n; lane < kDoubles; lane++) fill_identity(s, space, lane);
    L without_pivot{};
    factor_lanes(space.T, k, space.lane_inverse, &without_pivot);
    if (side.noisy) add_lane_noise(side, s, space, *waiting);
    solve_lanes_backward(space.T, k, space.lane_inverse, space.lane_x);
    D largest{};
    for (int i = 0; i < k; i++) largest = space.lane_inverse[i] > largest ? space.lane_inverse[i] : largest;
    bool failed[kDoubles];
    for (int lane = 0; lane < waiting->n; lane++) {
        failed[lane] = without_pivot[lane];
        judge_factors(waiting->doubt[lane], side.reg[waiting->row[lane]], 1 / (largest[lane] * largest[lane]));
        for (int i = 0; i < k; i++) space.x[lane * s.stride + i] = space.lane_x[i][lane];
    }
    if (!side.noisy) refine_lanes(side, s, space, *waiting, failed);
    for (int lane = 0; lane < waiting->n; lane++) {
        const int64_t row = waiting->row[lane];
        if (!failed[lane] && write_solution(side, row, space.x + lane * s.stride)) continue;
        if (!solve_precisely(side, s, row, space)) failure->note(row, Fault::not_positive_definite);
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
        if (!sum_row(side, s, row, block, space.sums)) {
            failure->note(row, Fault::column_out_of_range);
            continue;
        }
        fill_lane(side, s, row, space.sums, space, waiting.n);
        waiting.doubt[waiting.n] = judge_sums(side, s, row, space.sums);
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

}  // namespace matinee::MATINEE_ISA
