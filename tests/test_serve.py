from __future__ import annotations

import errno
import http.client
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.serving import PATIENCE, ask, send, started, wait_until

import matinee.service
from matinee.datasets.synthetic import synthetic
from matinee.errors import LiveError, MatineeError, StoreError, UsageError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service.server.listener import listen, stop_taking
from matinee.service.server.metrics_folder import FOLDER, counting_together
from matinee.snapshot import Store

TUTORIAL = {"tutorial_scale": "1:10"}
TUTORIAL_FILE = b"260,9\n1,8\n16,7\n25,8\n32,9\n335,4\n379,3\n296,7\n858,10\n50,8\n"

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in Linux' /proc")


@pytest.fixture
def server(store):
    with started(store, workers=2, **TUTORIAL) as running:
        yield running


@pytest.fixture(scope="module")
def shared(published, tmp_path_factory):
    """A service for tests that neither end it nor change its snapshot."""
    store = shutil.copytree(published, tmp_path_factory.mktemp("shared") / "store", symlinks=True)
    with started(store, **TUTORIAL) as running:
        yield running
        assert running.end() == (0, "")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_tutorials_conversation__works_over_real_http(shared, tmp_path):
    (tmp_path / "user_ratings.file").write_bytes(TUTORIAL_FILE)
    before = ask(f"{shared.url}0/ratings/top/25")
    if curl := shutil.which("curl"):
        command = [curl, "--silent", "--data-binary", f"@{tmp_path}/user_ratings.file", f"{shared.url}0/ratings"]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout)
    else:
        answer = ask(f"{shared.url}0/ratings", TUTORIAL_FILE)
    assert answer[0] == ["0", "260", 9.0]
    assert len(answer) == 10
    assert len(ask(f"{shared.url}0/ratings/top/25")) == 25
    assert ask(f"{shared.url}0/ratings/top/25") != before
    assert len(ask(f"{shared.url}0/ratings/500")) == 1


def test_ids_that_are_not_utf_8__are_refused_so_that_no_two_are_one_person(shared):
    for path in ("users/%ff/ratings/1", "users/ann/ratings/%fe", "users/a%80b/ratings/1"):
        status, answer = send(f"{shared.url}api/v1/{path}", "PUT", {"stars": 4})
        assert (status, "characters of UTF-8" in answer["detail"]) == (400, True), (path, answer)
    assert send(f"{shared.url}api/v1/users/%C3%A9/ratings/1", "PUT", {"stars": 4})[1]["user"] == "é"


def test_a_killed_worker__is_replaced_again_and_again_and_no_visitor_is_turned_away(server):
    for _ in range(4):
        before = server.workers()
        killed = random.choice(sorted(before))
        os.kill(killed, signal.SIGKILL)
        assert ask(f"{server.url}readyz")["status"] == "ready"
        wait_until(lambda killed=killed: len(server.workers() - {killed}) == 2, "the worker was not replaced")
    assert server.end()[0] == 0


def test_when_the_watching_process_is_killed__no_worker_stays_and_ratings_are_kept(store, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with started(store, workers=2, **TUTORIAL) as server:
        ask(f"{server.url}ann/ratings", b"1,8\n260,9")
        workers = server.workers()
        assert len(workers) == 2
        server.end(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, workers)), "a worker outlived its parent")
    [left] = temporary.iterdir()
    with started(store, **TUTORIAL) as again:
        assert left not in temporary.iterdir()
        with LiveRatings(store / "live.sqlite3") as live:
            assert live.ratings("ann") == {"1": 4.0, "260": 4.5}
        assert len(ask(f"{again.url}ann/ratings/top/10")) == 10
        assert again.end() == (0, "")
    assert not list(temporary.iterdir())


def test_services_that_count_at_once__leave_each_others_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with counting_together():
        mine = Path(os.environ[FOLDER])
        with counting_together():
            assert {mine, Path(os.environ[FOLDER])} == set(tmp_path.iterdir())
        assert {mine} == set(tmp_path.iterdir())
    assert FOLDER not in os.environ
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_its_processes__ends_it_cleanly_and_logs_nothing(server, number):
    assert server.end(number, group=True) == (0, "")


def test_sigterm__lets_requests_finish(server):
    outcomes = []
    stop = threading.Event()

    def post(user):
        host = server.url.split("/")[2]
        for movie in range(1, 900):
            if stop.is_set():
                return
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return
            try:
                connection.request("POST", f"/{user}/ratings", f"{movie},8")
                outcomes.append(connection.getresponse().status)
            except (OSError, http.client.HTTPException) as error:
                outcomes.append(error)
            finally:
                connection.close()

    threads = [threading.Thread(target=post, args=(f"user{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: outcomes.count(200) > 20, "the server answers too slowly")
    ended = server.end()
    stop.set()
    for thread in threads:
        thread.join()
    assert ended == (0, "")
    assert [outcome for outcome in outcomes if outcome != 200] == []


def talk(url, outcomes, go_on):
    """Ask on one connection, one question after the other, until the answer says that it is the last."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=PATIENCE)
    try:
        while go_on.is_set():
            connection.request("GET", "/api/v1/users/1/ratings")
            answer = connection.getresponse()
            answer.read()
            outcomes.append(answer.status)
            if answer.will_close:
                return
    except (OSError, http.client.HTTPException) as error:
        outcomes.append(error)
    finally:
        connection.close()


def test_sigterm__cuts_off_nobody_who_goes_on_asking_on_one_connection(store):
    outcomes, go_on = [], threading.Event()
    go_on.set()
    for _ in range(3):
        with started(store, workers=2) as server, ExitStack() as stopped:
            threads = [threading.Thread(target=talk, args=(server.url, outcomes, go_on)) for _ in range(20)]
            for thread in threads:
                thread.start()
                stopped.callback(thread.join)
            asked = len(outcomes)
            wait_until(lambda asked=asked: len(outcomes) > asked + 400, "the server answers too slowly")
            assert server.end() == (0, "")
    assert [outcome for outcome in outcomes if outcome != 200] == []


def test_a_worker__ends_before_python_does_as_granians_threads_still_use_it(store, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        "    atexit.register(print, 'Python ends in a worker', file=sys.stderr)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with started(store) as server:
        ask(f"{server.url}ann/ratings", b"1,4")
        assert server.end() == (0, "")
    with LiveRatings(store / "live.sqlite3") as live:
        assert live.ratings("ann") == {"1": 4.0}


def greet(listener):
    with listener.accept()[0] as visitor:
        visitor.sendall(b"welcome")


def test_stop_taking__answers_those_who_wait_and_ignores_newcomers():
    with listen("127.0.0.1", 0, False) as (listener,):
        address = listener.getsockname()
        with socket.create_connection(address) as waiting:
            accepting = threading.Timer(0.2, greet, [listener])
            accepting.start()
            stop_taking([listener])
            assert waiting.recv(7) == b"welcome"
            accepting.join()
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)


def test_connections_that_come_at_once__are_dealt_out_to_all_workers():
    with listen("127.0.0.1", 0, False, workers=2) as listeners:
        address = listeners[0].getsockname()
        with ExitStack() as opened:
            for _ in range(64):
                opened.enter_context(socket.create_connection(address))
            taken = [take_all(listener) for listener in listeners]
    assert sum(taken) == 64
    assert min(taken) > 8


def take_all(listener):
    listener.settimeout(0.2)
    count = 0
    with suppress(TimeoutError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_workers_of_another_service__never_share_its_port():
    with listen("127.0.0.1", 0, False, workers=2) as listeners:
        port = listeners[0].getsockname()[1]
        with pytest.raises(UsageError, match="in use"), listen("127.0.0.1", port, False, workers=2):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone cuts them")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_answer_that_nobody_reads__is_cut(workers):
    with listen("127.0.0.1", 0, False, workers, unread_ms=500) as listeners, ExitStack() as opened:
        opened.enter_context(socket.create_connection(listeners[0].getsockname()))
        ready, _, _ = select.select(listeners, [], [])
        answering = opened.enter_context(ready[0].accept()[0])
        answering.settimeout(PATIENCE)
        with pytest.raises(OSError) as cut:  # noqa: PT011 - its number says which
            answering.sendall(bytes(100_000_000))
        assert cut.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize("workers", [1, 2])
def test_the_connections_of_a_service__send_at_once(workers):
    with listen("127.0.0.1", 0, False, workers) as listeners:
        connection = socket.create_connection(listeners[0].getsockname())
        ready, _, _ = select.select(listeners, [], [])
        with connection, ready[0].accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_newly_published_snapshot__is_served_without_a_restart(server, store):
    first = ask(f"{server.url}readyz")["snapshot"]
    dataset = synthetic(300, 950, 30_000, rng=1)
    Recommender.fit(dataset, rater=ALS(rank=4, iterations=2, intervals=False)).publish(store)
    wait_until(lambda: ask(f"{server.url}readyz")["snapshot"] != first, "the new snapshot is not served")
    wait_until(lambda: all(ask(f"{server.url}0/ratings/950") for _ in range(8)), "a worker serves the old one on")
    workers = server.workers()
    assert len(workers) == 2


def test_a_worker_that_comes_when_the_snapshot_is_damaged__serves_the_one_before_and_says_so(store):
    first = Store(store).current_id()
    dataset = synthetic(300, 950, 30_000, rng=1)
    second = Recommender.fit(dataset, rater=ALS(rank=4, iterations=2, intervals=False)).publish(store).id
    with started(store) as server:
        assert ask(f"{server.url}readyz")["snapshot"] == second
        catalog = store / "snapshots" / second / "catalog.arrow"
        catalog.rename(store / "away")
        [worker] = server.workers()
        os.kill(worker, signal.SIGKILL)
        said = ask(f"{server.url}api/v1/status")
        assert (said["snapshot"], "catalog.arrow" in said["trouble"]) == (first, True)
        assert str(store) not in said["trouble"]
        (store / "away").rename(catalog)
        wait_until(lambda: ask(f"{server.url}readyz")["snapshot"] == second, "the mended snapshot is not served")
        assert ask(f"{server.url}api/v1/status")["trouble"] is None


def test_trouble__ends_when_somebody_goes_back_to_what_is_served(store):
    first = Store(store).current_id()
    with started(store) as server:
        (store / "snapshots" / "29990101-000000-00000").mkdir()
        (store / "current").write_text("29990101-000000-00000")
        wait_until(lambda: ask(f"{server.url}api/v1/status")["trouble"] is not None, "no trouble is said")
        Store(store).activate(first)
        wait_until(lambda: ask(f"{server.url}api/v1/status")["trouble"] is None, "the trouble is said on")


def test_block_false__returns_a_handle_that_answers_and_stops(store):
    with matinee.service.serve(store, port=0, block=False) as running:
        assert ask(f"{running.url}healthz")["status"] == "ok"
        assert running.url in repr(running)
    assert "stopped" in repr(running)
    with pytest.raises(urllib.error.URLError):
        ask(f"{running.url}healthz")
    running.stop()


@pytest.mark.slow
@pytest.mark.once
def test_a_script_without_a_guard__may_call_serve_and_leaves_no_server_behind(store, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, urllib.request, matinee.service\n"
        "print(matinee.service.serve(sys.argv[1], port=0, block=False).url)\n"
    )
    ended = subprocess.run([sys.executable, script, store], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (0, "")
    url = ended.stdout.strip()

    def is_gone():
        try:
            ask(f"{url}healthz")
        except OSError:
            return True
        return False

    wait_until(is_gone, "the server outlived the script")


def test_the_watching_process__starts_without_what_only_workers_need():
    loaded = (
        "import sys, matinee.service; print(*{'flask', 'pydantic', 'jinja2', 'prometheus_client'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert told.stdout == "\n"


def test_a_busy_port__is_an_error_or_means_the_next_one(store):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        for block in (True, False):
            with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 is in use; .* --port"):
                matinee.service.serve(store, port=port, block=block)
        with matinee.service.serve(store, port=port, next_free_port=True, block=False) as running:
            assert int(running.url.split(":")[2].strip("/")) > port
            with pytest.raises(UsageError, match="is in use"):
                matinee.service.serve(store, port=int(running.url.split(":")[2].strip("/")))


@pytest.mark.parametrize("block", [True, False])
def test_what_cannot_be_served__is_said_at_once(store, tmp_path, block):
    with pytest.raises(StoreError):
        matinee.service.serve(tmp_path / "nowhere", port=0, block=block)
    with pytest.raises(LiveError, match="this is a folder"):
        matinee.service.serve(store, port=0, live=tmp_path, block=block)
    with pytest.raises(MatineeError, match="a scale is LOW:HIGH"):
        matinee.service.serve(store, port=0, tutorial_scale="ten", block=block)
    with pytest.raises(UsageError, match="outside 0 to 65535"):
        matinee.service.serve(store, port=70_000, block=block)


def counted(url, line):
    """The number that /metrics gives for the line that begins so, 0 where there is none."""
    with urllib.request.urlopen(f"{url}metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(found.split()[-1]) for found in lines if found.startswith(line)), 0)


def test_metrics__add_up_all_workers_and_those_that_died(server):
    line = 'matinee_requests_total{method="GET",route="/healthz",status="200"}'
    for _ in range(20):
        ask(f"{server.url}healthz")
    assert counted(server.url, line) == 20
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    for _ in range(20):
        ask(f"{server.url}healthz")
    assert counted(server.url, line) == 40
    assert counted(server.url, 'matinee_request_seconds_count{route="/healthz"}') == 40
    assert counted(server.url, "matinee_snapshot_ratings") == 30_000
    assert server.end()[0] == 0


def test_metrics__say_no_more_of_trouble_that_a_dead_worker_had(store):
    current = Store(store).current_id()
    with started(store) as server:
        (store / "current").write_text("29990101-000000-00000")
        wait_until(lambda: counted(server.url, "matinee_snapshot_trouble") == 1, "no trouble is counted")
        [worker] = server.workers()
        os.kill(worker, signal.SIGSTOP)  # it asks for nothing more, and nobody asks it
        Store(store).activate(current)
        os.kill(worker, signal.SIGKILL)
        assert counted(server.url, "matinee_snapshot_trouble") == 0


def test_json_log__has_one_object_for_each_request_and_nothing_that_is_secret(store):
    with started(store, workers=2, log="json", **TUTORIAL) as server:
        request = urllib.request.Request(
            f"{server.url}a-secret/ratings/top/5?token=secret", headers={"X-Request-Id": "mine"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.headers["X-Request-Id"] == "mine"
        for killed in server.workers():
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda killed=killed: len(server.workers() - {killed}) == 2, "the worker was not replaced")
        code, said = server.end()
    logged = [json.loads(line) for line in said.splitlines()]
    assert [line["level"] for line in logged if "Unexpected exit" in line["message"]] == ["error", "error"]
    [line] = [line for line in logged if line.get("request") == "mine"]
    assert (code, line["route"], line["status"], line["method"]) == (0, "/<user>/ratings/top/<n>", 200, "GET")
    assert line["ms"] > 0
    assert "secret" not in said
