from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from matinee.datasets.synthetic import synthetic
from matinee.errors import ModelError
from matinee.models.als import ALS
from matinee.models.baselines import Popular
from matinee.models.ease import Ease
from matinee.snapshot import Store
from matinee.training import train

DATA = synthetic(200, 300, 8_000, rng=0)
RATER = ALS(rank=4, iterations=2)


def test_train__measures_on_a_split_and_publishes_models_of_everything(tmp_path: Path) -> None:
    snapshot = train(DATA, tmp_path, rater=RATER, ranker=Ease(min_ratings=10), split="7:3", rng=1)
    by_model = {row["model"]: row for row in snapshot.manifest.metrics["models"]}
    assert {"popular", "bias", "als", "ease"} == set(by_model)
    assert 0.5 < by_model["als"]["rmse"] < 1.5
    assert by_model["ease"]["ndcg@20"] > 0
    assert "random split 7:3" in snapshot.manifest.metrics["protocol"]
    whole = RATER.fit(DATA.ratings, DATA.catalog)
    np.testing.assert_array_equal(snapshot.rater.arrays()["movie_factors"], whole.movie_factors)


def test_train__without_measuring_publishes_without_metrics(tmp_path: Path) -> None:
    snapshot = train(DATA, tmp_path, rater=RATER, ranker=None, measure=False)
    assert snapshot.manifest.metrics == {}
    assert snapshot.ranker is None


def test_train__tells_how_far_it_is(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None, float | None]] = []
    train(DATA, tmp_path, rater=RATER, ranker=None, measure=False, progress=lambda *step: steps.append(step))
    assert [step[:3] for step in steps] == [(RATER.name, 1, 2), (RATER.name, 2, 2)]
    assert all(step[3] for step in steps)


def test_train__refuses_a_rater_that_knows_no_stars(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="popular does not predict stars; choose a rater: bayes, als, bias"):
        train(DATA, tmp_path, rater=Popular())
    assert not (tmp_path / "snapshots").exists()


TRAIN = """
import sys
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.training import train
data = synthetic(200, 300, 8_000, rng=0)
def progress(step, done, *_):
    if done == 3:
        print("training", flush=True)
train(data, sys.argv[1], rater=ALS(rank=32, iterations=1_000_000), ranker=None, measure=False, progress=progress)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_train__stopped_in_the_middle_leaves_the_previous_snapshot_served(tmp_path: Path, how: signal.Signals) -> None:
    before = train(DATA, tmp_path, rater=RATER, ranker=None, measure=False).id
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, os.fspath(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    process.send_signal(how)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert Store(tmp_path).verify().id == before
    assert train(DATA, tmp_path, rater=RATER, ranker=None, measure=False).id == Store(tmp_path).current_id() != before
