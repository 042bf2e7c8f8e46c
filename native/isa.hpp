// The kernels of one instruction set; choose.hpp takes one.
//
// Each function works on one range of rows in one thread, in a buffer the caller has aligned to 64 bytes and made as
// large as the function beside it says.
#pragma once

#include "arguments.hpp"

namespace matinee {

struct Kernels {
    const char* name;

    size_t (*solve_bytes)(int k);
    void (*solve_rows)(const Side&, char* buffer, int64_t begin, int64_t end, Failure*);
    size_t (*covariance_bytes)(int k);
    void (*covariance_rows)(const Side&, char* buffer, int64_t begin, int64_t end, Failure*);

    int64_t top_n_rows_at_once;
    size_t (*top_n_bytes)(int k);
    void (*top_n_rows)(const TopN&, char* buffer, int64_t begin, int64_t end);
    void (*select_rows)(const Selection&, int64_t begin, int64_t end);

    void (*residual_rows)(const Residuals&, int64_t begin, int64_t end);
    size_t (*product_bytes)(int k);
    void (*product_rows)(const Products&, char* buffer, int64_t begin, int64_t end);
    void (*gather_rows)(const Gathering&, int64_t begin, int64_t end);
    void (*item_scores)(const ItemScores&, int64_t begin, int64_t end);
    size_t (*item_bytes)();
    void (*item_top_row)(const ItemTopN&, char* buffer, int64_t row);
    size_t (*form_bytes)(int k);
    void (*quadratic_forms)(const Forms&, char* buffer, int64_t begin, int64_t end);
    size_t (*gram_bytes)(int k);
    void (*gram_rows)(const float* Y, int k, char* buffer, int64_t begin, int64_t end, double* out);

    size_t (*means_bytes)(const Samples&);
    void (*means_row)(const Means&, char* buffer, int64_t row, Failure*);
    size_t (*moments_bytes)(const Samples&, int64_t n_asked);
    void (*moments_row)(const Moments&, char* buffer, int64_t row, Failure*);
    int64_t score_columns_at_once;
    void (*score_columns)(const Scores&, int64_t begin, int64_t end);

    double (*peak)(int64_t steps);  // runs independent float32 multiply-adds; returns how many operations
};

}  // namespace matinee
