"""What a visitor gets from the running service: no cache of answers, everything on this machine.

    taskset -c 0,1 python benchmarks/service.py [--store DIR] [--movies 27300] [--workers 2] [--connections 16]

ready            from the start of the program to its first answer
ask              lists of 25 by the default rater and ranker for random users, every fifth with filters; wrk asks
rate             a rating of one movie, on disk before it is answered; wrk puts them
rate, then ask   one after the other by the same person on the same connection, timed together, from two connections and
                 from as many as above; Python clients, which take processor time from the server
memory           private MB of a worker, and how much they grow from request 20,000 to 200,000

Without --store it trains on synthetic data with so many movies first. wrk is in Debian's package of this name. Run it
where `pip install matinee` alone was, as on a server: Arrow loads pandas where there is one, 30 MB for each worker.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import multiprocessing
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from record import keep

from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.snapshot import Store

CLIENTS = 2  # processes
RATINGS_PER_MOVIE = 100
SOON, LATE = 20_000, 200_000  # requests
START = """
local function lines(path)
  local found = {{}}
  for line in io.lines(path) do found[#found + 1] = line end
  return found
end
local users, movies = lines("{folder}/users"), lines("{folder}/movies")
local stars, filters, n = lines("{folder}/stars"), "{filters}", 0
local function any(list) return list[math.random(#list)] end
counter = 0
function setup(thread) thread:set("seed", os.time() + counter); counter = counter + 1 end
function init(arguments) math.randomseed(seed) end
"""
ASK = """
function request()
  n = n + 1
  local path = "/api/v1/users/" .. any(users) .. "/recommendations?n=25" .. (n % 5 == 0 and filters or "")
  return wrk.format("GET", path)
end
"""
RATE = """
function request()
  local path = "/api/v1/users/" .. any(users) .. "/ratings/" .. any(movies)
  local body = '{"stars": ' .. any(stars) .. '}'
  return wrk.format("PUT", path, {["Content-Type"] = "application/json"}, body)
end
"""


class Places:
    """What requests name: users, movies and stars of the store, a line each in files, as addresses write them."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        ratings, genres = dataset.ratings, dataset.catalog.genre_counts
        users, movies = (list(map(_quoted, ids)) for ids in (ratings.users, ratings.movies))
        if not users:
            raise SystemExit("this store holds nobody's ratings; name one with --store that was trained on some")
        most = f"&genre={_quoted(max(genres, key=genres.__getitem__))}" if genres else ""
        self.start = START.format(folder=folder, filters=f"{most}&year_from=1990")
        stars = [f"{stars:g}" for stars in ratings.scale.levels.tolist()]
        for name, lines in (("users", users), ("movies", movies), ("stars", stars)):
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _quoted(text: str) -> str:
    return quote(text, safe="")


def publish(store: Path, n_movies: int) -> None:
    """Publish the default models of synthetic data; few sweeps, as they cost nothing in serving."""
    dataset = synthetic(n_movies * 4, n_movies, n_movies * RATINGS_PER_MOVIE, rng=0)
    Recommender.fit(dataset, rater=Bayes(sweeps=42, burn_in=25), ranker=Ease()).publish(store)


class Service:
    """The service as a program of its own."""

    def __init__(self, store: Path, workers: int) -> None:
        command = ["-m", "matinee", "serve", "--store", str(store), "--port", "0", "--workers", str(workers)]
        live = ["--live", str(store / "benchmark.sqlite3")]
        started = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, *command, *live], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = re.findall("http://[^/]+", self.process.stdout.readline())[0]
        self.ready = time.perf_counter() - started

    def private_mb(self) -> list[float]:
        """Return the private memory of each worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        sizes = [
            re.findall(r"Private_\w+: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in workers
        ]
        return [round(sum(map(int, size)) / 1024, 1) for size in sizes]


@contextmanager
def running(store: Path, workers: int) -> Iterator[Service]:
    service = Service(store, workers)
    try:
        yield service
    finally:
        service.process.terminate()
        service.process.wait()
        for file in store.glob("benchmark.sqlite3*"):
            file.unlink()


def wrk(url: str, script: str, connections: int, seconds: float) -> dict[str, float]:
    """Return answers a second and milliseconds; raises RuntimeError where one was no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", file.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    times = {q: float(v) * units[u] for q, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", said)}
    rate, answers = (
        float(re.findall(pattern, said)[0]) for pattern in (r"Requests/sec: +([\d.]+)", r"(\d+) requests in")
    )
    return {"per second": rate, "p50 ms": times["50"], "p99 ms": times["99"], "answers": answers}


def rate_then_ask(url: str, places: Path, connections: int, seconds: float) -> dict[str, float]:
    each = max(connections // CLIENTS, 1)
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        arguments = [(url.removeprefix("http://"), places, each, seconds, seed) for seed in range(CLIENTS)]
        times = sorted(itertools.chain.from_iterable(pool.starmap(client, arguments)))
    cuts = statistics.quantiles(times, n=100)
    return {
        "per second": len(times) / seconds,
        "p50 ms": cuts[49] * 1e3,
        "p99 ms": cuts[98] * 1e3,
        "answers": len(times),
    }


def client(address: str, places: Path, connections: int, seconds: float, seed: int) -> list[float]:
    """Return the seconds that each pair of requests took."""
    lists = [(places / name).read_text("utf-8").split() for name in ("users", "movies", "stars")]
    times: list[float] = []
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=_talk, args=(address, lists, end, (seed, n), times)) for n in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _talk(address: str, lists: list[list[str]], end: float, seed: tuple[int, int], times: list[float]) -> None:
    rng = random.Random(str(seed))
    connection = http.client.HTTPConnection(address)
    while time.monotonic() < end:
        user, movie, stars = map(rng.choice, lists)
        body, headers = f'{{"stars": {stars}}}', {"Content-Type": "application/json"}
        started = time.perf_counter()
        connection.request("PUT", f"/api/v1/users/{user}/ratings/{movie}", body, headers)
        _read(connection)
        connection.request("GET", f"/api/v1/users/{user}/recommendations?n=25")
        _read(connection)
        times.append(time.perf_counter() - started)


def _read(connection: http.client.HTTPConnection) -> None:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(body.decode())


def measure(store: Path, folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    places = Places(folder, Store(store).open().dataset)
    ask = places.start + ASK
    with running(store, options.workers) as service:
        yield "ready", {"seconds": service.ready}
        wrk(service.url, ask, options.connections, 1)
        yield "ask", wrk(service.url, ask, options.connections, options.seconds)
        yield "rate", wrk(service.url, places.start + RATE, 64, options.seconds)
        for connections in (CLIENTS, options.connections):
            found = rate_then_ask(service.url, folder, connections, options.seconds)
            yield f"rate, then ask from {connections}", found
    if options.memory:
        with running(store, options.workers) as service:
            yield "memory", grown(service, ask, options.connections)


def grown(service: Service, ask: str, connections: int) -> dict[str, float]:
    """Return the private MB of the largest worker after 20,000 and after 200,000 requests."""
    done, sizes = 0.0, []
    for goal in (SOON, LATE):
        while done < goal:
            done += wrk(service.url, ask, connections, 2)["answers"]
        sizes.append(max(service.private_mb()))
    return {"MB": sizes[0], "MB later": sizes[1], "grown MB": sizes[1] - sizes[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--movies", type=int, default=27_300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--memory", action="store_true", help="also how memory grows; takes minutes")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed (Debian: apt-get install wrk)")
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        store = options.store or folder / "store"
        if options.store is None:
            publish(store, options.movies)
        for what, found in measure(store, folder, options):
            found = {name: round(value, 2) for name, value in found.items()}
            print(f"{what:22}" + "".join(f"   {name} {value:,.2f}" for name, value in found.items()), flush=True)
            keep("service", workers=options.workers, connections=options.connections, what=what, **found)


if __name__ == "__main__":
    main()
