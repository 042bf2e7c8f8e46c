"""A list is in the order of the numbers that it shows, whatever the models, and whoever asks how."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from matinee.batch import batch_recommend
from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models import Config
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.bayes import Bayes
from matinee.models.blend import Blend
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.ratings import Scale
from matinee.recommender import Filters, Recommender
from matinee.service import create_app

DATA = synthetic(300, 400, 12_000, rng=0)
EASE, IMPLICIT = Ease(min_ratings=15), IALS(rank=16, iterations=3)
RATERS: dict[str, Config] = {
    "bias": Bias(),
    "als": ALS(rank=8, iterations=3, intervals=False),
    "als of rank 33": ALS(rank=33, iterations=2, intervals=False, reg=0.01),
    "nonnegative als": ALS(rank=5, iterations=2, intervals=False, nonnegative=True),
    "bayes": Bayes(rank=9, sweeps=12, burn_in=4, samples=4),
}
RANKERS: dict[str, Config] = {
    "popular": Popular(),
    "ease": EASE,
    "ials": IMPLICIT,
    "ials as Spark's": IALS(rank=7, alpha=1.0, reg=0.1, iterations=2),
    "blend": Blend(ease=EASE, ials=IMPLICIT),
}
ALL = Filters(min_ratings=0)
USERS = list(DATA.ratings.users)[:25]


@cache
def fitted(config: Config) -> Any:
    return config.fit(DATA.ratings, DATA.catalog)


def recommender(rater: str, ranker: str | None) -> Recommender:
    return Recommender(DATA, fitted(RATERS[rater]), None if ranker is None else fitted(RANKERS[ranker]))


every_rater = pytest.mark.parametrize("rater", RATERS)
every_ranker = pytest.mark.parametrize("ranker", [None, *RANKERS])


def assert_in_order(numbers: Any, places: np.ndarray, ends: tuple[float, ...] = ()) -> None:
    """Highest first, equal ones by position; those cut off at an end of the scale come in any order."""
    numbers = np.asarray(numbers, float)
    tied = (numbers[1:] == numbers[:-1]) & ((places[1:] > places[:-1]) | np.isin(numbers[1:], ends))
    np.testing.assert_array_equal((numbers[1:] < numbers[:-1]) | tied, True)


def assert_listed(match: Any, stars: Any, movies: Any, by_stars: bool) -> None:
    """By match, where movies that the ranker does not rank have none and follow by stars; or by stars alone."""
    assert len(stars)
    places, match = DATA.catalog.ids.positions(movies), np.array(match, float)
    ranked = np.zeros(len(stars), bool) if by_stars else np.isfinite(match)
    assert not ranked[np.count_nonzero(ranked) :].any()
    assert_in_order(match[ranked], places[ranked])
    assert_in_order(np.asarray(stars)[~ranked], places[~ranked], (DATA.ratings.scale.low, DATA.ratings.scale.high))


def assert_answered(answer: Any, by_stars: bool) -> None:
    match = answer["match"] if "match" in answer.columns else [None] * len(answer)
    assert_listed(match, answer["stars"], answer["movie"], by_stars)


@every_rater
@every_ranker
@pytest.mark.parametrize("order", ["match", "stars"])
def test_a_list__is_in_the_order_of_the_numbers_that_it_shows(rater: str, ranker: str | None, order: Any) -> None:
    asked = recommender(rater, ranker)
    by_stars = order == "stars" or ranker is None
    together = asked.recommend(users=USERS, n=390, min_ratings=0, order=order).arrow.to_pylist()
    for user in USERS:
        rows = [row for row in together if row["user"] == user]
        match, stars, movies = ([row.get(name) for row in rows] for name in ("match", "stars", "movie"))
        assert_listed(match, stars, movies, by_stars)
    alone = asked.recommend(user=user, n=390, min_ratings=0, order=order)
    assert (alone["movie"], alone["stars"]) == (movies, stars)


@every_rater
@settings(max_examples=10)
@given(
    stars=st.dictionaries(st.sampled_from(list(DATA.catalog.ids)), st.sampled_from([0.5, 2.0, 3.5, 5.0]), max_size=40)
)
def test_a_visitors_list_by_stars__shows_what_is_predicted_for_its_movies_alone(
    rater: str, stars: dict[str, float]
) -> None:
    asked = recommender(rater, None)
    listed = asked.recommend(stars, n=60, min_ratings=0)
    assert_answered(listed, by_stars=True)
    assert listed["stars"] == asked.predict(stars, listed["movie"])["stars"]
    for movie, shown in list(zip(listed["movie"], listed["stars"], strict=True))[:5]:
        assert asked.predict(stars, movie)["stars"] == [shown]


@every_rater
@every_ranker
@pytest.mark.parametrize("how", ["mean", "least-misery"])
def test_a_joint_list__is_in_the_order_of_the_numbers_that_it_shows(rater: str, ranker: str | None, how: Any) -> None:
    asked = recommender(rater, ranker)
    for users in (USERS[:1], USERS[3:5], USERS[7:16]):
        answer = asked.recommend_together(users=users, how=how, n=390, filters=ALL)
        assert_answered(answer, by_stars=ranker is None)


@every_rater
@pytest.mark.parametrize("ranker", [None, "ease"])
def test_batch_lists__are_in_the_order_of_the_numbers_that_they_show(
    rater: str, ranker: str | None, tmp_path: Path
) -> None:
    batch_recommend(recommender(rater, ranker), tmp_path / "out", n=390, filters=ALL)
    table = pq.read_table(tmp_path / "out")
    for user in DATA.ratings.users:
        theirs = table.filter(pc.equal(table["user"], user))
        assert theirs["rank"].to_pylist() == [*range(1, len(theirs) + 1)]
        match, stars, movies = (theirs[name].to_pylist() for name in ("match", "stars", "movie"))
        assert_listed(match, stars, movies, by_stars=ranker is None)


def test_the_tutorials_urls__list_by_the_stars_that_they_show(tmp_path: Path) -> None:
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        served = recommender("als", None)
        asked = create_app(Recommender(DATA, served.rater, live=live), live, tutorial_scale=Scale(1, 10)).test_client()
        for user in USERS:
            stars = [row[1] for row in asked.get(f"/{user}/ratings/top/100").json]
            assert len(stars) > 10
            assert stars == sorted(stars, reverse=True)


def test_the_command_and_the_interface__show_the_same_order(tmp_path: Path, matinee: Callable[..., Result]) -> None:
    recommender("als", None).publish(tmp_path / "store")
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        client = create_app(Recommender.open(tmp_path / "store", live=live), live).test_client()
        for user in USERS[:5]:
            said = matinee("recommend", "--user", user, "-n", 100, "--store", tmp_path / "store", "--json")
            by_command = json.loads(said.stdout)["rows"]
            stars, movies = ([row[name] for row in by_command] for name in ("stars", "movie"))
            assert_listed([None] * len(stars), stars, movies, by_stars=True)
            items = client.get(f"/api/v1/users/{user}/recommendations?n=100").json["items"]
            assert [item["movie"] for item in items] == movies
            assert [item["stars"] for item in items] == sorted((item["stars"] for item in items), reverse=True)
