// Standard normal draws from a counter: the same (seed, sweep, row) gives the same draws, in any order and any thread.
//
// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) makes four words of 32 bits per
// counter; Box and Muller make two normals of two words. Logarithm, sine and cosine are polynomials (Cephes' single
// precision), not the C library's, so that they fill a vector.
#pragma once

#include "arguments.hpp"
#include "simd.hpp"

namespace matinee::MATINEE_ISA {

struct Words {
    uint32_t x[4];
};

inline Words philox(Words counter, uint64_t seed) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t* x = counter.x;
    for (int round = 0; round < 10; round++) {
        const uint64_t a = uint64_t{0xD2511F53} * x[0], b = uint64_t{0xCD9E8D57} * x[2];
        const Words next = {
            {(uint32_t)(b >> 32) ^ x[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ key1, (uint32_t)a}};
        counter = next;
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return counter;
}

MATINEE_INLINE F square_root(F v) {
    for (int lane = 0; lane < kLanes; lane++) v[lane] = __builtin_sqrtf(v[lane]);
    return v;
}

// ln x of 0 < x <= 1
MATINEE_INLINE F logarithm(F x) {
    const I bits = (I)x;
    I exponent = (bits >> 23) - 126;
    F m = (F)((bits & 0x007FFFFF) | 0x3F000000);
    const I small = m < 0.70710678f;
    exponent += small;
    m += (F)((I)m & small) - 1.0f;
    const F e = __builtin_convertvector(exponent, F), square = m * m;
    F p = all(7.0376836292e-2f);
    constexpr float coefficients[] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                      -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
    MATINEE_UNROLL
    for (int i = 0; i < 8; i++) p = p * m + coefficients[i];
    p = p * m * square - 2.12194440e-4f * e - 0.5f * square;
    return m + p + 0.693359375f * e;
}

// cos and sin of a full turn times t, -1/2 <= t < 1/2
MATINEE_INLINE void cosine_and_sine(F t, F* cosine, F* sine) {
    const F shifted = t * 4.0f + 4.5f;                          // positive, so that truncation is floor
    const I quarter = __builtin_convertvector(shifted, I) - 4;  // nearest quarter turn
    const F angle = (t - __builtin_convertvector(quarter, F) * 0.25f) * 6.283185307f, z = angle * angle;
    const F s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * angle + angle;
    const F c =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
    const I odd = -(quarter & 1);
    const I sine_sign = (quarter & 2) << 30, cosine_sign = ((quarter + 1) & 2) << 30;
    *sine = (F)((((I)c & odd) | ((I)s & ~odd)) ^ sine_sign);
    *cosine = (F)((((I)s & odd) | ((I)c & ~odd)) ^ cosine_sign);
}

// Fill z with k normals; z has round_up(k, 4) places.
inline void draw_normals(uint64_t seed, uint64_t sweep, uint64_t row, int k, float* z) {
    alignas(64) uint32_t first[kMaxRank / 2] = {}, second[kMaxRank / 2] = {};
    const int pairs = round_up(k, 4) / 2;
    for (int pair = 0; pair < pairs; pair += 2) {
        const Words w = philox({{(uint32_t)pair, (uint32_t)sweep, (uint32_t)row, (uint32_t)(row >> 32)}}, seed);
        first[pair] = w.x[0], second[pair] = w.x[1];
        first[pair + 1] = w.x[2], second[pair + 1] = w.x[3];
    }
    for (int pair = 0; pair < pairs; pair += kLanes) {
        const F u = __builtin_convertvector(load<U>(first + pair), F) * 0x1p-32f + 0x1p-33f;
        const F t = __builtin_convertvector(load<I>(second + pair), F) * 0x1p-32f;
        F cosine, sine;
        cosine_and_sine(t, &cosine, &sine);
        const F radius = square_root(-2.0f * logarithm(u));
        cosine *= radius;
        sine *= radius;
        for (int lane = 0; lane < smaller(kLanes, pairs - pair); lane++) {
            z[2 * (pair + lane)] = cosine[lane];
            z[2 * (pair + lane) + 1] = sine[lane];
        }
    }
}

}  // namespace matinee::MATINEE_ISA
