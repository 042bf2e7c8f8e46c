from __future__ import annotations

import json
import re
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text

import matinee as mt
from matinee import backup as copies
from matinee.errors import LiveError, StoreError, UsageError
from matinee.live import LiveRatings, NewMovie, migrate, rooms
from matinee.live.identities import create_key, identities, open_link, user_of_link
from matinee.live.schema import METADATA, SCHEMA_VERSION
from matinee.models.als import ALS
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.snapshot import Store


@pytest.fixture(scope="module")
def dataset():
    return mt.load("sample")


@pytest.fixture
def store(dataset, tmp_path):
    rater = ALS(rank=4, iterations=2).fit(dataset.ratings, dataset.catalog)
    Recommender(dataset, rater).publish(tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture(params=["sqlite to sqlite", "postgresql to postgresql", "sqlite to postgresql", "postgresql to sqlite"])
def addresses(request, tmp_path):
    """The address of the live ratings that are backed up, and of an empty database to restore into."""
    found = []
    for place, kind in enumerate(request.param.split(" to ")):
        is_file = kind == "sqlite"
        path = str(tmp_path / f"{place}.sqlite3")
        found.append(path if is_file else request.getfixturevalue("postgres").database())
    return found


def everything_said(live):
    """Return all rows of all tables, whatever they are about."""
    tables = [table for table in METADATA.sorted_tables if table.name != "schema"]
    with live.reading() as connection:
        return {table.name: {tuple(row) for row in connection.execute(select(table))} for table in tables}


def say_things(live):
    for number in range(40):
        live.rate(f"user{number}", {str(movie): (movie + number) % 5 + 1 for movie in range(1, 12)})
    live.delete("user1", "5")
    live.mark("user2", "30", "watchlist")
    live.forget("user3")
    live.add_movie(NewMovie("new", "A new one", 2027, ("Drama", "Sci-Fi"), "tt1", None))
    live.set_state("refit", {"state": "refused", "why": "worse"})
    create_key(live, ["read"], "the kiosk")
    identities(live)
    rooms.open_room(live, "user4")
    return open_link(live, "user5")


def answers(store, live):
    """Return what a service on these would tell several people."""
    client = create_app(Recommender.open(store.path, live=live), live).test_client()
    key, _ = create_key(live, ["read"])
    paths = [f"/api/v1/users/{user}/recommendations?n=10&explain=true" for user in ("user0", "user1", "user2", "7")]
    return [client.get(path, headers={"Authorization": f"Bearer {key}"}).json for path in paths]


def test_a_restored_backup__answers_as_before(store, addresses, tmp_path):
    with LiveRatings(addresses[0]) as live:
        link = say_things(live)
        made = copies.backup(store, live, tmp_path / "backup")
        said, told = everything_said(live), answers(store, live)
    elsewhere = Store(tmp_path / "elsewhere")
    elsewhere.path.mkdir()
    with LiveRatings(addresses[1]) as live:
        assert copies.restore(tmp_path / "backup", elsewhere, live) == made
        assert everything_said(live) == said
        assert user_of_link(live, link) == "user5"
        assert live.read("user3").forgotten
        assert answers(elsewhere, live) == told
    assert elsewhere.verify().id == store.current_id()


def test_a_backup_while_people_write__holds_all_or_nothing_of_each_write(store, tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        stop, wrote = threading.Event(), threading.Event()

        def write():
            number = 0
            while not stop.is_set():
                number += 1
                live.rate(f"user{number}", {"1": 3, "2": 4})
                wrote.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert wrote.wait(30)
            for place in range(5):
                copies.backup(store, live, tmp_path / f"backup{place}")
        finally:
            stop.set()
            writer.join()
    for place in range(5):
        with LiveRatings(tmp_path / f"restored{place}.sqlite3") as live:
            copies.restore(tmp_path / f"backup{place}", Store(tmp_path / f"store{place}"), live)
            said = everything_said(live)
            assert len(said["ratings"]) == 2 * len(said["users"]) > 0


def test_a_backup__is_for_its_owner_alone_and_replaces_nothing(store, tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        copies.backup(store, live, tmp_path / "backup")
        assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
        with pytest.raises(UsageError, match="exists already"):
            copies.backup(store, live, tmp_path / "backup")
        with pytest.raises(StoreError, match="cannot write the backup"):
            copies.backup(store, live, tmp_path / "nowhere" / "backup")
    assert [path.name for path in tmp_path.iterdir() if "writing" in path.name] == []


def test_a_backup_of_a_damaged_snapshot__is_refused_by_the_name_of_the_file(store, tmp_path):
    damaged = store.snapshots / store.current_id() / "rater-movie-factors.arrow"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with LiveRatings(tmp_path / "live.sqlite3") as live, pytest.raises(StoreError, match=re.escape(str(damaged))):
        copies.backup(store, live, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_damaged_backup__is_refused_and_nothing_is_restored(store, tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        say_things(live)
        copies.backup(store, live, tmp_path / "backup")
    for damaged in (
        tmp_path / "backup" / "live" / "ratings.arrow",
        *(tmp_path / "backup" / "snapshot").glob("*.arrow"),
    ):
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        elsewhere = Store(tmp_path / "elsewhere")
        with LiveRatings(tmp_path / "empty.sqlite3") as live:
            with pytest.raises(StoreError, match=re.escape(damaged.name)):
                copies.restore(tmp_path / "backup", elsewhere, live)
            assert not any(everything_said(live).values())
        assert elsewhere.current_id() is None
        damaged.write_bytes(whole)


def test_restore__refuses_what_is_in_use(store, tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        say_things(live)
        copies.backup(store, live, tmp_path / "backup")
        with pytest.raises(UsageError, match="serves a snapshot already"):
            copies.restore(tmp_path / "backup", store, live)
        with pytest.raises(UsageError, match=r"holds \w+ already"):
            copies.restore(tmp_path / "backup", Store(tmp_path / "elsewhere"), live)
    assert Store(tmp_path / "elsewhere").current_id() is None


def test_a_backup_of_a_newer_matinee__is_refused_by_name(store, tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        copies.backup(store, live, tmp_path / "backup")
    about = tmp_path / "backup" / "backup.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"schema": SCHEMA_VERSION + 1, "made_by": "9.9"}))
    with pytest.raises(StoreError, match=r"newer Matinee, 9\.9; install that one"):
        copies.read(tmp_path / "backup")


def test_commands__back_up_and_restore_and_say_what_they_did(matinee, store, tmp_path):
    with LiveRatings(store.path / "live.sqlite3") as live:
        say_things(live)
    done = matinee("backup", tmp_path / "backup", "--store", store.path)
    assert done.exit_code == 0
    assert re.search(r"snapshot \S+ and [\d,]+ rows of live data are in", done.stdout)
    done = matinee("restore", tmp_path / "backup", "--store", tmp_path / "deep" / "elsewhere", "--json")
    assert json.loads(done.stdout)["rows"]["ratings"] > 300
    assert matinee("recommend", "--user", "user0", "--store", tmp_path / "deep" / "elsewhere").exit_code == 0
    refused = matinee("restore", tmp_path, "--store", tmp_path / "third")
    assert (refused.exit_code != 0, refused.stderr.count("\n")) == (True, 1)
    assert "is not a backup" in refused.stderr
    assert not (tmp_path / "third").exists()


# Snapshots from another store


def test_pull__serves_what_the_other_store_serves_and_does_nothing_twice(matinee, store, tmp_path):
    (tmp_path / "here").mkdir()
    for word in ("is active\n", "is active already"):
        done = matinee("snapshot", "pull", store.path, "--store", tmp_path / "here")
        assert done.exit_code == 0, done.stderr
        assert word in done.stdout
    assert Store(tmp_path / "here").verify().id == store.current_id()


def test_pull__says_when_it_goes_back_to_an_older_snapshot(matinee, store, tmp_path, dataset):
    (tmp_path / "here").mkdir()
    newer = Recommender(dataset, Bias().fit(dataset.ratings, dataset.catalog)).publish(tmp_path / "here").id
    done = matinee("snapshot", "pull", store.path, "--store", tmp_path / "here")
    assert f"active, older than {newer}" in done.stdout
    again = matinee("snapshot", "pull", store.path, "--store", tmp_path / "here", "--json")
    assert json.loads(again.stdout) == {"snapshot": store.current_id(), "fresh": False, "before": store.current_id()}


def test_pull__keeps_what_is_served_where_the_other_is_damaged_or_away(matinee, store, tmp_path, dataset):
    here = Store(tmp_path / "here")
    Recommender(dataset, Bias().fit(dataset.ratings, dataset.catalog)).publish(here.path)
    before = here.current_id()
    file = next((store.snapshots / store.current_id()).glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    refused = matinee("snapshot", "pull", store.path, "--store", here.path)
    assert (refused.exit_code != 0, f"{file} is damaged; take another copy" in refused.stderr) == (True, True)
    away = matinee("snapshot", "pull", tmp_path / "away", "--store", here.path)
    assert (away.exit_code != 0, away.stderr.count("\n")) == (True, 1)
    assert (here.current_id(), list(here.ids())) == (before, [before])


def test_pull__refuses_a_snapshot_that_holds_forgotten_people(matinee, store, tmp_path):
    (tmp_path / "here").mkdir()
    with LiveRatings(tmp_path / "here" / "live.sqlite3") as live:
        live.forget("7")
    refused = matinee("snapshot", "pull", store.path, "--store", tmp_path / "here")
    assert "forgotten later" in refused.stderr
    assert Store(tmp_path / "here").current_id() is None


# Older databases

OLDEST = """
CREATE TABLE schema (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO schema VALUES (1);
CREATE TABLE users ("user" VARCHAR(256) NOT NULL PRIMARY KEY, revision BIGINT NOT NULL);
INSERT INTO users VALUES ('ann', 2);
CREATE TABLE ratings ("user" VARCHAR(256) NOT NULL, movie VARCHAR(256) NOT NULL, stars DOUBLE PRECISION,
  at BIGINT NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY ("user", movie));
INSERT INTO ratings VALUES ('ann', '260', 4.5, 1700000000, 2);
"""


def make_oldest(address):
    if address.startswith("postgresql"):
        engine = create_engine(address)
        with engine.begin() as connection:
            for statement in filter(str.strip, OLDEST.split(";")):
                connection.execute(text(statement))
        engine.dispose()
    else:
        run_sql(address, OLDEST)


def run_sql(path, statements):
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()


def test_migrate__brings_the_oldest_database_to_today_and_keeps_what_it_holds(live_address):
    make_oldest(live_address)
    with pytest.raises(
        LiveError, match=r"copy it \(`matinee backup` of that version\), and run `matinee live migrate`"
    ):
        LiveRatings(live_address)
    assert migrate(live_address) == (1, SCHEMA_VERSION)
    assert migrate(live_address) == (SCHEMA_VERSION, SCHEMA_VERSION)
    with LiveRatings(live_address) as live:
        assert (live.read("ann").revision, live.read("ann").stars) == (2, {"260": 4.5})
        assert live.mark("ann", "1", "seen") == 3
        live.forget("ann")
        assert live.read("ann").forgotten


def test_migrate_command__says_what_it_did_and_refuses_in_one_line(matinee, tmp_path):
    make_oldest(str(tmp_path / "live.sqlite3"))
    assert f"schema {SCHEMA_VERSION}, was 1" in matinee("live", "migrate", "--store", tmp_path).stdout
    assert f"schema {SCHEMA_VERSION}, unchanged" in matinee("live", "migrate", "--store", tmp_path).stdout
    for nothing in (tmp_path / "none.sqlite3", tmp_path / "empty.sqlite3"):
        if "empty" in nothing.name:
            nothing.touch()
        refused = matinee("live", "migrate", "--live", nothing)
        assert (refused.exit_code != 0, refused.stderr.count("\n")) == (True, 1), refused.stderr
    assert not Path(tmp_path / "none.sqlite3").exists()
    run_sql(tmp_path / "live.sqlite3", "UPDATE schema SET version = 99")
    assert "written by a newer Matinee" in matinee("live", "migrate", "--store", tmp_path).stderr
