// Building, transposing and multiplying sparse matrices. Nothing here depends on the instruction set.
#pragma once

#include "arguments.hpp"

namespace matinee {

// One entry per value, in any order; pointers marked ? may be null.
struct Entries {
    const int32_t *row, *column;
    const float* value;
    const int64_t* time;  // ?
    int64_t n, n_rows, n_columns;
};

// Arrays to write: indptr (n_rows + 1), the others as long as the values.
struct CsrArrays {
    int64_t* indptr;
    int32_t* indices;
    float* values;
    int64_t* times;  // ? aligned with indices
};

// Sort entries into rows with ascending columns; of entries for one place the latest wins, among equal ones the last.
// Returns how many were kept. Throws std::invalid_argument naming the first entry outside the matrix.
int64_t build_csr(const Entries&, const CsrArrays&, int threads);

// Throws std::invalid_argument where a column is outside the matrix.
void transpose(const Rows&, const CsrArrays&, int threads);

// The symmetric (M, M) matrix X^T diag(weights) X, summed in float64 row by row. The rows of X have ascending columns.
// Throws std::invalid_argument where a column is outside the matrix.
void weighted_gram(const Rows&, const float* weights, float* out, int threads);

// How values become inputs: 1 + weight (value - m), m being the mean of the row's values and of `pseudo` ones at
// `mean`.
struct Inputs {
    double mean, pseudo, weight;
};

// Keep the columns that have a place (n_columns) >= 0, under that number, as inputs. Returns how many were kept.
// Throws std::invalid_argument where a column is outside the matrix.
int64_t relative_rows(const Rows&, const int32_t* place, const Inputs&, const CsrArrays&);

// Throws std::invalid_argument where a column is outside the matrix, naming its row.
void check_columns(const Rows&, int threads);

}  // namespace matinee
