// A team of threads for one call: made for it, joined before it returns, so nothing outlives a fork or an exit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace matinee {

// Memory for one thread's work, aligned to a cache line.
class Buffer {
  public:
    explicit Buffer(size_t bytes) : data_(static_cast<char*>(::operator new(bytes + 1, std::align_val_t{64}))) {}
    ~Buffer() { ::operator delete(data_, std::align_val_t{64}); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    char* data() { return data_; }

  private:
    char* data_;
};

// Run work(next) in up to `threads` threads; next() hands out 0 ... n - 1, then n or more. The first exception of any
// thread is thrown again here.
template <class Work>
void in_team(int64_t n, int threads, const Work& work) {
    std::atomic<int64_t> counter{0};
    std::exception_ptr failed;
    std::mutex lock;
    const auto next = [&] { return counter.fetch_add(1, std::memory_order_relaxed); };
    const auto guarded = [&] {
        try {
            work(next);
        } catch (...) {
            const std::lock_guard<std::mutex> held(lock);
            if (!failed) failed = std::current_exception();
            counter = n;
        }
    };
    std::vector<std::thread> team;
    const int64_t size = threads < n ? threads : n;
    try {
        for (int64_t i = 1; i < size; i++) team.emplace_back(guarded);
    } catch (const std::system_error&) {
        // fewer threads than asked for do the same work
    }
    guarded();
    for (std::thread& member : team) member.join();
    if (failed) std::rethrow_exception(failed);
}

// Run each(i) for 0 <= i < n, in any order.
template <class Each>
void for_each(int64_t n, int threads, const Each& each) {
    in_team(n, threads, [&](const auto& next) {
        for (int64_t i = next(); i < n; i = next()) each(i);
    });
}

// Cut `n` items into pieces and run each(begin, end) for every piece.
template <class Each>
void for_ranges(int64_t n, int64_t piece, int threads, const Each& each) {
    for_each((n + piece - 1) / piece, threads,
             [&](int64_t i) { each(i * piece, i * piece + piece < n ? i * piece + piece : n); });
}

// Rows cut into pieces of about equal work, a row costing `per_row` and each of its values 1.
class WorkCut {
  public:
    WorkCut(const int64_t* indptr, int64_t n_rows, double per_row, int threads)
        : indptr_(indptr), n_rows_(n_rows), per_row_(per_row) {
        const int64_t most = 32 * static_cast<int64_t>(threads);
        pieces_ = threads == 1 ? 1 : n_rows < most ? n_rows : most;
    }
    int64_t pieces() const { return pieces_; }
    // The first row of a piece.
    int64_t begin(int64_t piece) const {
        const double goal = work(n_rows_) * static_cast<double>(piece) / static_cast<double>(pieces_);
        int64_t low = 0, high = n_rows_;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (work(middle) < goal) low = middle + 1;
            else high = middle;
        }
        return piece == pieces_ ? n_rows_ : low;
    }

  private:
    double work(int64_t row) const {
        return static_cast<double>(indptr_[row] - indptr_[0]) + per_row_ * static_cast<double>(row);
    }

    const int64_t* indptr_;
    int64_t n_rows_;
    double per_row_;
    int64_t pieces_;
};

}  // namespace matinee
