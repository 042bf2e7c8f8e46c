"""How long the lists of all users take as Parquet.

    python benchmarks/batch.py [--users 230000] [--movies 27300] [--ratings 21000000] [--threads 2] [--top 25]

Fits `als` of rank 8 to synthetic ratings, then writes everybody's list with stars and intervals on `--threads` cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from record import keep

from matinee.batch import batch_recommend
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.recommender import Recommender

RANK = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=230_000)
    parser.add_argument("--movies", type=int, default=27_300)
    parser.add_argument("--ratings", type=int, default=21_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--top", type=int, default=25)
    options = parser.parse_args()
    recommender = Recommender.fit(
        synthetic(options.users, options.movies, options.ratings, rng=0), ALS(rank=RANK), None
    )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rows = batch_recommend(recommender, Path(folder, "lists"), n=options.top, threads=options.threads)
        seconds = time.perf_counter() - started
        megabytes = sum(path.stat().st_size for path in Path(folder, "lists").iterdir()) / 1e6
    print(f"{rows:,} rows, {megabytes:.0f} MB, in {seconds:.1f} s on {options.threads} cores")
    keep("batch", **vars(options), rank=RANK, rows=rows, mb=megabytes, seconds=seconds)


if __name__ == "__main__":
    main()
