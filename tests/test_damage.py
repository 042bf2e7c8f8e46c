from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving import ask, send, started, wait_until

from matinee.datasets.synthetic import synthetic
from matinee.errors import StoreError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.refit import refit
from matinee.service import create_app
from matinee.service.serving import FAILURES, LISTS
from matinee.snapshot import Store, checks, files, manifest

DATA = synthetic(200, 300, 8_000, rng=0)
FLIPS = 12  # in each file, besides its first and last byte


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all kinds of files, not to be written in."""
    path = tmp_path_factory.mktemp("made") / "store"
    rec = Recommender.fit(DATA, Bayes(rank=2, sweeps=4, burn_in=1, samples=2, rng=0), Ease(min_ratings=10))
    rec.publish(path)
    with LiveRatings(path / "live.sqlite3") as live:
        live.rate("ann", {"1": 4.0})
        refit(Store(path), live, force=True, keep=1)
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(made, tmp_path / "store"))


def flip(file: Path, at: int, bit: int = 0) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1 << bit
    file.write_bytes(content)


def served(store: Store) -> Path:
    return store.snapshots / str(store.current_id())


def checked(store: Store) -> list[str]:
    """What the background check of a service finds."""
    found = store.manifest()
    return [*store.checks.check(found.id, found.files)]


def answers(store: Store) -> Any:
    rec = Recommender.open(store.path)
    return [rec.recommend(user=user, n=20, explain=True).arrow for user in ("7", "8")], rec.metrics


def test_every_flipped_bit__is_refused_or_found_by_the_check_or_changes_nothing(made: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    expected = answers(Store(made))
    outcomes = dict.fromkeys(("refused", "found", "harmless"), 0)
    names = [path.name for path in served(Store(made)).iterdir()]
    assert {"manifest.json", "tested.arrow", "search.arrow", "ranker-eligible.arrow", "rater-units.arrow"} <= {*names}
    for name in names:
        size = (served(Store(made)) / name).stat().st_size
        for place in (0, size - 1, *(rng.randrange(size) for _ in range(FLIPS))):
            copy = Store(shutil.copytree(made, tmp_path / "copy", copy_function=_link))
            target = served(copy) / name
            content = target.read_bytes()
            target.unlink()
            target.write_bytes(content)
            flip(target, place, rng.randrange(8))
            outcomes[_outcome(copy, expected)] += 1
            shutil.rmtree(copy.path)
    assert outcomes["refused"] > len(names)
    assert outcomes["found"] > len(names)
    assert outcomes["harmless"] <= 3  # white space in the manifest


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _outcome(store: Store, expected: Any) -> str:
    try:
        Recommender.of(store.open())
    except StoreError:
        return "refused"
    if checked(store):
        with pytest.raises(StoreError, match="is damaged: its checksum is not the one written with it"):
            store.open()
        return "found"
    lists, metrics = answers(store)
    assert metrics == expected[1]
    assert all(one.equals(other) for one, other in zip(lists, expected[0], strict=True))
    return "harmless"


def test_positions_outside_the_catalogue__are_refused_at_once(store: Store) -> None:
    folder = served(store)
    for name, column in (("ratings.arrow", "movie"), ("ranker-eligible.arrow", "values")):
        for value in (-1, 300, 2**31 - 1):
            content = (folder / name).read_bytes()
            table = files.map_table(folder / name, store.manifest().files[name])
            where = content.index(np.asarray(table[column])[-8:].tobytes())
            (folder / name).write_bytes(content[:where] + np.int32(value).tobytes() + content[where + 4 :])
            with pytest.raises(StoreError, match=r"other movies|outside the catalogue"):
                store.open()
            (folder / name).write_bytes(content)
    store.open()


def test_a_manifest__refuses_any_other_number_and_is_read_without_a_checksum_as_older_ones_are(store: Store) -> None:
    file = served(store) / "manifest.json"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace('"high": 5.0', '"high": 7.0'), "utf-8")
    with pytest.raises(StoreError, match=r"manifest\.json is damaged: its checksum"):
        store.open()
    said = json.loads(whole)
    del said[manifest.CHECKSUM]
    file.write_text(json.dumps(said), "utf-8")
    store.open()


def test_a_check__goes_on_where_it_was_ended_and_reads_nothing_twice(store: Store) -> None:
    found = store.manifest()
    pieces: list[float] = []

    def end_at_the_fifth(took: float) -> bool:
        pieces.append(took)
        return len(pieces) == 5

    assert store.checks.check(found.id, found.files, end_at_the_fifth) == []
    assert len(store.checks.found(found.id)) == 4
    again: list[float] = []
    assert Store(store.path).checks.check(found.id, found.files, lambda took: bool(again.append(took))) == []
    assert len(again) == len(found.files) - 4
    assert len(store.checks.found(found.id)) == len(found.files)
    before = dict(store.checks.found(found.id))
    assert checked(store) == []
    assert store.checks.found(found.id) == before


def test_a_check__reads_a_file_again_that_was_replaced_or_read_more_than_a_day_ago(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(store) == []
    file = served(store) / "counts.arrow"
    kept = file.stat()
    flip(file, 700)
    assert checked(store) == ["counts.arrow"]
    flip(file, 700)
    assert store.damage(store.manifest().id) is None  # another file than the damaged one
    assert checked(store) == []
    inode = file.stat().st_ino
    flip(file, 700)  # as a disk does: without a new time
    os.utime(file, ns=(kept.st_atime_ns, store.checks.found(store.manifest().id)["counts.arrow"].modified))
    assert file.stat().st_ino == inode
    assert checked(store) == []
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + checks.GOOD_FOR)
    assert checked(store) == ["counts.arrow"]


def test_verify__says_what_is_damaged_and_lets_a_mended_snapshot_be_opened_again(store: Store) -> None:
    file = served(store) / "counts.arrow"
    flip(file, 700)
    with pytest.raises(StoreError, match=r"counts\.arrow is damaged"):
        store.verify()
    with pytest.raises(StoreError, match=r"counts\.arrow is damaged"):
        store.open()
    flip(file, 700)
    store.verify()
    store.open()


def test_a_removed_snapshot__leaves_no_record_of_a_check(store: Store) -> None:
    first = str(store.current_id())
    assert checked(store) == []
    Recommender.of(store.open()).publish(store.path)
    store.remove(first)
    assert [path.name for path in (store.path / checks.FOLDER).glob("*.json")] == []


# In a service


def ready(url: str) -> tuple[int, Any]:
    return send(f"{url}readyz", "GET")


def went_back(url: str, good: str | None) -> bool:
    status, (code, said) = ask(f"{url}api/v1/status"), ready(url)
    named = all("ranker-weights.arrow is damaged" in (one["trouble"] or "") for one in (status, said))
    return (status["snapshot"], code, named) == (good, 200, True)


def test_a_service__goes_back_from_a_damaged_snapshot_says_so_and_returns_when_it_is_mended(store: Store) -> None:
    good = store.current_id()
    newest = Recommender.of(store.open()).publish(store.path).id
    file = served(store) / "ranker-weights.arrow"
    flip(file, file.stat().st_size // 2)
    with started(store.path) as server:
        wait_until(lambda: all(went_back(server.url, good) for _ in range(8)), "a worker serves what is damaged")
        with urllib.request.urlopen(f"{server.url}metrics") as answer:
            assert b"\nmatinee_snapshot_trouble 1.0" in answer.read()
        flip(file, file.stat().st_size // 2)
        wait_until(lambda: ask(f"{server.url}api/v1/status")["snapshot"] == newest, "it was not mended")
        wait_until(lambda: all(ready(server.url)[1]["trouble"] is None for _ in range(8)), "it speaks of trouble")
        _, log = server.end(signal.SIGTERM)
    assert f"snapshot {newest} is damaged: ranker-weights.arrow" in log
    assert f"snapshot {good} is served on" in log


def test_a_service_that_has_nothing_to_go_back_to__is_not_ready_and_answers_on(store: Store) -> None:
    flip(served(store) / "counts.arrow", 700)
    with started(store.path, workers=1) as server:
        wait_until(lambda: ready(server.url)[0] == 503, "the damage was not found")
        assert "nothing to go back to" in ready(server.url)[1]["detail"]
        assert ask(f"{server.url}healthz")["status"] == "ok"
        assert len(ask(f"{server.url}7/ratings/top/5")) == 5
        [worker] = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.workers() - {worker} != set(), "the worker was not replaced")
        assert len(ask(f"{server.url}7/ratings/top/5")) == 5
        assert ready(server.url)[0] == 503
        flip(served(store) / "counts.arrow", 700)
        wait_until(lambda: ready(server.url)[0] == 200, "it was not mended")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


def broken(live: LiveRatings) -> Recommender:
    """A recommender whose ranker names movies that are not there, and so fails at every list."""
    ranker = Ease(min_ratings=10).fit(DATA.ratings, DATA.catalog)
    outside = replace(ranker.inputs, eligible=ranker.inputs.eligible + np.int32(len(DATA.catalog)))
    return Recommender(
        DATA, ALS(rank=2, iterations=1).fit(DATA.ratings, DATA.catalog), replace(ranker, inputs=outside), live=live
    )


def test_a_service_whose_lists_fail__is_not_ready(live: LiveRatings) -> None:
    client = create_app(broken(live), live).test_client()
    assert client.get("/7/ratings/top/3").status_code == 200  # by stars
    assert client.get("/api/v1/users/7/recommendations").status_code == 500
    answer = client.get("/readyz")
    assert (answer.status_code, "making a list failed" in answer.json["detail"]) == (503, True)


def test_lists_that_fail_one_after_the_other__make_a_service_not_ready_until_one_succeeds_or_a_minute_is_over(
    live: LiveRatings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Recommender(DATA, *(one.fit(DATA.ratings, DATA.catalog) for one in (ALS(rank=2, iterations=1), Ease())))
    app = create_app(whole, live)
    client, serving = app.test_client(), app.extensions["matinee"]
    assert client.get("/readyz").json == {"snapshot": whole.snapshot_id, "status": "ready", "trouble": None}
    failing, now = broken(live), time.monotonic
    for turn in range(2):
        serving.recommender = failing
        for _ in range(FAILURES):
            assert client.get("/api/v1/users/7/recommendations").status_code == 500
        serving.recommender = whole
        assert "the last lists ended in an unexpected error" in client.get("/readyz").json["detail"]
        if turn:
            monkeypatch.setattr(time, "monotonic", lambda: now() + 60)
        else:
            assert client.get("/api/v1/users/7/recommendations").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_the_routes_that_answer_by_a_list__are_there(live: LiveRatings) -> None:
    app = create_app(broken(live), live)
    assert {rule.rule for rule in app.url_map.iter_rules()} >= LISTS
