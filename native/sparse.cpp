#include "sparse.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool.hpp"

namespace matinee {

namespace {

constexpr int kMostChunks = 16;  // chunks of a counting sort; each has counts of its own
constexpr int64_t kChunk = 1 << 16;

int chunks_for(int64_t n, int threads) {
    return static_cast<int>(std::clamp<int64_t>(n / kChunk, 1, std::min(threads, kMostChunks)));
}

[[noreturn]] void refuse(const char* what, int64_t at, int64_t value, int64_t limit) {
    throw std::invalid_argument(std::string(what) + " " + std::to_string(at) + ": " + std::to_string(value) +
                                " is not in 0 ... " + std::to_string(limit - 1));
}

// Turn counts per chunk and key into the place of the next entry of that chunk and key; write where each key starts.
void places_from_counts(std::vector<std::vector<int64_t>>& counts, int64_t n_keys, int64_t* starts) {
    int64_t place = 0;
    for (int64_t key = 0; key < n_keys; key++) {
        starts[key] = place;
        for (auto& chunk : counts) {
            const int64_t n = chunk[key];
            chunk[key] = place;
            place += n;
        }
    }
    starts[n_keys] = place;
}

struct Scan {
    std::vector<std::vector<int64_t>> counts;  // entries per row, by chunk
    bool ascending = true;                     // the entries are in order, and no place comes twice
};

bool comes_before(const Entries& e, int64_t a, int64_t b) {
    return e.row[a] != e.row[b] ? e.row[a] < e.row[b] : e.column[a] < e.column[b];
}

Scan scan(const Entries& e, int chunks, int threads) {
    Scan scan{std::vector<std::vector<int64_t>>(chunks), true};
    std::vector<char> ascending(chunks, 1);
    for_each(chunks, threads, [&](int64_t chunk) {
        std::vector<int64_t>& counts = scan.counts[chunk];
        counts.assign(e.n_rows, 0);
        bool in_order = true;
        for (int64_t i = e.n * chunk / chunks; i < e.n * (chunk + 1) / chunks; i++) {
            if (static_cast<uint32_t>(e.row[i]) >= static_cast<uint64_t>(e.n_rows))
                refuse("row of entry", i, e.row[i], e.n_rows);
            if (static_cast<uint32_t>(e.column[i]) >= static_cast<uint64_t>(e.n_columns))
                refuse("column of entry", i, e.column[i], e.n_columns);
            counts[e.row[i]]++;
            in_order &= i == 0 || comes_before(e, i - 1, i);
        }
        ascending[chunk] = in_order;
    });
    scan.ascending = std::all_of(ascending.begin(), ascending.end(), [](char yes) { return yes; });
    return scan;
}

void copy_in_order(const Entries& e, const CsrArrays& out, int threads) {
    for_ranges(e.n, kChunk, threads, [&](int64_t begin, int64_t end) {
        std::copy(e.column + begin, e.column + end, out.indices + begin);
        std::copy(e.value + begin, e.value + end, out.values + begin);
        if (out.times) std::copy(e.time + begin, e.time + end, out.times + begin);
    });
}

// A column and the number of its entry in one word: sorting these sorts by column, and entries by their number.
using Key = uint64_t;
Key key_of(int32_t column, int64_t entry) { return static_cast<Key>(column) << 32 | static_cast<Key>(entry); }
int32_t column_of(Key key) { return static_cast<int32_t>(key >> 32); }
int64_t entry_of(Key key) { return static_cast<int64_t>(key & 0xFFFFFFFF); }

// Sort a row's keys, keep the winner of each column, and return how many are kept.
int64_t keep_winners(const Entries& e, Key* begin, Key* end) {
    if (!std::is_sorted(begin, end)) std::sort(begin, end);
    Key* kept = begin;
    for (Key* key = begin; key < end; key++) {
        if (kept > begin && column_of(kept[-1]) == column_of(*key)) {
            if (!e.time || e.time[entry_of(*key)] >= e.time[entry_of(kept[-1])]) kept[-1] = *key;
        } else {
            *kept++ = *key;
        }
    }
    return kept - begin;
}

}  // namespace

int64_t build_csr(const Entries& e, const CsrArrays& out, int threads) {
    if (e.n > std::numeric_limits<uint32_t>::max()) throw std::invalid_argument("more than 4,294,967,295 entries");
    const int chunks = chunks_for(e.n, threads);
    Scan scanned = scan(e, chunks, threads);
    places_from_counts(scanned.counts, e.n_rows, out.indptr);
    if (scanned.ascending) {
        copy_in_order(e, out, threads);
        return e.n;
    }
    const std::unique_ptr<Key[]> keys(new Key[e.n]);
    for_each(chunks, threads, [&](int64_t chunk) {
        int64_t* places = scanned.counts[chunk].data();
        for (int64_t i = e.n * chunk / chunks; i < e.n * (chunk + 1) / chunks; i++)
            keys[places[e.row[i]]++] = key_of(e.column[i], i);
    });
    std::vector<int64_t> starts(out.indptr, out.indptr + e.n_rows + 1), kept(e.n_rows);
    const WorkCut cut(starts.data(), e.n_rows, 1, threads);
    for_each(cut.pieces(), threads, [&](int64_t piece) {
        for (int64_t row = cut.begin(piece); row < cut.begin(piece + 1); row++)
            kept[row] = keep_winners(e, keys.get() + starts[row], keys.get() + starts[row + 1]);
    });
    for (int64_t row = 0; row < e.n_rows; row++) out.indptr[row + 1] = out.indptr[row] + kept[row];
    for_each(cut.pieces(), threads, [&](int64_t piece) {
        for (int64_t row = cut.begin(piece); row < cut.begin(piece + 1); row++)
            for (int64_t i = 0; i < kept[row]; i++) {
                const Key key = keys[starts[row] + i];
                const int64_t to = out.indptr[row] + i;
                out.indices[to] = column_of(key);
                out.values[to] = e.value[entry_of(key)];
                if (out.times) out.times[to] = e.time[entry_of(key)];
            }
    });
    return out.indptr[e.n_rows];
}

namespace {

// Scatter every value to its column: write(place, row, position in the matrix).
template <class Write>
void scatter_by_column(const Rows& m, int64_t* starts, int threads, const Write& write) {
    const int64_t first = m.indptr[0];
    const int chunks = chunks_for(m.indptr[m.n_rows] - first, threads);
    const WorkCut cut(m.indptr, m.n_rows, 1, 1);
    std::vector<std::vector<int64_t>> counts(chunks);
    std::vector<int64_t> begins(chunks + 1);
    for (int chunk = 0; chunk <= chunks; chunk++) {
        const int64_t goal = first + (m.indptr[m.n_rows] - first) * chunk / chunks;
        begins[chunk] = chunk == chunks ? m.n_rows : std::lower_bound(m.indptr, m.indptr + m.n_rows, goal) - m.indptr;
    }
    for_each(chunks, threads, [&](int64_t chunk) {
        counts[chunk].assign(m.n_columns, 0);
        for (int64_t p = m.indptr[begins[chunk]]; p < m.indptr[begins[chunk + 1]]; p++) {
            if (static_cast<uint32_t>(m.indices[p]) >= static_cast<uint64_t>(m.n_columns))
                refuse("column of value", p, m.indices[p], m.n_columns);
            counts[chunk][m.indices[p]]++;
        }
    });
    places_from_counts(counts, m.n_columns, starts);
    for_each(chunks, threads, [&](int64_t chunk) {
        int64_t* places = counts[chunk].data();
        for (int64_t row = begins[chunk]; row < begins[chunk + 1]; row++)
            for (int64_t p = m.indptr[row]; p < m.indptr[row + 1]; p++) write(places[m.indices[p]]++, row, p);
    });
}

}  // namespace

void transpose(const Rows& m, const CsrArrays& out, int threads) {
    scatter_by_column(m, out.indptr, threads, [&](int64_t to, int64_t row, int64_t p) {
        out.indices[to] = static_cast<int32_t>(row);
        out.values[to] = m.values[p];
    });
}

void weighted_gram(const Rows& m, const float* weights, float* out, int threads) {
    struct Rating {
        int64_t position;
        int32_t row;
        float weighted;
    };
    const int64_t M = m.n_columns;
    std::vector<int64_t> starts(M + 1);
    std::vector<Rating> ratings(m.indptr[m.n_rows] - m.indptr[0]);
    scatter_by_column(m, starts.data(), threads, [&](int64_t to, int64_t row, int64_t p) {
        ratings[to] = {p, static_cast<int32_t>(row), weights[row] * m.values[p]};
    });
    in_team(M, threads, [&](const auto& next) {
        std::vector<double> sums(M);
        for (int64_t i = next(); i < M; i = next()) {
            std::fill(sums.begin() + i, sums.end(), 0.0);
            for (int64_t r = starts[i]; r < starts[i + 1]; r++) {
                const Rating& rating = ratings[r];
                for (int64_t p = rating.position; p < m.indptr[rating.row + 1]; p++)
                    sums[m.indices[p]] += static_cast<double>(rating.weighted) * m.values[p];
            }
            for (int64_t j = i; j < M; j++) out[i * M + j] = static_cast<float>(sums[j]);
        }
    });
    for_ranges(M, 64, threads, [&](int64_t begin, int64_t end) {
        for (int64_t j = 0; j < end; j++)
            for (int64_t i = std::max(begin, j + 1); i < end; i++) out[i * M + j] = out[j * M + i];
    });
}

int64_t relative_rows(const Rows& rows, const int32_t* place, const Inputs& inputs, const CsrArrays& out) {
    int64_t kept = 0;
    out.indptr[0] = 0;
    for (int64_t row = 0; row < rows.n_rows; row++) {
        const int64_t first = kept;
        double sum = inputs.pseudo * inputs.mean;
        for (int64_t p = rows.indptr[row]; p < rows.indptr[row + 1]; p++) {
            const int32_t column = rows.indices[p];
            if (static_cast<uint32_t>(column) >= static_cast<uint64_t>(rows.n_columns))
                refuse("column in row", row, column, rows.n_columns);
            if (place[column] < 0) continue;
            sum += rows.values[p];
            out.indices[kept] = place[column];
            out.values[kept++] = rows.values[p];
        }
        const double usual = sum / (static_cast<double>(kept - first) + inputs.pseudo);
        for (int64_t p = first; p < kept; p++)
            out.values[p] = static_cast<float>(1 + inputs.weight * (out.values[p] - usual));
        out.indptr[row + 1] = kept;
    }
    return kept;
}

void check_columns(const Rows& m, int threads) {
    const int64_t first = m.indptr[0];
    for_ranges(m.indptr[m.n_rows] - first, kChunk, threads, [&](int64_t begin, int64_t end) {
        for (int64_t p = first + begin; p < first + end; p++)
            if (static_cast<uint32_t>(m.indices[p]) >= static_cast<uint64_t>(m.n_columns))
                refuse("column of value", p, m.indices[p], m.n_columns);
    });
}

}  // namespace matinee
