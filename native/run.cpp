#include "run.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "choose.hpp"
#include "pool.hpp"

namespace matinee {

namespace {

constexpr double kThreadWork = 1e6;  // multiply-adds that pay for starting a thread

int team_for(double work, int threads) {
    return static_cast<int>(std::clamp(work / kThreadWork, 1.0, static_cast<double>(threads)));
}

// Run rows(range) of a side in pieces of about equal work; the failure of the lowest row.
template <class Range>
Failure over_side(const Side& side, size_t bytes, double per_row, double work, int threads, const Range& range) {
    Failure first;
    std::mutex lock;
    const int team = team_for(work, threads);
    const WorkCut cut(side.rows.indptr, side.rows.n_rows, per_row, team);
    in_team(cut.pieces(), team, [&](const auto& next) {
        Buffer buffer(bytes);
        Failure mine;
        for (int64_t i = next(); i < cut.pieces(); i = next())
            range(side, buffer.data(), cut.begin(i), cut.begin(i + 1), &mine);
        const std::lock_guard<std::mutex> held(lock);
        first.note(mine.row, mine.fault);
    });
    return first;
}

double values_of(const Side& side) {
    return static_cast<double>(side.rows.indptr[side.rows.n_rows] - side.rows.indptr[0]);
}

}  // namespace

Failure solve_side(const Side& side, int threads) {
    const double k = side.k, per_row = k / 2 + 20;  // factoring against one rating's k^2 / 2
    const double work = (values_of(side) + per_row * static_cast<double>(side.rows.n_rows)) * k * (k + 8);
    return over_side(side, kernels().solve_bytes(side.k), per_row, work, threads, kernels().solve_rows);
}

Failure covariances(const Side& side, int threads) {
    const double k = side.k, per_row = 2 * k + 20;
    const double work = 4 * (values_of(side) + per_row * static_cast<double>(side.rows.n_rows)) * k * (k + 8);
    return over_side(side, kernels().covariance_bytes(side.k), per_row, work, threads, kernels().covariance_rows);
}

void top_n(const TopN& top, int threads) {
    const double work = static_cast<double>(top.n_rows) * static_cast<double>(top.n_candidates) * top.k;
    const int team = team_for(work, threads);
    const int64_t piece = std::clamp<int64_t>(top.n_rows / team, 1, kernels().top_n_rows_at_once);
    const int64_t pieces = (top.n_rows + piece - 1) / piece;
    in_team(pieces, team, [&](const auto& next) {
        Buffer buffer(kernels().top_n_bytes(top.k));
        for (int64_t i = next(); i < pieces; i = next())
            kernels().top_n_rows(top, buffer.data(), i * piece, std::min(top.n_rows, (i + 1) * piece));
    });
}

void select_top_n(const Selection& selection, int threads) {
    const double work = static_cast<double>(selection.n_rows) * static_cast<double>(selection.n_columns) * 4;
    for_ranges(selection.n_rows, 16, team_for(work, threads),
               [&](int64_t begin, int64_t end) { kernels().select_rows(selection, begin, end); });
}

void residual_sums(const Residuals& args, int threads) {
    const double values = static_cast<double>(args.rows.indptr[args.rows.n_rows] - args.rows.indptr[0]);
    const int team = team_for(4 * values * (args.k + 8), threads);
    const WorkCut cut(args.rows.indptr, args.rows.n_rows, 4, team);
    for_each(cut.pieces(), team, [&](int64_t i) { kernels().residual_rows(args, cut.begin(i), cut.begin(i + 1)); });
}

void products(const Products& args, int threads) {
    const double work = static_cast<double>(args.n_rows) * static_cast<double>(args.n_asked) * args.k;
    const int team = team_for(work, threads);
    const int64_t piece = std::clamp<int64_t>(args.n_rows / team, 1, kernels().top_n_rows_at_once);
    const int64_t pieces = (args.n_rows + piece - 1) / piece;
    in_team(pieces, team, [&](const auto& next) {
        Buffer buffer(kernels().product_bytes(args.k));
        for (int64_t i = next(); i < pieces; i = next())
            kernels().product_rows(args, buffer.data(), i * piece, std::min(args.n_rows, (i + 1) * piece));
    });
}

namespace {

double gathering_work(const Rows& rows, int64_t width) {
    return static_cast<double>(rows.indptr[rows.n_rows] - rows.indptr[0]) * static_cast<double>(width);
}

}  // namespace

void gather_rows(const Gathering& args, int threads) {
    for_ranges(args.rows.n_rows, 1, team_for(gathering_work(args.rows, args.width), threads),
               [&](int64_t begin, int64_t end) { kernels().gather_rows(args, begin, end); });
}

void item_scores(const ItemScores& args, int threads) {
    for_ranges(args.rows.n_rows, 1, team_for(gathering_work(args.rows, args.items.n), threads),
               [&](int64_t begin, int64_t end) { kernels().item_scores(args, begin, end); });
}

void item_top_n(const ItemTopN& args, int threads) {
    in_team(args.rows.n_rows, team_for(gathering_work(args.rows, args.items.n), threads), [&](const auto& next) {
        Buffer buffer(kernels().item_bytes());
        for (int64_t row = next(); row < args.rows.n_rows; row = next())
            kernels().item_top_row(args, buffer.data(), row);
    });
}

void quadratic_forms(const Forms& args, int64_t n, int threads) {
    const int team = team_for(static_cast<double>(n) * args.k * (args.k + 8), threads);
    const int64_t piece = std::clamp<int64_t>(n / team, 1, 4096), pieces = (n + piece - 1) / piece;
    in_team(pieces, team, [&](const auto& next) {
        Buffer buffer(kernels().form_bytes(args.k));
        for (int64_t i = next(); i < pieces; i = next())
            kernels().quadratic_forms(args, buffer.data(), i * piece, std::min(n, (i + 1) * piece));
    });
}

// Rows are cut into at most 64 parts by their number alone; the parts' sums are added in order.
void gram(const float* Y, int64_t n_rows, int k, double* out, int threads) {
    const int64_t blocks = (n_rows + kBlock - 1) / kBlock, part = std::max<int64_t>((blocks + 63) / 64, 16) * kBlock;
    const int64_t parts = (n_rows + part - 1) / part, size = static_cast<int64_t>(k) * k;
    std::vector<double> sums(static_cast<size_t>(parts * size));
    in_team(parts, team_for(static_cast<double>(n_rows) * k * (k + 8), threads), [&](const auto& next) {
        Buffer buffer(kernels().gram_bytes(k));
        for (int64_t i = next(); i < parts; i = next())
            kernels().gram_rows(Y, k, buffer.data(), i * part, std::min(n_rows, (i + 1) * part),
                                sums.data() + i * size);
    });
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i; j < k; j++) {
            double sum = 0;
            for (int64_t p = 0; p < parts; p++) sum += sums[p * size + i * k + j];
            out[i * k + j] = out[j * k + i] = sum;
        }
}

namespace {

// Run each(row, buffer) for all rows; the failure of the lowest.
template <class Each>
Failure over_people(int64_t n_rows, size_t bytes, double work_per_row, int threads, const Each& each) {
    Failure first;
    std::mutex lock;
    in_team(n_rows, team_for(work_per_row * static_cast<double>(n_rows), threads), [&](const auto& next) {
        Buffer buffer(bytes);
        Failure mine;
        for (int64_t row = next(); row < n_rows; row = next()) each(row, buffer.data(), &mine);
        const std::lock_guard<std::mutex> held(lock);
        first.note(mine.row, mine.fault);
    });
    return first;
}

double solving_work(const Samples& samples) {
    return static_cast<double>(samples.n) * samples.k * samples.k * (samples.k + 8);
}

}  // namespace

Failure posterior_means(const Means& args, int threads) {
    return over_people(
        args.rows.n_rows, kernels().means_bytes(args.samples), solving_work(args.samples), threads,
        [&](int64_t row, char* buffer, Failure* failure) { kernels().means_row(args, buffer, row, failure); });
}

Failure posterior_moments(const Moments& args, int threads) {
    const double asked = static_cast<double>(args.n_asked) / args.samples.k;
    return over_people(
        args.rows.n_rows, kernels().moments_bytes(args.samples, args.n_asked), solving_work(args.samples) * (1 + asked),
        threads,
        [&](int64_t row, char* buffer, Failure* failure) { kernels().moments_row(args, buffer, row, failure); });
}

void posterior_scores(const Scores& args, int threads) {
    const double per_column = static_cast<double>(args.n_samples) * args.k * static_cast<double>(args.n_rows + 8);
    for_ranges(args.n_asked, kernels().score_columns_at_once,
               team_for(per_column * static_cast<double>(args.n_asked), threads),
               [&](int64_t begin, int64_t end) { kernels().score_columns(args, begin, end); });
}

double peak(int64_t steps) { return kernels().peak(steps); }

}  // namespace matinee
