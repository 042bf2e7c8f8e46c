"""Run the service for long under a mixed load, with killed workers and restarts; measure what grows or gets lost.

    python benchmarks/soak.py [--minutes 30] [--database postgresql|sqlite] [--workers 2] [--clients 4] [--rate 40]
        [--plot FILE]

Clients ask for lists, rate, search, import and forget, `--rate` requests a second in all. Meanwhile the service refits
every two minutes, one of its workers is killed every minute, and PostgreSQL, a server of our own from Debian's
package, is restarted twice. A client repeats a request after a broken connection or a 503, as browsers and nginx do.

Every two seconds it notes, of the watching process and its workers together: memory (proportional set size), open
files, threads; the size of the database's write-ahead log; and the 99th percentile of the answers since. Processes
of a refit do not count. At the end every rating that was acknowledged must be there; results/soak.jsonl keeps the
medians of the second sixth and of the last sixth of the time, and what was done and failed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import keep

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import postgresql

USERS, MOVIES, RATINGS = 4_000, 2_000, 150_000
LOOK_EVERY, KILL_EVERY, REFIT_EVERY = 2.0, 60.0, "2m"  # seconds, and as `--refit-every` takes it
PATIENCE, TRIES, REST = 30.0, 60, 0.5  # seconds for an answer; then again so often, after so many seconds
WATCHED = ("megabytes", "files", "threads", "wal_megabytes", "p99_ms")
SHARES = {"list": 0.5, "rate": 0.3, "search": 0.14, "import": 0.04, "forget": 0.02}


@dataclass
class Tally:
    """What the clients did, for all of them.

    seconds   of each answer since somebody looked
    stored    {user: {movie: stars}} as far as acknowledged
    """

    done: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    stored: dict[str, dict[str, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self) -> list[float]:
        """Return the seconds since the last call."""
        with self.lock:
            found, self.seconds = self.seconds, []
        return found


class Client(threading.Thread):
    """Sends the requests of some users in turn until the end."""

    def __init__(self, number: int, address: tuple[str, int], tally: Tally, every: float, end: threading.Event) -> None:
        super().__init__(daemon=True)
        self.rng, self.tally, self.every, self.end = random.Random(number), tally, every, end
        self.people = [f"soak-{number}-{person}" for person in range(50)]
        self.address = address
        self.connection = http.client.HTTPConnection(*address, timeout=PATIENCE)

    def run(self) -> None:
        while not self.end.wait(self.rng.expovariate(1 / self.every)):
            [kind] = self.rng.choices([*SHARES], [*SHARES.values()])
            self.act(kind, self.rng.choice(self.people))

    def act(self, kind: str, user: str) -> None:
        """Do one thing and note how it went."""
        path, stars = f"/api/v1/users/{user}", self.rng.randrange(1, 11) / 2
        movies = [str(self.rng.randrange(1, MOVIES + 1)) for _ in range(20)]
        given = dict.fromkeys(movies[:1] if kind == "rate" else movies, stars)
        rows = "movieId,rating\n" + "".join(f"{movie},{stars}\n" for movie in given)
        asked: dict[str, tuple[str, str, str, bytes | None]] = {
            "list": ("GET", f"{path}/recommendations?n=25", "", None),
            "search": ("GET", f"/api/v1/movies?query=movie%20{movies[0]}", "", None),
            "rate": ("PUT", f"{path}/ratings/{movies[0]}", "application/json", json.dumps({"stars": stars}).encode()),
            "import": ("POST", f"{path}/ratings", "text/csv", rows.encode()),
            "forget": ("DELETE", path, "", None),
        }
        if not self.asked(kind, *asked[kind]):
            return
        mine = self.tally.stored.setdefault(user, {})
        if kind == "forget":
            mine.clear()
        elif kind in ("rate", "import"):
            mine |= given

    def asked(self, kind: str, method: str, path: str, media: str, body: bytes | None) -> bool:
        """Ask until there is an answer other than 503; return whether it is a success."""
        start = time.perf_counter()
        for _ in range(TRIES):
            try:
                self.connection.request(method, path, body, {"Content-Type": media} if media else {})
                answer = self.connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                self.connection.close()
                status = 0
            if status not in (0, 503):
                break
            self.count(f"{kind} again after {'a broken connection' if status == 0 else status}")
            time.sleep(REST if status else 0)
        self.count(kind if status == 200 else f"{kind} failed with {status}")
        with self.tally.lock:
            self.tally.seconds.append(time.perf_counter() - start)
        return status == 200

    def count(self, what: str) -> None:
        with self.tally.lock:
            self.tally.done[what] += 1


def children(pid: int) -> list[int]:
    """Return the workers of a service."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def looked(pid: int, wal: Callable[[], int], seconds: list[float]) -> dict[str, float | None]:
    """Return what is watched, now."""
    totals = Counter[str]()
    for one in (pid, *children(pid)):
        with suppress(OSError):  # it was killed meanwhile
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            totals["megabytes"] += int(re.search(r"^Pss: +(\d+)", rollup, re.M)[1])  # type: ignore[index]
            totals["files"] += len(os.listdir(f"/proc/{one}/fd"))
            totals["threads"] += len(os.listdir(f"/proc/{one}/task"))
    p99 = sorted(seconds)[int(0.99 * len(seconds))] * 1e3 if seconds else None
    return {
        "megabytes": totals["megabytes"] / 1024,
        "files": totals["files"],
        "threads": totals["threads"],
        "wal_megabytes": wal() / 1e6,
        "p99_ms": p99,
    }


def size_of(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is none."""
    files = place.iterdir() if place.is_dir() else [place]
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


@contextmanager
def served(store: Path, live: str, workers: int) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """Run `matinee serve`; give the process and where it answers."""
    command = [sys.executable, "-m", "matinee", "serve", "--store", str(store), "--live", live, "--port", "0"]
    command += ["--workers", str(workers), "--refit-every", REFIT_EVERY, "--rate-limit", "100000"]
    with (store.parent / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0)
    try:
        assert process.stdout is not None
        found = re.search("http://([0-9.]+):([0-9]+)/", process.stdout.readline())
        if found is None:
            raise SystemExit((store.parent / "log").read_text())
        yield process, (found[1], int(found[2]))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill_one(process: subprocess.Popen[str]) -> str:
    """Kill a worker and return what was done."""
    workers = children(process.pid)
    if not workers:
        return "no worker to kill"
    os.kill(random.choice(workers), signal.SIGKILL)
    return "workers killed"


def restart(server: postgresql.Postgres) -> str:
    """Stop PostgreSQL, which breaks all connections, start it again and return what was done."""
    server.stop("fast")
    server.start()
    return "restarts of PostgreSQL"


def soaked(minutes: float, database: str, workers: int, clients: int, rate: float) -> dict[str, Any]:
    """Run it all and return what was found: series of what is watched, counts, and what was lost."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(postgresql.running()) if database == "postgresql" else None
        live = server.database() if server else str(folder / "store" / "live.sqlite3")
        wal = server.data / "pg_wal" if server else folder / "store" / "live.sqlite3-wal"
        data = synthetic(USERS, MOVIES, RATINGS, rng=0)
        Recommender.fit(data, rater=ALS(rank=8, iterations=5), ranker=Ease()).publish(folder / "store")
        process, address = opened.enter_context(served(folder / "store", live, workers))
        tally, end = Tally(), threading.Event()
        crowd = [Client(number, address, tally, clients / rate, end) for number in range(clients)]
        for client in crowd:
            client.start()
        due: list[tuple[float, Callable[[], str]]] = [
            (at, partial(kill_one, process)) for at in np.arange(KILL_EVERY, minutes * 60, KILL_EVERY)
        ]
        due += [(minutes * 60 * share, partial(restart, server)) for share in (0.35, 0.68) if server]
        due.sort(key=lambda one: one[0])
        series, hurts, start = [], Counter[str](), time.monotonic()
        while (now := time.monotonic() - start) < minutes * 60:
            series.append({"at": round(now, 1), **looked(process.pid, partial(size_of, wal), tally.taken())})
            if due and now >= due[0][0]:
                hurts[due.pop(0)[1]()] += 1
            time.sleep(LOOK_EVERY)
        end.set()
        for client in crowd:
            client.join(PATIENCE)
        snapshots = sorted(path.name for path in (folder / "store" / "snapshots").iterdir())
        refit = status(address)["refit"]
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
        with LiveRatings(live) as kept:
            found = {user: kept.read(user).stars for user in tally.stored}
        lost = sum(
            found[user].get(movie) != stars for user, said in tally.stored.items() for movie, stars in said.items()
        )
        checked = sum(map(len, tally.stored.values()))
    return {
        "series": series,
        "done": dict(sorted(tally.done.items())),
        "hurt": dict(hurts),
        "snapshots": len(snapshots),
        "refit": refit,
        "exit": code,
        "checked": checked,
        "lost": lost,
    }


def status(address: tuple[str, int]) -> Any:
    """Return what the service says of itself."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    connection.request("GET", "/api/v1/status")
    return json.loads(connection.getresponse().read())


def middle(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of what is watched."""
    known = {name: [row[name] for row in rows if row[name] is not None] for name in WATCHED}
    return {name: round(statistics.median(values), 1) for name, values in known.items() if values}


def plot(series: list[dict[str, Any]], path: Path) -> None:
    """Draw each of what is watched over the minutes."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(len(WATCHED), 1, figsize=(7, 9), sharex=True)
    for name, axes in zip(WATCHED, panels, strict=True):
        axes.plot([row["at"] / 60 for row in series], [row[name] for row in series], linewidth=1)
        axes.set_ylabel(name.replace("_", " "))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rate", type=float, default=40, help="requests a second, of all clients")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if given.database == "postgresql" and postgresql.programs() is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql, or --database sqlite")
    found = soaked(given.minutes, given.database, given.workers, given.clients, given.rate)
    series = found.pop("series")
    sixth = max(1, len(series) // 6)
    found |= {"early": middle(series[sixth : 2 * sixth]), "late": middle(series[-sixth:])}
    options = {name: value for name, value in vars(given).items() if name != "plot"}
    keep("soak", **options, **found)
    print(json.dumps(found, indent=1))
    if given.plot:
        plot(series, given.plot)


if __name__ == "__main__":
    main()
