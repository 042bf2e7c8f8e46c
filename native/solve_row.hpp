// Solve rows one after the other: sum, factor, solve, add noise, refine.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "draws.hpp"
#include "dual.hpp"
#include "refine.hpp"
#include "simd.hpp"
#include "space.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

inline bool refine(const Side& side, const Shape& s, int64_t row, const Space& space, const double* U,
                   const Doubt& doubt) {
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

inline const double* solve_precisely(const Side& side, const Shape& s, int64_t row, const Space& space) {
    assemble_precisely(side, s, row, space.A, space.b);
    if (!factor(space.A, s.stride, space.inverse)) return nullptr;
    solve_factored(side, s, row, space, space.A);
    return write_solution(side, row, space.x) ? space.A : nullptr;
}

inline double smallest_pivot(const double* inverse, int k) {
    double largest = 0;
    for (int i = 0; i < k; i++) largest = inverse[i] > largest ? inverse[i] : largest;
    return 1 / (largest * largest);
}

// Solve one row from its sums, which are used up; returns its factors U, or null where A has none.
inline const double* solve_row(const Side& side, const Shape& s, int64_t row, double* sums, const Space& space) {
    Doubt doubt = judge_sums(side, s, row, sums);
    const double* U = assemble(side, s, row, sums, space.b);
    if (!factor(sums + layout_of(s).upper, s.stride, space.inverse)) return solve_precisely(side, s, row, space);
    judge_factors(doubt, side.reg[row], smallest_pivot(space.inverse, s.k));
    solve_factored(side, s, row, space, U);
    if (!side.noisy && doubt.needs_care()) {
        const bool refined = doubt.conditioning <= kHopelessFrom && refine(side, s, row, space, U, doubt);
        if (!refined) return solve_precisely(side, s, row, space);
    }
    return write_solution(side, row, space.x) ? U : nullptr;
}

// Solve a row by its smaller dual; false where a column is out of range or that does not succeed.
inline bool solve_row_by_dual(const Side& side, const Shape& s, int64_t row, Block& block, const Space& space) {
    bool solved = false;
    const DualSpace dual{space.Yt, space.zeros, space.sums, space.inverse, space.b, space.rest, space.x};
    for_blocks(side, s, row, block, [&] { solved = solve_dual(side, s, row, block, dual); });
    return solved && write_solution(side, row, space.x);
}

inline void solve_one_by_one(const Side& side, const Shape& s, const Space& space, int64_t begin, int64_t end,
                             Failure* failure) {
    Block block = block_in(side, space);
    memset(space.zeros, 0, sizeof(float) * kBlock);
    for (int64_t row = begin; row < end; row++) {
        if (is_empty(side, row)) write_zeros(side, row);
        else if (is_dual(side, s, row) && solve_row_by_dual(side, s, row, block, space)) continue;
        else if (!sum_row(side, s, row, block, space.sums)) failure->note(row, Fault::column_out_of_range);
        else if (!solve_row(side, s, row, space.sums, space)) failure->note(row, Fault::not_positive_definite);
    }
}

}  // namespace matinee::MATINEE_ISA
