"""How many single ratings a second are on disk before they are acknowledged.

    python benchmarks/live.py [--folder DIR] [--seconds S]

`live` is LiveRatings with N threads that each wait for their rating; `raw` is plain sqlite3 in one thread that commits
groups of N rows with full sync, the most that N waiting threads can make of the disk; `one by one` commits each rating.
Each round measures the three in turn, in the same folder; the table shows medians over rounds and their ratios.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from record import keep

from matinee.live import LiveRatings

THREADS = (1, 4, 16, 64)
ROUNDS = 3
UPSERT = "INSERT INTO ratings VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET stars = excluded.stars, at = excluded.at"


def live_per_second(folder: Path, threads: int, seconds: float) -> float:
    """Ratings a second by threads that each wait for their own."""
    with LiveRatings(folder / "live.sqlite3") as live:
        return _per_second(lambda thread, turn: live.rate(f"user {thread}", {str(turn): 4.0}), threads, seconds)


def raw_per_second(folder: Path, group: int, seconds: float) -> float:
    """Ratings a second by full-sync commits of `group` rows each."""
    connection = sqlite3.connect(folder / "raw.sqlite3", isolation_level=None, check_same_thread=False)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE ratings (user, movie, stars, at, PRIMARY KEY (user, movie)) WITHOUT ROWID")

    def commit(_: int, turn: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(UPSERT, [(f"user {user}", str(turn), 4.0, turn) for user in range(group)])
        connection.execute("COMMIT")

    try:
        return group * _per_second(commit, 1, seconds)
    finally:
        connection.close()


def _per_second(act: Callable[[int, int], object], threads: int, seconds: float) -> float:
    turns = [0] * threads
    end = time.perf_counter() + seconds

    def run(thread: int) -> None:
        while time.perf_counter() < end:
            act(thread, turns[thread])
            turns[thread] += 1

    running = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    started = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(turns) / (time.perf_counter() - started)


def measure(folder: Path, threads: int, seconds: float) -> dict[str, float]:
    """Return the median ratings a second of each way, and what LiveRatings reaches of the other two."""
    ways: dict[str, Callable[[Path], float]] = {
        "live": lambda place: live_per_second(place, threads, seconds),
        "raw": lambda place: raw_per_second(place, threads, seconds),
        "one by one": lambda place: raw_per_second(place, 1, seconds),
    }
    rounds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                rounds[way].append(run(Path(place)))
    medians = {way: statistics.median(values) for way, values in rounds.items()}
    return {
        "threads": threads,
        **medians,
        "of raw": medians["live"] / medians["raw"],
        "of one by one": medians["live"] / medians["one by one"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="on the disk to measure; a temporary one is too fast"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    print(f"{'threads':>7} {'live/s':>9} {'raw/s':>9} {'one by one/s':>13} {'of raw':>7} {'of one by one':>14}")
    for threads in THREADS:
        row = measure(options.folder, threads, options.seconds)
        print(
            f"{threads:7d} {row['live']:9,.0f} {row['raw']:9,.0f} {row['one by one']:13,.0f} "
            f"{row['of raw']:6.0%} {row['of one by one']:13.1f}x"
        )
        keep("live", sqlite=sqlite3.sqlite_version, **row)


if __name__ == "__main__":
    main()
