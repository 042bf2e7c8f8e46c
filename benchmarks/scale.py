"""What training costs as ratings grow, here and on Spark: seconds and memory of the whole command, and how they grow.

    taskset -c 0,1 python benchmarks/scale.py [--millions 1,5,20] [--ranks 8,32,128] [--spark-millions 1,5,20]
        [--spark-ranks 8] [--threads 2] [--plot FILE]

Each run is `matinee train ratings.parquet --rater als --ranker none --no-measure` from a Parquet file of synthetic
ratings to a published snapshot, in a process of its own; on Spark with `--engine spark --master local[THREADS]`.
Memory is the most that the process and its children had resident, looked at ten times a second. Users grow with
the ratings and movies with their square root, as in MovieLens: 229,772 and 27,300 at 21 million.

The growth is fitted as seconds = a + b millions of ratings, and GB the same where no heap is set aside, by least
squares over the newest run of each size in results/scale.jsonl, which `--plot` draws.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from record import RESULTS, keep

AT = 21.0  # millions of ratings, in the tutorial's data
USERS, MOVIES = 229_772, 27_300
LOOKS = 0.1  # seconds


def write(path: Path, millions: float) -> None:
    """Write user, movie, stars and time of so many synthetic ratings; in a process of its own, for its memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from matinee.datasets.synthetic import synthetic

    share = millions / AT
    ratings = synthetic(
        math.ceil(USERS * share), math.ceil(MOVIES * math.sqrt(share)), int(millions * 1e6), rng=0
    ).ratings
    columns = {
        "userId": ratings.by_user.row_of_each(),
        "movieId": ratings.by_user.indices,
        "rating": ratings.by_user.values,
        "timestamp": ratings.timestamps,
    }
    pq.write_table(pa.table(columns), path, row_group_size=1 << 20)


def measured(command: Sequence[str]) -> dict[str, float]:
    """Run a command and return its seconds and the peak of its processes' memory in GB."""
    start, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(LOOKS)
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{log.read().decode()[-2000:]}")
    return {"seconds": round(time.perf_counter() - start, 2), "gb": round(peak / 1e9, 3)}


def resident(pid: int) -> float:
    """Return the resident bytes of a process and all below it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(resident, children))


def growth(rows: Sequence[dict[str, float]], what: str) -> tuple[float, float]:
    """Return a and b of what = a + b millions, by least squares."""
    b, a = np.polyfit([row["millions"] for row in rows], [row[what] for row in rows], 1)
    return float(a), float(b)


def run(data: Path, millions: float, engine: str, rank: int, threads: int) -> None:
    """Train once, and keep and print what was found."""
    with tempfile.TemporaryDirectory() as store:
        options = ["--rater", "als", "--ranker", "none", "--rank", str(rank), "--no-measure", "--store", store]
        where = (
            ["--threads", str(threads)] if engine == "local" else ["--engine", "spark", "--master", f"local[{threads}]"]
        )
        found = measured([sys.executable, "-m", "matinee", "train", str(data), *options, *where])
    keep("scale", engine=engine, millions=millions, rank=rank, threads=threads, **found)
    print(f"{engine:6} {millions:5g} M  rank {rank:3}  {found['seconds']:7.1f} s  {found['gb']:6.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", default="1,5,20")
    parser.add_argument("--spark-millions", default="1,5,20")
    parser.add_argument("--ranks", default="8,32,128")
    parser.add_argument("--spark-ranks", default="8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(Path(arguments.write[0]), float(arguments.write[1]))
        return
    plans = {
        "local": (numbers(arguments.millions), numbers(arguments.ranks)),
        "spark": (numbers(arguments.spark_millions), numbers(arguments.spark_ranks)),
    }
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "ratings.parquet"
        for millions in sorted({*plans["local"][0], *plans["spark"][0]}):
            subprocess.run([sys.executable, __file__, "--write", str(data), str(millions)], check=True)
            for engine, (sizes, ranks) in plans.items():
                for rank in ranks if millions in sizes else ():
                    run(data, millions, engine, int(rank), arguments.threads)
    for (engine, rank), rows in kept().items():
        if len(rows) > 1:
            a, b = growth(rows, "seconds")
            print(f"{engine} rank {rank}: {a:.1f} s + {100 * b:.0f} s per 100 M{memory(engine, rows)}")
    if arguments.plot:
        plot(arguments.plot)


def memory(engine: str, rows: Sequence[dict[str, float]]) -> str:
    """Say how memory grows; Spark's is the heap that it was given."""
    c, d = growth(rows, "gb")
    return "" if engine == "spark" else f", {c:.2f} GB + {100 * d:.1f} GB per 100 M"


def numbers(text: str) -> list[float]:
    return [float(one) for one in text.split(",") if one]


def kept() -> dict[tuple[str, int], list[dict[str, float]]]:
    """Return the runs of each engine and rank, smallest first; of the same run the newest."""
    rows = [json.loads(line) for line in (RESULTS / "scale.jsonl").read_text().splitlines()]
    newest = {(row["engine"], row["rank"], row["millions"]): row for row in rows}
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for engine, rank, millions in sorted(newest):
        found.setdefault((engine, rank), []).append(newest[engine, rank, millions])
    return found


def plot(path: Path) -> None:
    """Draw seconds over millions of ratings, both on logarithmic axes, of every engine and rank."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for (engine, rank), rows in kept().items():
        axes.plot(
            [row["millions"] for row in rows],
            [row["seconds"] for row in rows],
            marker="o",
            linestyle="--" if engine == "spark" else "-",
            label=f"{engine}, rank {rank}",
        )
    axes.set(xscale="log", yscale="log", xlabel="millions of ratings", ylabel="seconds, file to snapshot")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
