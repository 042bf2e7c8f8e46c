// First plain version of every kernel: float64 throughout, one translation unit.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace nb = nanobind;
using nb::ndarray;
template <class T> using A1 = ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using A2 = ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T> using O1 = ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using O2 = ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T> const T* ptr(const std::optional<A1<T>>& a) { return a ? a->data() : nullptr; }

template <class F> void parallel(int64_t n, int64_t chunk, int threads, F&& run) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
        for (;;) {
            int64_t s = next.fetch_add(chunk);
            if (s >= n) return;
            run(s, std::min(n, s + chunk));
        }
    };
    std::vector<std::thread> pool;
    for (int t = 1; t < threads; t++) pool.emplace_back(work);
    work();
    for (auto& t : pool) t.join();
}

static uint64_t mix(uint64_t z) {
    z += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static bool cholesky(double* A, int k) {
    for (int j = 0; j < k; j++) {
        double* aj = A + (size_t)j * k;
        if (!(aj[j] > 0) || !std::isfinite(aj[j])) return false;
        double inv = 1 / std::sqrt(aj[j]);
        for (int c = j; c < k; c++) aj[c] *= inv;
        for (int i = j + 1; i < k; i++) {
            double s = aj[i], *ai = A + (size_t)i * k;
            for (int c = i; c < k; c++) ai[c] -= s * aj[c];
        }
    }
    return true;
}

// returns -1, or the first row that has no solution
static int64_t solve_side(A1<int64_t> indptr, A1<int32_t> indices, A1<float> values, A2<float> Y, A1<double> reg,
                          std::optional<A2<double>> A0, std::optional<A2<double>> b0, std::optional<double> alpha,
                          std::optional<A1<float>> g, std::optional<A1<float>> h, std::optional<A1<float>> off,
                          std::optional<std::pair<uint64_t, uint64_t>> noise, int64_t first_row, O2<float> out, int threads) {
    const int64_t n = (int64_t)indptr.shape(0) - 1;
    const int k = (int)Y.shape(1);
    const int64_t* p = indptr.data();
    const int32_t* idx = indices.data();
    const float *val = values.data(), *y = Y.data(), *G = ptr(g), *H = ptr(h), *Off = ptr(off);
    std::atomic<int64_t> bad{INT64_MAX};
    {
        nb::gil_scoped_release release;
        parallel(n, 16, threads, [&](int64_t s, int64_t e) {
            std::vector<double> A((size_t)k * k), b(k);
            for (int64_t u = s; u < e; u++) {
                if (A0) std::copy_n(A0->data(), (size_t)k * k, A.data());
                else std::fill(A.begin(), A.end(), 0.0);
                if (b0) std::copy_n(b0->data() + (b0->shape(0) > 1 ? u * k : 0), k, b.data());
                else std::fill(b.begin(), b.end(), 0.0);
                for (int i = 0; i < k; i++) A[(size_t)i * k + i] += reg.data()[u];
                for (int64_t q = p[u]; q < p[u + 1]; q++) {
                    const int64_t c = idx[q];
                    double w, v, r = val[q];
                    if (alpha) { w = *alpha * std::fabs(r); v = r > 0 ? 1 + w : 0; }
                    else { w = (G ? G[u] : 1.0) * (H ? H[c] : 1.0); v = w * (r - (Off ? Off[c] : 0.0)); }
                    const float* yc = y + c * k;
                    for (int i = 0; i < k; i++) {
                        const double t = w * yc[i];
                        b[i] += v * yc[i];
                        for (int j = i; j < k; j++) A[(size_t)i * k + j] += t * yc[j];
                    }
                }
                float* x = out.data() + u * k;
                if (p[u] == p[u + 1] && !A0 && !b0) { std::fill_n(x, k, 0.f); continue; }
                bool ok = cholesky(A.data(), k);
                for (int i = 0; ok && i < k; i++) {
                    b[i] /= A[(size_t)i * k + i];
                    for (int c = i + 1; c < k; c++) b[c] -= A[(size_t)i * k + c] * b[i];
                }
                if (noise) {
                    uint64_t s0 = mix(mix(mix(noise->first) ^ noise->second) ^ (uint64_t)(first_row + u));
                    for (int i = 0; i < k; i++) {
                        double u1 = ((mix(s0 + 2 * i) >> 11) + 0.5) / 9007199254740992.0, u2 = (mix(s0 + 2 * i + 1) >> 11) / 9007199254740992.0;
                        b[i] += std::sqrt(-2 * std::log(u1)) * std::cos(6.283185307179586 * u2);
                    }
                }
                for (int i = k - 1; ok && i >= 0; i--) {
                    for (int c = i + 1; c < k; c++) b[i] -= A[(size_t)i * k + c] * b[c];
                    b[i] /= A[(size_t)i * k + i];
                    ok = std::isfinite(b[i]);
                }
                if (!ok) { int64_t was = bad; while (u < was && !bad.compare_exchange_weak(was, u)) {} continue; }
                for (int i = 0; i < k; i++) x[i] = (float)b[i];
            }
        });
    }
    return bad == INT64_MAX ? -1 : bad.load();
}

struct Best {
    int n; std::vector<std::pair<float, int32_t>> heap;
    explicit Best(int n) : n(n) { heap.reserve(n + 1); }
    static bool before(const std::pair<float, int32_t>& a, const std::pair<float, int32_t>& b) { return a.first > b.first || (a.first == b.first && a.second < b.second); }
    void offer(float s, int32_t i) {
        if (!(s > -INFINITY)) return;
        std::pair<float, int32_t> x{s, i};
        if ((int)heap.size() < n) { heap.push_back(x); std::push_heap(heap.begin(), heap.end(), before); }
        else if (n && before(x, heap.front())) { std::pop_heap(heap.begin(), heap.end(), before); heap.back() = x; std::push_heap(heap.begin(), heap.end(), before); }
    }
    void write(int32_t* pos, float* score) {
        std::sort_heap(heap.begin(), heap.end(), before);
        for (int i = 0; i < n; i++) { bool has = i < (int)heap.size(); pos[i] = has ? heap[i].second : -1; score[i] = has ? heap[i].first : -INFINITY; }
    }
};

template <class Score>
static void select(int64_t B, int64_t M, int n, const bool* allowed, const int64_t* ep, const int32_t* ei, int32_t* pos, float* score, int threads, Score&& of) {
    parallel(B, 4, threads, [&](int64_t s, int64_t e) {
        for (int64_t u = s; u < e; u++) {
            Best best(n);
            int64_t q = ep ? ep[u] : 0, qe = ep ? ep[u + 1] : 0;
            for (int64_t m = 0; m < M; m++) {
                if (q < qe && ei[q] == m) { q++; continue; }
                if (allowed && !allowed[m]) continue;
                best.offer(of(u, m), (int32_t)m);
            }
            best.write(pos + u * n, score + u * n);
        }
    });
}

NB_MODULE(_matinee_native, mod) {
    mod.def("solve_side", &solve_side, nb::arg("indptr"), nb::arg("indices"), nb::arg("values"), nb::arg("Y"), nb::arg("reg"),
            nb::arg("A0").none(), nb::arg("b0").none(), nb::arg("alpha").none(), nb::arg("g").none(), nb::arg("h").none(), nb::arg("off").none(),
            nb::arg("noise").none(), nb::arg("first_row"), nb::arg("out"), nb::arg("threads"));
    mod.def("top_n", [](A2<float> X, A2<float> Y, int n, std::optional<A1<float>> bias, std::optional<A1<bool>> allowed, std::optional<A1<int64_t>> ep, std::optional<A1<int32_t>> ei, O2<int32_t> pos, O2<float> score, int threads) {
        nb::gil_scoped_release r; const int64_t k = Y.shape(1); const float* b = ptr(bias);
        select(X.shape(0), Y.shape(0), n, ptr(allowed), ptr(ep), ptr(ei), pos.data(), score.data(), threads, [&](int64_t u, int64_t m) {
            const float *x = X.data() + u * k, *y = Y.data() + m * k; float s = 0; for (int64_t i = 0; i < k; i++) s += x[i] * y[i]; return b ? s + b[m] : s; });
    }, nb::arg("X"), nb::arg("Y"), nb::arg("n"), nb::arg("bias").none(), nb::arg("allowed").none(), nb::arg("ep").none(), nb::arg("ei").none(), nb::arg("pos"), nb::arg("score"), nb::arg("threads"));
    mod.def("select_top_n", [](A2<float> S, int n, std::optional<A1<bool>> allowed, std::optional<A1<int64_t>> ep, std::optional<A1<int32_t>> ei, O2<int32_t> pos, O2<float> score, int threads) {
        nb::gil_scoped_release r; const int64_t M = S.shape(1);
        select(S.shape(0), M, n, ptr(allowed), ptr(ep), ptr(ei), pos.data(), score.data(), threads, [&](int64_t u, int64_t m) { return S.data()[u * M + m]; });
    }, nb::arg("S"), nb::arg("n"), nb::arg("allowed").none(), nb::arg("ep").none(), nb::arg("ei").none(), nb::arg("pos"), nb::arg("score"), nb::arg("threads"));
    mod.def("transpose", [](A1<int64_t> indptr, A1<int32_t> indices, A1<float> values, O1<int64_t> tp, O1<int32_t> ti, O1<float> tv) {
        nb::gil_scoped_release r; int64_t n = indptr.shape(0) - 1, M = tp.shape(0) - 1; const int64_t* p = indptr.data();
        std::fill_n(tp.data(), M + 1, 0); for (int64_t q = 0; q < p[n]; q++) tp.data()[indices.data()[q] + 1]++;
        for (int64_t m = 0; m < M; m++) tp.data()[m + 1] += tp.data()[m];
        std::vector<int64_t> at(tp.data(), tp.data() + M);
        for (int64_t u = 0; u < n; u++) for (int64_t q = p[u]; q < p[u + 1]; q++) { int64_t d = at[indices.data()[q]]++; ti.data()[d] = (int32_t)u; tv.data()[d] = values.data()[q]; }
    });
    mod.def("residual_sums", [](A1<int64_t> indptr, A1<int32_t> indices, A1<float> values, A2<float> X, A2<float> Y, std::optional<A1<float>> ro, std::optional<A1<float>> oo, std::optional<A1<float>> ow, O1<double> out, int threads) {
        nb::gil_scoped_release r; const int64_t k = Y.shape(1); const float *a = ptr(ro), *b = ptr(oo), *w = ptr(ow);
        parallel(out.shape(0), 64, threads, [&](int64_t s, int64_t e) { for (int64_t u = s; u < e; u++) { double sum = 0; for (int64_t q = indptr.data()[u]; q < indptr.data()[u + 1]; q++) {
            int64_t c = indices.data()[q]; const float *x = X.data() + u * k, *y = Y.data() + c * k; double d = values.data()[q]; for (int64_t i = 0; i < k; i++) d -= x[i] * y[i]; if (a) d -= a[u]; if (b) d -= b[c]; sum += (w ? w[c] : 1.0) * d * d; } out.data()[u] = sum; } });
    }, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg());
    mod.def("weighted_gram", [](A1<int64_t> indptr, A1<int32_t> indices, A1<float> values, A1<float> weights, O2<double> out) {
        nb::gil_scoped_release r; const int64_t M = out.shape(0), n = indptr.shape(0) - 1; std::fill_n(out.data(), M * M, 0.0);
        for (int64_t u = 0; u < n; u++) for (int64_t q = indptr.data()[u]; q < indptr.data()[u + 1]; q++) { double t = (double)weights.data()[u] * values.data()[q]; double* row = out.data() + indices.data()[q] * M;
            for (int64_t s = indptr.data()[u]; s < indptr.data()[u + 1]; s++) row[indices.data()[s]] += t * values.data()[s]; }
    });
    mod.def("gather_rows", [](A1<int64_t> indptr, A1<int32_t> indices, A1<float> values, A2<float> W, O2<float> out) {
        nb::gil_scoped_release r; const int64_t M = W.shape(1), n = indptr.shape(0) - 1; std::fill_n(out.data(), n * M, 0.f);
        for (int64_t u = 0; u < n; u++) for (int64_t q = indptr.data()[u]; q < indptr.data()[u + 1]; q++) { const float v = values.data()[q], *row = W.data() + indices.data()[q] * M; float* o = out.data() + u * M; for (int64_t m = 0; m < M; m++) o[m] += v * row[m]; }
    });
}
