from __future__ import annotations

import numpy as np
import pytest

from matinee.kernels import Csr, equation, transpose
from matinee.models.bayes.gibbs import Gibbs, Side, SidePrior, draw_wishart


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def random_ratings(rng, n_users=40, n_movies=30, density=0.3):
    given = rng.random((n_users, n_movies)) < density
    given[:, 0] = given[0] = True
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    values = rng.standard_normal(int(given.sum())).astype(np.float32)
    return Csr(indptr, np.nonzero(given)[1].astype(np.int32), values, n_movies)


def chain(by_user, k, rng, *, features=None, has_bias=True, seed=5, threads=1):
    users = Side.start(by_user, k, features, has_bias, rng)
    movies = Side.start(transpose(by_user), k, None, has_bias, rng)
    return Gibbs(users, movies, seed, threads=threads)


def test_wishart__has_the_mean_of_its_formula(rng):
    inverse_scale = np.array([[2.0, 0.5], [0.5, 1.0]])
    draws = [draw_wishart(7, inverse_scale, rng) for _ in range(20_000)]
    np.testing.assert_allclose(np.mean(draws, axis=0), 7 * np.linalg.inv(inverse_scale), rtol=0.03)


def test_wishart__of_one_dimension_is_a_chi_square(rng):
    draws = np.array([draw_wishart(5, np.array([[4.0]]), rng)[0, 0] for _ in range(20_000)])
    assert 4 * draws.mean() == pytest.approx(5, rel=0.03)
    assert 16 * draws.var() == pytest.approx(10, rel=0.06)


def test_rows__are_drawn_from_the_plain_equation(rng):
    by_user = random_ratings(rng)
    state = chain(by_user, 4, rng)
    users, movies = state.users, state.movies
    movies.X = rng.standard_normal(movies.X.shape).astype(np.float32)
    users.weights = rng.gamma(5, 0.2, 40).astype(np.float32)
    movies.weights = rng.gamma(5, 0.2, 30).astype(np.float32)
    users.prior.mean = rng.standard_normal(4)
    tau, draws = 2.0, []
    for sweep in range(3000):
        users.draw_rows(movies, tau, (9, sweep), 1)
        draws.append(users.X[7].astype(np.float64))
    rated, values = by_user.row(7)
    Y = movies.design[rated].astype(np.float64)
    w = tau * users.weights[7] * movies.weights[rated]
    A, b = equation.normal_equations(
        Y, w, w * (values - movies.X[rated, -1]), 0, users.prior.precision, users.prior.linear_term()[0]
    )
    np.testing.assert_allclose(np.mean(draws, axis=0), np.linalg.solve(A, b), atol=0.06)
    np.testing.assert_allclose(np.cov(np.transpose(draws)), np.linalg.inv(A), atol=0.03)


def test_noise_weights__have_the_mean_of_their_conditional(rng):
    by_user = random_ratings(rng)
    side = Side.start(by_user, 3, None, True, rng)
    errors = rng.gamma(2.0, 5.0, 40)
    draws = []
    for _ in range(4000):
        side.draw_weights(errors, 1.5, rng)
        draws.append(side.weights)
    expected = (30 + by_user.counts) / (30 + 1.5 * errors)
    np.testing.assert_allclose(np.mean(draws, axis=0), expected, rtol=0.03)


def test_squared_errors__equal_the_plain_sum(rng):
    by_user = random_ratings(rng)
    state = chain(by_user, 4, rng)
    state.sweep()
    X, Y = state.users.X.astype(np.float64), state.movies.X.astype(np.float64)
    predicted = X[:, :-1] @ Y[:, :-1].T + X[:, -1:] + Y[:, -1]
    row, column = by_user.row_of_each(), by_user.indices
    squares = (by_user.values - predicted[row, column]) ** 2
    expected = np.bincount(row, squares * state.movies.weights[column])
    np.testing.assert_allclose(state.users.squared_errors(state.movies, 1), expected, rtol=1e-4)
    assert state.rmse() == pytest.approx(np.sqrt(squares.mean()), rel=1e-4)


def test_prior__finds_the_regression_that_made_the_rows(rng):
    features = rng.standard_normal((4000, 3)).astype(np.float32)
    regression = np.array([[1.0, 0.0], [0.0, -2.0], [0.5, 0.5]])
    deviation = np.array([[0.5, 0.2], [0.2, 0.4]])
    X = features @ regression + [0.3, -0.1] + rng.standard_normal((4000, 2)) @ np.linalg.cholesky(deviation).T
    prior, kept = SidePrior(4000, 2, features), []
    for sweep in range(60):
        prior.draw(X.astype(np.float32), rng)
        if sweep >= 10:
            kept.append((prior.regression, prior.mean, np.linalg.inv(prior.precision)))
    found = [np.mean(part, axis=0) for part in zip(*kept, strict=True)]
    np.testing.assert_allclose(found[0], regression, atol=0.05)
    np.testing.assert_allclose(found[1], [0.3, -0.1], atol=0.05)
    np.testing.assert_allclose(found[2], deviation, atol=0.05)


def test_regression__is_drawn_with_the_covariance_of_its_conditional(rng):
    features = rng.standard_normal((50, 2)).astype(np.float32) @ np.array([[1, 0.6], [0, 0.5]], np.float32)
    X = rng.standard_normal((50, 2)).astype(np.float32)
    prior, draws = SidePrior(50, 2, features), []
    prior.precision = np.array([[2.0, 0.7], [0.7, 1.0]])
    for _ in range(6000):
        prior.kappa = 3.0
        prior._draw_regression(X, rng)
        draws.append(prior.regression.ravel())
    ridge = np.linalg.inv(features.T @ features + 3.0 * np.eye(2))
    np.testing.assert_allclose(np.mean(draws, axis=0), (ridge @ features.T @ X).ravel(), atol=0.02)
    np.testing.assert_allclose(np.cov(np.transpose(draws)), np.kron(ridge, np.linalg.inv(prior.precision)), atol=0.005)


def test_linear_term__is_precision_times_the_row_mean(rng):
    features = rng.standard_normal((20, 5)).astype(np.float32)
    prior = SidePrior(20, 3, features)
    prior.draw(rng.standard_normal((20, 3)).astype(np.float32), rng)
    expected = (prior.mean + features @ prior.regression) @ prior.precision
    np.testing.assert_allclose(prior.linear_term(), expected, rtol=1e-3, atol=1e-3)


def test_chain__is_the_same_for_any_number_of_threads(rng):
    by_user = random_ratings(rng, 200, 90)
    features = rng.standard_normal((200, 6)).astype(np.float32)
    one, three = (chain(by_user, 5, np.random.default_rng(1), features=features, threads=threads) for threads in (1, 3))
    for _ in range(5):
        one.sweep()
        three.sweep()
    np.testing.assert_array_equal(one.users.X, three.users.X)
    np.testing.assert_array_equal(one.movies.X, three.movies.X)
    assert one.tau == three.tau


def test_chain__recovers_the_noise_of_data_it_could_have_made(rng):
    X, Y = rng.standard_normal((300, 2)), rng.standard_normal((80, 2))
    given = rng.random((300, 80)) < 0.5
    given[:, 0] = given[0] = True
    stars = (X @ Y.T + rng.normal(0, 0.5, given.shape))[given].astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    by_user = Csr(indptr, np.nonzero(given)[1].astype(np.int32), stars, 80)
    state, taus = chain(by_user, 4, rng), []
    for sweep in range(60):
        state.sweep()
        taus.append(state.tau if sweep >= 30 else np.nan)
    assert np.nanmean(taus) ** -0.5 == pytest.approx(0.5, rel=0.05)
