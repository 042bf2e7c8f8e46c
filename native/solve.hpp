// Solve the equation for a range of rows.
//
// Small ranks are factored kDoubles rows at a time, one per lane; larger ones one by one, and plain rows with fewer
// ratings than factors by their dual (dual.hpp). A row whose float32 sums may cost more than 1e-5 of the solution is
// refined (refine.hpp), and where that does not help its sums are made again in float64. What is done with a row
// depends on that row alone, not on its neighbours or the thread.
#pragma once

#include "solve_lanes.hpp"
#include "solve_row.hpp"
#include "space.hpp"

namespace matinee::MATINEE_ISA {

inline void solve_rows(const Side& side, char* buffer, int64_t begin, int64_t end, Failure* failure) {
    const Shape s = shape_of(side.k);
    const Space space = space_of(s, buffer);
    if (side.k <= kLaneRank) solve_in_lanes(side, s, space, begin, end, failure);
    else solve_one_by_one(side, s, space, begin, end, failure);
}

inline size_t solve_bytes(int k) { return space_of(shape_of(k), nullptr).bytes; }

}  // namespace matinee::MATINEE_ISA
