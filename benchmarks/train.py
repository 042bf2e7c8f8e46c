"""From a file of ratings to a published snapshot: seconds of each step and the peak of memory.

    python benchmarks/train.py [--ratings 21000000] [--users 229772] [--movies 27300] [--threads 2]

Writes synthetic ratings as MovieLens does, then reads, fits `als` of rank 8 and publishes in a process of its own that
may use `--threads` cores: what `matinee train DATA --rater als --ranker none --no-measure` does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from record import keep

from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.snapshot import Store

RANK = 8


def write(folder: Path, dataset: Dataset) -> None:
    """Write ratings.csv and movies.csv as MovieLens does."""
    ratings, table = dataset.ratings, dataset.catalog.table
    columns = {
        "userId": ratings.users.array.take(pa.array(ratings.by_user.row_of_each())),
        "movieId": ratings.movies.array.take(pa.array(ratings.by_user.indices)),
        "rating": pa.array(ratings.by_user.values),
        "timestamp": pa.array(ratings.timestamps),
    }
    genres = ["|".join(row) for row in table["genres"].to_pylist()]
    movies = {"movieId": table["movie"], "title": dataset.catalog.titles(np.arange(len(table))), "genres": genres}
    for name, written in (("ratings", columns), ("movies", movies)):
        plain = pa.csv.WriteOptions(quoting_style="none")
        pa.csv.write_csv(pa.table(written), folder / f"{name}.csv", plain)


def train(data: str, store: str, threads: int) -> dict[str, float]:
    """Read, fit, publish and open; return the seconds of each, and the peak in MB."""
    seconds, started = {}, time.perf_counter()

    def step(name: str) -> None:
        seconds[name] = time.perf_counter() - started - sum(seconds.values())

    dataset = load(data)
    step("read")
    model = ALS(rank=RANK).fit(dataset.ratings, dataset.catalog, threads=threads)
    step("fit")
    Store(store).publish(dataset, model)
    step("publish")
    total, peak = sum(seconds.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Recommender.open(store).recommend(user=dataset.ratings.users[0])
    step("open and answer")
    Store(store).verify()
    step("verify")
    return {**seconds, "file to snapshot": total, "peak MB": peak}


def in_a_process(data: Path, store: Path, threads: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--run", os.fspath(data), os.fspath(store), "--threads", str(threads)]
    cores = sorted(os.sched_getaffinity(0))[:threads]
    limited = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    measured: dict[str, float] = json.loads(limited.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=21_000_000)
    parser.add_argument("--users", type=int, default=229_772)
    parser.add_argument("--movies", type=int, default=27_300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(train(*options.run, options.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        data, store = Path(folder, "data"), Path(folder, "store")
        data.mkdir()
        write(data, synthetic(options.users, options.movies, options.ratings, rng=0))
        size = (data / "ratings.csv").stat().st_size / 1e6
        print(f"{options.ratings:,} ratings, {size:,.0f} MB, als of rank {RANK}, {options.threads} threads")
        measured = in_a_process(data, store, options.threads)
    for name, value in measured.items():
        print(f"{name:<18} {value:8.0f}" if name == "peak MB" else f"{name:<18} {value:8.2f} s")
    size_of_it = {name: getattr(options, name) for name in ("ratings", "users", "movies", "threads")}
    keep("train", **size_of_it, csv_mb=size, **measured)


if __name__ == "__main__":
    main()
