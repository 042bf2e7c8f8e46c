"""How many recommendations a second the running service answers, and how soon a rating is in the next list.

    python benchmarks/service.py [--movies 27300] [--workers 2] [--connections 16] [--seconds 5]

Everything is on this machine: the server with its workers and, in processes of their own, the clients, which keep their
connections open and ask for random users of the data without a pause. The clients are Python, so the figures are low
rather than high. `rate, then ask` is a POST of one rating and a GET of the list it changes, timed together.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from record import keep

from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service import serve

CLIENTS = 2  # processes
RATINGS_PER_MOVIE = 100


def publish(store: Path, n_movies: int) -> int:
    """Publish a model of synthetic data and return its number of users."""
    n_users = n_movies * 4
    dataset = synthetic(n_users, n_movies, n_movies * RATINGS_PER_MOVIE, rng=0)
    Recommender.fit(dataset, rater=ALS()).publish(store)
    return n_users


def ask(connection: http.client.HTTPConnection, user: int, movie: int) -> None:
    connection.request("GET", f"/{user}/ratings/top/25")
    _read(connection)


def rate_then_ask(connection: http.client.HTTPConnection, user: int, movie: int) -> None:
    connection.request("POST", f"/{user}/ratings", f"{movie},4")
    _read(connection)
    ask(connection, user, movie)


def _read(connection: http.client.HTTPConnection) -> None:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(body.decode())


def client(
    act: Callable[[http.client.HTTPConnection, int, int], None],
    address: str,
    sizes: tuple[int, int],
    connections: int,
    seconds: float,
    seed: int,
) -> list[float]:
    """Return how long each act took, of `connections` threads that act without a pause."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def run(number: int) -> None:
        draw = random.Random(seed * 1_000 + number)
        connection = http.client.HTTPConnection(address)
        while (started := time.perf_counter()) < end:
            act(connection, draw.randint(1, sizes[0]), draw.randint(1, sizes[1]))
            times.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def measure(
    name: str, act: Callable[..., None], address: str, sizes: tuple[int, int], options: argparse.Namespace
) -> dict[str, object]:
    """Return acts a second and the milliseconds of the median and the slowest hundredth."""
    each = max(options.connections // CLIENTS, 1)
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        arguments = [(act, address, sizes, each, options.seconds, seed) for seed in range(CLIENTS)]
        times = sorted(itertools.chain.from_iterable(pool.starmap(client, arguments)))
    cuts = statistics.quantiles(times, n=100)
    return {
        "what": name,
        "per second": round(len(times) / options.seconds),
        "p50 ms": round(cuts[49] * 1e3, 2),
        "p99 ms": round(cuts[98] * 1e3, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=27_300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        n_users = publish(Path(folder) / "store", options.movies)
        started = time.perf_counter()
        with serve(Path(folder) / "store", port=0, workers=options.workers, block=False) as running:
            print(f"answers {time.perf_counter() - started:.2f} s after its start")
            address = running.url.split("/")[2]
            for name, act in {"ask": ask, "rate, then ask": rate_then_ask}.items():
                row = measure(name, act, address, (n_users, options.movies), options)
                print(
                    f"{name:15} {row['per second']:7,d}/s   p50 {row['p50 ms']:7.2f} ms   p99 {row['p99 ms']:7.2f} ms"
                )
                keep("service", **vars(options), **row)


if __name__ == "__main__":
    main()
