"""EASE and implicit ALS against their equations, written out densely in float64."""

from __future__ import annotations

import numpy as np
import pytest

from matinee.errors import ModelError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models.blend import Blend
from matinee.models.ease import Ease, EaseModel, check_size
from matinee.models.ials import IALS, positives
from matinee.ratings import Ratings, Scale

SCALE = Scale(0.5, 5.0, 0.5)
NO_CATALOG = None


def make_ratings(seed: int = 0, n_users: int = 120, n_movies: int = 30, density: float = 0.3) -> Ratings:
    rng = np.random.default_rng(seed)
    user, movie = np.nonzero(rng.random((n_users, n_movies)) < density * np.linspace(1.5, 0.2, n_movies))
    stars = (rng.integers(1, 11, len(user)) / 2).astype(np.float32)
    users, movies = (Ids([f"{i:04}" for i in range(n)]) for n in (n_users, n_movies))
    return Ratings.from_pairs(users, movies, user.astype(np.int32), movie.astype(np.int32), stars, SCALE)


def dense(ratings: Ratings) -> tuple[np.ndarray, np.ndarray]:
    R = np.full((len(ratings.users), len(ratings.movies)), np.nan)
    R[ratings.by_user.row_of_each(), ratings.by_user.indices] = ratings.by_user.values
    return R, ~np.isnan(R)


def plain_ease(ratings: Ratings, config: Ease) -> tuple[np.ndarray, np.ndarray]:
    R, seen = dense(ratings)
    eligible = np.flatnonzero(seen.sum(0) >= config.min_ratings)
    all_stars = R[seen]
    R, seen = R[:, eligible], seen[:, eligible]
    n = seen.sum(1)
    own = (np.where(seen, R, 0).sum(1) + 5 * all_stars.mean()) / (n + 5)
    X = np.where(seen, 1 + config.star_weight * (R - own[:, None]) / all_stars.std(), 0)
    w = np.where(n > 0, np.maximum(n, 1.0) ** -config.user_exponent, 0)
    w *= n.sum() / (w * n).sum()
    G = X.T @ (w[:, None] * X)
    P = np.linalg.inv(G + np.diag(config.reg * (w @ seen) ** config.reg_exponent))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    scores = np.full((len(X), len(ratings.movies)), -np.inf)
    average = X[n > 0].mean(0)
    X = X + (config.stranger / (n + 20))[:, None] * average
    scores[:, eligible] = (X @ B) * seen.sum(0) ** -config.count_exponent
    return scores, eligible


@pytest.mark.parametrize(
    "config",
    [
        Ease(),
        Ease(star_weight=0, stranger=0),
        Ease(reg=10, reg_exponent=0, user_exponent=0, count_exponent=0, min_ratings=1),
    ],
)
def test_ease__equals_its_equation(config: Ease) -> None:
    ratings = make_ratings()
    model = config.fit(ratings, NO_CATALOG)
    expected, eligible = plain_ease(ratings, config)
    assert len(eligible) < len(ratings.movies) or config.min_ratings == 1
    np.testing.assert_allclose(model.scores(model.fold_in(ratings.by_user)), expected, atol=2e-4)


def test_ease__lists_for_a_stranger_what_most_have_seen() -> None:
    ratings = make_ratings(n_users=400)
    model = Ease().fit(ratings, NO_CATALOG)
    nobody = Csr(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), len(ratings.movies))
    top, _ = model.top_n(model.fold_in(nobody), 5)
    most_seen = np.argsort(-ratings.movie_counts)[:8]
    assert set(top[0]) <= set(most_seen)


def test_ease__never_returns_a_movie_that_is_excluded_or_has_too_few_ratings() -> None:
    ratings = make_ratings()
    model = Ease().fit(ratings, NO_CATALOG)
    top, scores = model.top_n(model.fold_in(ratings.by_user), 30, exclude=ratings.by_user)
    _, seen = dense(ratings)
    for user, (row, of) in enumerate(zip(top, scores, strict=True)):
        listed = row[row >= 0]
        assert not seen[user, listed].any()
        assert (ratings.movie_counts[listed] >= 25).all()
        assert len(listed) == (~seen[user] & (ratings.movie_counts >= 25)).sum()
        assert (np.diff(of[: len(listed)]) <= 0).all()


def test_ease__opposite_stars_move_the_nearest_films_down() -> None:
    ratings = make_ratings(n_users=400)
    model = Ease().fit(ratings, NO_CATALOG)
    history = next(h for h in map(ratings.history, range(50)) if len(h) > 4)
    movie = int(history.movies[np.argmax(ratings.movie_counts[history.movies])])
    nearest = np.argsort(-model.similar(movie))[:3].astype(np.int32)

    def scores_with(stars: float) -> np.ndarray:
        values = np.where(history.movies == movie, np.float32(stars), history.stars)
        row = type(ratings.by_user)(np.array([0, len(values)]), history.movies, values, len(ratings.movies))
        return model.scores(model.fold_in(row), nearest)[0]

    assert (scores_with(0.5) < scores_with(5.0)).all()


def test_ease__contributions_sum_to_the_score() -> None:
    ratings = make_ratings()
    model = Ease().fit(ratings, NO_CATALOG)
    scores = model.scores(model.fold_in(ratings.by_user.rows(3, 4)))[0]
    explanation = model.explain(ratings.history(3), np.arange(30, dtype=np.int32))
    np.testing.assert_allclose(explanation.base + explanation.contributions.sum(1), scores, atol=1e-4)


def test_ease__comes_back_from_its_arrays() -> None:
    ratings = make_ratings()
    model: EaseModel = Ease().fit(ratings, NO_CATALOG)
    again = Ease().load(model.arrays())
    profiles = model.fold_in(ratings.by_user)
    np.testing.assert_array_equal(again.scores(again.fold_in(ratings.by_user)), model.scores(profiles))


def test_ease__refuses_what_cannot_fit_and_says_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"25,000 movies .* 5\.0 GB .* use `ranker=IALS\(\)`"):
        check_size(25_000, 25)
    with pytest.raises(ModelError, match="no movie has 1000 ratings"):
        Ease(min_ratings=1000).fit(make_ratings(), NO_CATALOG)


def plain_ials(config: IALS, R: np.ndarray, Y: np.ndarray) -> np.ndarray:
    rows = []
    for r in R:
        seen = ~np.isnan(r)
        w = np.ones(seen.sum()) if config.alpha is None else config.alpha * np.abs(r[seen])
        v = np.ones(seen.sum()) if config.alpha is None else np.where(r[seen] > 0, 1 + w, 0)
        if config.alpha is None:
            A0, reg = config.alpha0 * Y.T @ Y, config.reg * (seen.sum() + config.alpha0 * len(Y)) ** config.nu
        else:
            A0, reg = Y.T @ Y, config.reg * (r[seen] > 0).sum()
        A = A0 + reg * np.eye(Y.shape[1]) + (Y[seen].T * w) @ Y[seen]
        rows.append(np.linalg.solve(A, Y[seen].T @ v))
    return np.array(rows)


@pytest.mark.parametrize("config", [IALS(rank=5), IALS(rank=5, alpha=2.0, reg=0.1), IALS(rank=5, nu=0.5, alpha0=0.7)])
def test_ials__fold_in_solves_its_equation(config: IALS) -> None:
    ratings = make_ratings()
    model = config.fit(ratings, NO_CATALOG)
    expected = plain_ials(config, dense(ratings)[0], model.movie_factors.astype(np.float64))
    np.testing.assert_allclose(model.fold_in(ratings.by_user), expected, atol=1e-4)


@pytest.mark.parametrize("config", [IALS(rank=6), IALS(rank=6, alpha=1.0, reg=0.1)])
def test_ials__lowers_its_own_objective(config: IALS) -> None:
    ratings = make_ratings()
    _, seen = dense(ratings)
    errors = []
    for iterations in (1, 8):
        model = IALS(rank=6, alpha=config.alpha, reg=config.reg, iterations=iterations).fit(ratings, NO_CATALOG)
        S = model.scores(model.fold_in(ratings.by_user))
        errors.append(((1 - S[seen]) ** 2).sum())
    assert errors[1] < errors[0]


def test_ials__sees_only_what_counts_as_positive() -> None:
    ratings = make_ratings()
    liked = positives(IALS(positive_from=4), ratings.by_user)
    assert liked.n == (ratings.by_user.values >= 4).sum()
    assert set(liked.values) == {1.0}
    with pytest.raises(ModelError, match=r"none of the .* ratings is positive"):
        IALS(positive_from=9).fit(ratings, NO_CATALOG)


def test_ials__contributions_sum_to_the_score() -> None:
    ratings = make_ratings()
    for config in (IALS(rank=5), IALS(rank=5, alpha=1.0, reg=0.1), IALS(rank=5, positive_from=3)):
        model = config.fit(ratings, NO_CATALOG)
        scores = model.scores(model.fold_in(ratings.by_user.rows(3, 4)))[0]
        explanation = model.explain(ratings.history(3), np.arange(30, dtype=np.int32))
        np.testing.assert_allclose(explanation.contributions.sum(1), scores, atol=1e-4)


def test_blend__is_the_sum_of_both_with_equal_deviations() -> None:
    ratings = make_ratings()
    config = Blend(ials=IALS(rank=5), weight=0.5)
    model = config.load(config.fit(ratings, NO_CATALOG).arrays())
    eligible = model.ease.inputs.eligible
    first = model.ease.scores(model.ease.fold_in(ratings.by_user), eligible)
    second = model.ials.scores(model.ials.fold_in(ratings.by_user), eligible)
    expected = first + 0.5 * second * (first.std(1) / second.std(1))[:, None]
    profiles = model.fold_in(ratings.by_user)
    np.testing.assert_allclose(model.scores(profiles, eligible), expected, atol=1e-5)
    explanation = model.explain(ratings.history(3), eligible)
    np.testing.assert_allclose(explanation.base + explanation.contributions.sum(1), expected[3], atol=1e-4)
    top, _ = model.top_n(profiles, 3, exclude=ratings.by_user)
    assert not any(set(row) & set(ratings.history(user).movies) for user, row in enumerate(top))
