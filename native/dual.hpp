// Rows with fewer ratings than factors: the same x from a smaller matrix.
//
//   x = (Y^T Y + reg I)^-1 Y^T v = Y^T a        (Y Y^T + reg I) a = v
//
// Y (n, k) are the gathered factors of one block. The sums of Y Y^T are those of its transpose, whose "ratings" are the
// k factors and whose "factors" are the n ratings, so sums.hpp makes them. Only for explicit rows without weights,
// prior or noise, and with reg > 0.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "cholesky.hpp"
#include "refine.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

// The arrays of a dual solve: Yt (k, round_up(n, kLanes)); the others as in a solve of the primal.
struct DualSpace {
    float *Yt, *zeros;
    double *sums, *inverse, *a, *rest, *x;
};

MATINEE_INLINE bool is_dual(const Side& side, const Shape& s, int64_t row) {
    const int64_t n = side.rows.indptr[row + 1] - side.rows.indptr[row];
    const bool plain = !side.implicit && !side.A0 && !side.b0 && !side.noisy && !side.row_weight && !side.other_weight;
    return plain && n > 0 && n <= kBlock && round_up((int)n, kLanes) < s.k && side.reg[row] > 0;
}

// Yt = Y^T, with zeros for the ratings that fill up the last vector.
inline void transpose_block(const Shape& s, const Block& block, int padded_n, float* Yt) {
    for (int q = 0; q < padded_n; q += kLanes)
        for (int c = 0; c < s.padded; c += kLanes) {
            F v[kLanes];
            MATINEE_UNROLL
            for (int i = 0; i < kLanes; i++) v[i] = q + i < block.n ? load<F>(block.G + (q + i) * s.padded + c) : F{};
            transpose_squares<kLanes>(v);
            MATINEE_UNROLL
            for (int i = 0; i < kLanes; i++) store(Yt + (int64_t)(c + i) * padded_n + q, v[i]);
        }
}

// The sums of Y Y^T, in blocks of kBlock factors.
inline void sum_dual(const Shape& s, const Shape& dual, const DualSpace& space) {
    for (int c = 0; c < s.k; c += kBlock) {
        float* part = space.Yt + (int64_t)c * dual.padded;
        const Block block{nullptr, nullptr, (int)smaller(kBlock, s.k - c), part, part, space.zeros, nullptr};
        c == 0 ? sum_block<true>(dual, block, space.sums) : sum_block<false>(dual, block, space.sums);
    }
}

// rest <- (Y Y^T + reg I)^-1 rest, and its product with Y is added to x.
inline void dual_step(const Shape& s, const Shape& dual, const Block& block, const double* U, const DualSpace& space) {
    solve_forward(U, dual.stride, space.inverse, space.rest);
    solve_backward(U, dual.stride, space.inverse, space.rest);
    add_products<D>(s, block, space.rest, space.x);
}

// Y Y^T + reg I (its padding too), and how far its sums may be off.
inline double* assemble_dual(const Shape& s, const Shape& dual, double reg, const DualSpace& space, Doubt* doubt) {
    double* A = space.sums + layout_of(dual).upper;
    sum_dual(s, dual, space);
    *doubt = {trace_of(dual, space.sums) / reg, 1, false};
    unfold_diagonal(dual, space.sums);
    for (int i = 0; i < dual.stride; i++) A[(int64_t)i * (dual.stride + 1)] += reg;
    return A;
}

// Solve the row whose factors are gathered in `block` into space.x; false where that does not succeed.
inline bool solve_dual(const Side& side, const Shape& s, int64_t row, const Block& block, const DualSpace& space) {
    const Shape dual = shape_of(round_up(block.n, kLanes));
    const double reg = side.reg[row];
    Doubt doubt;
    transpose_block(s, block, dual.padded, space.Yt);
    double* U = assemble_dual(s, dual, reg, space, &doubt);
    if (!factor(U, dual.stride, space.inverse) || !(doubt.conditioning <= kHopelessFrom)) return false;
    for (int i = 0; i < s.stride; i++) space.x[i] = 0;
    for (int i = 0; i < dual.stride; i++) space.rest[i] = i < block.n ? block.v[i] : 0;
    dual_step(s, dual, block, U, space);
    memcpy(space.a, space.rest, sizeof(double) * dual.stride);
    Progress progress;
    progress.done = !doubt.needs_care();
    for (int step = 0; step < kRefinements && !progress.done && !progress.failed; step++) {
        subtract_predictions<D>(s, block, false, space.x, space.rest);
        for (int i = 0; i < dual.stride; i++) space.rest[i] = i < block.n ? space.rest[i] - reg * space.a[i] : 0;
        dual_step(s, dual, block, U, space);
        correct(dual, doubt, space.rest, space.a, &progress);
    }
    return progress.done;
}

}  // namespace matinee::MATINEE_ISA
