"""How fast `bayes` learns and answers, and with --data how well.

    python benchmarks/bayes.py [--threads 2] [--ratings 1000000] [--large] [--data DIR]

Learning is on synthetic data of the size of MovieLens 1M (6,000 users, 3,700 movies). A sweep is the difference of two
fits over the difference of their sweeps, so that features and the samples kept do not count, the median of five; at
rank 15 and 31, which with the bias are 16 and 32 columns. Answering is one person with 50 ratings, 27,300 movies, one
thread, the median over 200 people. --large adds the features and five sweeps on 21 million ratings. --data measures
the test RMSE and the coverage of the 90 % intervals on the real releases in a folder, random 60/20/20, mean of seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from record import keep

from matinee import kernels
from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.evaluation import evaluate
from matinee.models.bayes import Bayes
from matinee.models.bayes.posterior import BayesModel
from matinee.ratings import History, batch

RELEASES = {"ml-latest-small-2015-04": range(5), "ml-latest-small": range(3)}
PEOPLE, RATED, SHOWN = 200, 50, 25
ROUNDS = 5


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def per_sweep(dataset: Dataset, rank: int, threads: int) -> float:
    """Seconds of one sweep, the median of some rounds."""
    return statistics.median(_per_sweep(dataset, rank, threads) for _ in range(ROUNDS))


def _per_sweep(dataset: Dataset, rank: int, threads: int, sweeps: tuple[int, int] = (20, 60)) -> float:
    few, many = (
        seconds(
            lambda n=n: Bayes(rank=rank, sweeps=n, burn_in=n - 2, samples=1).fit(  # type: ignore[misc]
                dataset.ratings, dataset.catalog, threads=threads
            )
        )
        for n in sweeps
    )
    return (many - few) / (sweeps[1] - sweeps[0])


def learning(ratings: int, threads: int) -> dict[str, float]:
    dataset = synthetic(6_000, 3_700, ratings, rng=0)
    results = {f"sweep ms, rank {rank}": 1000 * per_sweep(dataset, rank, threads) for rank in (15, 31)}
    return results | {"default fit s": seconds(lambda: Bayes().fit(dataset.ratings, dataset.catalog, threads=threads))}


def learning_at_large(threads: int) -> dict[str, float]:
    dataset = synthetic(229_772, 27_300, 21_000_000, rng=0)
    none, five = (
        seconds(
            lambda n=n: Bayes(sweeps=n, burn_in=0, samples=1).fit(  # type: ignore[misc]
                dataset.ratings, dataset.catalog, threads=threads
            )
        )
        for n in (1, 6)
    )
    sweep = (five - none) / 5
    return {"21 M: features and one sweep s": none, "21 M: sweep s": sweep}


def median_ms(answer: Callable[[int], object]) -> float:
    answer(0)
    return 1000 * statistics.median(seconds(lambda i=i: answer(i)) for i in range(PEOPLE))  # type: ignore[misc]


def answering() -> dict[str, float]:
    os.environ["MATINEE_THREADS"] = "1"
    dataset = synthetic(20_000, 27_300, 1_000_000, rng=0)
    model: BayesModel = Bayes(sweeps=18, burn_in=2).fit(dataset.ratings, dataset.catalog)
    draw, M = np.random.default_rng(0), len(dataset.catalog)
    people, lists, everything = [], [], np.arange(M, dtype=np.int32)
    for _ in range(PEOPLE):
        rated = draw.choice(M, RATED, replace=False).tolist()
        people.append(batch([History.of(dict(zip(rated, draw.integers(1, 6, RATED).tolist(), strict=True)))], M))
        lists.append(draw.choice(M, SHOWN, replace=False).astype(np.int32))
    return {
        "25 movies with intervals ms": median_ms(lambda i: model.predict(model.fold_in(people[i]), lists[i])),
        "all movies with intervals ms": median_ms(lambda i: model.predict(model.fold_in(people[i]), everything)),
        "25 best of all ms": median_ms(lambda i: model.top_n(model.fold_in(people[i]), SHOWN)),
    }


def accuracy(data: Path, threads: int) -> dict[str, float]:
    results = {}
    for name, seeds in RELEASES.items():
        if (data / name).is_dir():
            dataset = load(data / name)
            reports = [evaluate(dataset, Bayes(), "6:2:2", rng=seed, threads=threads) for seed in seeds]
            rows = [next(row for row in report if row["model"] == "bayes") for report in reports]
            for metric in ("rmse", "covered"):
                results[f"{name}: {metric}"] = statistics.fmean(row[metric] for row in rows)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--large", action="store_true", help="also 21 million ratings; takes 6 GB and minutes")
    parser.add_argument("--data", type=Path, help="folder of real releases to measure the accuracy on")
    options = parser.parse_args(arguments)
    results = learning(options.ratings, options.threads)
    if options.large:
        results |= learning_at_large(options.threads)
    if options.data:
        results |= accuracy(options.data, options.threads)
    results |= answering()
    for name, value in results.items():
        print(f"{name:40} {value:9.4g}")
    keep("bayes", threads=options.threads, instruction_set=kernels.instruction_set(), **results)


if __name__ == "__main__":
    main()
