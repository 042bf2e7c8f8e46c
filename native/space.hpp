// What one thread of a solve works in, and where it puts its solutions.
#pragma once

#include "arguments.hpp"
#include "cholesky.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

constexpr int kLaneRank = 24;  // the highest rank that is factored one row per lane

// Arrays cut one after the other from one buffer.
struct Cutting {
    char* at;
    size_t used;

    template <class T>
    void operator()(T*& array, size_t count) {
        array = (T*)(at + used);
        used += (count * sizeof(T) + 63) / 64 * 64;
    }
};

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
    Cutting take{buffer, 0};
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
    space.bytes = take.used;
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

}  // namespace matinee::MATINEE_ISA
