from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text
from tests.postgresql import Postgres
from tests.serving import wait_until

from matinee.backup import backup, restore
from matinee.datasets.synthetic import synthetic
from matinee.errors import StoreError
from matinee.live import LiveHistory, LiveRatings, migrate
from matinee.live.forgotten import Forgotten, hashed
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.refit import activate, holders, refit
from matinee.snapshot import Store, files
from matinee.training import train

DATA = synthetic(200, 300, 8_000, rng=0)
RATER = ALS(rank=4, iterations=3, intervals=False)
PERSON, STARS = "somebody-to-be-forgotten", 3.4567890123
TRACES = {
    "the id": PERSON.encode(),
    "the rating in SQLite": struct.pack(">d", STARS),
    "the rating in PostgreSQL": struct.pack("<d", STARS),
    "the rating in a snapshot": struct.pack("<f", STARS),
}
IN_POSTGRESQL = ("ANALYZE", "VACUUM FULL", "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")  # docs/operation.md


@pytest.fixture
def store(tmp_path: Path) -> Store:
    train(DATA, tmp_path / "store", rater=RATER, ranker=Ease(min_ratings=10), measure=False)
    return Store(tmp_path / "store")


@pytest.fixture
def live(store: Store) -> Iterator[LiveRatings]:
    with LiveRatings(store.path / "live.sqlite3") as opened:
        yield opened


def traces(*folders: Path) -> set[tuple[str, str]]:
    """What is left of the person, and in which file, in any byte below the folders."""
    found = set()
    for file in (one for folder in folders for one in folder.rglob("*")):
        content = file.read_bytes() if file.is_file() else b""
        found |= {(what, file.name) for what, trace in TRACES.items() if trace in content}
    return found


def turned_around(live: LiveRatings) -> None:
    """Let a hundred robots say the opposite of everybody: the next candidate is worse."""
    means = DATA.ratings.movie_means
    middle = np.nanmedian(means)
    stars = {movie: 5.0 if mean < middle else 0.5 for movie, mean in zip(DATA.catalog.ids, means, strict=True)}
    for robot in range(100):
        live.rate(f"robot{robot}", stars)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_after_forget_and_refit__no_byte_of_the_store_the_log_and_the_snapshots_tells_of_a_person(
    store: Store, kind: str, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    address = server.database() if server else str(store.path / "live.sqlite3")
    places = (store.path, server.data) if server else (store.path,)
    with LiveRatings(address) as live:
        live.rate(PERSON, {"1": STARS, **dict.fromkeys(map(str, range(2, 40)), 4.0)})
        live.mark(PERSON, "50", "hidden")
        live.rate("bob", {"1": 2.0})
        refit(store, live, force=True)
        whats, files = (set(column) for column in zip(*traces(*places), strict=True))
        assert whats >= {"the id", "the rating in a snapshot"}
        assert {"users.arrow", "ratings.arrow", "tested.arrow"} <= files
        live.forget(PERSON)
        assert refit(store, live, force=True).result == "published"
        if server:
            database = address.rpartition("/")[2]
            for statement in ("ALTER SYSTEM SET wal_recycle = off", "SELECT pg_reload_conf()", *IN_POSTGRESQL):
                server.sql(statement, database)
        assert traces(*places) == set()
        assert live.read(PERSON).forgotten
        assert live.read("bob").stars == {"1": 2.0}
    assert PERSON not in "".join(capfd.readouterr())


def test_a_forget__is_gone_from_the_log_of_sqlite_at_once_and_once_a_reader_has_ended(
    store: Store, live: LiveRatings
) -> None:
    live.rate(PERSON, {"1": STARS})
    assert traces(store.path)
    live.forget(PERSON)
    assert traces(store.path) == set()
    live.rate(PERSON, {"1": STARS})
    with live.reading() as connection:
        connection.execute(text("SELECT count(*) FROM ratings")).scalar()
        live.forget(PERSON)
        assert traces(store.path)
    wait_until(lambda: not traces(store.path), "the log still holds what was deleted")


def test_a_forget_before_a_crash__is_erased_by_the_next_process(store: Store, live: LiveRatings) -> None:
    live.rate(PERSON, {"1": STARS})
    with live.writing() as connection:  # as far as one that died before it could erase
        connection.execute(text("DELETE FROM ratings"))
        connection.execute(text("DELETE FROM users"))
    assert traces(store.path)
    with LiveRatings(store.path / "live.sqlite3"):
        wait_until(lambda: not traces(store.path), "the log still holds what was deleted")


def test_sqlite__overwrites_what_is_deleted_however_it_was_built(live: LiveRatings) -> None:
    with live.writing() as connection:
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps__keeps_no_forgotten_person_in_a_snapshot(
    store: Store, live: LiveRatings, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    live.rate("8", {"1": 3.0})
    with_them = refit(store, live).snapshot
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    live.forget("7")
    with pytest.raises(StoreError, match="users who were forgotten"):
        activate(store, live, with_them)
    monkeypatch.undo()
    outcome = refit(store, live)
    assert store.ids() == [outcome.snapshot]
    assert store.open().dataset.ratings.get("7") is None
    live.rate("7", {"1": 3.0})
    back = refit(store, live).snapshot
    activate(store, live, outcome.snapshot)
    activate(store, live, back)  # it holds what was said afterwards


def test_the_count_of_another_database__says_nothing_here(store: Store, live: LiveRatings, tmp_path: Path) -> None:
    with LiveRatings(tmp_path / "other.sqlite3") as other:
        for user in ("ann", "bob", "eve"):
            other.forget(user)
        made = refit(store, other, force=True).snapshot
        assert store.open(made).manifest.forgets == other.forgotten().mark
        assert holders(store, other.forgotten()) == []
    live.forget("7")
    assert made in holders(store, live.forgotten())


def test_a_refit_that_is_refused__takes_forgotten_people_out_of_what_is_served_and_deletes_the_rest(
    store: Store, live: LiveRatings
) -> None:
    first = store.current_id()
    live.rate("8", {"1": 3.0})
    second = refit(store, live).snapshot
    before = Recommender.open(store.path).recommend(user="8", n=20)["movie"]
    live.forget("7")
    turned_around(live)
    outcome = refit(store, live)
    assert (outcome.result, outcome.parent) == ("refused", second)
    assert "replaces it, without forgotten users" in outcome.why
    assert store.ids() == [store.current_id()] == [outcome.snapshot]
    assert set(outcome.removed) == {first, second}
    served = store.open()
    assert served.dataset.ratings.get("7") is None
    assert "7" not in store.tested(served.id)["user"].to_pylist()  # type: ignore[index]
    assert Recommender.of(served).recommend(user="8", n=20)["movie"] == before
    assert refit(store, live).snapshot == outcome.snapshot  # refused again, and nobody is in it


def test_a_refit_that_finds_nothing_new__deletes_snapshots_that_hold_somebody_too(
    store: Store, live: LiveRatings, tmp_path: Path
) -> None:
    first = store.current_id()
    shutil.copytree(store.snapshots / str(first), tmp_path / "kept")
    live.forget("7")
    refit(store, live)
    shutil.copytree(tmp_path / "kept", store.snapshots / str(first))
    outcome = refit(store, live)
    assert (outcome.result, outcome.removed) == ("unchanged", (first,))


def test_a_damaged_snapshot_from_before_a_forget__is_deleted(store: Store, live: LiveRatings) -> None:
    first = store.current_id()
    live.forget("7")
    served = refit(store, live, keep=3)
    live.rate("8", {"1": 3.0})
    later = refit(store, live).snapshot
    live.forget("9")
    (store.snapshots / served.snapshot / "users.arrow").unlink()
    assert set(refit(store, live).removed) == {served.snapshot, later}
    assert first in served.removed


def test_migrate__leaves_a_hash_of_whom_an_older_matinee_forgot(tmp_path: Path) -> None:
    file = tmp_path / "live.sqlite3"
    with LiveRatings(file) as live:
        live.rate("ann", {"1": 4.0})
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            """
            DROP TABLE forgotten; DROP TABLE schema;
            CREATE TABLE schema (version INTEGER PRIMARY KEY); INSERT INTO schema VALUES (3);
            CREATE TABLE forgotten ("user" VARCHAR(256) PRIMARY KEY, at BIGINT, revision BIGINT NOT NULL DEFAULT 0)
            WITHOUT ROWID;
            INSERT INTO forgotten VALUES ('somebody-to-be-forgotten', 5, 7), ('bob', 6, 8);
            """
        )
    assert migrate(file) == (3, 4)
    with LiveRatings(file) as live:
        assert live.read(PERSON).forgotten
        assert live.read(PERSON).revision == 7
        assert live.read("ann").stars == {"1": 4.0}
        assert live.forgotten().numbers == {hashed(PERSON): 0, hashed("bob"): 0}
        assert live.forgotten().since({**live.forgotten().mark, "number": 0}).numbers == {}
        live.forget("ann")
        assert live.forgotten().mark["number"] == 1
    assert traces(tmp_path) == set()


def test_restore__leaves_a_hash_of_whom_an_older_matinee_forgot(
    store: Store, live: LiveRatings, tmp_path: Path
) -> None:
    made = backup(store, live, tmp_path / "backup")
    file = tmp_path / "backup" / "live" / "forgotten.arrow"
    file.unlink()
    entry = files.write_table(file, pa.table({"user": [PERSON], "at": [5], "revision": [7]}))
    older = {**asdict(made), "schema": 3, "rows": {**made.rows, "forgotten": 1}}
    older["files"]["forgotten.arrow"] = asdict(entry)
    (tmp_path / "backup" / "backup.json").write_text(json.dumps(older))
    with LiveRatings(tmp_path / "restored.sqlite3") as restored:
        restore(tmp_path / "backup", Store(tmp_path / "elsewhere"), restored)
        assert restored.read(PERSON) == LiveHistory(7, forgotten=True)
        assert restored.forgotten().database != live.forgotten().database


def test_forgotten__since_a_mark_are_those_with_a_later_number_and_all_of_another_database() -> None:
    found = Forgotten("here", {hashed("ann"): 1, hashed("bob"): 2})
    marks: list[tuple[Any, set[str]]] = [
        (None, {"ann", "bob"}),
        ({"database": "elsewhere", "number": 9}, {"ann", "bob"}),
        ({"database": "here", "number": 0}, {"ann", "bob"}),
        ({"database": "here", "number": 1}, {"bob"}),
        (found.mark, set()),
    ]
    for mark, later in marks:
        assert {user for user in ("ann", "bob", "eve") if user in found.since(mark)} == later
    assert found.among(["eve", "bob"]).tolist() == [False, True]
