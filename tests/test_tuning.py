from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from matinee import datasets, split
from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.metrics import rmse
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.ease import Ease
from matinee.tuning import load_config, tune


def make_dataset() -> Dataset:
    return synthetic(150, 60, 3000, rng=0)


def test_tune__chooses_by_validation_and_tests_the_best_once() -> None:
    dataset = make_dataset()
    seen: list[tuple[int, int]] = []
    tuning = tune(
        dataset,
        ALS(reg=0.05, min_history=3),
        rank=[1, 3],
        iterations=[2, 10],
        rng=1,
        progress=lambda step, done, total, score: seen.append((done, total)),
    )
    assert tuning.columns == ["rank", "iterations", "rmse", "seconds"]
    assert list(zip(tuning["rank"], tuning["iterations"], strict=True)) == [(1, 2), (1, 10), (3, 2), (3, 10)]
    rank, iterations = list(zip(tuning["rank"], tuning["iterations"], strict=True))[int(np.argmin(tuning["rmse"]))]
    assert tuning.best == ALS(reg=0.05, min_history=3, rank=rank, iterations=iterations)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert "random split 6:2:2" in tuning.note
    assert "fitted on the training part alone" in tuning.note


def test_tune__scores_are_those_of_the_plain_definition() -> None:
    dataset = make_dataset()
    made = split.random(dataset.ratings, "6:2:2", 0)
    tuning = tune(dataset, Bias(), made, movie_damping=[1, 40])
    for part, found in ((made.validation, min(tuning["rmse"])), (made.test, tuning.test)):
        model = tuning.best.fit(made.train, dataset.catalog)
        scores = dataset.ratings.scale.clip(model.scores(model.fold_in(made.train.by_user)))
        warm = made.train.movie_counts[part.movies] > 0
        expected = rmse(scores[part.users, part.movies][warm], part.stars[warm])
        assert found == pytest.approx(expected, abs=1e-6)


def test_tune__chooses_rankers_by_what_was_liked() -> None:
    tuning = tune(make_dataset(), Ease(min_ratings=5), reg=[1, 1e6], min_ratings=5)
    assert tuning.metric == "liked_ndcg@20"
    assert tuning.best.reg == tuning["reg"][int(np.argmax(tuning["liked_ndcg@20"]))]


def test_tuning__is_saved_and_read_again(tmp_path: Path) -> None:
    tuning = tune(make_dataset(), ALS(min_history=3), rank=[1, 2])
    tuning.save(tmp_path / "best.json")
    assert load_config(tmp_path / "best.json") == tuning.best
    said = json.loads((tmp_path / "best.json").read_text())
    assert (said["metric"], len(said["candidates"])) == ("rmse", 2)


def test_load_config__reads_a_config_alone_and_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model": "als", "rank": 3}')
    assert load_config(path) == ALS(rank=3)
    for text, said in [
        ("{", "is not JSON"),
        ("[]", "needs its model"),
        ('{"model": "als", "rang": 3}', "no setting 'rang'"),
    ]:
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            load_config(path)
    with pytest.raises(UsageError, match=r"cannot read the config .*: No such file"):
        load_config(tmp_path / "nothing.json")


def test_tune__refuses_what_cannot_be_meant() -> None:
    dataset = make_dataset()
    with pytest.raises(UsageError, match=r"needs a validation part to choose by, such as 6:2:2, not: random split 7:3"):
        tune(dataset, Bias(), "7:3", movie_damping=[1, 2])
    with pytest.raises(UsageError, match="als has no setting 'ranks'"):
        tune(dataset, ALS(), ranks=[1, 2])
    with pytest.raises(UsageError, match=r"needs a list of values for rank, such as \[4, 8, 12\], not 8"):
        tune(dataset, ALS(), rank=8)
    with pytest.raises(UsageError, match="needs at least one trial, not 0"):
        tune(dataset, ALS(), trials=0)


def test_trials__go_on_where_they_were_stopped(tmp_path: Path) -> None:
    dataset, study = make_dataset(), tmp_path / "study.sqlite"
    first = tune(dataset, ALS(min_history=3, iterations=3), trials=3, study=study)
    seen: list[int] = []
    both = tune(
        dataset,
        ALS(min_history=3, iterations=3),
        trials=5,
        study=study,
        progress=lambda step, done, total, score: seen.append(done),
    )
    assert (len(first), len(both), seen) == (3, 5, [4, 5])
    assert both["rmse"][:3] == first["rmse"]
    assert len(set(zip(both["rank"], both["reg"], strict=True))) == 5
    assert both.best.reg == both["reg"][int(np.argmin(both["rmse"]))]


def test_trials__choose_among_the_values_of_a_grid() -> None:
    tuning = tune(make_dataset(), Ease(min_ratings=5), trials=4, reg=[1, 50], min_ratings=5)
    assert tuning.columns == ["reg", "liked_ndcg@20", "seconds"]
    assert set(tuning["reg"]) <= {1.0, 50.0}


def test_study__of_something_else_is_refused(tmp_path: Path) -> None:
    study = tmp_path / "study.sqlite"
    tune(make_dataset(), Bias(), trials=1, study=study)
    with pytest.raises(UsageError, match=r"holds the study of something else: .*name a new file"):
        tune(make_dataset(), Bias(), trials=2, study=study, rng=1)
    (tmp_path / "notes.txt").write_text("not a database at all" * 100)
    with pytest.raises(UsageError, match=r"cannot keep a study in .*name a new file"):
        tune(make_dataset(), Bias(), trials=1, study=tmp_path / "notes.txt")


def test_trials__say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"popular has no settings to search; bayes, als, .* have some"):
        tune(make_dataset(), Popular(), trials=3)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install matinee\[tune\]"):
        tune(make_dataset(), Bias(), trials=1)


def test_plot__shows_the_score_against_each_setting(tmp_path: Path) -> None:
    tuning = tune(make_dataset(), ALS(min_history=3, iterations=3), rank=[1, 2], reg=[0.1, 0.2])
    picture = tuning.plot(tmp_path / "tuning.svg")
    assert [axes.get_xlabel() for axes in picture.figure.axes] == ["rank", "reg"]
    assert "<svg" in (tmp_path / "tuning.svg").read_text()


@pytest.mark.data
def test_tune__repeats_the_tutorials_table(movielens: Callable[[str], Path]) -> None:
    dataset = datasets.load(movielens("ml-latest-small-2015-04"))
    tuning = tune(dataset, ALS(reg=0.1, iterations=10), "6:2:2", rank=[4, 8, 12])
    np.testing.assert_allclose(tuning["rmse"], [0.9637, 0.9625, 0.9716], atol=0.02)
    assert tuning.test == pytest.approx(0.9723, abs=0.02)
