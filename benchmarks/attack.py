"""Attack the service as one visitor and measure what another one notices; everything on this machine.

    python benchmarks/attack.py [--store DIR] [--scale 1]

Starts a service on loopback and attacks it from addresses of 127.0.0.0/8, while a usual visitor asks for lists and
searches from another address. Prints the answers to the attack, and how long the visitor waited. `--scale
0.1` sends a tenth of the connections. Without --store it trains on the embedded sample.
"""

from __future__ import annotations

import argparse
import http.client
import io
import resource
import socket
import statistics
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from record import keep

import matinee as mt
from matinee.service import Policy, RunningServer, serve

OF_AN_ADDRESS = 200  # connections that an attacker opens from one address, fewer than the service closes
SECONDS = 12.0  # that connections are held: longer than the service waits for what does not come
PATIENCE = 120.0  # seconds
LAST_LOOK = 0.5  # seconds that the visitor goes on
VISITOR = "127.0.0.1"
VISITS = ("/api/v1/users/1/recommendations?n=25", "/api/v1/movies?query=star", "/healthz", "/")
RATINGS = "/api/v1/users/~attack/ratings"
HEAD = b"POST /api/v1/users/~attack/ratings HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
CSV = b"movieId,rating\n16,4.5\n1,3\n"


class Attack(NamedTuple):
    """An attack: its name, and what sends it and returns what it got."""

    name: str
    send: Callable[[str, int], str]


def attacks(scale: float) -> Iterator[Attack]:
    bodies, headers, idle = (round(n * scale) for n in (2_000, 2_000, 4_000))
    yield Attack(f"{bodies:,} bodies that do not come", held(bodies, HEAD + b"Content-Length: 100\r\n\r\n16,4"))
    yield Attack(f"{headers:,} half headers", held(headers, HEAD[:60]))
    yield Attack(f"{idle:,} idle connections", held(idle, b""))
    yield Attack(f"{idle:,} idle connections of one address", held(idle, b"", of_an_address=idle))
    yield Attack("a CSV cut at every byte", cut)
    yield Attack("zips by bzip2, lzma and deflate of 2,000,000 lines", zips)
    yield Attack("imports of 49,000 unknown titles, 5 times", unknown_titles)
    yield Attack("searches of 100 ligatures, 200 times", asked("/search?q=" + quote("\ufdfa" * 100), 200))
    yield Attack("numbers of 5,000 digits, 200 times", asked("/parts/cards?n=" + "9" * 5_000, 200))
    yield Attack("cookies of 2,000 rooms, 200 times", asked("/", 200, {"Cookie": f"matinee-rooms={rooms(2_000)}"}))
    yield Attack("a Host that is none", asked("/api/v1/movies", 1, {"Host": "a b"}))


def held(count: int, start: bytes, of_an_address: int = OF_AN_ADDRESS) -> Callable[[str, int], str]:
    """Open so many connections, send the same on each, and hold them for some seconds."""

    def send(host: str, port: int) -> str:
        with ExitStack() as opened:
            connections = []
            for number in range(count):
                source = f"127.0.1.{1 + number // of_an_address}"
                connections.append(opened.enter_context(socket.create_connection((host, port), PATIENCE, (source, 0))))
                connections[-1].sendall(start)
            time.sleep(SECONDS)
            return counted(map(outcome, connections))

    return send


def outcome(connection: socket.socket) -> str:
    """Return what became of a held connection."""
    connection.setblocking(False)
    try:
        answer = connection.recv(12).decode()
    except BlockingIOError:
        return "still open"
    except OSError:
        return "closed"
    return answer[-3:] or "closed"


def cut(host: str, port: int) -> str:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(CSV)
    return counted(_ended(host, port, head + CSV[:length]) for length in range(len(CSV)))


def _ended(host: str, port: int, request: bytes) -> str:
    with socket.create_connection((host, port), PATIENCE, ("127.0.1.1", 0)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()[9:12].decode()


def zips(host: str, port: int) -> str:
    lines = b"movieId,rating\n" + b"1,5\n" * 2_000_000
    methods = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED)
    return counted(posted(host, port, zipped(lines, method), "application/zip") for method in methods)


def zipped(content: bytes, method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        file.writestr("ratings.csv", content)
    return packed.getvalue()


def unknown_titles(host: str, port: int) -> str:
    lines = "".join(f"Unknown {number},x,4,1999\n" for number in range(49_000))
    body = f"Name,Letterboxd URI,Rating,Year\n{lines}".encode()
    return counted(posted(host, port, body, "text/csv") for _ in range(5))


def posted(host: str, port: int, body: bytes, kind: str) -> str:
    return str(talk(host, port, "POST", RATINGS, {"Content-Type": kind}, body))


def asked(path: str, times: int, headers: Mapping[str, str] = {}) -> Callable[[str, int], str]:
    def send(host: str, port: int) -> str:
        return counted(str(talk(host, port, "GET", path, headers)) for _ in range(times))

    return send


def talk(host: str, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> int:
    """Return the status of the answer, on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, PATIENCE, source_address=("127.0.1.1", 0))
    connection.request(method, path, body or None, {"Host": "localhost", **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def counted(outcomes: Iterable[str]) -> str:
    return ", ".join(f"{count:,} x {what}" for what, count in Counter(outcomes).most_common())


def rooms(count: int) -> str:
    return ":".join(f"{number:022}" for number in range(count))


class Visitor(threading.Thread):
    """Somebody who asks one thing after the other, each on a new connection, until `stop`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self.failures = 0
        self._where = host, port
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            path = VISITS[len(self.seconds) % len(VISITS)]
            started = time.perf_counter()
            try:
                status = self._ask(path)
            except (OSError, http.client.HTTPException):
                status = 0
            self.seconds.append(time.perf_counter() - started)
            self.failures += status != http.HTTPStatus.OK

    def _ask(self, path: str) -> int:
        connection = http.client.HTTPConnection(*self._where, PATIENCE, source_address=(VISITOR, 0))
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def stop(self) -> dict[str, float]:
        """Return how long answers took."""
        self._over.set()
        self.join()
        if not self.seconds:
            return {"visits": 0}
        cuts = statistics.quantiles([*self.seconds, self.seconds[-1]], n=100)
        return {
            "visits": len(self.seconds),
            "failed": self.failures,
            "p50 ms": cuts[49] * 1e3,
            "p99 ms": cuts[98] * 1e3,
        }


def measured(attack: Attack, host: str, port: int) -> dict[str, object]:
    """Return what an attack got, and what a visitor noticed meanwhile."""
    visitor = Visitor(host, port)
    visitor.start()
    started = time.perf_counter()
    got = attack.send(host, port)
    seconds = time.perf_counter() - started
    time.sleep(LAST_LOOK)
    return {"attack": attack.name, "got": got, "seconds": round(seconds, 1), **_rounded(visitor.stop())}


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in found.items()}


def nothing(host: str, port: int) -> str:
    time.sleep(SECONDS / 2)
    return ""


@contextmanager
def running(store: Path | None) -> Iterator[RunningServer]:
    """A service on loopback; nobody limits how often one address may ask."""
    with tempfile.TemporaryDirectory() as folder:
        if store is None:
            store = Path(folder, "store")
            mt.Recommender.fit(mt.load("sample"), rater=mt.Bayes(rng=5), ranker=mt.Ease()).publish(store)
        policy = Policy(rate_limit=1e6)
        live = Path(folder, "live.sqlite3")
        server = serve(store, port=0, workers=2, live=live, block=False, policy=policy, refits=False)
        assert server is not None
        with server:
            yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with running(options.store) as server:
        host, port = server.url.split("/")[2].split(":")
        for attack in (Attack("none", nothing), *attacks(options.scale)):
            found = measured(attack, host, int(port))
            print("   ".join(f"{name} {value}" for name, value in found.items()), flush=True)
            keep("attack", scale=options.scale, **found)


if __name__ == "__main__":
    main()
