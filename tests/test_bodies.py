"""Whoever sends a body that is cut off on its way has stored nothing, and holds nobody up."""

from __future__ import annotations

import fcntl
import http.client
import io
import json
import resource
import select
import socket
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from tests.serving import PATIENCE, Server, ask, send, started, wait_until
from werkzeug.test import EnvironBuilder, run_wsgi_app

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.bodies import MOST_UPLOADED
from matinee.service.server import THREADS
from matinee.service.server.connections import MOST_OF_AN_ADDRESS
from matinee.service.server.dispatch import MOST_HELD, MOST_WAITING

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in Linux' /proc")

CSV = b"movieId,rating\n16,4.5\n1,3\n"
BOUNDARY = "--one"
SMALL_SERVICE = {"workers": 1}


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ratings.csv", content)
    return packed.getvalue()


def as_file(name: str, content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


class Door(NamedTuple):
    """A way to send ratings: by which request, of which type, and a body that stores something."""

    method: str
    path: str
    kind: str
    body: bytes


RATINGS = "/api/v1/users/ann/ratings"
WRITTEN = json.dumps({"ratings": [{"movie": "16", "stars": 4.5}], "marks": []}).encode()
DOORS = {
    "the tutorial's lines": Door("POST", "/ann/ratings", "application/x-www-form-urlencoded", b"16,4\n1,3"),
    "a CSV": Door("POST", RATINGS, "text/csv", CSV),
    "a zip": Door("POST", RATINGS, "application/zip", zipped(CSV)),
    "JSON": Door("POST", RATINGS, "application/json", WRITTEN),
    "one rating": Door("PUT", f"{RATINGS}/16", "application/json", b'{"stars": 4.5}'),
    "a form": Door("POST", "/say/16", "application/x-www-form-urlencoded", b"stars=4.5&other=1"),
    "a file in a form": Door(
        "POST", "/mine/import", f"multipart/form-data; boundary={BOUNDARY}", as_file("a.csv", CSV)
    ),
}


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    live = tmp_path_factory.mktemp("live") / "live.sqlite3"
    with started(published, live=str(live), refits=False, **SMALL_SERVICE) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(server: Server) -> str:
    with urllib.request.urlopen(server.url, timeout=PATIENCE) as answer:
        return str(answer.headers["Set-Cookie"].partition(";")[0])


def connected(server: Server, source: str = "127.0.0.1") -> socket.socket:
    host, port = server.url.split("/")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE, source_address=(source, 0))


def head(door: Door, cookie: str, framing: str) -> bytes:
    lines = [f"{door.method} {door.path} HTTP/1.1", "Host: localhost", f"Content-Type: {door.kind}"]
    return "\r\n".join([*lines, f"Cookie: {cookie}", framing, "", ""]).encode()


def status_of(server: Server, request: bytes, *, ends: bool = False) -> int:
    """Send a request, and where it ends say so; return the status of the answer."""
    with connected(server) as connection:
        connection.sendall(request)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return int(connection.makefile("rb").readline().split()[1])


def chunked(body: bytes) -> bytes:
    middle = len(body) // 2
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:], b""))


def framings(body: bytes) -> dict[str, bytes]:
    return {f"Content-Length: {len(body)}": body, "Transfer-Encoding: chunked": chunked(body)}


def stored(server: Server, cookie: str) -> list[object]:
    request = urllib.request.Request(f"{server.url}api/v1/users/me/export", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        own = json.load(answer)
    return [ask(f"{server.url}api/v1/users/ann/export"), own]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_body_that_is_cut_at_any_byte__is_refused_and_stores_nothing(server: Server, cookie: str, door: Door) -> None:
    before = stored(server, cookie)
    for framing, sent in framings(door.body).items():
        start = head(door, cookie, framing)
        for length in range(len(sent)):
            assert status_of(server, start + sent[:length], ends=True) == 400, (framing, sent[:length])
        for length in range(0, len(sent), 7):
            with connected(server) as connection:  # and is gone at once
                connection.sendall(start + sent[:length])
    assert status_of(server, head(door, cookie, "Transfer-Encoding: chunked") + b"4\r\n16,4\r\nzz\r\n") == 400
    assert stored(server, cookie) == before


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_whole_body__is_stored_however_it_comes(server: Server, cookie: str, door: Door) -> None:
    for framing, sent in framings(door.body).items():
        assert status_of(server, head(door, cookie, framing) + sent) < 400, framing
    assert stored(server, cookie) != stored(server, "none")


def test_a_body_in_many_pieces__is_read_whole(server: Server, cookie: str) -> None:
    door = DOORS["a zip"]
    with connected(server) as connection:
        connection.sendall(head(door, cookie, f"Content-Length: {len(door.body)}"))
        for place in range(len(door.body)):
            connection.sendall(door.body[place : place + 1])
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_body_that_is_too_long__is_refused_before_it_came(server: Server, cookie: str) -> None:
    for door in DOORS.values():
        assert status_of(server, head(door, cookie, "Content-Length: 5000001")) == 413


def test_a_server_that_takes_the_end_of_a_connection_for_the_end_of_a_body__stores_nothing_either(
    tmp_path: Path,
) -> None:
    dataset = synthetic(60, 120, 2_000, rng=0)
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        model = Bias().fit(dataset.ratings, dataset.catalog)
        app = create_app(Recommender(dataset, model, snapshot_id="first", live=live), live)
        for path, kind in (("/ann/ratings", "text/csv"), (RATINGS, "text/csv")):
            assert _status_from_it(app, path, kind, CSV[15:-4], len(CSV[15:])) == "400"
        assert live.revision("ann") == 0


def _status_from_it(app: Flask, path: str, kind: str, body: bytes, length: int) -> str:
    environ = EnvironBuilder(path, method="POST", input_stream=io.BytesIO(body), content_type=kind).get_environ()
    environ |= {"CONTENT_LENGTH": str(length), "wsgi.input_terminated": True, "REMOTE_ADDR": "127.0.0.1"}
    _, status, _ = run_wsgi_app(app, environ)
    return status[:3]


def test_while_all_threads_wait_for_the_disk__those_who_watch_the_service_are_answered(store: Path) -> None:
    with started(store, **SMALL_SERVICE) as server, (store / "live.sqlite3.lock").open("a") as lock:
        ask(f"{server.url}ann/ratings", b"1,4")
        answers: list[int] = []
        fcntl.flock(lock, fcntl.LOCK_EX)
        threads = [threading.Thread(target=_rate, args=(server.url, n, answers)) for n in range(20)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            assert ask(f"{server.url}healthz")["status"] == "ok"
            assert ask(f"{server.url}readyz")["status"] == "ready"
            with urllib.request.urlopen(f"{server.url}metrics", timeout=PATIENCE) as metrics:
                assert metrics.status == 200
        assert answers == []
        fcntl.flock(lock, fcntl.LOCK_UN)
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == [200] * 20


def _rate(url: str, number: int, answers: list[int]) -> None:
    answers.append(send(f"{url}api/v1/users/u{number}/ratings/1", "PUT", {"stars": 4})[0])


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open 2,000 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_000:
        pytest.skip(f"the test opens 1,100 connections, and this user may open {hard:,} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_more_requests_than_may_wait__are_refused_and_all_others_are_answered(store: Path) -> None:
    extra = 30
    with started(store, **SMALL_SERVICE) as server, ExitStack() as opened:
        ask(f"{server.url}ann/ratings", b"1,4")
        lock = opened.enter_context((store / "live.sqlite3.lock").open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = [
            opened.enter_context(connected(server, f"127.0.1.{number % 10}"))
            for number in range(THREADS + MOST_WAITING + extra)
        ]
        for connection in asked:
            connection.sendall(head(DOORS["the tutorial's lines"], "", "Content-Length: 4") + b"16,4")
        wait_until(lambda: len(_answered(asked)) == extra, "it is not those beyond the bound that are answered")
        assert ask(f"{server.url}healthz")["status"] == "ok"
        refused = _answered(asked)
        for connection in refused:
            answer = connection.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 503"), answer
            assert b"retry-after: 5\r\n" in answer.lower()
            assert b"more requests are waiting" in answer
        fcntl.flock(lock, fcntl.LOCK_UN)
        for connection in [one for one in asked if one not in refused]:
            assert connection.recv(12) == b"HTTP/1.1 200"


def _answered(connections: list[socket.socket]) -> list[socket.socket]:
    """Those on which something has come."""
    poll, by_number = select.poll(), {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(0)]


def test_more_bytes_of_bodies_than_may_be_held__are_refused_until_others_are_gone(server: Server, cookie: str) -> None:
    start = head(DOORS["a zip"], cookie, f"Content-Length: {MOST_UPLOADED}")
    with ExitStack() as opened:
        sending = [opened.enter_context(connected(server, "127.0.0.6")) for _ in range(MOST_HELD // MOST_UPLOADED + 1)]
        for connection in sending:
            with suppress(OSError):  # which is cut behind the refusal
                connection.sendall(start + bytes(MOST_UPLOADED - 1))
        wait_until(lambda: bool(_answered(sending)), "no body is refused")
        refused = _answered(sending)
        assert {connection.recv(12) for connection in refused} == {b"HTTP/1.1 503"}
        assert len(refused) < len(sending)
    door = DOORS["a CSV"]
    request = head(door, cookie, f"Content-Length: {len(door.body)}") + door.body
    wait_until(lambda: status_of(server, request) == 200, "the bytes of bodies that are gone are held on")


def test_bodies_and_headers_that_do_not_come__hold_nobody_up(server: Server, cookie: str) -> None:
    with ExitStack() as opened:
        for request in _unfinished(cookie):
            for _ in range(60):
                connection = opened.enter_context(connected(server, "127.0.0.2"))
                connection.sendall(request)
        assert ask(f"{server.url}api/v1/users/ann/recommendations?n=5")["items"]
        assert ask(f"{server.url}healthz")["status"] == "ok"


@pytest.mark.once
@pytest.mark.slow  # as it waits for the time limits
def test_bodies_and_headers_that_do_not_come__are_cut_after_seconds(server: Server, cookie: str) -> None:
    with ExitStack() as opened:
        held = [opened.enter_context(connected(server, "127.0.0.3")) for _ in _unfinished(cookie)]
        for connection, request in zip(held, _unfinished(cookie), strict=True):
            connection.sendall(request)
        answers = [connection.makefile("rb").read()[:12] for connection in held]
    assert answers == [b"HTTP/1.1 408", b"HTTP/1.1 408", b"", b"", b"HTTP/1.1 200"]


def _unfinished(cookie: str) -> list[bytes]:
    """A body that ends too early, one in chunks, half a header, nothing at all, and a request with nothing after it."""
    door = DOORS["a CSV"]
    start = head(door, cookie, "Content-Length: 100")
    chunks = head(door, cookie, "Transfer-Encoding: chunked") + b"4\r\n16,4\r\n"
    return [start + b"16,4", chunks, start[:50], b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"]


def test_connections_of_one_address__are_bounded_and_others_come_in(server: Server) -> None:
    def is_open(connection: socket.socket) -> bool:
        try:
            return connection.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    with ExitStack() as opened:
        held = [opened.enter_context(connected(server, "127.0.0.4")) for _ in range(MOST_OF_AN_ADDRESS + 50)]
        for connection in held:
            connection.setblocking(False)
        wait_until(lambda: sum(map(is_open, held)) <= MOST_OF_AN_ADDRESS, "the surplus was not cut")
        assert sum(map(is_open, held)) == MOST_OF_AN_ADDRESS
        assert ask(f"{server.url}healthz")["status"] == "ok"


def test_who_says_something__is_not_cut_for_the_silent_ones_of_the_same_address(server: Server) -> None:
    with ExitStack() as opened:
        talking = http.client.HTTPConnection(
            server.url.split("/")[2], timeout=PATIENCE, source_address=("127.0.0.5", 0)
        )
        talking.connect()
        held = [opened.enter_context(connected(server, "127.0.0.5")) for _ in range(MOST_OF_AN_ADDRESS)]
        silent = [*held, *(opened.enter_context(connected(server, "127.0.0.5")) for _ in range(20))]
        first = talking.sock
        for _ in range(2):
            talking.request("GET", "/healthz")
            assert talking.getresponse().read()
            _wait_for_a_cut(silent)
        assert talking.sock is first
        talking.close()


def _wait_for_a_cut(connections: list[socket.socket]) -> None:
    def is_cut(connection: socket.socket) -> bool:
        connection.setblocking(False)
        try:
            return connection.recv(1) == b""
        except BlockingIOError:
            return False

    wait_until(lambda: any(map(is_cut, connections)), "nothing was cut")
