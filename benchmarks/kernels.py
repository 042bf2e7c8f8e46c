"""How fast the kernels are: seconds, GFLOPS and the share of the multiply-adds this machine can do.

    python benchmarks/kernels.py [--ratings 21000000] [--ranks 8,16,32,64,128] [--threads 2] [--rounds 3]
                                 [--only csr,als,select,products]

Synthetic data in the tutorial's proportions, 70 % of it for training. `als` is ten iterations of both sides after the
matrices are built; its GFLOPS count k (k + 3) per rating and k^3 / 3 + 2 k^2 per row, not what padding adds. The peak
is measured: independent float32 multiply-adds in registers, each thread on its own. Other load on the machine shows in
the seconds but not in the processor time, so both are printed. The median of the rounds is appended to
results/kernels.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from record import keep

import matinee.kernels._native as native
from matinee import kernels
from matinee.datasets.synthetic import synthetic
from matinee.kernels import Csr

REG, ITERATIONS = 0.1, 10
FULL = {"users": 229_772, "movies": 27_300, "ratings": 21_000_000}


@dataclass(frozen=True)
class Timing:
    """One line of the table: what ran, the median seconds by the clock, processor seconds per thread, operations."""

    name: str
    seconds: float
    processor: float
    gflops: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Bench:
    """What every benchmark needs: training ratings both ways, threads, rounds, the peak of all threads in GFLOPS."""

    by_user: Csr
    by_movie: Csr
    threads: int
    rounds: int
    peak: float

    def time(
        self, name: str, act: Callable[[], object], *, times: int = 1, threads: int = 0, flops: float = 0
    ) -> Timing:
        """Run `act` once to warm up and then `rounds` times; the seconds are for `times` runs of it."""
        act()
        clock, processor = [], []
        for _ in range(self.rounds):
            begin, used = time.perf_counter(), time.process_time()
            act()
            clock.append((time.perf_counter() - begin) * times)
            processor.append((time.process_time() - used) * times / (threads or self.threads))
        seconds = statistics.median(clock)
        rate = flops / seconds / 1e9 if flops else None
        return Timing(name, seconds, statistics.median(processor), rate, rate and rate / self.peak)


def measured_peak(threads: int, steps: int = 20_000_000) -> float:
    """Return the float32 GFLOPS of `threads` threads that only multiply and add."""
    done: list[float] = []
    team = [threading.Thread(target=lambda: done.append(native.peak(steps))) for _ in range(threads)]
    begin = time.perf_counter()
    for member in team:
        member.start()
    for member in team:
        member.join()
    return sum(done) / (time.perf_counter() - begin) / 1e9


def als(bench: Bench, k: int) -> Timing:
    """Ten iterations of both sides, from factors that some iterations have made realistic."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((bench.by_user.n_rows, k)) / np.sqrt(k)).astype(np.float32)
    user_reg, movie_reg = REG * bench.by_user.counts, REG * bench.by_movie.counts

    def iterate() -> None:
        Y = kernels.solve_side(bench.by_movie, X, movie_reg, threads=bench.threads)
        kernels.solve_side(bench.by_user, Y, user_reg, out=X, threads=bench.threads)

    n_rows = bench.by_user.n_rows + bench.by_movie.n_rows
    flops = 2.0 * bench.by_user.n * k * (k + 3) + n_rows * (k**3 / 3 + 2 * k**2)
    iterate()
    return bench.time(f"als rank {k}, {ITERATIONS} iterations", iterate, times=ITERATIONS, flops=flops * ITERATIONS)


def building(bench: Bench, shuffled: bool) -> Timing:
    """Both orientations from entries in the order of a ratings file, or in random order."""
    row, column, value = bench.by_user.row_of_each(), bench.by_user.indices, bench.by_user.values
    if shuffled:
        order = np.random.default_rng(0).permutation(len(row))
        row, column, value = row[order], column[order], value[order]
    shape = bench.by_user.n_rows, bench.by_user.n_columns

    def build() -> None:
        matrix, _ = kernels.build_csr(row, column, value, *shape, threads=bench.threads)
        kernels.transpose(matrix, threads=bench.threads)

    return bench.time(f"both CSR orientations, {'random order' if shuffled else 'in order'}", build)


def selection(bench: Bench) -> Iterator[Timing]:
    """The 25 best movies for one user and for all."""
    rng = np.random.default_rng(0)
    n_users, n_movies = bench.by_user.n_rows, bench.by_user.n_columns
    for k in (8, 64):
        X, Y = (rng.standard_normal((n, k)).astype(np.float32) for n in (n_users, n_movies))
        allowed, seen = bench.by_movie.counts >= 25, bench.by_user.rows(0, 1)

        def one(X: np.ndarray = X, Y: np.ndarray = Y, allowed: np.ndarray = allowed, seen: Csr = seen) -> None:
            for _ in range(1000):
                kernels.top_n(X[:1], Y, 25, allowed=allowed, exclude=seen, threads=1)

        def everyone(X: np.ndarray = X, Y: np.ndarray = Y) -> None:
            kernels.top_n(X, Y, 25, exclude=bench.by_user, threads=bench.threads)

        yield bench.time(f"top 25 for one user 1,000 times, rank {k}", one, threads=1)
        if k == 8:
            yield bench.time(f"top 25 for {n_users:,} users, rank {k}", everyone, flops=2.0 * n_users * n_movies * k)


def products(bench: Bench) -> Iterator[Timing]:
    """What `ease` and the sampler need."""
    rng = np.random.default_rng(0)
    popular = np.flatnonzero(
        bench.by_movie.counts >= np.sort(bench.by_movie.counts)[-min(10_000, bench.by_movie.n_rows)]
    )
    part = kernels.transpose(bench.by_movie.take(popular), threads=bench.threads)
    weights = np.ones(part.n_rows, np.float32)
    yield bench.time(
        f"weighted Gram matrix of {len(popular):,} movies, {part.n:,} ratings",
        lambda: kernels.weighted_gram(part, weights, threads=bench.threads),
    )
    request = Csr(
        np.array([0, 50]), np.sort(rng.choice(5000, 50, replace=False)).astype(np.int32), np.ones(50, np.float32), 5000
    )
    matrix = rng.standard_normal((5000, bench.by_user.n_columns)).astype(np.float32)
    yield bench.time(
        f"one EASE request, 50 ratings x {matrix.shape[1]:,} movies, 1,000 times",
        lambda: [kernels.select_top_n(kernels.gather_rows(request, matrix), 25, threads=1) for _ in range(1000)],
        threads=1,
    )


def run(options: argparse.Namespace) -> tuple[Bench, list[Timing]]:
    """Make the data and time what was asked for, printing each line as it comes."""
    share = options.ratings / FULL["ratings"]
    sizes = round(FULL["users"] * share), min(FULL["movies"], round(FULL["movies"] * 4 * share))
    ratings = synthetic(*sizes, options.ratings, rng=0).ratings
    train = ratings.select(np.random.default_rng(0).random(ratings.n) < 0.7).by_user
    bench = Bench(train, kernels.transpose(train), options.threads, options.rounds, measured_peak(options.threads))
    print(
        f"{kernels.instruction_set()}, {options.threads} threads, peak {bench.peak:.0f} GFLOPS; "
        f"{train.n:,} training ratings, {train.n_rows:,} users, {train.n_columns:,} movies"
    )
    timings = []
    for timing in timed(bench, options):
        timings.append(timing)
        flops = "" if timing.gflops is None else f"{timing.gflops:8.0f} GFLOPS {timing.share:6.0%} of peak"
        print(f"{timing.name:58} {timing.seconds:9.3f} s {timing.processor:9.3f} s of processor {flops}", flush=True)
    return bench, timings


def timed(bench: Bench, options: argparse.Namespace) -> Iterator[Timing]:
    if "csr" in options.only:
        yield building(bench, shuffled=False)
        yield building(bench, shuffled=True)
    if "als" in options.only:
        for rank in options.ranks.split(","):
            yield als(bench, int(rank))
    if "select" in options.only:
        yield from selection(bench)
    if "products" in options.only:
        yield from products(bench)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=FULL["ratings"])
    parser.add_argument("--ranks", default="8,16,32,64,128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="csr,als,select,products")
    options = parser.parse_args()
    bench, timings = run(options)
    keep(
        "kernels",
        instruction_set=kernels.instruction_set(),
        threads=options.threads,
        peak_gflops=round(bench.peak, 1),
        ratings=bench.by_user.n,
        timings=[asdict(timing) for timing in timings],
    )


if __name__ == "__main__":
    main()
