// The module matinee.kernels._native: NumPy arrays in, pointers out. matinee/kernels checks and documents every call.
//
// What the arrays hold, their dtypes and shapes, is checked in matinee/kernels; here only what a kernel reads as an
// address: row pointers (and columns, in the kernels). Every call releases the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "choose.hpp"
#include "run.hpp"
#include "sparse.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, int dimensions>
using In = nb::ndarray<const T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
template <class T, int dimensions>
using Out = nb::ndarray<T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
template <class T, int dimensions>
using Maybe = std::optional<In<T, dimensions>>;
using Indptr = In<int64_t, 1>;
using Indices = In<int32_t, 1>;
using Values = In<float, 1>;

template <class Array>
auto pointer(const std::optional<Array>& array) -> decltype(array->data()) {
    return array ? array->data() : nullptr;
}
template <class Array>
int64_t rows_of(const Array& array) {
    return static_cast<int64_t>(array.shape(0));
}
template <class Array>
int64_t columns_of(const Array& array) {
    return static_cast<int64_t>(array.shape(1));
}

void require(bool fine, const char* rule) {
    if (!fine) throw std::invalid_argument(rule);
}

// The row pointers rise from 0 or more to at most the number of values, so that a row can be read.
void check_indptr(const int64_t* indptr, int64_t n_rows, int64_t n) {
    bool rises = indptr[0] >= 0 && indptr[n_rows] <= n;
    for (int64_t row = 0; row < n_rows; row++) rises &= indptr[row] <= indptr[row + 1];
    require(rises, "row pointers must rise from 0 to the number of values");
}

matinee::Rows rows_from(const Indptr& indptr, const Indices& indices, const Values& values, int64_t n_columns) {
    require(indptr.shape(0) > 0, "row pointers must have one more entry than there are rows");
    require(indices.shape(0) == values.shape(0), "there must be as many values as columns");
    const int64_t n_rows = rows_of(indptr) - 1;
    check_indptr(indptr.data(), n_rows, rows_of(indices));
    return {indptr.data(), indices.data(), values.data(), n_rows, n_columns};
}

struct Exclude {
    const int64_t* indptr;
    const int32_t* indices;
};

Exclude exclude_from(const Maybe<int64_t, 1>& indptr, const Maybe<int32_t, 1>& indices, int64_t n_rows) {
    if (!indptr || !indices) return {nullptr, nullptr};
    require(rows_of(*indptr) == n_rows + 1, "exclude must have one row per row asked about");
    check_indptr(indptr->data(), n_rows, rows_of(*indices));
    return {indptr->data(), indices->data()};
}

using Problem = std::pair<int64_t, std::string>;

Problem problem_of(const matinee::Failure& failure) {
    switch (failure.fault) {
        case matinee::Fault::none:
            return {-1, ""};
        case matinee::Fault::column_out_of_range:
            return {failure.row, "column"};
        case matinee::Fault::not_positive_definite:
            return {failure.row, "definite"};
    }
    return {-1, ""};
}

// The arguments that solving and covariances share.
class SideArguments {
  public:
    SideArguments(Indptr indptr, Indices indices, Values values, In<float, 2> Y, In<double, 1> reg, Maybe<double, 2> A0,
                  Maybe<double, 2> b0, std::optional<float> alpha, Maybe<float, 1> row_weight,
                  Maybe<float, 1> other_weight, Maybe<float, 1> other_offset)
        : indptr(indptr),
          indices(indices),
          values(values),
          Y(Y),
          reg(reg),
          A0(A0),
          b0(b0),
          alpha(alpha),
          row_weight(row_weight),
          other_weight(other_weight),
          other_offset(other_offset) {}

    matinee::Side side() const {
        matinee::Side side{};
        side.rows = rows_from(indptr, indices, values, rows_of(Y));
        side.Y = Y.data();
        side.k = static_cast<int>(columns_of(Y));
        side.stride = side.k;
        side.reg = reg.data();
        side.A0 = pointer(A0);
        side.b0 = pointer(b0);
        side.b0_stride = b0 && b0->shape(0) > 1 ? side.k : 0;
        side.implicit = alpha.has_value();
        side.alpha = alpha.value_or(0);
        side.row_weight = pointer(row_weight);
        side.other_weight = pointer(other_weight);
        side.other_offset = pointer(other_offset);
        side.apart = 1;
        return side;
    }

  private:
    Indptr indptr;
    Indices indices;
    Values values;
    In<float, 2> Y;
    In<double, 1> reg;
    Maybe<double, 2> A0, b0;
    std::optional<float> alpha;
    Maybe<float, 1> row_weight, other_weight, other_offset;
};

Problem solve_side(const SideArguments& arguments, std::optional<std::pair<uint64_t, uint64_t>> noise,
                   int64_t first_row, Out<float, 2> out, int threads) {
    matinee::Side side = arguments.side();
    side.noisy = noise.has_value();
    if (noise) side.seed = noise->first, side.sweep = noise->second;
    side.first_row = first_row;
    side.out = out.data();
    nb::gil_scoped_release released;
    return problem_of(matinee::solve_side(side, threads));
}

Problem covariances(const SideArguments& arguments, Out<double, 3> out, int threads) {
    matinee::Side side = arguments.side();
    side.covariances = out.data();
    nb::gil_scoped_release released;
    return problem_of(matinee::covariances(side, threads));
}

// The positions that a mask allows, ascending.
std::vector<int32_t> candidates_of(const In<bool, 1>& allowed) {
    std::vector<int32_t> candidates(allowed.shape(0) + 1);
    size_t n = 0;
    for (size_t i = 0; i < allowed.shape(0); i++) {
        candidates[n] = static_cast<int32_t>(i);
        n += allowed.data()[i];
    }
    candidates.resize(n);
    return candidates;
}

void top_n(In<float, 2> X, In<float, 2> Y, Maybe<float, 1> bias, Maybe<bool, 1> allowed,
           Maybe<int64_t, 1> exclude_indptr, Maybe<int32_t, 1> exclude, Out<int32_t, 2> positions, Out<float, 2> scores,
           int threads) {
    const Exclude out = exclude_from(exclude_indptr, exclude, rows_of(X));
    const std::vector<int32_t> candidates = allowed ? candidates_of(*allowed) : std::vector<int32_t>();
    const matinee::TopN top{X.data(),
                            Y.data(),
                            pointer(bias),
                            rows_of(X),
                            rows_of(Y),
                            static_cast<int>(columns_of(X)),
                            columns_of(positions),
                            allowed ? candidates.data() : nullptr,
                            allowed ? static_cast<int64_t>(candidates.size()) : rows_of(Y),
                            out.indptr,
                            out.indices,
                            positions.data(),
                            scores.data()};
    nb::gil_scoped_release released;
    matinee::top_n(top, threads);
}

void select_top_n(In<float, 2> scores, Maybe<bool, 1> allowed, Maybe<int64_t, 1> exclude_indptr,
                  Maybe<int32_t, 1> exclude, Out<int32_t, 2> positions, Out<float, 2> best, int threads) {
    const Exclude out = exclude_from(exclude_indptr, exclude, rows_of(scores));
    const matinee::Selection selection{scores.data(),         rows_of(scores),  columns_of(scores),
                                       columns_of(positions), pointer(allowed), out.indptr,
                                       out.indices,           positions.data(), best.data()};
    nb::gil_scoped_release released;
    matinee::select_top_n(selection, threads);
}

int64_t build_csr(Indices row, Indices column, Values value, Maybe<int64_t, 1> time, int64_t n_columns,
                  Out<int64_t, 1> indptr, Out<int32_t, 1> indices, Out<float, 1> values,
                  std::optional<Out<int64_t, 1>> times, int threads) {
    const matinee::Entries entries{row.data(),   column.data(),       value.data(), pointer(time),
                                   rows_of(row), rows_of(indptr) - 1, n_columns};
    nb::gil_scoped_release released;
    return matinee::build_csr(entries, {indptr.data(), indices.data(), values.data(), times ? times->data() : nullptr},
                              threads);
}

void transpose(Indptr indptr, Indices indices, Values values, Out<int64_t, 1> out_indptr, Out<int32_t, 1> out_indices,
               Out<float, 1> out_values, int threads) {
    const matinee::Rows rows = rows_from(indptr, indices, values, rows_of(out_indptr) - 1);
    nb::gil_scoped_release released;
    matinee::transpose(rows, {out_indptr.data(), out_indices.data(), out_values.data(), nullptr}, threads);
}

void weighted_gram(Indptr indptr, Indices indices, Values values, Values weights, Out<float, 2> out, int threads) {
    const matinee::Rows rows = rows_from(indptr, indices, values, rows_of(out));
    nb::gil_scoped_release released;
    matinee::weighted_gram(rows, weights.data(), out.data(), threads);
}

void gather_rows(Indptr indptr, Indices indices, Values values, In<float, 2> matrix, Out<float, 2> out, int threads) {
    const matinee::Gathering gathering{rows_from(indptr, indices, values, rows_of(matrix)), matrix.data(),
                                       columns_of(matrix), out.data()};
    nb::gil_scoped_release released;
    matinee::check_columns(gathering.rows, threads);
    matinee::gather_rows(gathering, threads);
}

// The place of a text among sorted ones, which lie one after the other and start at `starts`; -1 where it is not there.
int64_t find_text(Indices starts, In<uint8_t, 1> texts, nb::bytes wanted) {
    const std::string_view all(reinterpret_cast<const char*>(texts.data()), texts.shape(0));
    const std::string_view text(wanted.c_str(), wanted.size());
    const auto at = [&](int64_t i) {
        const int64_t start = starts.data()[i], end = starts.data()[i + 1];
        require(0 <= start && start <= end && end <= static_cast<int64_t>(all.size()), "texts must lie within all");
        return all.substr(start, end - start);
    };
    int64_t low = 0, high = rows_of(starts) - 1;
    const int64_t n = high;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (at(middle) < text) low = middle + 1;
        else high = middle;
    }
    return low < n && at(low) == text ? low : -1;
}

int64_t relative_rows(Indptr indptr, Indices indices, Values values, Indices place, double mean, double pseudo,
                      double weight, Out<int64_t, 1> out_indptr, Out<int32_t, 1> out_indices,
                      Out<float, 1> out_values) {
    const matinee::Rows rows = rows_from(indptr, indices, values, rows_of(place));
    nb::gil_scoped_release released;
    return matinee::relative_rows(rows, place.data(), {mean, pseudo, weight},
                                  {out_indptr.data(), out_indices.data(), out_values.data(), nullptr});
}

// Items that score items, checked once for many calls.
class ItemsArguments {
  public:
    ItemsArguments(In<float, 2> W, Values scale, Values base, Indices names, float base_weight, float damping)
        : W(W), scale(scale), base(base), names(names), base_weight(base_weight), damping(damping) {}

    matinee::Items items() const {
        return {W.data(), scale.data(), base.data(), rows_of(W), names.data(), base_weight, damping};
    }

  private:
    In<float, 2> W;
    Values scale, base;
    Indices names;
    float base_weight, damping;
};

void item_scores(const ItemsArguments& arguments, Indptr indptr, Indices indices, Values values, Out<float, 2> out,
                 int threads) {
    const matinee::Items items = arguments.items();
    const matinee::ItemScores scores{items, rows_from(indptr, indices, values, items.n), out.data()};
    nb::gil_scoped_release released;
    matinee::check_columns(scores.rows, threads);
    matinee::item_scores(scores, threads);
}

void item_top_n(const ItemsArguments& arguments, Indptr indptr, Indices indices, Values values, Maybe<bool, 1> allowed,
                Maybe<int64_t, 1> exclude_indptr, Maybe<int32_t, 1> exclude, Out<int32_t, 2> positions,
                Out<float, 2> scores, int threads) {
    const matinee::Items items = arguments.items();
    const matinee::Rows rows = rows_from(indptr, indices, values, items.n);
    const Exclude out = exclude_from(exclude_indptr, exclude, rows.n_rows);
    const matinee::ItemTopN top{items,      rows,        columns_of(positions), pointer(allowed),
                                out.indptr, out.indices, positions.data(),      scores.data()};
    nb::gil_scoped_release released;
    matinee::check_columns(rows, threads);
    matinee::item_top_n(top, threads);
}

void residual_sums(Indptr indptr, Indices indices, Values values, In<float, 2> X, In<float, 2> Y,
                   Maybe<float, 1> row_offset, Maybe<float, 1> other_offset, Maybe<float, 1> other_weight,
                   Out<double, 1> out, int threads) {
    const matinee::Residuals residuals{rows_from(indptr, indices, values, rows_of(Y)),
                                       X.data(),
                                       Y.data(),
                                       static_cast<int>(columns_of(Y)),
                                       columns_of(Y),
                                       pointer(row_offset),
                                       pointer(other_offset),
                                       pointer(other_weight),
                                       1,
                                       out.data()};
    nb::gil_scoped_release released;
    matinee::check_columns(residuals.rows, threads);
    matinee::residual_sums(residuals, threads);
}

void products(In<float, 2> X, In<float, 2> Y, Maybe<int32_t, 2> columns, Out<float, 2> out, int threads) {
    const int64_t m = columns_of(out);
    const matinee::Products products{X.data(),
                                     Y.data(),
                                     rows_of(X),
                                     static_cast<int>(columns_of(Y)),
                                     pointer(columns),
                                     columns && rows_of(*columns) > 1 ? m : 0,
                                     m,
                                     out.data()};
    nb::gil_scoped_release released;
    matinee::products(products, threads);
}

void quadratic_forms(In<double, 2> C, In<float, 2> Y, Maybe<int32_t, 1> positions, Out<float, 1> out, int threads) {
    const matinee::Forms forms{C.data(), Y.data(), static_cast<int>(columns_of(Y)), pointer(positions), out.data()};
    nb::gil_scoped_release released;
    matinee::quadratic_forms(forms, rows_of(out), threads);
}

// One kind of factors of all movies in all samples.
struct SampledArrays {
    In<float, 2> Y, offsets, precisions;

    matinee::Sampled pointers() const { return {Y.data(), offsets.data(), precisions.data()}; }
};

// What the calls over samples share, checked once for many calls.
class PosteriorArguments {
  public:
    PosteriorArguments(In<float, 2> Y, In<float, 2> offsets, In<float, 2> precisions, In<float, 2> asked_Y,
                       In<float, 2> asked_offsets, In<float, 2> asked_precisions, In<double, 2> A0, In<float, 2> roots,
                       In<double, 2> base, In<double, 2> slopes, In<float, 2> components, double pseudo_ratings,
                       double degrees)
        : rated{Y, offsets, precisions},
          asked{asked_Y, asked_offsets, asked_precisions},
          A0(A0),
          roots(roots),
          base(base),
          slopes(slopes),
          components(components),
          pseudo_ratings(pseudo_ratings),
          degrees(degrees) {}

    matinee::Samples samples() const {
        return {rows_of(base),
                rows_of(components),
                static_cast<int>(columns_of(base)),
                static_cast<int>(columns_of(components)),
                rated.pointers(),
                asked.pointers(),
                A0.data(),
                roots.data(),
                base.data(),
                slopes.data(),
                components.data(),
                pseudo_ratings,
                degrees};
    }

  private:
    SampledArrays rated, asked;
    In<double, 2> A0;
    In<float, 2> roots;
    In<double, 2> base, slopes;
    In<float, 2> components;
    double pseudo_ratings, degrees;
};

Problem posterior_means(const PosteriorArguments& arguments, Indptr indptr, Indices indices, Values values,
                        Out<float, 3> X, int threads) {
    const matinee::Samples samples = arguments.samples();
    const matinee::Means means{samples, rows_from(indptr, indices, values, samples.n_columns), X.data()};
    nb::gil_scoped_release released;
    return problem_of(matinee::posterior_means(means, threads));
}

Problem posterior_moments(const PosteriorArguments& arguments, Indptr indptr, Indices indices, Values values,
                          In<int32_t, 2> columns, Out<float, 2> mean, Out<float, 2> variance, int threads) {
    const matinee::Samples samples = arguments.samples();
    const int64_t m = columns_of(columns);
    const matinee::Moments moments{samples,
                                   rows_from(indptr, indices, values, samples.n_columns),
                                   columns.data(),
                                   rows_of(columns) > 1 ? m : 0,
                                   m,
                                   mean.data(),
                                   variance.data()};
    nb::gil_scoped_release released;
    return problem_of(matinee::posterior_moments(moments, threads));
}

void posterior_scores(In<float, 3> X, In<float, 2> Y, In<float, 2> offsets, Indices columns, Out<float, 2> out,
                      int threads) {
    const matinee::Scores scores{X.data(),       Y.data(),         offsets.data(),
                                 rows_of(X),     columns_of(X),    static_cast<int>(X.shape(2)),
                                 columns.data(), rows_of(columns), out.data()};
    nb::gil_scoped_release released;
    matinee::posterior_scores(scores, threads);
}

void gram(In<float, 2> Y, Out<double, 2> out, int threads) {
    nb::gil_scoped_release released;
    matinee::gram(Y.data(), rows_of(Y), static_cast<int>(columns_of(Y)), out.data(), threads);
}

double peak(int64_t steps) {
    nb::gil_scoped_release released;
    return matinee::peak(steps);
}

}  // namespace

// A wrong MATINEE_ISA is the user's to mend, whichever call meets it first.
void raise_usage_error(const std::exception_ptr& raised, void*) {
    try {
        std::rethrow_exception(raised);
    } catch (const matinee::NoSuchInstructionSet& problem) {
        PyErr_SetString(nb::module_::import_("matinee.errors").attr("UsageError").ptr(), problem.what());
    }
}

NB_MODULE(_native, module) {
    nb::set_leak_warnings(false);  // a model that lives until the interpreter ends keeps its arrays, and says nothing
    nb::register_exception_translator(raise_usage_error);
    nb::class_<SideArguments>(module, "Side")
        .def(nb::init<Indptr, Indices, Values, In<float, 2>, In<double, 1>, Maybe<double, 2>, Maybe<double, 2>,
                      std::optional<float>, Maybe<float, 1>, Maybe<float, 1>, Maybe<float, 1>>(),
             "indptr"_a, "indices"_a, "values"_a, "Y"_a, "reg"_a, "A0"_a.none(), "b0"_a.none(), "alpha"_a.none(),
             "row_weight"_a.none(), "other_weight"_a.none(), "other_offset"_a.none());
    module.def("instruction_set", [] { return matinee::kernels().name; });
    module.def("instruction_sets", &matinee::instruction_sets);
    module.def("peak", &peak);
    module.def("solve_side", &solve_side);
    module.def("covariances", &covariances);
    module.def("top_n", &top_n);
    module.def("select_top_n", &select_top_n);
    module.def("build_csr", &build_csr);
    module.def("transpose", &transpose);
    module.def("weighted_gram", &weighted_gram);
    module.def("gather_rows", &gather_rows);
    module.def("find_text", &find_text);
    module.def("relative_rows", &relative_rows);
    nb::class_<ItemsArguments>(module, "Items").def(nb::init<In<float, 2>, Values, Values, Indices, float, float>());
    module.def("item_scores", &item_scores);
    module.def("item_top_n", &item_top_n);
    module.def("residual_sums", &residual_sums);
    module.def("products", &products);
    module.def("quadratic_forms", &quadratic_forms);
    module.def("gram", &gram);
    nb::class_<PosteriorArguments>(module, "Posterior")
        .def(nb::init<In<float, 2>, In<float, 2>, In<float, 2>, In<float, 2>, In<float, 2>, In<float, 2>, In<double, 2>,
                      In<float, 2>, In<double, 2>, In<double, 2>, In<float, 2>, double, double>());
    module.def("posterior_means", &posterior_means);
    module.def("posterior_moments", &posterior_moments);
    module.def("posterior_scores", &posterior_scores);
}
