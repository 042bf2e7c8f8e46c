// Products with fixed factors: scores, residuals, quadratic forms, sums of a matrix' rows, Y^T Y.
#pragma once

#include "arguments.hpp"
#include "panel.hpp"
#include "simd.hpp"
#include "sums.hpp"

namespace matinee::MATINEE_ISA {

// kLanes dot products x . y[i].
template <bool whole>
MATINEE_INLINE F dots_with(const float* x, const float* const* y, int k) {
    F sums[kLanes];
    MATINEE_UNROLL
    for (int i = 0; i < kLanes; i++) sums[i] = F{};
    for (int c = 0; c < k; c += kLanes) {
        const F part = whole ? load<F>(x + c) : row_part(x, c, k);
        MATINEE_UNROLL
        for (int i = 0; i < kLanes; i++) sums[i] += part * (whole ? load<F>(y[i] + c) : row_part(y[i], c, k));
    }
    return sums_of_each(sums);
}

// sum w e^2 over one row's ratings, in float64; e and w e^2 of a rating in float32.
template <bool whole>
inline double residual_sum_of(const Residuals& args, int64_t row) {
    const float *x = args.X + row * args.k, *y[kLanes];
    D sum{};
    const int64_t end = args.rows.indptr[row + 1];
    for (int64_t p = args.rows.indptr[row]; p < end; p += kLanes) {
        const int n = (int)smaller(kLanes, end - p);
        const int32_t* columns = args.rows.indices + p;
        alignas(kBytes) float target[kLanes] = {}, weight[kLanes] = {};
        for (int i = 0; i < kLanes; i++) {
            const bool stored = i < n;
            const int32_t column = columns[stored ? i : 0];
            y[i] = args.Y + args.stride * column;
            target[i] =
                stored ? args.rows.values[p + i] - (args.other_offset ? args.other_offset[args.apart * column] : 0) : 0;
            weight[i] = stored ? args.other_weight ? args.other_weight[args.apart * column] : 1 : 0;
        }
        const int64_t ahead = smaller((int64_t)kLanes, end - p - kLanes);
        for (int64_t i = 0; i < ahead; i++)
            for (int c = 0; c < args.k; c += 16) __builtin_prefetch(args.Y + args.stride * columns[kLanes + i] + c);
        F e = load<F>(target) - dots_with<whole>(x, y, args.k);
        if (args.row_offset) e -= args.row_offset[row];
        const F part = load<F>(weight) * e * e;
        sum += widen(lower_half(part)) + widen(upper_half(part));
    }
    double total = 0;
    for (int lane = 0; lane < kDoubles; lane++) total += sum[lane];
    return total;
}

inline double residual_sum(const Residuals& args, int64_t row) {
    return args.k % kLanes ? residual_sum_of<false>(args, row) : residual_sum_of<true>(args, row);
}

inline void residual_rows(const Residuals& args, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) args.out[row] = residual_sum(args, row);
}

inline size_t product_bytes(int k) { return sizeof(float) * (size_t)kPanelRows * k + 64; }

template <int people>
MATINEE_INLINE void write_products(const Products& args, const float* panel, int64_t row, int64_t from, int n) {
    F products[people][kPanelWidth];
    panel_products<people>(args.X + row * args.k, args.k, panel, kNoRow, products);
    for (int u = 0; u < people; u++) memcpy(args.out + (row + u) * args.n_asked + from, products[u], sizeof(float) * n);
}

// Rows begin ... end, which ask about the same columns.
inline void products_with(const Products& args, const int32_t* columns, char* buffer, int64_t begin, int64_t end) {
    float* panel = (float*)buffer;
    for (int64_t from = 0; from < args.n_asked; from += kPanelRows) {
        const int n = (int)smaller(kPanelRows, args.n_asked - from);
        const auto row_at = [&](int m) {
            return m >= n ? kNoRow : args.Y + (int64_t)args.k * (columns ? columns[from + m] : from + m);
        };
        fill_panel(row_at, args.k, panel);
        int64_t row = begin;
        for (; row + kPeople <= end; row += kPeople) write_products<kPeople>(args, panel, row, from, n);
        for (; row < end; row++) write_products<1>(args, panel, row, from, n);
    }
}

inline void product_rows(const Products& args, char* buffer, int64_t begin, int64_t end) {
    if (!args.columns_stride) return products_with(args, args.columns, buffer, begin, end);
    for (int64_t row = begin; row < end; row++)
        products_with(args, args.columns + row * args.columns_stride, buffer, row, row + 1);
}

constexpr int kFormRows = 4;

// C in float32, doubled above the diagonal and zero below it, with rows up to a multiple of kFormRows.
inline void fold_symmetric(const Forms& args, float* folded) {
    const int k = args.k;
    for (int i = 0; i < round_up(k, kFormRows); i++)
        for (int j = 0; j < k; j++)
            folded[i * k + j] = i >= k || j < i ? 0 : (float)((i == j ? 1 : 2) * args.C[(int64_t)i * k + j]);
}

MATINEE_INLINE void panel_forms(const float* folded, int k, const float* panel, F* out) {
    for (int v = 0; v < kPanelWidth; v++) out[v] = F{};
    for (int i = 0; i < k; i += kFormRows) {
        F t[kFormRows][kPanelWidth] = {};
        for (int j = i; j < k; j++) {
            MATINEE_UNROLL
            for (int r = 0; r < kFormRows; r++) {
                const F c = all(folded[(i + r) * k + j]);
                MATINEE_UNROLL
                for (int v = 0; v < kPanelWidth; v++) t[r][v] += load<F>(panel + j * kPanelRows + v * kLanes) * c;
            }
        }
        for (int r = 0; r < smaller(kFormRows, k - i); r++)
            for (int v = 0; v < kPanelWidth; v++)
                out[v] += load<F>(panel + (i + r) * kPanelRows + v * kLanes) * t[r][v];
    }
}

inline size_t form_bytes(int k) {
    return sizeof(float) * ((size_t)kPanelRows * k + (size_t)round_up(k, kFormRows) * k) + 128;
}

// y^T C y of the rows begin ... end of `positions`.
inline void quadratic_forms(const Forms& args, char* buffer, int64_t begin, int64_t end) {
    float* panel = (float*)buffer;
    float* folded = panel + (int64_t)kPanelRows * args.k;
    fold_symmetric(args, folded);
    for (int64_t from = begin; from < end; from += kPanelRows) {
        const auto row_at = [&](int m) {
            const int64_t at = from + m;
            return at >= end ? kNoRow : args.Y + (int64_t)args.k * (args.positions ? args.positions[at] : at);
        };
        fill_panel(row_at, args.k, panel);
        F forms[kPanelWidth];
        alignas(kBytes) float out[kPanelRows];
        panel_forms(folded, args.k, panel, forms);
        for (int v = 0; v < kPanelWidth; v++) store(out + v * kLanes, forms[v]);
        for (int m = 0; m < kPanelRows && from + m < end; m++) args.out[from + m] = out[m];
    }
}

constexpr int64_t kGatherColumns = 4096;  // columns summed before the next ones, so that the sums stay in cache
constexpr int kGatherRows = 4;

template <int count>
MATINEE_INLINE void add_rows(const float* const* rows, const float* values, int64_t width, float* out) {
    int64_t c = 0;
    for (; c + kLanes <= width; c += kLanes) {
        F sum = load<F>(out + c);
        MATINEE_UNROLL
        for (int i = 0; i < count; i++) sum += load<F>(rows[i] + c) * values[i];
        store(out + c, sum);
    }
    for (; c < width; c++) {
        F sum = all(out[c]);
        MATINEE_UNROLL
        for (int i = 0; i < count; i++) sum += all(rows[i][c]) * values[i];
        out[c] = sum[0];
    }
}

// Columns begin ... end of one row of rows @ matrix, into out.
inline void gather_columns(const Rows& rows, const float* matrix, int64_t width, int64_t row, int64_t begin,
                           int64_t end, float* out) {
    const int64_t start = rows.indptr[row], stop = rows.indptr[row + 1];
    memset(out, 0, sizeof(float) * (end - begin));
    for (int64_t p = start; p < stop;) {
        const float* named[kGatherRows];
        const int n = (int)smaller(kGatherRows, stop - p);
        for (int i = 0; i < n; i++) named[i] = matrix + width * rows.indices[p + i] + begin;
        if (n == kGatherRows) add_rows<kGatherRows>(named, rows.values + p, end - begin, out);
        else
            for (int i = 0; i < n; i++) add_rows<1>(named + i, rows.values + p + i, end - begin, out);
        p += n;
    }
}

inline void gather_rows(const Gathering& args, int64_t begin, int64_t end) {
    const int64_t width = args.width;
    for (int64_t row = begin; row < end; row++)
        for (int64_t c = 0; c < width; c += kGatherColumns)
            gather_columns(args.rows, args.matrix, width, row, c, smaller(c + kGatherColumns, width),
                           args.out + row * width + c);
}

inline size_t gram_bytes(int k) {
    const Shape s = shape_of(k);
    return sizeof(float) * ((kBlock + 1) * s.padded + kLanes + kBlock + 64) + sizeof(double) * layout_of(s).size + 256;
}

// The upper triangle of Y^T Y over rows begin ... end of Y, in blocks of kBlock, into out (k, k).
inline void gram_rows(const float* Y, int k, char* buffer, int64_t begin, int64_t end, double* out) {
    const Shape s = shape_of(k);
    double* sums = (double*)buffer;
    float* G = (float*)(buffer + (sizeof(double) * layout_of(s).size + 63) / 64 * 64);
    float* v = G + (kBlock + 1) * s.padded + kLanes;
    int32_t columns[kBlock];
    memset(v, 0, sizeof(float) * (kBlock + 1));
    memset(sums, 0, sizeof(double) * layout_of(s).size);
    for (int i = 0; i < kBlock; i++) columns[i] = i;
    for (int64_t from = begin; from < end; from += kBlock) {
        Side side{};
        side.Y = Y + from * k;
        side.k = k;
        side.stride = k;
        Block block{columns, nullptr, (int)smaller(kBlock, end - from), G, G, v, nullptr};
        gather(side, s, block, columns + block.n);
        sum_block<false>(s, block, sums);
    }
    for (int i = 0; i < k; i++)
        for (int j = i; j < k; j++) out[(int64_t)i * k + j] = sums[place_of(s, i, j)];
}

}  // namespace matinee::MATINEE_ISA
