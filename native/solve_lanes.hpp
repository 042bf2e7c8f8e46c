// Solve rows of a small rank kDoubles at a time: each is summed on its own, and all are factored together, one per
// lane.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "draws.hpp"
#include "refine.hpp"
#include "simd.hpp"
#include "solve_row.hpp"
#include "space.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

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
            residual(side, s, waiting.row[lane], block, in_double(s, waiting.doubt[lane]), space.x + lane * s.stride,
                     space.rest);
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

inline void solve_in_lanes(const Side& side, const Shape& s, const Space& space, int64_t begin, int64_t end,
                           Failure* failure) {
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

}  // namespace matinee::MATINEE_ISA
