from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.models.als import ALS
from matinee.models.baselines import Bias
from matinee.models.ease import Ease
from matinee.ratings import batch
from matinee.recommender import Filters, Recommender

DATA = synthetic(300, 400, 12_000, rng=0)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.fit(DATA, ALS(rank=4, iterations=3), Ease())


def rated(*users: str) -> set[str]:
    return {movie for user in users for movie in DATA.catalog.ids.take(DATA.ratings.get(user).movies)}  # type: ignore[union-attr]


def standardised(recommender: Recommender, user: str) -> np.ndarray:
    """One person's scores, as the definition says."""
    history = batch([DATA.ratings.get(user)], len(DATA.catalog))  # type: ignore[list-item]
    model = recommender.ranker
    scores = model.scores(model.fold_in(history))[0].astype(float)  # type: ignore[union-attr]
    known = scores[np.isfinite(scores)]
    return (scores - known.mean()) / known.std()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=st.lists(st.sampled_from(list(DATA.ratings.users)), min_size=1, max_size=4, unique=True),
    how=st.sampled_from(["mean", "least-misery"]),
    n=st.integers(1, 40),
)
def test_a_joint_list__holds_the_best_by_the_standardised_scores_of_all(
    recommender: Recommender, users: list[str], how: str, n: int
) -> None:
    answer = recommender.recommend_together(users=users, how=how, n=n)  # type: ignore[arg-type]
    scores = np.stack([standardised(recommender, user) for user in users])
    joint = scores.mean(axis=0) if how == "mean" else scores.min(axis=0)
    joint[~recommender.allowed(Filters())] = -np.inf
    joint[[DATA.catalog.ids.position(movie) for movie in rated(*users)]] = -np.inf
    best = np.sort(joint[np.isfinite(joint)])[::-1][:n]
    found = [DATA.catalog.ids.position(movie) for movie in answer["movie"]]
    assert len(set(found)) == len(found)
    np.testing.assert_allclose(joint[found], best, atol=1e-4)
    np.testing.assert_allclose(answer["match"], best, atol=1e-4)


def test_a_joint_list_of_one__is_ordered_as_that_persons_own(recommender: Recommender) -> None:
    for how in ("mean", "least-misery"):
        joint = recommender.recommend_together(users=["7"], n=20, how=how)  # type: ignore[arg-type]
        alone = recommender.recommend(user="7", n=20)
        assert joint["movie"] == alone["movie"]
        assert joint["stars"] == pytest.approx(alone["stars"])
        assert joint["low"] == pytest.approx(alone["low"])


def test_least_misery__shows_the_stars_of_the_person_who_will_like_it_least(recommender: Recommender) -> None:
    users = ["3", "5", "9"]
    joint = recommender.recommend_together(users=users, how="least-misery", n=10)
    alone = [recommender.predict(user=user, movies=joint["movie"]) for user in users]
    lowest = np.argmin([one["stars"] for one in alone], axis=0)
    for column in ("stars", "low", "high"):
        expected = [alone[who][column][place] for place, who in enumerate(lowest)]
        assert joint[column] == pytest.approx(expected, abs=1e-5)
    mean = recommender.recommend_together(users=users, n=10)
    expected = np.mean([recommender.predict(user=user, movies=mean["movie"])["stars"] for user in users], axis=0)
    assert mean["stars"] == pytest.approx(expected, abs=1e-5)


def test_a_joint_list__has_the_columns_of_a_list_for_one_and_tells_nobody_apart(recommender: Recommender) -> None:
    joint = recommender.recommend_together(users=["3", "5"], explain=True)
    assert joint.columns == recommender.recommend(user="3", explain=True).columns
    assert recommender.recommend_together([{"1": 5}, {"2": 4}]).columns == recommender.recommend({"1": 5}).columns


def test_a_joint_list__explains_only_by_movies_that_everybody_rated_highly(recommender: Recommender) -> None:
    most_rated = np.argsort(-DATA.ratings.movie_counts)
    shared = DATA.catalog.ids.take(most_rated[:8].astype(np.int32))
    titles = dict(zip(shared, DATA.catalog.titles(DATA.catalog.ids.positions(shared)), strict=True))
    ann = dict.fromkeys(shared, 5.0)
    bob = {movie: 5.0 if movie in shared[:3] else 1.0 for movie in shared}
    both = recommender.recommend_together([ann, bob], n=40, explain=True)
    named = {title for why in both["why"] for title in why}
    assert named
    assert named <= {titles[movie] for movie in shared[:3]}
    alone = recommender.recommend_together([ann, {DATA.catalog.ids[int(most_rated[9])]: 5.0}], n=40, explain=True)
    assert not any(alone["why"])
    assert not any(recommender.recommend_together([ann, bob, {}], n=40, explain=True)["why"])


def test_people_without_ratings__have_no_say_and_the_note_says_so(recommender: Recommender) -> None:
    history = {"1": 5.0, "2": 1.0, "3": 4.0}
    with_them = recommender.recommend_together([history, {}], n=10)
    assert with_them["movie"] == recommender.recommend_together([history], n=10)["movie"]
    assert "1 of 2 people have no ratings yet and do not affect the order" in with_them.note
    nobody = recommender.recommend_together([{}, {}], n=5)
    assert nobody["movie"] == recommender.recommend(n=5)["movie"]
    assert "no ratings yet: the movies most people rate" in nobody.note


def test_a_joint_list__keeps_to_its_filters_and_says_why_it_is_short(recommender: Recommender) -> None:
    asked = Filters.of(genre="Drama", min_ratings=40)
    answer = recommender.recommend_together(users=["3", "5"], n=400, filters=asked)
    passing = recommender.allowed(asked)
    left = {DATA.catalog.ids[int(movie)] for movie in np.flatnonzero(passing)} - rated("3", "5")
    assert set(answer["movie"]) == left
    assert f"{len(left)} instead of 400; movies that pass the filters" in answer.note
    assert f"rated, seen or hidden by a member: {passing.sum() - len(left)}" in answer.note
    assert len(recommender.recommend_together(users=["3"], filters=Filters(min_ratings=10**6))) == 0


def test_a_joint_list__puts_movies_that_the_ranker_does_not_rank_behind_by_stars(recommender: Recommender) -> None:
    answer = recommender.recommend_together(users=["3", "5"], n=400, filters=Filters(min_ratings=0))
    assert set(answer["movie"]) == set(DATA.catalog.ids) - rated("3", "5")
    ranked = [match is not None for match in answer["match"]]
    assert ranked == sorted(ranked, reverse=True)
    assert not all(ranked)


def test_without_a_ranker__stars_order_the_joint_list() -> None:
    plain = Recommender.fit(DATA, Bias(), None)
    answer = plain.recommend_together(users=["3", "5"], n=10)
    assert answer["stars"] == sorted(answer["stars"], reverse=True)
    assert "match" not in answer.columns


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"users": []}, "users: name at least one user"),
        ({"users": ["1"], "how": "median"}, "how must be mean or least-misery, not 'median'"),
        ({"users": ["1"], "n": 0}, "n must be at least 1"),
    ],
)
def test_a_joint_question_that_cannot_be_meant__gets_one_clear_line(
    recommender: Recommender, asked: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        recommender.recommend_together(**asked)  # type: ignore[arg-type]
