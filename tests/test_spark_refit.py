from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
from tests.test_spark_engine import table_of

from matinee import training
from matinee.datasets import load
from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.live import LiveRatings, NewMovie
from matinee.models.als import ALS
from matinee.models.ials import IALS
from matinee.refit import overlay, refit
from matinee.refit.cluster import beside
from matinee.snapshot import Snapshot, Store
from matinee.snapshot.histories import HistoryFiles, StoredRatings
from matinee.spark.engine import Cluster, Source, spark_session, train

pytestmark = [pytest.mark.slow, pytest.mark.once]
pytest.importorskip("pyspark")

CLUSTER = Cluster(
    "local[2]", {"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "4"}, user_blocks=2, item_blocks=2
)
RATER, RANKER = ALS(rank=4, iterations=5), IALS(rank=4, iterations=3, alpha=2.0)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with spark_session(CLUSTER) as session:
        yield session


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of a small world."""
    file = tmp_path_factory.mktemp("data") / "ratings.csv"
    pyarrow.csv.write_csv(table_of(synthetic(600, 150, 30_000, rng=3)), file)
    return file


@pytest.fixture
def store(spark: Any, file: Path, tmp_path: Path) -> Store:
    train(Source(str(file)), tmp_path / "store", cluster=CLUSTER, rater=RATER, ranker=RANKER, measure=False)
    return Store(tmp_path / "store")


@pytest.fixture
def live(store: Store) -> Iterator[LiveRatings]:
    with LiveRatings(store.path / "live.sqlite3") as opened:
        yield opened


def people(snapshot: Snapshot) -> dict[str, dict[str, float]]:
    """Return everybody's stars by movie."""
    ratings, movies = snapshot.dataset.ratings, snapshot.dataset.catalog.ids
    assert isinstance(ratings, StoredRatings)
    return {
        user: dict(zip(movies.take(block.rows.row(row)[0]), block.rows.row(row)[1].tolist(), strict=True))
        for block in ratings.histories.blocks(len(movies))
        for row, user in enumerate(block.users.to_pylist())
    }


def test_refit__on_spark_adds_what_was_said(store: Store, live: LiveRatings, file: Path) -> None:
    first = store.open()
    rated = sorted(people(first)["user 1"])
    live.rate("new", {rated[0]: 5.0})
    live.rate("new", {"added": 4.0})
    live.rate("user 1", {rated[0]: 0.5})
    live.delete("user 1", rated[1])
    live.forget("user 2")
    live.rate("user 2", {rated[2]: 3.0})
    live.rate("user 3", {"nobody described it": 3.0})
    live.add_movie(NewMovie("added", "A New Film", 2026, ("Drama",)))
    outcome = refit(store, live)
    assert (outcome.result, outcome.left_out) == ("published", 1)
    snapshot = store.open()
    assert snapshot.id == outcome.snapshot
    assert snapshot.manifest.parent == first.id
    assert snapshot.manifest.engine == first.manifest.engine == CLUSTER.described()
    assert (snapshot.rater.config, snapshot.ranker and snapshot.ranker.config) == (RATER, RANKER)
    expected, _ = overlay(load(file), live.everything())
    ratings = expected.ratings
    assert people(snapshot) == {
        user: dict(
            zip(ratings.movies.take(ratings.by_user.row(row)[0]), ratings.by_user.row(row)[1].tolist(), strict=True)
        )
        for row, user in enumerate(ratings.users)
    }
    np.testing.assert_array_equal(snapshot.dataset.ratings.movie_counts, ratings.movie_counts)
    assert snapshot.rater.movie_factors[snapshot.dataset.catalog.ids.position("added")].any()
    assert outcome.verdict is not None
    assert outcome.verdict.people > 500
    assert abs(outcome.verdict.after - outcome.verdict.before) < 0.02
    assert 0 < snapshot.manifest.metrics["models"][0]["rmse"] < 1.5
    assert refit(store, live).result == "unchanged"
    assert store.ids()[0] == snapshot.id


def test_refit__on_spark_refuses_what_is_worse(store: Store, live: LiveRatings) -> None:
    served, rng = store.open(), np.random.default_rng(0)
    for user, stars in people(served).items():
        live.rate(user, {movie: float(rng.choice([0.5, 5.0])) for movie in stars})
    outcome = refit(store, live)
    assert outcome.result == "refused"
    assert "RMSE" in outcome.why
    assert store.current_id() == served.id
    before = people(served)
    live.forget("user 2")
    outcome = refit(store, live)
    assert (outcome.result, outcome.parent) == ("refused", served.id)
    assert "without forgotten users" in outcome.why
    assert store.ids() == [store.current_id()] == [outcome.snapshot]
    cleared = store.open()
    assert people(cleared) == {user: stars for user, stars in before.items() if user != "user 2"}
    assert (cleared.manifest.engine, cleared.rater.config) == (CLUSTER.described(), RATER)
    assert refit(store, live, force=True).result == "published"


def test_beside__is_a_new_folder_where_the_present_one_is_elsewhere(tmp_path: Path) -> None:
    assert beside(HistoryFiles(str(tmp_path), 1, {}, 0, True)) is None
    first = beside(HistoryFiles("s3://bucket/histories", 1, {}, 0, True)) or ""
    assert re.fullmatch(r"s3://bucket/histories-\d{14}", first)
    again = beside(HistoryFiles("s3://bucket/histories-20260102030405/", 1, {}, 0, True))
    assert again is not None
    assert again[:-14] == first[:-14]


def test_refit__names_a_cluster_that_a_snapshot_trained_here_does_not_need(tmp_path: Path) -> None:
    training.train(synthetic(50, 30, 900, rng=0), tmp_path, rater=RATER, measure=False)
    with LiveRatings(tmp_path / "live.sqlite3") as live, pytest.raises(UsageError, match="trained without Spark"):
        refit(Store(tmp_path), live, cluster={"master": "local[2]"})
