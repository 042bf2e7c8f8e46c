from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from matinee import catalog
from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import StoreError, UsageError
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.search import TitleIndex
from matinee.snapshot import Snapshot, Store, contents, files

ALS_CONFIG = ALS(rank=4, iterations=2, intervals=False)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.fit(synthetic(200, 300, 8_000, rng=0), ALS_CONFIG, Ease(min_ratings=10))


@pytest.fixture
def store(tmp_path: Path, recommender: Recommender) -> Store:
    store = Store(tmp_path / "store")
    store.publish(recommender.dataset, recommender.rater, recommender.ranker, metrics={"rmse": 0.9})
    return store


def publish(store: Store, recommender: Recommender) -> Snapshot:
    return recommender.publish(store.path)


def test_publish__gives_back_the_same_answers_and_facts(store: Store, recommender: Recommender) -> None:
    snapshot = store.open()
    opened = Recommender.of(snapshot)
    for order in ("match", "stars"):
        expected, found = (one.recommend(user="7", order=order, explain=True) for one in (recommender, opened))
        assert found.arrow.drop_columns(["low", "high"]).equals(expected.arrow.drop_columns(["low", "high"]))
    assert snapshot.dataset.facts == recommender.dataset.facts
    assert snapshot.dataset.catalog.table.equals(recommender.dataset.catalog.table)
    np.testing.assert_array_equal(snapshot.dataset.ratings.timestamps, recommender.dataset.ratings.timestamps)
    np.testing.assert_array_equal(snapshot.dataset.ratings.movie_means, recommender.dataset.ratings.movie_means)
    assert (snapshot.rater.config, snapshot.manifest.metrics) == (ALS_CONFIG, {"rmse": 0.9})
    assert snapshot.manifest.data["ratings"] == 8_000


def test_publishing_an_opened_snapshot_again__keeps_its_metrics(store: Store) -> None:
    again = Recommender.open(store.path).publish(store.path)
    assert again.manifest.metrics == {"rmse": 0.9}


def test_open__copies_nothing(store: Store) -> None:
    snapshot = store.open()
    ratings = snapshot.dataset.ratings
    arrays = [ratings.by_user.indices, ratings.by_user.values, ratings.by_user.indptr, ratings.movie_counts]
    arrays += [array for array in snapshot.rater.arrays().values() if array.size > 100]
    for array in arrays:
        assert not array.flags.owndata
        assert not array.flags.writeable
    before = pa.total_allocated_bytes()
    again = store.open()
    assert pa.total_allocated_bytes() - before < 100_000
    assert again.id == snapshot.id


def test_open__has_the_index_of_titles_as_it_was_made(store: Store, recommender: Recommender) -> None:
    made, opened = recommender.dataset.catalog.index, store.open().dataset.catalog.stored_index
    assert opened is not None
    for part in fields(TitleIndex):
        assert np.array_equal(getattr(opened, part.name), getattr(made, part.name)), part.name
    for part in (opened.letters, opened.in_word, opened.in_movie, opened.lengths):
        assert not part.flags.owndata


@pytest.mark.parametrize("other", ["without", "of another version"])
def test_open__makes_an_index_that_is_not_there_or_not_this_versions(store: Store, other: str) -> None:
    snapshot = store.open()
    expected = snapshot.dataset.catalog.search("movie 7", None)
    if other == "without":
        (snapshot.path / "search.arrow").unlink()
        listed = json.loads((snapshot.path / "manifest.json").read_text())["files"]
        change(snapshot.path, files={name: entry for name, entry in listed.items() if name != "search.arrow"})
    else:
        replace(snapshot.path, "search.arrow", pa.table({"other": [1]}).replace_schema_metadata({"version": "0"}))
    catalog = store.open().dataset.catalog
    assert catalog.stored_index is None
    assert catalog.search("movie 7", None).tolist() == expected.tolist()
    assert len(expected)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("in_movie", None),
        ("in_movie", [999_999]),
        ("in_word", [-1]),
        ("ending_movies", []),
        ("letters", [1]),
        ("lengths", [3]),
        ("names", [None]),
    ],
)
def test_open__refuses_an_index_of_titles_that_does_not_fit(
    store: Store, part: str, values: list[object] | None
) -> None:
    snapshot = store.open()
    table = indexed(snapshot)
    place = table.schema.get_field_index(part)
    row = pa.array([table[part].to_pylist()[0][::2] if values is None else values], table.schema.field(part).type)
    replace(snapshot.path, "search.arrow", table.set_column(place, table.schema.field(place), row))
    with pytest.raises(StoreError, match=r"search\.arrow does not fit catalog\.arrow"):
        store.open()


def indexed(snapshot: Snapshot) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(snapshot.path / "search.arrow"))).read_all()


def test_current__moves_to_the_newest_and_back(store: Store, recommender: Recommender) -> None:
    first = store.current_id()
    second = publish(store, recommender).id
    assert store.current_id() == second
    assert [manifest.id for manifest in store.list()] == [second, first]
    store.activate(str(first))
    assert store.open().id == first


def test_verify__finds_one_flipped_byte_in_any_file(store: Store) -> None:
    folder = store.open().path
    store.verify()
    for path in sorted(folder.glob("*.arrow")):
        whole = path.read_bytes()
        broken = bytearray(whole)
        broken[len(whole) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(broken)
        with pytest.raises(StoreError, match=rf"{path.name} is damaged: its checksum"):
            store.verify()
        path.write_bytes(whole)
    store.verify()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "ratings.arrow").unlink(), r"ratings\.arrow is missing"),
        (lambda folder: os.truncate(folder / "ratings.arrow", 1000), r"ratings\.arrow is damaged: it has 1,000 bytes"),
        (lambda folder: overwrite(folder / "users.arrow"), r"users\.arrow is not an Arrow file"),
        (lambda folder: overwrite(folder / "rater-movie-factors.arrow"), r"rater-movie-factors\.arrow is not an Arrow"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json is damaged"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), r"manifest\.json is not a manifest"),
        (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest"),
        (lambda folder: change(folder, format=99), "has format 99, newer than this Matinee reads"),
        (lambda folder: change(folder, colour="red"), "says colour, which this .* does not know: .*; upgrade Matinee"),
        (lambda folder: change(folder, data={}), r"manifest\.json is damaged"),
        (lambda folder: change(folder, files={}), r"manifest\.json is damaged: it does not list rater-"),
        (lambda folder: change(folder, files={"../x": {"size": 1, "sha256": ""}}), "names files outside the snapshot"),
        (lambda folder: change(folder, models={"rater": None}), "names no model that knows stars as its rater"),
        (
            lambda folder: replace(folder, "users.arrow", pa.table({"user": [1]})),
            r"users\.arrow is not ours: it has no",
        ),
        (lambda folder: replace(folder, "counts.arrow", pa.table({"x": [1]})), r"counts\.arrow is not ours: it has no"),
        (lambda folder: replace(folder, "users.arrow", pa.table({"user": ["a"]})), r"offsets\.arrow does not fit"),
        (
            lambda folder: replace(folder, "offsets.arrow", pa.table({"start": pa.array([None] * 201, pa.int64())})),
            r"offsets\.arrow is not ours",
        ),
        (
            lambda folder: replace(folder, "rater-movie-factors.arrow", pa.table({"values": [1]})),
            r"rater-movie-factors\.arrow holds no array of ours",
        ),
        (
            lambda folder: change(folder, models={"rater": {"config": {"model": "oracle"}, "arrays": {}}}),
            "the rater cannot be read",
        ),
        (
            lambda folder: (folder / ".." / ".." / "current").write_text("no-such-snapshot"),
            "there is no snapshot no-such",
        ),
        (lambda folder: (folder / ".." / ".." / "current").write_text("../../etc"), "is not the id of a snapshot"),
    ],
)
def test_open__names_what_is_damaged_or_foreign(store: Store, damage: Callable[[Path], object], message: str) -> None:
    damage(store.open().path)
    with pytest.raises((StoreError, UsageError), match=message):
        store.open()


STORES_0_1 = Path(__file__).parent / "data" / "store-0.1"  # written by Matinee 0.1 from a part of the sample


@pytest.fixture(params=["bayes-ease", "als-ials"])
def store_0_1(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    shutil.copytree(STORES_0_1 / request.param, tmp_path / request.param)
    return Store(tmp_path / request.param)


def test_a_snapshot_of_0_1__answers_as_0_1_did(store_0_1: Store) -> None:
    said = json.loads((STORES_0_1 / f"{store_0_1.path.name}.json").read_text("utf-8"))
    assert store_0_1.verify().version == said["version"] == "0.1.0"
    opened = Recommender.open(store_0_1.path)
    assert opened.recommend(said["ratings"], n=5, min_ratings=0)["movie"] == said["movies"]
    assert opened.recommend(user=said["user"], n=5, min_ratings=0)["movie"] == said["user_movies"]
    stars = opened.predict(said["ratings"], list(said["stars"]))["stars"]
    np.testing.assert_allclose(stars, list(said["stars"].values()), atol=1e-5)


def test_a_snapshot_of_0_1__has_nulls_in_the_columns_added_since(
    store_0_1: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = catalog.SCHEMA.append(pa.field("runtime", pa.int16()))
    monkeypatch.setitem(contents.TABLES, "catalog.arrow", later)
    table = store_0_1.open().dataset.catalog.table
    assert table.schema == later
    assert table["runtime"].null_count == len(table) == 40


def test_columns_of_the_catalogue_added_since_0_1__are_nullable() -> None:
    (path,) = STORES_0_1.glob("als-ials/snapshots/*/catalog.arrow")
    written = pa.ipc.open_file(path).read_all().column_names
    assert all(field.nullable for field in catalog.SCHEMA if field.name not in written)


def test_columns_that_a_newer_version_added__are_left_out(store: Store, tmp_path: Path) -> None:
    before = store.open()
    table = before.dataset.catalog.table
    runtimes = pa.array([90] * len(table), pa.int16())
    replace(before.path, "catalog.arrow", table.add_column(1, "runtime", runtimes))
    opened = store.open()
    assert opened.dataset.catalog.table.equals(table)
    published = Recommender.of(opened).publish(tmp_path / "again")
    assert published.dataset.catalog.table.equals(table)


def overwrite(path: Path) -> None:
    path.write_bytes(b"\x01" * path.stat().st_size)


def replace(folder: Path, name: str, table: pa.Table) -> None:
    """Put another Arrow file in place of one, and its size into the manifest."""
    (folder / name).unlink()
    entry = files.write_table(folder / name, table)
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    change(folder, files=listed | {name: {"size": entry.size, "sha256": entry.sha256}})


def change(folder: Path, **values: object) -> None:
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    del said["checksum"]  # as in an older one
    path.write_text(json.dumps(said | values))


def test_open__says_how_to_make_a_snapshot_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no snapshot in .*; make one with `mt.train.ds, store="):
        Store(tmp_path).open()
    assert Store(tmp_path / "nowhere").list() == []


def test_publish__into_a_place_that_is_no_folder_says_so(tmp_path: Path, recommender: Recommender) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        recommender.publish(tmp_path / "file")


PUBLISH_ON_A_FULL_DISK = """
import resource, sys
from matinee.recommender import Recommender
recommender = Recommender.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
recommender.publish(sys.argv[1])
"""


def test_publish__on_a_full_disk_says_so_and_leaves_the_previous_snapshot_served(store: Store) -> None:
    command = [sys.executable, "-c", PUBLISH_ON_A_FULL_DISK, os.fspath(store.path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert f"StoreError: the store {store.path} cannot be written: File too large" in failed.stderr
    assert [store.verify().id] == list(store.ids())
    assert not [*store.path.glob(".*"), *store.snapshots.glob(".*")]


def test_activate__in_a_store_that_cannot_be_written_says_so(store: Store) -> None:
    (store.path / "lock").unlink()
    (store.path / "lock").mkdir()
    with pytest.raises(StoreError, match="cannot be written: Is a directory"):
        store.activate(str(store.current_id()))


def test_ids__name_a_damaged_snapshot_among_the_others(store: Store, recommender: Recommender) -> None:
    (store.open().path / "manifest.json").write_text("{")
    damaged, sound = store.current_id(), publish(store, recommender).id
    assert store.ids() == [sound, damaged]
    with pytest.raises(StoreError, match="is damaged"):
        store.list()


def test_publish__cleans_up_after_a_crash_but_not_after_the_living(store: Store, recommender: Recommender) -> None:
    (store.path / ".current-dead").write_text("half")
    dead, living = store.snapshots / ".writing-dead", store.snapshots / ".writing-living"
    for folder in (dead, living):
        folder.mkdir()
        (folder / "ratings.arrow").write_text("half")
    held = os.open(living, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    publish(store, recommender)
    os.close(held)
    assert not dead.exists()
    assert living.exists()
    assert not list(store.path.glob(".*"))


def test_publish__by_many_at_once_loses_none(store: Store, recommender: Recommender) -> None:
    threads = [threading.Thread(target=publish, args=(store, recommender)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list()) == 7
    for manifest in store.list():
        store.verify(manifest.id)
    assert store.current_id() in {manifest.id for manifest in store.list()}
    assert not list(store.snapshots.glob(".*"))


PUBLISH_FOREVER = """
import sys
from matinee.recommender import Recommender
store, = sys.argv[1:]
recommender = Recommender.open(store)
print("ready", flush=True)
while True:
    print(recommender.publish(store).id, flush=True)
"""


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=[pytest.mark.slow, pytest.mark.once])])
def test_publish__killed_at_any_moment_leaves_a_good_snapshot_served(store: Store, rounds: int) -> None:
    draw = random.Random(0)
    for _ in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FOREVER, store.path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        published = process.communicate()[0].split("\n")[:-1]
        current = store.verify()
        assert not published or current.created >= store.manifest(published[-1]).created
    publish(store, Recommender.of(store.open()))
    assert not list(store.snapshots.glob(".*"))


PUBLISH_KILLED_AT_EACH_STEP = """
import os, signal, sys
from matinee.recommender import Recommender
store, stride = os.path.abspath(sys.argv[1]), int(sys.argv[2])
recommender = Recommender.open(store)

def kill_at(step):
    def count(event, arguments):
        nonlocal step
        step -= str(arguments[:1]).find(store) > 0 or event == "fcntl.flock"
        if step < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)

def publish(step=None):
    child = os.fork()
    if not child:
        if step is not None:
            kill_at(step)
        recommender.publish(store)
        os._exit(0)
    survived = os.waitpid(child, 0)[1] == 0
    print("whole" if survived else "killed", flush=True)
    sys.stdin.readline()
    return survived

step = 0
while not publish(step):
    publish(step)  # now with something to clean up
    publish()
    step += stride
"""


@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.once])])
def test_publish__killed_before_any_of_its_steps_leaves_a_good_snapshot_served(store: Store, stride: int) -> None:
    ends: list[tuple[str, bool]] = []
    command = [sys.executable, "-c", PUBLISH_KILLED_AT_EACH_STEP, os.fspath(store.path), str(stride)]
    before = store.current_id()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for end in process.stdout:
            current = store.verify().id
            ends.append((end.strip(), current != before))
            if ends[-1][0] == "whole":
                assert current != before
                assert not [*store.path.glob(".*"), *store.snapshots.glob(".*")]
            before = current
            print(file=process.stdin, flush=True)
    assert process.returncode == 0
    assert ends.count(("killed", False)) > 50 // stride, "a kill before the switch leaves the previous snapshot served"
    assert stride > 1 or ends.count(("killed", True)) >= 2, "a kill after it leaves the new one"


def test_snapshot_page__reads_a_snapshot_as_it_says(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "snapshot.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert not {"matinee", "from"} & set(re.findall(r"import (\w+)", example))
    store.path.rename(store.path.parent / "matinee-store")
    monkeypatch.chdir(store.path.parent)
    exec(example, {})
    assert "(300, 4)" in capsys.readouterr().out


def test_snapshot__of_data_without_times_and_years_opens(tmp_path: Path) -> None:
    from matinee.datasets import load

    data: Dataset = load(pa.table({"user": ["a", "b", "a"], "movie": ["x", "x", "y"], "rating": [1, 5, 3]}))
    Recommender.fit(data, ALS_CONFIG, None).publish(tmp_path)
    opened = Recommender.open(tmp_path)
    assert opened.dataset.ratings.timestamps is None
    assert len(opened.recommend(user="b", min_ratings=0)) == 1


def test_opening__loads_neither_pandas_nor_scipys_solvers(tmp_path: Path) -> None:
    models = Bayes(sweeps=20, burn_in=4), Ease(min_ratings=10)
    Recommender.fit(synthetic(200, 300, 8_000, rng=0), *models).publish(tmp_path)
    program = (
        "import sys; from matinee.recommender import Recommender; Recommender.open(sys.argv[1]); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "scipy.linalg", "matplotlib"} & set(loaded)
