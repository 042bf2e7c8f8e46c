// The kernels compiled for one instruction set: CMakeLists.txt compiles this file once per set, with the compiler
// flags of the set and MATINEE_ISA as its name.
#include "isa.hpp"

#include "covariance.hpp"
#include "items.hpp"
#include "posterior.hpp"
#include "products.hpp"
#include "select.hpp"
#include "solve.hpp"

#define MATINEE_TEXT_OF(name) #name
#define MATINEE_TEXT(name) MATINEE_TEXT_OF(name)

namespace matinee::MATINEE_ISA {

static double peak(int64_t steps) {
    constexpr int chains = kRegisters == 32 ? 24 : 12;
    F sums[chains];
    for (int i = 0; i < chains; i++) sums[i] = all((float)i);
    const F x = all(0.999f), y = all(0.001f);
    for (int64_t step = 0; step < steps; step++) {
        MATINEE_UNROLL
        for (int i = 0; i < chains; i++) sums[i] = sums[i] * x + y;
    }
    F total{};
    for (int i = 0; i < chains; i++) total += sums[i];
    return 2.0 * chains * kLanes * (double)steps + (total[0] > 1e30f);
}

extern const Kernels kernels;
const Kernels kernels = {
    MATINEE_TEXT(MATINEE_ISA),
    solve_bytes,
    solve_rows,
    covariance_bytes,
    covariance_rows,
    kPanelUsers,
    top_n_bytes,
    top_n_rows,
    select_rows,
    residual_rows,
    product_bytes,
    product_rows,
    gather_rows,
    item_scores,
    item_bytes,
    item_top_row,
    form_bytes,
    quadratic_forms,
    gram_bytes,
    gram_rows,
    means_bytes,
    means_row,
    moments_bytes,
    moments_row,
    kScoredColumns,
    score_columns,
    peak,
};

}  // namespace matinee::MATINEE_ISA
