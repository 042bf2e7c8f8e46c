"""ALS and the baselines against their equations, written out densely in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matinee.errors import ModelError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.intervals import calibrate
from matinee.models.start import drawn
from matinee.ratings import History, Ratings, Scale, batch

SCALE = Scale(0.5, 5.0, 0.5)
NO_CATALOG = None
PLAIN = ALS(rank=3, iterations=4, min_history=1, intervals=False, rng=3)


def make_ratings(n_users: int = 150, n_movies: int = 40, density: float = 0.5) -> Ratings:
    rng = np.random.default_rng(0)
    tastes = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_movies)) + 0.3 * rng.normal(size=(n_users, 1))
    stars = np.clip(np.round(tastes * 2 + rng.normal(size=tastes.shape)) / 2, 0.5, 5)
    seen = rng.random(tastes.shape) < density
    seen[:, -1] = False  # a movie without ratings
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(seen))
    users, movies = (Ids([f"{i:04}" for i in range(n)]) for n in tastes.shape)
    return Ratings.from_pairs(users, movies, user, movie, stars[seen].astype(np.float32), SCALE)


def solve_densely(matrix: Csr, Y: np.ndarray, reg: float) -> np.ndarray:
    rows = np.zeros((matrix.n_rows, Y.shape[1]))
    for row in range(matrix.n_rows):
        columns, stars = matrix.row(row)
        if len(columns):
            A = Y[columns].T @ Y[columns] + reg * len(columns) * np.eye(Y.shape[1])
            rows[row] = np.linalg.solve(A, Y[columns].T @ stars)
    return rows


def test_als__follows_the_plain_equation_from_where_movies_start() -> None:
    ratings = make_ratings()
    Y = drawn(ratings.movies, 3, seed=3).astype(np.float64)
    X = solve_densely(ratings.by_user, Y / np.linalg.norm(Y, axis=1, keepdims=True), PLAIN.reg)
    for _ in range(PLAIN.iterations):
        Y = solve_densely(ratings.by_movie, X, PLAIN.reg)
        X = solve_densely(ratings.by_user, Y, PLAIN.reg)
    model = PLAIN.fit(ratings, NO_CATALOG)
    np.testing.assert_allclose(model.movie_factors, Y, atol=1e-4)
    np.testing.assert_allclose(model.fold_in(ratings.by_user).factors, X, atol=1e-4)


def test_als__is_the_same_for_any_number_of_threads() -> None:
    ratings = make_ratings()
    one, four = (PLAIN.fit(ratings, NO_CATALOG, threads=threads).movie_factors for threads in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_als__reports_a_falling_training_error() -> None:
    seen: list[float] = []
    PLAIN.fit(make_ratings(), NO_CATALOG, progress=lambda step, done, total, rmse: seen.append(rmse or 0))
    assert len(seen) == PLAIN.iterations
    assert seen[-1] < 0.8 < seen[0]


def test_als__leaves_short_histories_and_unrated_movies_to_the_baseline() -> None:
    ratings = make_ratings()
    model = replace(PLAIN, min_history=10).fit(ratings, NO_CATALOG)
    bias = Bias().fit(ratings, NO_CATALOG)
    history = ratings.history(0)
    short = batch(
        [History(history.movies[:9], history.stars[:9]), History(history.movies[:10], history.stars[:10])], 40
    )
    scores, baseline = model.scores(model.fold_in(short)), bias.scores(bias.fold_in(short))
    np.testing.assert_array_equal(scores[0], baseline[0])
    assert scores[1, -1] == baseline[1, -1]
    assert not np.allclose(scores[1, :-1], baseline[1, :-1])


@pytest.mark.parametrize("length", [0, 5, 30])
def test_als__contributions_sum_to_the_score(length: int) -> None:
    ratings = make_ratings(density=0.9)
    model = replace(PLAIN, min_history=10).fit(ratings, NO_CATALOG)
    history = History(ratings.history(0).movies[:length], ratings.history(0).stars[:length])
    movies = np.arange(40, dtype=np.int32)
    explanation = model.explain(history, movies)
    scores = model.scores(model.fold_in(batch([history], 40)))[0]
    np.testing.assert_allclose(explanation.base + explanation.contributions.sum(1), scores, atol=1e-4)


def test_als__intervals_hold_for_people_it_never_saw() -> None:
    ratings = make_ratings(n_users=1200)
    visitors = np.repeat(np.arange(1200) >= 1000, ratings.by_user.counts)
    model = replace(PLAIN, min_history=5, intervals=True).fit(ratings.select(~visitors), NO_CATALOG)
    inside = []
    for person in range(1000, 1200):
        history = ratings.history(person)
        shown = History(history.movies[::2], history.stars[::2])
        asked = history.movies[1::2]
        prediction = model.predict(model.fold_in(batch([shown], 40)), asked)
        assert (prediction.low <= prediction.stars).all()
        assert (prediction.stars <= prediction.high).all()
        inside.append((prediction.low[0] <= history.stars[1::2]) & (history.stars[1::2] <= prediction.high[0]))
    assert 0.85 < np.concatenate(inside).mean() < 0.96


def test_als__has_no_intervals_where_too_few_people_could_be_held_out() -> None:
    ratings = make_ratings(n_users=50)
    assert np.isnan(calibrate(PLAIN, ratings, NO_CATALOG, None).widths).all()
    prediction = PLAIN.fit(ratings, NO_CATALOG).predict(PLAIN.fit(ratings, NO_CATALOG).fold_in(ratings.by_user), [0, 1])
    assert np.isnan(prediction.low).all()
    assert not np.isnan(prediction.stars).any()


def test_als__comes_back_from_its_arrays() -> None:
    ratings = make_ratings()
    model = replace(PLAIN, intervals=True, min_history=10).fit(ratings, NO_CATALOG)
    again = model.config.load(model.arrays())
    asked = np.array([0, 39, 7], np.int32)
    for one, other in zip(
        vars(model.predict(model.fold_in(ratings.by_user), asked)).values(),
        vars(again.predict(again.fold_in(ratings.by_user), asked)).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("config", [replace(PLAIN, reg=0), replace(PLAIN, rank=513), replace(PLAIN, iterations=0)])
def test_als__refuses_what_cannot_be_fitted(config: ALS) -> None:
    with pytest.raises(ModelError, match="als needs reg > 0, a rank from 1 to 512"):
        config.fit(make_ratings(), NO_CATALOG)


def test_bias__equals_damped_means() -> None:
    ratings = make_ratings()
    model = Bias(movie_damping=3, user_damping=2).fit(ratings, NO_CATALOG)
    columns, stars = ratings.by_movie.row(4)
    assert model.offsets[4] == pytest.approx((stars - ratings.mean).sum() / (len(columns) + 3), abs=1e-5)
    movies, given = ratings.by_user.row(7)
    b_u = (given - ratings.mean - model.offsets[movies]).sum() / (len(movies) + 2)
    scores = model.scores(model.fold_in(ratings.by_user))
    np.testing.assert_allclose(scores[7], ratings.mean + model.offsets + b_u, atol=1e-5)


def test_popular__orders_by_count_and_leaves_out_what_was_rated() -> None:
    ratings = make_ratings()
    model = Popular().fit(ratings, NO_CATALOG)
    top, counts = model.top_n(model.fold_in(ratings.by_user), 5, exclude=ratings.by_user)
    assert not set(top[0]) & set(ratings.history(0).movies)
    assert (np.diff(counts) <= 0).all()
