from __future__ import annotations

import fcntl
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.errors import BusyError, LiveError, UsageError
from matinee.live import LiveHistory, LiveRatings, sqlite
from matinee.live.database import address_of
from matinee.live.dialects import PAIRS_PER_QUERY
from matinee.live.schema import RATINGS, USERS

WRITER = """
import os, sys, threading
from matinee.live import LiveRatings

path, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
live = LiveRatings(path)

def write(user):
    for movie in range(1_000_000):
        live.rate(user, {str(movie): movie % 5 + 0.5})
        os.write(1, f"{user} {movie}\\n".encode())

for number in range(threads):
    threading.Thread(target=write, args=(f"{name}-{number}",)).start()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "live.sqlite3"


@pytest.fixture
def live(path):
    with LiveRatings(path) as opened:
        yield opened


def test_a_new_file__knows_nobody(live):
    assert live.read("ann") == LiveHistory(0, {})
    assert live.ratings("ann") == {}
    assert live.revision("ann") == 0
    assert live.count() == 0


def test_rate__is_seen_by_the_next_read_and_after_reopening(live, path):
    live.rate("ann", {"260": 4.5, "1": 3})
    assert live.ratings("ann") == {"1": 3.0, "260": 4.5}
    with LiveRatings(path) as reopened:
        assert reopened.read("ann") == LiveHistory(1, {"1": 3.0, "260": 4.5})


def test_rate__replaces_an_earlier_rating_and_leaves_the_others(live):
    live.rate("ann", {"1": 3, "2": 4})
    live.rate("ann", {"1": 5})
    assert live.ratings("ann") == {"1": 5.0, "2": 4.0}


def test_people__do_not_see_each_other(live):
    live.rate("ann", {"1": 3})
    live.rate("bob", {"2": 4})
    assert (live.ratings("ann"), live.ratings("bob")) == ({"1": 3.0}, {"2": 4.0})
    assert live.count() == 2


def test_revision__counts_only_the_writes_that_changed_something(live):
    assert live.rate("ann", {"1": 3}) == 1
    assert live.rate("ann", {"1": 3}) == 1
    assert live.rate("ann", {"1": 3, "2": 3}) == 2
    assert live.delete("ann", "1") == 3
    assert live.delete("ann", "1") == 3
    assert live.rate("ann", {}) == 3
    assert live.revision("bob") == 0


def test_delete__leaves_a_tombstone_also_for_a_rating_only_the_snapshot_holds(live):
    live.delete("ann", "260")
    assert live.ratings("ann") == {"260": None}
    assert live.count() == 0
    live.rate("ann", {"260": 2})
    assert live.ratings("ann") == {"260": 2.0}


def test_a_bulk_write__may_be_larger_than_one_query(live):
    many = {str(movie): movie % 5 + 0.5 for movie in range(2 * PAIRS_PER_QUERY + 1)}
    assert live.rate("ann", many) == 1
    assert live.rate("ann", many) == 1
    assert live.ratings("ann") == many


@pytest.mark.parametrize("bad", ["", "a" * 257, "tab\there", "new\nline", "nul\0", "\x85", "lone \ud800", "\ufffd"])
def test_an_id_that_cannot_be__is_refused_and_nothing_stored(live, bad):
    with pytest.raises(UsageError, match="is not a valid user id"):
        live.rate(bad, {"1": 3})
    with pytest.raises(UsageError, match="is not a valid movie id"):
        live.rate("ann", {"1": 3, bad: 3})
    with pytest.raises(UsageError, match="is not a valid movie id"):
        live.delete("ann", bad)
    assert live.ratings("ann") == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_stars_that_are_no_number__are_refused(live, bad):
    with pytest.raises(UsageError, match="movie '1': stars must be a finite number"):
        live.rate("ann", {"1": bad})


@given(
    user=st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufffd"),
        min_size=1,
        max_size=256,
    )
)
@settings(max_examples=50, deadline=None)
def test_any_other_id__comes_back_as_it_was(tmp_path_factory, user):
    with LiveRatings(tmp_path_factory.mktemp("ids") / "live.sqlite3") as live:
        live.rate(user, {user: 3})
        assert live.ratings(user) == {user: 3.0}


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.dictionaries(st.sampled_from("123"), st.sampled_from([None, 1.0, 5.0]))),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_a_sequence_of_writes__equals_a_dictionary(tmp_path_factory, writes):
    expected: dict[str, dict[str, float | None]] = {"a": {}, "b": {}}
    revisions = Counter()
    with LiveRatings(tmp_path_factory.mktemp("sequence") / "live.sqlite3") as live:
        for user, stars in writes:
            for movie, value in stars.items():
                revisions[user] += movie not in expected[user] or expected[user][movie] != value
                expected[user][movie] = value
                if value is None:
                    live.delete(user, movie)
                else:
                    live.rate(user, {movie: value})
        for user in "ab":
            assert live.read(user) == LiveHistory(revisions[user], expected[user])


def test_many_threads__get_their_own_revisions_in_order(live):
    def write(user: str) -> None:
        revisions[user] = [live.rate(user, {str(movie): 4}) for movie in range(30)]

    revisions: dict[str, list[int]] = {}
    threads = [threading.Thread(target=write, args=(f"user {number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == {f"user {number}": list(range(1, 31)) for number in range(12)}
    assert live.count() == 360


def test_threads_writing_for_one_person__each_get_another_revision(live):
    revisions: list[int] = []
    threads = [
        threading.Thread(target=lambda movie=movie: revisions.append(live.rate("ann", {str(movie): 4})))
        for movie in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revisions) == list(range(1, 41))
    assert len(live.ratings("ann")) == 40


def test_every_statement__finds_its_rows_by_a_key_and_scans_no_table(path, monkeypatch):
    seen = []

    def traced(*arguments, connect=sqlite3.connect, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(seen.append)
        return connection

    with LiveRatings(path) as live, monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", traced)
        live.rate("ann", {"1": 3, "2": 4})
        live.read("ann")
        live.revision("ann")
    seen = [sql for sql in seen if sql.startswith(("SELECT", "INSERT", "DELETE", "WITH"))]
    with closing(sqlite3.connect(path)) as connection:
        for sql in seen:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            assert not [step for *_, step in plan if re.search("SCAN (ratings|users)", step)], (sql, plan)
    assert len(seen) >= 6


def test_readers__never_wait_for_a_writer(live, path):
    live.rate("ann", {"1": 3})
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM ratings")
    started = time.perf_counter()
    assert live.ratings("ann") == {"1": 3.0}
    assert time.perf_counter() - started < 1
    writer.close()


def test_a_lock_held_by_another_program__is_reported_and_then_forgotten(path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    with LiveRatings(path) as live:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LiveError, match="another program holds the database's lock"):
            live.rate("ann", {"1": 3})
        other.execute("ROLLBACK")
        other.close()
        assert live.ratings("ann") == {}
        assert live.rate("ann", {"1": 3}) == 1


@contextmanager
def holding(lock_file):
    with open(lock_file, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_process_that_hangs_with_the_lock__does_not_hang_us(path, monkeypatch):
    monkeypatch.setattr(sqlite, "PATIENCE", 0.2)
    with LiveRatings(path) as live:
        with holding(f"{path}.lock"), pytest.raises(BusyError, match=r"another process has held live\.sqlite3\.lock"):
            live.rate("ann", {"1": 3})
        assert live.rate("bob", {"1": 3}) == 1
        assert live.ratings("ann") == {}


def test_a_full_disk__is_an_error_for_each_caller_and_then_forgotten(live):
    live.rate("ann", {"1": 3})
    with live._database._writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    many = {str(movie): 3.5 for movie in range(5_000)}
    with pytest.raises(LiveError, match="the disk is full"):
        live.rate("bob", many)
    assert live.ratings("bob") == {}
    assert live.rate("bob", many) == 1
    assert live.count() == 5_001


def test_a_file_that_went_away__is_an_error_and_its_return_is_noticed(live, path, tmp_path):
    live.rate("ann", {"1": 3})
    away = tmp_path / "away"
    shutil.copytree(path.parent, away, ignore=shutil.ignore_patterns("away"))
    for file in path.parent.glob("live.sqlite3*"):
        file.unlink()
    with pytest.raises(LiveError, match=r"No such file or directory: .*live\.sqlite3"):
        live.rate("ann", {"2": 4})
    with pytest.raises(LiveError, match="No such file"):
        live.ratings("ann")
    assert not path.exists()
    shutil.copytree(away, path.parent, dirs_exist_ok=True)
    assert live.ratings("ann") == {"1": 3.0}
    assert live.rate("ann", {"2": 4}) == 2


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("", "the tables are gone; put the database back"),
        ("CREATE TABLE schema (version INTEGER); INSERT INTO schema VALUES (1)", "older .*matinee live migrate"),
        ("CREATE TABLE schema (version INTEGER); INSERT INTO schema VALUES (99)", "written by a newer Matinee"),
        ("CREATE TABLE others (a INTEGER)", "has other tables"),
    ],
)
def test_another_file_under_the_name__is_looked_at_as_at_the_start(live, path, tmp_path, made, words):
    live.rate("ann", {"1": 3})
    live.close()
    live = LiveRatings(path)
    path.rename(tmp_path / "away")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(made)
    path.touch()
    for ask in (live.count, lambda: live.rate("ann", {"2": 4}), live.movies, live.count):
        with pytest.raises(LiveError, match=words):
            ask()
    path.unlink()
    (tmp_path / "away").rename(path)
    assert live.count() == 1
    live.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only file")
def test_a_read_only_file__is_reported_and_then_forgotten(path):
    LiveRatings(path).close()
    path.chmod(0o400)
    with pytest.raises(LiveError, match=r"read-only|Permission denied"):
        LiveRatings(path)
    path.chmod(0o600)
    with LiveRatings(path) as live:
        assert live.rate("ann", {"1": 3}) == 1


def test_writing_after_close__is_an_error_and_close_may_be_repeated(path):
    live = LiveRatings(path)
    live.close()
    live.close()
    with pytest.raises(LiveError, match="closed"):
        live.rate("ann", {"1": 3})


def test_a_newer_schema__is_refused_and_left_alone(path):
    LiveRatings(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema SET version = 99")
    connection.close()
    with pytest.raises(LiveError, match="written by a newer Matinee"):
        LiveRatings(path)


def test_somebody_elses_database__is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(LiveError, match="has other tables"):
        LiveRatings(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    connection.close()


def test_a_file_that_is_no_database__is_refused_and_left_alone(path):
    path.write_text("userId,movieId,rating\n" * 100)
    with pytest.raises(LiveError, match="not an SQLite database"):
        LiveRatings(path)
    assert path.read_text() == "userId,movieId,rating\n" * 100


def test_a_missing_folder__is_reported_by_name(tmp_path):
    with pytest.raises(LiveError, match=r"No such file or directory.*nowhere"):
        LiveRatings(tmp_path / "nowhere" / "live.sqlite3")


@pytest.mark.parametrize(
    ("database", "expected"),
    [("/a/b.sqlite3", "/a/b.sqlite3"), ("sqlite:////a/b.sqlite3", "/a/b.sqlite3"), (Path("/a/b"), "/a/b")],
)
def test_address_of__reads_paths_and_addresses(database, expected):
    assert address_of(database) == Path(expected)


def test_address_of__takes_a_relative_address(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert address_of("sqlite:///b.sqlite3") == tmp_path / "b.sqlite3"


@pytest.mark.parametrize("database", ["mysql://me:secret@host/db", "sqlite://", "sqlite:///:memory:", ""])
def test_address_of__refuses_what_cannot_hold_ratings_and_keeps_secrets(database):
    with pytest.raises(UsageError) as caught:
        address_of(database)
    assert "secret" not in str(caught.value)


def test_a_path_with_odd_characters__works(tmp_path):
    folder = tmp_path / "a?b#c%20 d"
    folder.mkdir()
    with LiveRatings(folder / "live.sqlite3") as live:
        live.rate("ann", {"1": 3})
    assert sorted(file.name for file in folder.iterdir()) == ["live.sqlite3", "live.sqlite3.lock"]


def start_writer(path, name, threads=4):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(threads)], stdout=subprocess.PIPE, text=True
    )


FIRST = 10  # ratings that each writer acknowledges before it is killed


def kill_writers_at_random(path, rounds, processes, draw):
    """Start writers, kill them in the middle of it, and return how many of their acknowledged ratings there were."""
    acknowledged = 0
    for number in range(rounds):
        writers = [start_writer(path, f"{number}-{process}") for process in range(processes)]
        first_lines = [writer.stdout.readline() for _ in range(FIRST) for writer in writers]
        for writer in writers:
            time.sleep(draw.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
        lines = first_lines + [line for writer in writers for line in writer.communicate()[0].splitlines(True)]
        with LiveRatings(path) as live:
            for user in {line.split()[0] for line in lines}:
                stored = live.ratings(user)
                for movie in (line.split()[1] for line in lines if line.split()[0] == user and line.endswith("\n")):
                    assert stored[movie] == int(movie) % 5 + 0.5
                    acknowledged += 1
    return acknowledged


def test_kill_9_of_processes_that_write_at_once__loses_nothing_acknowledged(path):
    assert kill_writers_at_random(path, rounds=2, processes=4, draw=random.Random(0)) >= 8 * FIRST


@pytest.mark.slow
@pytest.mark.once
def test_kill_9_a_hundred_times__loses_nothing_acknowledged(path):
    assert kill_writers_at_random(path, rounds=50, processes=2, draw=random.Random(1)) >= 100 * FIRST


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (apt-get install strace)")
def test_an_acknowledgement__comes_after_a_disk_sync_of_what_it_acknowledges(path, tmp_path):
    trace = tmp_path / "trace"
    script = (
        "import os, sys; from matinee.live import LiveRatings\n"
        "with LiveRatings(sys.argv[1]) as live:\n"
        "    for movie in range(20): live.rate('ann', {str(movie): 3}); os.write(1, b'acknowledged\\n')\n"
    )
    calls = "trace=write,pwrite64,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", script, str(path)]
    traced = subprocess.run(command, capture_output=True, text=True)
    if "ptrace" in traced.stderr.lower() and traced.returncode:
        pytest.skip(f"strace may not trace here: {traced.stderr.strip()}")
    events = re.sub(r"[^WSA]", "", "".join(map(event_of, trace.read_text().splitlines())))
    assert re.fullmatch(r"([WS]*WS+A){20}[WS]*", events), events  # the last write before each is synced


def event_of(call):
    """W: bytes written to the log, S: a sync of it that succeeded, A: an acknowledgement."""
    if "acknowledged" in call:
        return "A"
    if "pwrite64" in call and "-wal>" in call:
        return "W"
    return "S" if "sync" in call and call.endswith("= 0") else ""


def test_reading__sees_one_moment(live):
    live.rate("ann", {"1": 3.5})
    with live.reading() as connection:
        before = connection.execute(RATINGS.select()).all()
        live.rate("ann", {"2": 4})
        assert connection.execute(RATINGS.select()).all() == before
    with live.reading() as connection:
        assert len(connection.execute(RATINGS.select()).all()) == 2


def test_writing__is_all_or_nothing(live):
    with live.writing() as connection:
        connection.execute(USERS.insert().values(user="ann", revision=7))
    row = {"user": "bob", "revision": 8}
    with pytest.raises(LiveError, match="UNIQUE"), live.writing() as connection:
        connection.execute(USERS.insert(), [row, row])
    assert (live.revision("ann"), live.revision("bob")) == (7, 0)
