from __future__ import annotations

import numpy as np
import pytest

from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.models.als import ALS
from matinee.models.bayes import Bayes
from matinee.models.questions import Questions
from matinee.ratings import History
from matinee.recommender import Recommender

NONE = np.empty(0, np.int32)
QUICK = Bayes(rank=7, sweeps=24, burn_in=12, samples=6)


@pytest.fixture(scope="module")
def recommender():
    return Recommender.fit(synthetic(600, 200, 18_000, rng=1), QUICK, None, threads=1)


@pytest.fixture(scope="module")
def questions(recommender):
    return Questions.of(recommender.rater, recommender.dataset.ratings)


def plain_gain(questions, history, movie):
    samples, S = questions.rater.samples, questions.rater.samples.n
    covariances, variance = np.zeros(len(questions.targets)), 0.0
    for s in range(S):
        sample = samples.at(s)
        Y, _, w = (part[history.movies].squeeze().astype(float) for part in sample.rated)
        C = np.linalg.inv(sample.prior_precisions + (Y.T * w) @ Y)
        y = sample.asked.Y[movie].astype(float)
        covariances += sample.asked.Y[questions.targets] @ C @ y / S
        variance += (y @ C @ y + 1 / sample.asked.precisions[movie, 0]) / S
    return questions.shares @ covariances**2 / variance


def test_gains__equal_the_formula(questions):
    history = History.of({3: 4.0, 9: 2.0})
    movies = np.array([0, 5, 199], np.int32)
    expected = [plain_gain(questions, history, movie) for movie in movies]
    np.testing.assert_allclose(questions.gains(history, movies), expected, rtol=1e-4)


def test_gains__fall_with_every_answer(questions):
    movies = np.arange(50, 60, dtype=np.int32)
    few = questions.gains(History.of({}), movies)
    many = questions.gains(History.of(dict.fromkeys(range(40), 3.5)), movies)
    assert np.all(many < few)


def test_targets__stand_for_all_ratings(questions, recommender):
    counts = recommender.dataset.ratings.movie_counts
    assert questions.shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(questions.shares @ questions.targets, counts @ np.arange(200) / counts.sum(), atol=1)


def test_knows__is_the_share_of_raters_for_a_stranger(questions):
    np.testing.assert_allclose(questions.knows(History.of({}), NONE), questions.known)


def test_knows__finds_what_people_rated_better_than_popularity_does(questions, recommender):
    ratings, found = recommender.dataset.ratings, []
    for user in range(0, 600, 5):
        history = ratings.history(user)
        half = History(history.movies[::2], history.stars[::2])
        rest = np.setdiff1d(history.movies, half.movies)
        for likely in (questions.knows(half, NONE), questions.known.copy()):
            likely[half.movies] = 0
            found.append(np.isin(np.argsort(-likely)[:20], rest).mean())
    assert np.mean(found[::2]) > np.mean(found[1::2])


def test_knows__is_less_for_movies_like_one_that_was_not_known(questions):
    known = questions.known
    popular = np.argsort(-known)[:30].astype(np.int32)
    like_it = questions.rater.components @ questions.rater.components[popular[0]]
    after = questions.knows(History.of({}), popular[:1])
    likest = popular[1:][np.argmax(like_it[popular[1:]])]
    assert after[likest] < known[likest]


def test_values__are_never_of_rated_or_unknown_movies(questions):
    values = questions.values(History.of({2: 5.0}), np.array([7], np.int32))
    assert values[2] == values[7] == -np.inf
    assert np.isfinite(values).sum() == 198


def test_next_to_rate__asks_for_the_most_valuable_movies_in_order(recommender, questions):
    asked = recommender.next_to_rate({"1": 4}, n=5)
    position = recommender.dataset.catalog.ids.position("1")
    values = questions.values(History.of({position: 4.0}), NONE)
    assert asked["movie"] == recommender.dataset.catalog.ids.take(np.argsort(-values)[:5].astype(np.int32))
    assert all(0 < known <= 1 for known in asked["known"])
    assert "simulated ratings" in asked.note


def test_next_to_rate__goes_on_where_a_movie_is_not_known(recommender):
    first = recommender.next_to_rate()["movie"]
    assert recommender.next_to_rate(unknown=first)["movie"] != first


def test_next_to_rate__says_when_nothing_is_left_to_ask(recommender):
    ids = list(recommender.dataset.catalog.ids)
    asked = recommender.next_to_rate(dict.fromkeys(ids[:-2], 3), n=5)
    assert len(asked) == 2
    assert "2 instead of 5" in asked.note


def test_next_to_rate__with_another_rater_asks_for_the_most_rated_and_says_so(recommender):
    dataset = recommender.dataset
    other = Recommender.fit(dataset, ALS(rank=2, iterations=2, intervals=False), None, threads=1)
    asked = other.next_to_rate(n=3)
    assert asked["ratings"] == sorted(dataset.ratings.movie_counts.tolist(), reverse=True)[:3]
    assert "als does not measure" in asked.note


def test_next_to_rate__refuses_to_ask_for_no_movie(recommender):
    with pytest.raises(UsageError, match="n must be at least 1"):
        recommender.next_to_rate(n=0)
