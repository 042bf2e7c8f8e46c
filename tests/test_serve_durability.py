from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.serving import PATIENCE, Server, ask, send, started, wait_until

from matinee.live import LiveRatings

STARS = {"stars": 4.0}
BULK = {"ratings": [{"movie": "1", "stars": 3}, {"movie": "2", "stars": 4}]}
WRITES = "trace=pwrite64,fsync,fdatasync,sendto,sendmsg,write,writev"

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in Linux' /proc")
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)"
)


def rating(url, user, movie):
    return f"{url}api/v1/users/{user}/ratings/{movie}"


def put(url, user, movie):
    """The status of a rating, the seconds after which to try again, and what is said."""
    request = urllib.request.Request(rating(url, user, movie), json.dumps(STARS).encode(), method="PUT")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, None, json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.headers["Retry-After"], json.load(problem)["detail"]


class Writers:
    """Threads that rate over kept connections, one movie after the other, until they are stopped; a broken connection
    is opened again."""

    def __init__(self, url, name, threads=4):
        self.host, self.stopped, self.acknowledged, self.others = url.split("/")[2], threading.Event(), [], []
        self.threads = [
            threading.Thread(target=self.write, args=(f"{name}-{thread}",), daemon=True) for thread in range(threads)
        ]
        for thread in self.threads:
            thread.start()

    def write(self, user):
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        movie = 1
        while movie < 900 and not self.stopped.is_set():
            try:
                connection.request(
                    "PUT",
                    f"/api/v1/users/{user}/ratings/{movie}",
                    json.dumps(STARS),
                    {"Content-Type": "application/json"},
                )
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.01)
                continue
            if answer.status == 200:
                self.acknowledged.append((user, str(movie)))
            else:
                self.others.append(answer.status)
            movie += 1
        connection.close()

    def stop(self):
        """Return the ratings that were acknowledged."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged


def assert_kept(store, acknowledged):
    with LiveRatings(store / "live.sqlite3") as live:
        for user in {user for user, _ in acknowledged}:
            assert {movie for person, movie in acknowledged if person == user} <= set(live.ratings(user))


def wait_for(writers, draw):
    """Wait for some acknowledgements and then for a moment of any length, so that the kill comes in any step."""
    wait_until(lambda: len(writers.acknowledged) > 10, "the server answers too slowly")
    time.sleep(draw.uniform(0, 0.1))


def kill_everything(store, rounds, draw):
    """Kill all processes in the middle of writes, and return the ratings that were acknowledged before."""
    acknowledged = []
    for number in range(rounds):
        server = Server(store, workers=2)
        writers = Writers(server.url, f"all{number}")
        wait_for(writers, draw)
        server.end(signal.SIGKILL, group=True)
        acknowledged += writers.stop()
    return acknowledged


def kill_workers(store, rounds, draw):
    """Kill one worker after the other in the middle of writes, and return the ratings that were acknowledged."""
    acknowledged = []
    with started(store, workers=2) as server:
        for number in range(rounds):
            writers = Writers(server.url, f"one{number}")
            wait_for(writers, draw)
            killed = draw.choice(sorted(server.workers()))
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda killed=killed: len(server.workers() - {killed}) == 2, "the worker was not replaced")
            acknowledged += writers.stop()
            assert writers.others == []
    return acknowledged


@pytest.mark.parametrize("kill", [kill_everything, kill_workers])
def test_kill_9_in_the_middle_of_writes__loses_nothing_acknowledged(store, kill):
    acknowledged = kill(store, 2, random.Random(0))
    assert len(acknowledged) > 20
    assert_kept(store, acknowledged)


@pytest.mark.slow
@pytest.mark.once
def test_kill_9_a_hundred_times__loses_nothing_acknowledged(store):
    draw = random.Random(1)
    acknowledged = kill_everything(store, 50, draw) + kill_workers(store, 50, draw)
    assert len(acknowledged) > 2_000
    assert_kept(store, acknowledged)


@needs_strace
def test_every_success__is_answered_after_a_disk_sync_of_what_was_written(store, tmp_path):
    with started(store) as server:
        send(rating(server.url, "ann", 1), "PUT", STARS)
        with traced(server, "-y", "-s", "40", "-e", WRITES, "-o", str(tmp_path / "trace")):
            for movie in range(2, 7):
                assert send(rating(server.url, "ann", movie), "PUT", STARS)[0] == 200
                assert send(f"{server.url}api/v1/users/ann/marks/{movie + 20}", "PUT", {"mark": "seen"})[0] == 200
                assert send(f"{server.url}api/v1/users/bob{movie}/ratings", "POST", BULK)[0] == 200
                assert send(rating(server.url, "ann", movie), "DELETE")[0] == 200
        assert server.end() == (0, "")
    events = "".join(event_of(line) for line in (tmp_path / "trace").read_text().splitlines())
    assert re.fullmatch(r"([WS]*W[WS]*SA){20}[WS]*", events), events


def event_of(call):
    """W: bytes written to the log, S: a sync of it that succeeded, A: a success that is sent."""
    if "HTTP/1.1 2" in call:
        return "A"
    if "pwrite64" in call and "-wal>" in call:
        return "W"
    return "S" if "sync" in call and "-wal>" in call and call.endswith("= 0") else ""


@contextmanager
def traced(server, *options):
    """Watch a running service's system calls, or let some of them fail, and let go of it at the end."""
    pids = [server.process.pid, *server.workers()]
    command = ["strace", "-f", *options, *(option for pid in pids for option in ("-p", str(pid)))]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in pids:
        if "attached" not in (said := tracer.stderr.readline()):
            pytest.skip(f"strace may not watch other programs here: {said}")
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=PATIENCE)


@needs_strace
def test_a_disk_that_refuses_to_be_written__is_said_and_then_forgotten(store):
    with started(store) as server:
        assert put(server.url, "ann", 1)[0] == 200
        for error in ("EROFS", "EIO", "ENOSPC"):
            inject = f"inject=pwrite64:error={error}"
            with traced(server, "-P", f"{store}/live.sqlite3-wal", "-e", inject, "-o", "/dev/null"):
                status, retry_after, detail = put(server.url, "ann", 2)
                listed = ask(f"{server.url}api/v1/users/ann/recommendations?n=5")
            assert (status, int(retry_after) > 0, str(store) in detail) == (503, True, False)
            assert len(listed["items"]) == 5
            assert put(server.url, "ann", 3)[0] == 200
            assert {row["movie"] for row in ask(f"{server.url}api/v1/users/ann/ratings")["items"]} == {"1", "3"}
        assert len(re.findall("live ratings .*: .*disk", server.end()[1])) >= 3


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"only root mounts a disk: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk__is_said_until_there_is_room_again(store, small_disk):
    with started(store, live=str(small_disk / "live.sqlite3")) as server:
        assert put(server.url, "ann", 1)[0] == 200
        fill(small_disk / "filler")
        answers = [put(server.url, f"user{number}", 2) for number in range(200)]
        full = [answer for answer in answers if answer[0] != 200]
        assert full
        assert {(status, str(small_disk) in detail) for status, _, detail in full} == {(503, False)}
        assert all(int(retry_after) > 0 for _, retry_after, _ in full)
        assert len(ask(f"{server.url}api/v1/users/ann/recommendations?n=5")["items"]) == 5
        (small_disk / "filler").unlink()
        assert put(server.url, "ann", 3)[0] == 200
        kept = [number for number in range(200) if put_is_kept(server.url, f"user{number}")]
        assert kept == [number for number, answer in enumerate(answers) if answer[0] == 200]
        assert "the disk is full" in server.end()[1]


def fill(path):
    """Write until the disk takes no more."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass


def put_is_kept(url, user):
    return bool(ask(f"{url}api/v1/users/{user}/ratings")["items"])


def test_a_database_that_is_away__is_said_until_it_is_back(store, postgres):
    with started(store, live=postgres.database(), workers=2) as server:
        assert put(server.url, "ann", 1)[0] == 200
        for how in ("fast", "immediate"):
            postgres.stop(how)
            try:
                for status, retry_after, detail in (put(server.url, "ann", 2) for _ in range(4)):
                    assert (status, int(retry_after) > 0) == (503, True)
                    assert "postgres" not in detail.lower(), detail
                assert ask(f"{server.url}healthz")["status"] == "ok"
            finally:
                postgres.start()
            wait_until(lambda: put(server.url, "ann", 3)[0] == 200, "the database is back and not used")
            assert {row["movie"] for row in ask(f"{server.url}api/v1/users/ann/ratings")["items"]} == {"1", "3"}


def test_a_worker_that_comes_while_the_database_is_away__says_so_until_it_is_back(store, postgres):
    with started(store, live=postgres.database()) as server:
        assert put(server.url, "ann", 1)[0] == 200
        postgres.stop("fast")
        try:
            [worker] = server.workers()
            os.kill(worker, signal.SIGKILL)
            status, retry_after, detail = put(server.url, "ann", 2)
            assert (status, int(retry_after) > 0, "postgres" in detail.lower()) == (503, True, False)
            assert ask(f"{server.url}healthz")["status"] == "ok"
        finally:
            postgres.start()
        wait_until(lambda: put(server.url, "ann", 3)[0] == 200, "the database is back and not used")
        assert {row["movie"] for row in ask(f"{server.url}api/v1/users/ann/ratings")["items"]} == {"1", "3"}


@pytest.mark.parametrize("where", ["one store", "one PostgreSQL"])
def test_two_services_on_one_database__see_each_others_ratings_at_once(store, tmp_path, where, request):
    live = None if where == "one store" else request.getfixturevalue("postgres").database()
    other = store if where == "one store" else shutil.copytree(store, tmp_path / "other", symlinks=True)
    with started(store, live=live) as one, started(other, live=live) as two:
        writers = [Writers(one.url, "one", threads=2), Writers(two.url, "two", threads=2)]
        wait_until(lambda: all(len(some.acknowledged) > 50 for some in writers), "the services answer too slowly")
        acknowledged = [rating for some in writers for rating in some.stop()]
        assert [some.others for some in writers] == [[], []]
        for url in (one.url, two.url):
            for user in {user for user, _ in acknowledged}:
                expected = {movie for person, movie in acknowledged if person == user}
                assert expected <= movies_of(url, user)


def movies_of(url, user):
    found, cursor = set(), ""
    while cursor is not None:
        page = ask(f"{url}api/v1/users/{user}/ratings?limit=100{cursor and '&cursor='}{cursor}")
        found |= {row["movie"] for row in page["items"]}
        cursor = page.get("next")
    return found


def test_sigterm_under_load__fails_no_request_that_was_taken(store):
    with started(store, workers=2) as server:
        writers = Writers(server.url, "load")
        wait_until(lambda: len(writers.acknowledged) > 200, "the server answers too slowly")
        assert server.end() == (0, "")
        acknowledged = writers.stop()
    assert writers.others == []
    assert_kept(store, acknowledged)
