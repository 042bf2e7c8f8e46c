from __future__ import annotations

import numpy as np
import pytest

from matinee.kernels.equation import normal_equations, solve_row


def test_one_rating__pulls_the_row_towards_it():
    y = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(solve_row(y, np.ones(1), np.array([4.0]), reg=1.0), [2.0, 0.0])


def test_the_solution__is_ridge_regression():
    rng = np.random.default_rng(0)
    Y, r = rng.normal(size=(30, 4)), rng.normal(size=30)
    stacked = np.concatenate([Y, np.sqrt(0.5) * np.eye(4)])
    want = np.linalg.lstsq(stacked, np.concatenate([r, np.zeros(4)]), rcond=None)[0]
    np.testing.assert_allclose(solve_row(Y, np.ones(30), r, reg=0.5), want)


def test_a_weight_of_two__is_the_rating_given_twice():
    rng = np.random.default_rng(0)
    Y, r = rng.normal(size=(5, 3)), rng.normal(size=5)
    w = np.array([2.0, 1, 1, 1, 1])
    twice = np.concatenate([Y, Y[:1]])
    want = solve_row(twice, np.ones(6), np.append(r, r[0]), reg=0.1)
    np.testing.assert_allclose(solve_row(Y, w, w * r, reg=0.1), want)


def test_without_ratings__the_prior_is_the_answer():
    A0, b0 = np.diag([2.0, 4.0]), np.array([2.0, 2.0])
    np.testing.assert_allclose(solve_row(np.empty((0, 2)), np.empty(0), np.empty(0), 0.0, A0, b0), [1.0, 0.5])


def test_noise__has_the_inverse_matrix_as_covariance():
    rng = np.random.default_rng(0)
    Y, r = rng.normal(size=(6, 2)), rng.normal(size=6)
    A, b = normal_equations(Y, np.ones(6), r, 1.0)
    draws = np.array([solve_row(Y, np.ones(6), r, 1.0, z=rng.normal(size=2)) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), np.linalg.solve(A, b), atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), np.linalg.inv(A), atol=0.02)


def test_a_matrix_that_is_not_positive_definite__is_an_error():
    with pytest.raises(np.linalg.LinAlgError):
        solve_row(np.zeros((1, 2)), np.ones(1), np.ones(1), reg=0.0)
