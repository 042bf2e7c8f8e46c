from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.ratings import Ratings
from matinee.recommender import Recommender
from matinee.snapshot import Store
from matinee.training import train

Run = Callable[..., Result]
DATA = synthetic(200, 300, 8_000, rng=0)
RATER = ALS(rank=4, iterations=10, intervals=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    train(DATA, tmp_path / "store", rater=RATER, ranker=None, measure=False)
    return tmp_path / "store"


def rate(store: Path, user: str, **stars: float) -> None:
    with LiveRatings(store / "live.sqlite3") as live:
        live.rate(user, {movie.removeprefix("m"): given for movie, given in stars.items()})


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_refit__publishes_what_people_said_and_says_so_in_one_line(matinee: Run, store: Path) -> None:
    assert "No new ratings" in said(matinee("refit", "--store", store))
    rate(store, "~new", m1=4.0, m2=2.0)
    line = said(matinee("refit", "--store", store, "--threads", 1))
    snapshot = Store(store).open()
    assert line.startswith(f"Published snapshot {snapshot.id} in ")
    assert len(line.splitlines()) == 1
    assert snapshot.dataset.ratings.get("~new") is not None
    rate(store, "~new", m1=3.0)
    outcome = json.loads(said(matinee("refit", "--store", store, "--keep", 1, "--json")))
    assert (outcome["state"], outcome["parent"]) == ("published", snapshot.id)
    assert list(Store(store).ids()) == [outcome["snapshot"]]


def test_refit__a_worse_candidate_is_refused_with_its_reason_and_exit_code_1(matinee: Run, store: Path) -> None:
    means = DATA.ratings.movie_means
    middle = np.nanmedian(means)
    turned = {f"m{one}": 5.0 if mean < middle else 0.5 for one, mean in zip(DATA.catalog.ids, means, strict=True)}
    for robot in range(100):
        rate(store, f"robot{robot}", **turned)
    refused = matinee("refit", "--store", store, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["state"]) == (1, "refused")
    assert "error: not published, the candidate is worse than the served snapshot: RMSE" in refused.stderr
    assert len(Store(store).ids()) == 1
    assert "Published" in said(matinee("refit", "--store", store, "--force"))


def test_refit__while_another_runs_is_one_line(matinee: Run, store: Path) -> None:
    with LiveRatings(store / "live.sqlite3") as live, live.lock("refit"):
        busy = matinee("refit", "--store", store)
    assert busy.exit_code == 1
    assert "another process has held" in busy.stderr


def test_refit__of_a_model_imported_without_its_ratings_is_refused(matinee: Run, tmp_path: Path) -> None:
    ratings, movies = DATA.ratings, DATA.catalog.ids
    nothing = Csr(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), len(movies))
    empty = Dataset(Ratings(Ids([]), movies, nothing, ratings.scale), DATA.catalog)
    Recommender(empty, RATER.fit(ratings, DATA.catalog)).publish(tmp_path / "imported")
    refused = matinee("refit", "--store", tmp_path / "imported")
    assert refused.exit_code == 1
    assert "imported without its training ratings" in refused.stderr


def test_snapshots__are_removed_by_name_and_pruned_but_not_the_one_that_is_served(matinee: Run, store: Path) -> None:
    for _ in range(3):
        said(matinee("refit", "--store", store, "--force", "--keep", 9))
    newest, second, *older = Store(store).ids()
    served = matinee("snapshot", "remove", newest, "--store", store)
    assert served.exit_code == 2
    assert "is served" in served.stderr
    assert second in said(matinee("snapshot", "remove", second, "--store", store))
    deleted = json.loads(said(matinee("snapshot", "prune", "--keep", 1, "--store", store, "--json")))["deleted"]
    assert deleted == older
    assert list(Store(store).ids()) == [newest]
    assert "Nothing to delete" in said(matinee("snapshot", "prune", "--store", store))


def test_activate__refuses_a_snapshot_with_people_who_were_forgotten(matinee: Run, store: Path) -> None:
    first = Store(store).current_id()
    rate(store, "8", m1=3.0)
    said(matinee("refit", "--store", store))
    with LiveRatings(store / "live.sqlite3") as live:
        live.forget("7")
    refused = matinee("snapshot", "activate", first, "--store", store)
    assert refused.exit_code == 1
    assert "users who were forgotten" in refused.stderr
