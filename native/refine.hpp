// Iterative refinement: x <- x + A'^-1 (b - A x), with the factors of a nearby A' and a residual that never forms A.
//
// Sums in float32 are off by some 1e-7 of their trace, and the solution by that times how ill conditioned A is. The
// residual, sum of (v - w y . x) y, has no such error: its terms are small where x is nearly right.
#pragma once

#include "arguments.hpp"
#include "assemble.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

constexpr double kCareFrom = 32;       // conditioning from which a row is refined
constexpr double kMostBlocks = 64;     // whose errors are taken to be independent
constexpr double kDoubleFrom = 1000;   // from which its residuals are made in float64
constexpr double kHopelessFrom = 1e6;  // from which its sums are made in float64 instead
constexpr double kSumError = 3e-7;     // of the sums, against their trace
constexpr double kRefined = 1e-7;      // error of x that is small enough
constexpr int kRefinements = 8;

// How far a row's solution may be off.
struct Doubt {
    double conditioning;  // trace of the sums over the smallest eigenvalue of A
    double averaged;      // how much smaller the error is because the errors of several blocks are independent
    bool cancels;         // |sum v y|^2 is far below its bound, the trace times sum v^2
    bool needs_care() const { return cancels || !(conditioning <= kCareFrom * averaged); }
};

// The trace of the ratings' part of A, from their sums.
inline double trace_of(const Shape& s, const double* sums) {
    const double* diagonal = sums + layout_of(s).diagonal;
    double trace = 0;
    for (int tile = 0; tile < s.tiles; tile++)
        for (int i = 0; i < s.period; i++) trace += diagonal[tile * s.rotations * s.period + i];
    return trace;
}

// Judge by the sums alone, as if the smallest eigenvalue were one; `judge_factors` completes it.
inline Doubt judge_sums(const Side& side, const Shape& s, int64_t row, const double* sums) {
    const SumsLayout at = layout_of(s);
    const double trace = trace_of(s, sums);
    double square = 0;
    for (int i = 0; i < s.k; i++) square += sums[at.b + i] * sums[at.b + i];
    const double blocks = (double)(side.rows.indptr[row + 1] - side.rows.indptr[row]) / kBlock;
    const double averaged = blocks <= 1            ? 1
                            : blocks < kMostBlocks ? __builtin_sqrt(blocks)
                                                   : __builtin_sqrt(kMostBlocks);
    return {row_scale(side, row) * trace, averaged, sums[at.squares] * trace > kCareFrom * kCareFrom * square};
}

// The smallest eigenvalue is at least reg, and rarely below a sixteenth of the smallest pivot.
MATINEE_INLINE void judge_factors(Doubt& doubt, double reg, double smallest_pivot) {
    doubt.conditioning /= reg > smallest_pivot / 16 ? reg : smallest_pivot / 16;
}

template <class V>
MATINEE_INLINE V load_as(const float* p);
template <>
MATINEE_INLINE F load_as<F>(const float* p) {
    return load<F>(p);
}
template <>
MATINEE_INLINE D load_as<D>(const float* p) {
    return load_widened(p);
}

// left[q] = v[q] - w[q] y_q . x
template <class V, class T>
MATINEE_INLINE void subtract_predictions(const Shape& s, const Block& block, bool with_weights, const T* x, T* left) {
    constexpr int width = sizeof(V) / sizeof(T);
    for (int q = 0; q < block.n; q += width) {
        V sums[width] = {};
        const int n = (int)smaller(width, block.n - q);
        const float* y = block.G + q * s.padded;
        if (n == width) {
            for (int c = 0; c < s.padded; c += width) {
                const V factors = load<V>(x + c);
                MATINEE_UNROLL
                for (int i = 0; i < width; i++) sums[i] += load_as<V>(y + i * s.padded + c) * factors;
            }
        } else {
            for (int i = 0; i < n; i++)
                for (int c = 0; c < s.padded; c += width) sums[i] += load_as<V>(y + i * s.padded + c) * load<V>(x + c);
        }
        const V predicted = sums_of_each(sums);
        store(left + q, load_as<V>(block.v + q) - (with_weights ? load_as<V>(block.w + q) * predicted : predicted));
    }
}

MATINEE_INLINE void add_to(double* rest, D part) { store(rest, load<D>(rest) + part); }
MATINEE_INLINE void add_to(double* rest, F part) {
    add_to(rest, widen(lower_half(part)));
    add_to(rest + kDoubles, widen(upper_half(part)));
}

// rest += sum of left[q] y_q
template <class V, class T>
MATINEE_INLINE void add_products(const Shape& s, const Block& block, const T* left, double* rest) {
    constexpr int width = sizeof(V) / sizeof(T);
    for (int c = 0; c < s.padded; c += width) {
        V even{}, odd{};
        const float* y = block.G + c;
        int q = 0;
        for (; q + 1 < block.n; q += 2, y += 2 * s.padded) {
            even += load_as<V>(y) * left[q];
            odd += load_as<V>(y + s.padded) * left[q + 1];
        }
        if (q < block.n) even += load_as<V>(y) * left[q];
        add_to(rest + c, even + odd);
    }
}

// The ratings' part of b - A x, without the row's scale; T is the precision of the products.
template <class V, class T>
inline void sum_residual(const Side& side, const Shape& s, int64_t row, Block& block, const double* x, double* rest) {
    alignas(64) T narrow[kMaxRank + kLanes], left[kBlock + kLanes];
    for (int i = 0; i < s.padded; i++) narrow[i] = i < s.k ? (T)x[i] : 0;
    for (int i = 0; i < s.stride; i++) rest[i] = 0;
    for_blocks(side, s, row, block, [&] {
        subtract_predictions<V>(s, block, weighted(side), narrow, left);
        add_products<V>(s, block, left, rest);
    });
}

// rest = b - A x. Where products are made in float32, x is rounded to it first.
inline void residual(const Side& side, const Shape& s, int64_t row, Block& block, bool in_double, double* x,
                     double* rest) {
    const int k = s.k;
    const double *b0 = b0_of(side, row), scale = row_scale(side, row), reg = side.reg[row];
    if (in_double) {
        sum_residual<D, double>(side, s, row, block, x, rest);
    } else {
        for (int i = 0; i < k; i++) x[i] = (float)x[i];
        sum_residual<F, float>(side, s, row, block, x, rest);
    }
    for (int i = 0; i < k; i++) rest[i] = i < k ? scale * rest[i] + (b0 ? b0[i] : 0) - reg * x[i] : 0;
    if (side.A0)
        for (int j = 0; j < k; j++)
            for (int i = 0; i < k; i++) rest[i] -= side.A0[i <= j ? (int64_t)i * k + j : (int64_t)j * k + i] * x[j];
}

MATINEE_INLINE bool in_double(const Shape& s, const Doubt& doubt) {
    return s.paired || doubt.conditioning > kDoubleFrom;
}

// The progress of one row's refinement.
struct Progress {
    double last = 1;  // the last correction over x
    bool done = false, failed = false;
};

inline double square_norm(const double* x, int k) {
    double sum = 0;
    for (int i = 0; i < k; i++) sum += x[i] * x[i];
    return sum;
}

// Add a correction to x and judge what error is left.
inline void correct(const Shape& s, const Doubt& doubt, const double* correction, double* x, Progress* progress) {
    for (int i = 0; i < s.k; i++) x[i] += correction[i];
    const double moved = __builtin_sqrt(square_norm(correction, s.k) / square_norm(x, s.k));
    const double shrinks = kSumError * doubt.conditioning;
    progress->done = moved <= kRefined || moved * shrinks <= kRefined || square_norm(x, s.k) == 0;
    progress->failed = !progress->done && !(moved < progress->last / 2);
    progress->last = moved;
}

}  // namespace matinee::MATINEE_ISA
