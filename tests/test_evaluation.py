from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from matinee import split
from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset, Facts
from matinee.datasets import load
from matinee.errors import DataError, UsageError
from matinee.evaluation import Report, drift, evaluate, joined
from matinee.evaluation.exam import Exam
from matinee.evaluation.measure import measure
from matinee.ids import Ids
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.ease import Ease
from matinee.ratings import Ratings, Scale

SCALE = Scale(0.5, 5.0, 0.5)


def make_dataset(n_users: int = 120, n_movies: int = 40, *, simulated: bool = False) -> Dataset:
    rng = np.random.default_rng(0)
    likes = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_movies)) + rng.normal(0, 0.3, (n_users, n_movies))
    seen = rng.random(likes.shape) < np.linspace(0.9, 0.05, n_movies)
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(seen))
    stars = np.clip(np.round(likes[seen] * 2) / 2, 0.5, 5).astype(np.float32)
    times = rng.integers(0, 10**6, len(user))
    users, movies = (Ids([f"{i:04}" for i in range(n)]) for n in likes.shape)
    ratings = Ratings.from_pairs(users, movies, user, movie, stars, SCALE, times)
    return Dataset(ratings, catalog_of(movies), Facts("made up", "memory", simulated=simulated))


def catalog_of(movies: Ids) -> Catalog:
    n = len(movies)
    empty = pa.array([[]] * n, pa.list_(pa.string()))
    unknown = pa.nulls(n, pa.string())
    columns = [movies.array, movies.array, pa.nulls(n, pa.int16()), empty, empty, unknown, unknown]
    return Catalog(pa.table(columns, SCHEMA))


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(make_dataset(), [ALS(rank=3, min_history=3), Ease(min_ratings=10)], min_ratings=10)


def plain_marks(model, made: split.Split, min_ratings: int) -> dict[str, float]:
    """Measure person by person, straight from the definitions."""
    masked = {(u, m) for u, m in zip(made.histories.row_of_each(), made.histories.indices, strict=True)}
    if made.validation:
        masked |= set(zip(made.validation.users, made.validation.movies, strict=True))
    counts = made.train.movie_counts
    squares, recalls, gains, liked = [], [], [], []
    for user in np.unique(made.test.users):
        own = made.test.users == user
        answers = dict(zip(made.test.movies[own].tolist(), made.test.stars[own].tolist(), strict=True))
        profile = model.fold_in(made.histories.rows(user, user + 1))
        scores = model.scores(profile)[0]
        may = [m for m in range(len(counts)) if counts[m] >= min_ratings and (user, m) not in masked]
        shown = sorted(may, key=lambda m: (-scores[m], m))[:20]
        gain = sum(1 / math.log2(place + 2) for place, m in enumerate(shown) if m in answers)
        best = sum(1 / math.log2(place + 2) for place in range(min(20, len(answers))))
        recalls.append(sum(m in answers for m in shown) / len(answers))
        gains.append(gain / best)
        fans = [m for m, stars in answers.items() if stars >= 4]
        liked += [sum(m in fans for m in shown) / len(fans)] if fans else []
        squares += [(SCALE.clip(scores[m]) - stars) ** 2 for m, stars in answers.items() if counts[m]]
    marks = {"recall@20": recalls, "ndcg@20": gains, "liked_recall@20": liked}
    return {"rmse": math.sqrt(np.mean(squares)), **{name: float(np.mean(values)) for name, values in marks.items()}}


@pytest.mark.parametrize("text", ["6:2:2", "7:3", "new-visitors:5", "by-time"])
@pytest.mark.parametrize("config", [Bias(), ALS(rank=3, min_history=3, intervals=False)])
def test_measure__equals_the_definitions_person_by_person(config, text: str) -> None:
    dataset = make_dataset()
    made = split.parse(text, dataset.ratings, 4)[0]
    model = config.fit(made.train, dataset.catalog)
    sums, _ = measure(model, Exam.of(made, np.unique(made.test.users).astype(np.int64), 10, 4.0))
    for name, value in plain_marks(model, made, 10).items():
        assert sums.means()[name] == pytest.approx(value, abs=1e-6), name


def test_measure__counts_movies_that_may_not_be_listed_as_misses() -> None:
    dataset = make_dataset()
    made = split.random(dataset.ratings)
    exam = Exam.of(made, np.unique(made.test.users).astype(np.int64), 10**6, 4.0)
    means = measure(Popular().fit(made.train, dataset.catalog), exam)[0].means()
    assert means["recall@20"] == means["ndcg@20"] == 0
    assert math.isnan(means["novelty"])


def test_report__always_shows_the_baselines_and_every_model_once(report: Report) -> None:
    assert report["model"] == ["popular", "bias", "als", "ease"]
    assert report.stars["model"] == ["bias", "als"]
    assert report.watched["model"] == report["model"]


def test_report__bounds_hold_the_metric_and_shrink_with_more_people(report: Report) -> None:
    for row in report.stars:
        assert row["rmse_low"] < row["rmse"] < row["rmse_high"]
    few = evaluate(make_dataset(), Bias(), users=30, min_ratings=10)
    spread = [table.stars["rmse_high"][0] - table.stars["rmse_low"][0] for table in (report, few)]
    assert spread[0] < spread[1]


def test_report__counts_cold_pairs_instead_of_dropping_them() -> None:
    dataset = make_dataset()
    made = split.by_time(dataset.ratings)
    first = split.Split(made.train.select(made.train.by_user.indices > 5), made.histories, made.test, None, "by hand")
    row = evaluate(dataset, Bias(), first, min_ratings=1).stars.to_pandas().iloc[0]
    assert row.cold == (made.test.movies <= 5).sum() > 0
    assert row.rmse != row.rmse_all


def test_compare__is_paired(report: Report) -> None:
    dataset = make_dataset()
    twins = evaluate(dataset, [Bias(), Bias(movie_damping=5.01)], min_ratings=10)
    rows = {row["metric"]: row for row in twins.compare("bias", "bias movie_damping=5.01")}
    assert rows["rmse"]["high"] - rows["rmse"]["low"] < 1e-3
    found = {row["metric"]: row for row in report.compare("als", "bias")}["rmse"]
    assert found["difference"] == found["als"] - found["bias"]
    assert found["low"] < found["difference"] < found["high"] < 0
    with pytest.raises(UsageError, match="'alz' was not measured; there are popular, bias, als, ease"):
        report.compare("alz", "bias")


def test_folds__ask_about_every_rating() -> None:
    dataset = make_dataset(60)
    report = evaluate(dataset, Bias(), "folds:3", min_ratings=5)
    assert report["pairs"] == [None, dataset.ratings.n]
    assert "each of 3 random folds" in report.note


def test_new_visitors__know_more_when_they_reveal_more() -> None:
    report = evaluate(make_dataset(300, 100), [ALS(rank=4, reg=0.03, min_history=5)], "new-visitors:20", min_ratings=10)
    errors = report.by_revealed()
    assert errors["revealed"] == [1, 2, 5, 10, 20]
    assert errors["als"][:2] == errors["bias"][:2]
    assert errors["als"][4] < errors["als"][3] < errors["als"][2]
    assert errors["als"][4] < 0.6 * errors["bias"][4]


def test_intervals__are_measured_against_their_promise() -> None:
    row = list(evaluate(make_dataset(300), [ALS(rank=2, min_history=3)], min_ratings=10))[2]
    assert 0.84 < row["covered"] < 0.97
    assert row["covered@0.1"] < row["covered@0.5"] < row["covered@0.9"]
    assert 0 < row["width"] < 4


def test_evaluate__is_the_same_again() -> None:
    one, other = (evaluate(make_dataset(60), ALS(rank=2), users=40, min_ratings=5) for _ in range(2))
    for name in set(one.columns) - {"fit_seconds", "answer_ms"}:
        assert one[name] == other[name], name


def test_evaluate__says_its_protocol_and_that_ratings_are_simulated() -> None:
    report = evaluate(make_dataset(60, simulated=True), Bias(), users=50, min_ratings=7, liked=3.5)
    for said in ("random split 7:3", "seed 0", "50 of its 60 users", "fewer than 7", "from 3.5 stars", "simulated"):
        assert said in report.note
        assert said in repr(report)
    assert "simulated" not in evaluate(make_dataset(60), Bias()).note


def test_evaluate__refuses_the_same_model_twice() -> None:
    with pytest.raises(UsageError, match="the same model is there twice: als"):
        evaluate(make_dataset(30), [ALS(), ALS()])
    report = evaluate(make_dataset(30), [ALS(rank=2), ALS(rank=3)], min_ratings=5)
    assert report["model"][2:] == ["als rank=2", "als rank=3"]


def test_evaluate__refuses_a_test_without_questions() -> None:
    dataset = make_dataset(30)
    nothing = split.Pairs(*(np.empty(0, kind) for kind in (np.int32, np.int32, np.float32)))
    with pytest.raises(DataError, match="nothing to ask"):
        evaluate(dataset, Bias(), split.Split(dataset.ratings, dataset.ratings.by_user, nothing, None, "empty"))


def test_joined__evaluates_two_files_and_knows_the_movies_of_both() -> None:
    dataset = make_dataset()
    made = split.random(dataset.ratings)
    keys = made.test.users.astype(np.int64) * 40 + made.test.movies
    all_keys = dataset.ratings.by_user.row_of_each().astype(np.int64) * 40 + dataset.ratings.by_user.indices
    parts = [part_of(dataset, np.isin(all_keys, keys) == in_test) for in_test in (False, True)]
    together, found = joined(*parts)
    assert list(together.catalog.ids) == list(together.ratings.movies)
    report = evaluate(together, Bias(), found, min_ratings=10)
    same = evaluate(dataset, Bias(), made, min_ratings=10)
    assert report.stars["rmse"] == pytest.approx(same.stars["rmse"], abs=1e-5)


def part_of(dataset: Dataset, keep: np.ndarray) -> Dataset:
    """Return some ratings, with only the users and movies they have, as a file would."""
    ratings = dataset.ratings
    user, movie = ratings.by_user.row_of_each()[keep], ratings.by_user.indices[keep]
    users, movies = Ids(ratings.users.take(user)), Ids(ratings.movies.take(movie))
    places = [
        new.positions(old.take(at)) for new, old, at in ((users, ratings.users, user), (movies, ratings.movies, movie))
    ]
    made = Ratings.from_pairs(users, movies, *places, ratings.by_user.values[keep], SCALE)
    return Dataset(made, catalog_of(movies))


def test_plot__is_saved_and_shows_itself(report: Report, tmp_path: Path) -> None:
    picture = report.plot(tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert picture._repr_png_().startswith(b"\x89PNG")
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert len(titles) == 6
    assert "Calibration of intervals" in titles
    with pytest.raises(UsageError, match=r"must end in \.png, \.svg, \.pdf"):
        report.plot(tmp_path / "report.bmp")


def test_plot__says_what_to_install(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install matinee\[plot\]"):
        report.plot()


def test_html__is_one_page_without_outside_requests(report: Report, tmp_path: Path) -> None:
    report.html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 1
    assert page.count("<table>") == len(report.tables)
    assert "random split 7:3" in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "@import" not in page
    assert "url(http" not in page


def test_report__shows_itself_everywhere(report: Report) -> None:
    assert report.to_pandas().shape[0] == 4
    assert "RMSE by size of history" in repr(report)
    assert "<h3>Stars</h3>" in report._repr_html_()


def test_drift__shrinks_to_nothing_for_a_model_that_hardly_learns_from_one_person() -> None:
    table = drift(make_dataset(400), Bias(), (1, 10), min_ratings=10)
    assert table["revealed"] == [1, 10]
    assert min(table["overlap@10"]) > 0.9
    assert max(map(abs, table["rmse_difference"])) < 0.01


def test_drift__tells_what_chance_alone_changes() -> None:
    table = drift(make_dataset(200), ALS(rank=4, min_history=3, intervals=False), (10,), min_ratings=10)
    assert 0.3 < table["overlap@10_reseeded"][0] < 1
    assert table["rmse_difference"][0] == table["rmse_folded"][0] - table["rmse_refitted"][0]


def test_drift__compares_lists_alone_for_a_ranker() -> None:
    table = drift(make_dataset(200), Ease(min_ratings=10), (5,), min_ratings=10)
    assert table.columns == ["model", "revealed", "overlap@10"]
    assert 0.5 < table["overlap@10"][0] <= 1


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ml-latest-small", "ml-latest-small-2015-04"])
def test_real_data__is_as_good_as_promised(movielens: Callable[[str], Path], name: str) -> None:
    dataset = load(movielens(name))
    report = evaluate(dataset, [ALS(), Ease(stranger=0.0), Ease(stranger=0.0, star_weight=0.0)], "8:2")
    als, stars, no_stars = list(report)[2:]
    assert 0.87 < als["covered"] < 0.93
    assert stars["liked_ndcg@20"] > 1.05 * no_stars["liked_ndcg@20"]
    assert stars["liked_ndcg@20"] > 1.5 * report.liked["ndcg@20"][0]
