"""How long one person waits for a list in Python, and what of it is tables, reasons and intervals.

    python benchmarks/recommend.py [--movies 27300] [--history 50] [--top 25]

`list` is the inner call, from a history to the positions and scores of the best movies; `table` is the whole of
`Recommender.recommend` with titles, stars, intervals and notes. All movies with at least 25 ratings take part, and with
`--min-ratings 0` all of them. One thread, one person at a time, each another one; the median and the 99th percentile.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from record import keep

from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.ratings import History, batch
from matinee.recommender import Filters, Recommender

RATINGS_PER_MOVIE = 100
PEOPLE = 500
ROUNDS = 4


def people(dataset: Dataset, length: int) -> list[History]:
    """Return histories of this length, of movies that many rate, with any stars."""
    draw = np.random.default_rng(0)
    known = np.argsort(-dataset.ratings.movie_counts)[: max(length, len(dataset.catalog) // 5)]
    movies = (np.sort(draw.choice(known, length, replace=False)).astype(np.int32) for _ in range(PEOPLE))
    return [History(rated, (draw.integers(1, 11, length) / 2).astype(np.float32)) for rated in movies]


def microseconds(ask: Callable[[History], object], histories: list[History]) -> dict[str, float]:
    """Return the median and 99th percentile of one call."""
    seconds = []
    for _ in range(ROUNDS):
        for history in histories:
            started = time.perf_counter()
            ask(history)
            seconds.append(time.perf_counter() - started)
    return {"median": float(np.median(seconds)) * 1e6, "p99": float(np.percentile(seconds, 99)) * 1e6}


def measure(served: Recommender, histories: list[History], n: int, min_ratings: int) -> Iterator[tuple[str, dict]]:
    allowed, movies = served.allowed(Filters(min_ratings=min_ratings)), len(served.dataset.catalog)
    yield "list", microseconds(lambda history: served.top(batch([history], movies), allowed, n), histories)
    ask = served.recommend
    yield "table", microseconds(lambda history: ask(history, n=n, min_ratings=min_ratings), histories)
    yield (
        "table with why",
        microseconds(lambda history: ask(history, n=n, min_ratings=min_ratings, explain=True), histories),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=27_300)
    parser.add_argument("--history", type=int, default=50, help="ratings of each person")
    parser.add_argument("--top", type=int, default=25, help="movies to list")
    parser.add_argument("--min-ratings", type=int, default=25, help="0 lets every movie take part")
    options = parser.parse_args()
    dataset = synthetic(options.movies * 4, options.movies, options.movies * RATINGS_PER_MOVIE, rng=0)
    histories = people(dataset, options.history)
    print(f"{'models':<14} {'what':<16} {'median us':>10} {'p99 us':>8}")
    for name, rank, ranker in (("als 8", 8, None), ("als 64", 64, None), ("als 8 + ease", 8, Ease())):
        served = Recommender.fit(dataset, ALS(rank=rank), ranker)
        for what, times in measure(served, histories, options.top, options.min_ratings):
            print(f"{name:<14} {what:<16} {times['median']:10.0f} {times['p99']:8.0f}")
            keep("recommend", **vars(options), models=name, what=what, **times)


if __name__ == "__main__":
    main()
