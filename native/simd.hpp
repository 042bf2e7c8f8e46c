// Vectors of one instruction set, by the compilers' vector extensions: intrinsics only for partial loads and masks.
//
// Included only from isa.cpp, which is compiled once per instruction set, inside a namespace of its own. Nothing here
// or in the files above it may instantiate a template of the standard library: the linker would keep one copy of it
// for all instruction sets.
//
//   F    kLanes floats       D    kLanes / 2 doubles       I    kLanes 32-bit integers       (each kBytes wide)
//   H    the floats of one D (half an F)
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(MATINEE_NEON)
#include <arm_neon.h>
#endif

#if defined(__clang__)
#define MATINEE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MATINEE_UNROLL _Pragma("GCC unroll 64")
#endif
#define MATINEE_INLINE inline __attribute__((always_inline))

namespace matinee::MATINEE_ISA {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
#if defined(__AVX512F__) || defined(MATINEE_NEON)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
constexpr int kLanes = kBytes / 4;
constexpr int kDoubles = kBytes / 8;

typedef float F __attribute__((vector_size(kBytes)));
typedef double D __attribute__((vector_size(kBytes)));
typedef int32_t I __attribute__((vector_size(kBytes)));
typedef uint32_t U __attribute__((vector_size(kBytes)));
typedef int64_t L __attribute__((vector_size(kBytes)));
typedef float H __attribute__((vector_size(kBytes / 2)));

template <class V, class T>
MATINEE_INLINE V load(const T* p) {
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}
template <class V, class T>
MATINEE_INLINE void store(T* p, V v) {
    memcpy(p, &v, sizeof v);
}
MATINEE_INLINE F all(float x) { return x - F{}; }
MATINEE_INLINE D all(double x) { return x - D{}; }

MATINEE_INLINE D widen(H half) { return __builtin_convertvector(half, D); }
MATINEE_INLINE D load_widened(const float* p) { return widen(load<H>(p)); }
MATINEE_INLINE void store_narrowed(float* p, D v) { store(p, __builtin_convertvector(v, H)); }

MATINEE_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int round_up(int n, int to) { return (n + to - 1) / to * to; }

MATINEE_INLINE H lower_half(F v) {
    H half;
    memcpy(&half, &v, sizeof half);
    return half;
}
MATINEE_INLINE H upper_half(F v) {
#if defined(__AVX512F__)
    return (H)_mm512_extractf32x8_ps((__m512)v, 1);
#elif defined(__AVX2__)
    return (H)_mm256_extractf128_ps((__m256)v, 1);
#else
    H half;
    memcpy(&half, (const char*)&v + sizeof half, sizeof half);
    return half;
#endif
}

// The first n <= kLanes floats at p, zero after them; reads nothing behind them.
MATINEE_INLINE F load_first(const float* p, int n) {
#if defined(__AVX512F__)
    return (F)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
    const I lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (F)_mm256_maskload_ps(p, (__m256i)(lane < n));
#else
    F v{};
    for (int i = 0; i < n; i++) v[i] = p[i];
    return v;
#endif
}

// Bit i tells whether lane i of a comparison's result is true.
MATINEE_INLINE uint32_t bits_of(I mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif defined(MATINEE_NEON)
    const U bit = {1, 2, 4, 8};
    return vaddvq_u32((uint32x4_t)((U)mask & bit));
#else
    uint32_t bits = 0;
    for (int i = 0; i < kLanes; i++) bits |= (uint32_t)(mask[i] & 1) << i;
    return bits;
#endif
}

// shuffle<V, i...>(a, b): lanes i... of a followed by b.
template <class V, int... lanes>
MATINEE_INLINE V shuffle(V a, V b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, lanes...);
#elif defined(__GNUC__)
    typedef decltype(a == a) Mask;
    return __builtin_shuffle(a, b, Mask{lanes...});
#endif
}

template <int... n>
struct Sequence {};
template <int n, int... rest>
struct Counting : Counting<n - 1, n - 1, rest...> {};
template <int... all>
struct Counting<0, all...> {
    typedef Sequence<all...> type;
};

template <class V, int by, int... lane>
MATINEE_INLINE V rotate(V v, Sequence<lane...>) {
    return shuffle<V, (lane + by) % int(sizeof...(lane))...>(v, v);
}

// Lane i of the result is lane (i + by) mod width of v.
template <int by, class V>
MATINEE_INLINE V rotate(V v) {
    return rotate<V, by>(v, typename Counting<sizeof(V) / sizeof(v[0])>::type{});
}

template <int from, int... lane>
MATINEE_INLINE D broadcast_lane(D v, Sequence<lane...>) {
    return shuffle<D, (lane * 0 + from)...>(v, v);
}

// A vector filled with one lane of v.
template <int from>
MATINEE_INLINE D broadcast_lane(D v) {
    return broadcast_lane<from>(v, typename Counting<kDoubles>::type{});
}

template <int by, int... lane>
MATINEE_INLINE F rotate_halves(F v, Sequence<lane...>) {
    constexpr int half = kLanes / 2;
    return shuffle<F, (lane / half * half + (lane + by) % half)...>(v, v);
}

// The same within each half of v.
template <int by>
MATINEE_INLINE F rotate_halves(F v) {
    return rotate_halves<by>(v, typename Counting<kLanes>::type{});
}

// The two interleavings of runs of `run` lanes of a and b: where a block of 2 * run lanes of both is taken,
// `low` keeps the first run of each, `high` the second.
template <int run, class V, int... lane>
MATINEE_INLINE V low_runs(V a, V b, Sequence<lane...>) {
    constexpr int width = sizeof...(lane);
    return shuffle<V, (lane / run % 2 ? lane - run + width : lane)...>(a, b);
}
template <int run, class V, int... lane>
MATINEE_INLINE V high_runs(V a, V b, Sequence<lane...>) {
    constexpr int width = sizeof...(lane);
    return shuffle<V, (lane / run % 2 ? lane + width : lane + run)...>(a, b);
}

// The lower half of a, then that of b.
MATINEE_INLINE F join_lower(F a, F b) { return low_runs<kLanes / 2>(a, b, typename Counting<kLanes>::type{}); }

// A vector whose lower half is filled with a and whose upper half is filled with b.
MATINEE_INLINE F halves(float a, float b) { return join_lower(all(a), all(b)); }

template <int run, int count, class V>
MATINEE_INLINE void transpose_step(V* v) {
    typedef typename Counting<sizeof(V) / sizeof(v[0][0])>::type Lanes;
    MATINEE_UNROLL
    for (int i = 0; i < count; i++) {
        if (i / run % 2) continue;
        const V a = v[i], b = v[i + run];
        v[i] = low_runs<run>(a, b, Lanes{});
        v[i + run] = high_runs<run>(a, b, Lanes{});
    }
    if constexpr (run > 1) transpose_step<run / 2, count>(v);
}

// Transpose squares of `count` lanes that lie side by side in `count` vectors.
template <int count, class V>
MATINEE_INLINE void transpose_squares(V* v) {
    transpose_step<count / 2, count>(v);
}

template <int run, int left, class V>
MATINEE_INLINE V sums_step(V* v) {
    typedef typename Counting<sizeof(V) / sizeof(v[0][0])>::type Lanes;
    MATINEE_UNROLL
    for (int i = 0; i < left / 2; i++) {
        const V a = v[i], b = v[i + left / 2];
        v[i] = low_runs<run>(a, b, Lanes{}) + high_runs<run>(a, b, Lanes{});
    }
    if constexpr (left > 2) return sums_step<run / 2, left / 2>(v);
    else return v[0];
}

// Lane i of the result is the sum of the lanes of v[i]; v has as many vectors as lanes and is used up.
template <class V>
MATINEE_INLINE V sums_of_each(V* v) {
    constexpr int width = sizeof(V) / sizeof(v[0][0]);
    return sums_step<width / 2, width>(v);
}

}  // namespace matinee::MATINEE_ISA
