"""Nonnegative factors against an independent solver and their conditions of optimality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models.als import ALS
from matinee.models.ials import IALS
from matinee.models.nonnegative import minimise, solve_nonnegative
from matinee.ratings import Ratings, Scale

CONFIGS = [
    ALS(rank=4, iterations=3, min_history=1, nonnegative=True, intervals=False),
    IALS(rank=4, iterations=3, reg=0.05, alpha=2.0, nonnegative=True),
    IALS(rank=4, iterations=3, reg=0.05, nonnegative=True),
]


def make_ratings() -> Ratings:
    rng = np.random.default_rng(0)
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(rng.random((80, 30)) < 0.4))
    stars = rng.integers(1, 11, len(user)).astype(np.float32) / 2
    users, movies = (Ids([f"{one:03}" for one in range(n)]) for n in (80, 30))
    return Ratings.from_pairs(users, movies, user, movie, stars, Scale(0.5, 5, 0.5))


RATINGS = make_ratings()


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 4))
def test_minimise__equals_lawson_and_hanson(seed: int, k: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(5, k + 3, k)) * np.logspace(0, -spread, k)
    targets = rng.normal(size=(5, k + 3))
    A, b = design.transpose(0, 2, 1) @ design, np.einsum("bnk,bn->bk", design, targets)
    expected = np.array([scipy.optimize.nnls(*one)[0] for one in zip(design, targets, strict=True)])
    np.testing.assert_allclose(minimise(A, b), expected, rtol=1e-6, atol=1e-6 * max(np.abs(expected).max(), 1))


@pytest.mark.parametrize("alpha", [None, 1.5])
def test_solve_nonnegative__meets_the_conditions_of_optimality(alpha: float | None) -> None:
    Y = np.random.default_rng(1).normal(size=(30, 5)).astype(np.float32)
    rows, gram = RATINGS.by_user, Y.astype(np.float64).T @ Y
    reg = 0.1 * rows.counts
    X = solve_nonnegative(rows, Y, reg, A0=None if alpha is None else gram, alpha=alpha)
    assert (X == 0).any()
    for row, x in enumerate(X.astype(np.float64)):
        columns, stars = rows.row(row)
        rated, stars = Y[columns].astype(np.float64), stars.astype(np.float64)
        w, v = (1, stars) if alpha is None else (alpha * stars, 1 + alpha * stars)
        A = (rated.T * w) @ rated + reg[row] * np.eye(5) + (0 if alpha is None else gram)
        slope = A @ x - rated.T @ v
        small = 1e-4 * np.abs(rated.T @ v).max()
        assert np.all(np.abs(slope[x > 0]) < small)
        assert np.all(slope[x == 0] > -small)


def test_solve_nonnegative__is_zero_for_a_row_without_ratings() -> None:
    rows = Csr(np.array([0, 0, 1]), np.array([1], np.int32), np.array([4], np.float32), 3)
    X = solve_nonnegative(rows, np.ones((3, 2), np.float32), np.array([0.0, 0.1]))
    assert not X[0].any()
    assert X[1].all()


@pytest.mark.parametrize("config", CONFIGS)
def test_fit__gives_nonnegative_factors_that_explain_themselves(config: ALS | IALS) -> None:
    model = config.fit(RATINGS, None)
    assert replace(config, nonnegative=False).fit(RATINGS, None).movie_factors.min() < 0 <= model.movie_factors.min()
    profiles = model.fold_in(RATINGS.by_user)
    scores, movies = model.scores(profiles), np.arange(30, dtype=np.int32)
    for user in range(0, 80, 7):
        explained = model.explain(RATINGS.history(user), movies)
        total = explained.base + explained.contributions.sum(axis=1)
        np.testing.assert_allclose(total, scores[user], atol=1e-4)


def test_fit__of_a_nonnegative_als_lowers_the_error() -> None:
    seen: list[float] = []
    CONFIGS[0].fit(RATINGS, None, progress=lambda step, done, total, rmse: seen.append(rmse or 0))
    assert seen[-1] < seen[0]
