"""How long the rankers take to learn and to answer, on synthetic data.

    python benchmarks/rankers.py [--threads 2] [--movies 10000] [--ratings 18000000]

`ease` is fitted on 10,000 movies and 18 M ratings. Answering is one person with 50 ratings: fold-in, mask and the 25
best of 27,300 movies, as the recommender's inner path does it. Medians over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from record import keep
from threadpoolctl import threadpool_limits

from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.ratings import History, batch
from matinee.recommender import Filters, Recommender

ROUNDS, CALLS = 7, 300


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def per_call_ms(call: Callable[[], object]) -> float:
    """Return the median over rounds of the mean time of a call, in milliseconds."""

    def round_of_calls() -> None:
        for _ in range(CALLS):
            call()

    return statistics.median(seconds(round_of_calls) for _ in range(ROUNDS)) / CALLS * 1e3


def ease_fit(n_movies: int, n_ratings: int, threads: int) -> float:
    """Return the seconds that `ease` takes on all movies."""
    ratings = synthetic(n_ratings // 80, n_movies, n_ratings, rng=0).ratings
    with threadpool_limits(threads):
        return seconds(lambda: Ease(min_ratings=0).fit(ratings, None, threads=threads))  # type: ignore[arg-type]


def answers(threads: int) -> dict[str, float]:
    """Return the milliseconds of one request to each model, 27,300 movies, 50 ratings in the history."""
    data = synthetic(20_000, 27_300, 1_800_000, rng=0)
    rated = np.sort(np.random.default_rng(0).choice(np.flatnonzero(data.ratings.movie_counts > 20), 50, replace=False))
    history = History(rated.astype(np.int32), np.full(50, 4, np.float32))
    row, everything = batch([history], 27_300), np.arange(27_300, dtype=np.int32)
    found = {}
    with threadpool_limits(1):
        for name, rater, ranker in (
            ("als, 25 best", ALS(intervals=False), None),
            ("als 64, 25 best", ALS(rank=64, intervals=False), None),
            ("ease, 25 best", ALS(intervals=False), Ease()),
            ("ials 64, 25 best", ALS(intervals=False), IALS(rank=64, iterations=2)),
        ):
            served = Recommender.fit(data, rater, ranker, threads=threads)
            allowed = served.allowed(Filters())
            found[name] = per_call_ms(lambda s=served, a=allowed: s.top(row, a, 25))
        bayes = Bayes(sweeps=42, burn_in=25).fit(data.ratings, data.catalog, threads=threads)
        few = everything[:25]
        found["bayes, 25 with intervals"] = per_call_ms(lambda: bayes.predict(bayes.fold_in(row), few))
        found["bayes, 27,300 with intervals"] = per_call_ms(lambda: bayes.predict(bayes.fold_in(row), everything))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--movies", type=int, default=10_000)
    parser.add_argument("--ratings", type=int, default=18_000_000)
    args = parser.parse_args()
    fit = ease_fit(args.movies, args.ratings, args.threads)
    print(f"ease, {args.movies:,} movies, {args.ratings:,} ratings: {fit:.1f} s to learn")
    found = answers(args.threads)
    for name, milliseconds in found.items():
        print(f"{name:30} {milliseconds:8.3f} ms")
    keep("rankers", **vars(args), ease_fit_seconds=fit, answer_ms=found)


if __name__ == "__main__":
    main()
