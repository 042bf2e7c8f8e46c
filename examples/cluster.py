"""A Spark cluster on this machine, for real: train on it, publish, serve, rate and recommend.

    python examples/cluster.py [DATA] [--workers 2] [--kill-one]

Starts a standalone master and workers as processes of their own on 127.0.0.1, trains on them, serves the snapshot that
comes back, rates a film as somebody new and prints what to watch next. `--kill-one` kills a worker in the middle of
training; the job ends well. DATA is a folder with MovieLens' ratings.csv and movies.csv; without one it is simulated.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

import matinee
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.snapshot import Snapshot
from matinee.spark.engine import Cluster, Source, train

HOST = "127.0.0.1"
MEMORY = "600m"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


@contextmanager
def spark_process(name: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of Spark's daemons, in a process group of its own, until the block ends."""
    import pyspark

    spark_home = Path(pyspark.__file__).parent
    command = [spark_home / "bin" / "spark-class", f"org.apache.spark.deploy.{name}", *arguments]
    environment = {**os.environ, "SPARK_HOME": str(spark_home), "SPARK_LOCAL_IP": HOST}
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a daemon and what it started, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def standalone(folder: Path, workers: int) -> Iterator[tuple[str, Sequence[subprocess.Popen[bytes]]]]:
    """Start a master and workers; give the master's address and the workers' processes."""
    port = free_port()
    address = f"spark://{HOST}:{port}"
    with ExitStack() as running:
        running.enter_context(
            spark_process(
                "master.Master", "--host", HOST, "--port", str(port), "--webui-port", "0", log=folder / "master.log"
            )
        )
        wait_for(port)
        options = ("--host", HOST, "--webui-port", "0", "--cores", "1", "--memory", "1g")
        started = [
            running.enter_context(
                spark_process(
                    "worker.Worker",
                    *options,
                    *("--work-dir", str(folder / f"worker-{number}"), address),
                    log=folder / f"worker-{number}.log",
                )
            )
            for number in range(workers)
        ]
        yield address, started


def wait_for(port: int, seconds: float = 60) -> None:
    """Wait until somebody listens on a port of this machine."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise TimeoutError(f"nobody listens on port {port}; see the logs of the cluster") from None
            time.sleep(0.2)


def simulated(folder: Path, ratings: int = 300_000) -> Path:
    """Write ratings.csv and movies.csv that nobody gave."""
    data = synthetic(ratings // 75, 1_000, ratings, rng=0)
    rows, ids = data.ratings.by_user, data.catalog.ids
    columns = {
        "userId": data.ratings.users.array.take(pa.array(rows.row_of_each())),
        "movieId": ids.array.take(pa.array(rows.indices)),
        "rating": rows.values,
        "timestamp": data.ratings.timestamps,
    }
    titles = data.catalog.titles(np.arange(len(ids), dtype=np.int32))
    pa.csv.write_csv(pa.table(columns), folder / "ratings.csv")
    pa.csv.write_csv(
        pa.table({"movieId": ids.array, "title": titles, "genres": ["Drama"] * len(ids)}), folder / "movies.csv"
    )
    return folder


def train_on(address: str, data: Path, store: Path, victim: subprocess.Popen[bytes] | None = None) -> Snapshot:
    """Train on the cluster; where a worker is to die, it does as soon as the factors are being learned."""

    def kill_victim(step: str, done: int, total: int | None, score: float | None) -> None:
        if victim is not None and step == "Spark: training als" and victim.poll() is None:
            print("killing a worker")
            kill(victim)

    conf = {
        "spark.executor.memory": MEMORY,
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.sql.shuffle.partitions": "8",
    }
    cluster = Cluster(address, conf, user_blocks=4, item_blocks=4)
    return train(Source(str(data)), store, cluster=cluster, rater=ALS(rank=8), measure=False, progress=kill_victim)


def rate_and_recommend(store: Path) -> tuple[list[list[object]], list[list[object]]]:
    """Serve the store, rate a film as somebody new, and return what was rated and what is recommended."""
    with matinee.serve(store, port=0, block=False) as server:
        asked = urllib.request.Request(f"{server.url}/somebody-new/ratings", data=b"1,5", method="POST")
        with urllib.request.urlopen(asked) as answer:
            rated = json.load(answer)
        with urllib.request.urlopen(f"{server.url}/somebody-new/ratings/top/5") as answer:
            return rated, json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-one", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = options.data or simulated(folder)
        with standalone(folder, options.workers) as (address, workers):
            print(f"training on {address} with {options.workers} workers")
            started = time.perf_counter()
            snapshot = train_on(address, data, folder / "store", workers[0] if options.kill_one else None)
            print(f"published snapshot {snapshot.id} after {time.perf_counter() - started:.0f} s")
        rated, best = rate_and_recommend(folder / "store")
        print("rated", rated)
        for title, stars, ratings in best:
            print(f"{stars:.2f}  {title} ({ratings} ratings)")


if __name__ == "__main__":
    main()
