// What the bindings hand to the kernels: plain pointers into the caller's arrays, all row-major and without gaps.
//
// Symbols: B rows solved or asked at once; M rows of the other side; k rank; n values stored in a row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace matinee {

constexpr int kBlock = 128;  // ratings summed in float32 before they are added in float64
constexpr int kMaxRank = 512;

// A sparse matrix (B, M) by rows.
struct Rows {
    const int64_t* indptr;   // (B + 1)
    const int32_t* indices;  // columns, ascending and distinct within a row
    const float* values;
    int64_t n_rows;
    int64_t n_columns;
};

// One side of the equation (see matinee/kernels/equation.py); pointers marked ? may be null.
struct Side {
    Rows rows;       // (B, M)
    const float* Y;  // (M, k), `stride` floats from one row to the next
    int k;
    int64_t stride;
    const double* reg;  // (B)
    const double* A0;   // ? (k, k)
    const double* b0;   // ? (k) where b0_stride is 0, or (B, k) where it is k
    int64_t b0_stride;
    bool implicit;  // w = alpha |r|, v = 1 + w where r > 0 else 0; the weights and offset are then null
    float alpha;
    const float* row_weight;    // ? (B)
    const float* other_weight;  // ? (M), as the offsets `apart` floats from one to the next
    const float* other_offset;  // ? (M)
    int64_t apart;
    bool noisy;
    uint64_t seed, sweep;
    int64_t first_row;    // number of the first row, for the noise
    float* out;           // (B, k) the solutions, or null
    double* covariances;  // (B, k, k) A^-1, or null

    __attribute__((always_inline)) const float* factors(int64_t column) const { return Y + stride * column; }
    __attribute__((always_inline)) float weight(int64_t column) const { return other_weight[apart * column]; }
    __attribute__((always_inline)) float offset(int64_t column) const { return other_offset[apart * column]; }
};

enum class Fault : int { none, column_out_of_range, not_positive_definite };

// The first row (by number) that could not be solved, and why.
struct Failure {
    int64_t row = INT64_MAX;
    Fault fault = Fault::none;

    __attribute__((always_inline)) void note(int64_t failed, Fault why) {
        if (failed >= row) return;
        row = failed;
        fault = why;
    }
};

struct TopN {
    const float* X;     // (B, k)
    const float* Y;     // (M, k)
    const float* bias;  // ? (M)
    int64_t n_rows, n_columns;
    int k;
    int64_t n;
    const int32_t* candidates;  // ? rows of Y that may be returned, ascending; all of them where null
    int64_t n_candidates;
    const int64_t* exclude_indptr;  // ? (B + 1)
    const int32_t* exclude;         // columns left out, ascending within a row
    int32_t* positions;             // (B, n)
    float* scores;                  // (B, n)
};

struct Selection {
    const float* scores;  // (B, M)
    int64_t n_rows, n_columns;
    int64_t n;
    const bool* allowed;            // ? (M)
    const int64_t* exclude_indptr;  // ? (B + 1)
    const int32_t* exclude;         // columns left out, ascending within a row
    int32_t* positions;             // (B, n)
    float* best;                    // (B, n)
};

struct Residuals {
    Rows rows;       // (B, M)
    const float* X;  // (B, k)
    const float* Y;  // (M, k), `stride` floats from one row to the next
    int k;
    int64_t stride;
    const float* row_offset;    // ? (B)
    const float* other_offset;  // ? (M), as the weights `apart` floats from one to the next
    const float* other_weight;  // ? (M)
    int64_t apart;
    double* out;  // (B)
};

struct Products {
    const float* X;  // (B, k)
    const float* Y;  // (M, k)
    int64_t n_rows;
    int k;
    const int32_t* columns;  // ? (m) where columns_stride is 0, or (B, m) where it is m; all in order where null
    int64_t columns_stride;
    int64_t n_asked;  // m
    float* out;       // (B, m)
};

struct Forms {
    const double* C;  // (k, k) symmetric
    const float* Y;   // (M, k)
    int k;
    const int32_t* positions;  // ? (m): rows of Y; all of them in order where null
    float* out;                // (m)
};

struct Gathering {
    Rows rows;            // (B, M)
    const float* matrix;  // (M, m)
    int64_t width;        // m
    float* out;           // (B, m)
};

// Items that score items: row x of X gives item j the score (x W)_j scale_j + base_j base_weight / (n + damping), n
// being the number of values in the row.
struct Items {
    const float* W;        // (M, M)
    const float* scale;    // (M)
    const float* base;     // (M)
    int64_t n;             // M
    const int32_t* names;  // (M) the items' numbers elsewhere, ascending
    float base_weight, damping;
};

struct ItemScores {
    Items items;
    Rows rows;   // X (B, M)
    float* out;  // (B, M)
};

// The best items of each row, by their numbers elsewhere, of which there are N.
struct ItemTopN {
    Items items;
    Rows rows;  // X (B, M)
    int64_t n;
    const bool* allowed;            // ? (N)
    const int64_t* exclude_indptr;  // ? (B + 1)
    const int32_t* exclude;         // numbers left out, ascending within a row
    int32_t* positions;             // (B, n)
    float* scores;                  // (B, n)
};

// M movies as they are in S samples, movie by movie: what one person rated is read in one piece.
struct Sampled {
    const float* Y;           // (M, S k)
    const float* offsets;     // (M, S)
    const float* precisions;  // (M, S)
};

// S samples of the other side. In sample s a row has A0_s and b0_s = base_s + f slopes_s, where its features are
// f = sum_p components_p / sqrt(n + pseudo_ratings).
struct Samples {
    int64_t n, n_columns;     // S, M
    int k, n_features;        // k, D
    Sampled rated, asked;     // the columns as rows rate them, and as rows are asked about them
    const double* A0;         // (S k, k)
    const float* roots;       // (S k, k) L, lower triangular, with A0 = L L^T
    const double* base;       // (S, k)
    const double* slopes;     // (S D, k)
    const float* components;  // (M, D)
    double pseudo_ratings;
    double degrees;  // ratings of ordinary noise that are added to a row's own
};

// The rows solved in every sample.
struct Means {
    Samples samples;
    Rows rows;  // (B, M)
    float* X;   // (S B, k)
};

// Columns asked about, row by row: what would be their mean and variance.
struct Moments {
    Samples samples;
    Rows rows;               // (B, M)
    const int32_t* columns;  // (m) where columns_stride is 0, or (B, m) where it is m
    int64_t columns_stride;
    int64_t n_asked;  // m
    float* mean;      // (B, m)
    float* variance;  // (B, m)
};

// Columns asked about by all rows: the mean over samples alone.
struct Scores {
    const float* X;             // (S B, k)
    const float* Y;             // (M, S k)
    const float* offsets;       // (M, S)
    int64_t n_samples, n_rows;  // S, B
    int k;
    const int32_t* columns;  // (m)
    int64_t n_asked;         // m
    float* out;              // (B, m)
};

}  // namespace matinee
