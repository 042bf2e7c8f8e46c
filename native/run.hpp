// The kernels over all rows: cut into pieces, spread over a team of threads.
#pragma once

#include "arguments.hpp"

namespace matinee {

Failure solve_side(const Side&, int threads);
Failure covariances(const Side&, int threads);
void top_n(const TopN&, int threads);
void select_top_n(const Selection&, int threads);
void residual_sums(const Residuals&, int threads);
void products(const Products&, int threads);
void gather_rows(const Gathering&, int threads);
void item_scores(const ItemScores&, int threads);
void item_top_n(const ItemTopN&, int threads);
void quadratic_forms(const Forms&, int64_t n, int threads);
void gram(const float* Y, int64_t n_rows, int k, double* out, int threads);
Failure posterior_means(const Means&, int threads);
Failure posterior_moments(const Moments&, int threads);
void posterior_scores(const Scores&, int threads);
double peak(int64_t steps);

}  // namespace matinee
