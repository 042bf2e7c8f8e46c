from __future__ import annotations

import numpy as np
import pytest

from matinee.errors import ModelError
from matinee.kernels import Csr, equation
from matinee.kernels.posterior import Factors, Posterior, Prior, posterior_covariances, posterior_scores

B, M, D, DEGREES, PSEUDO = 5, 70, 3, 30.0, 10.0


def drawn(k, S=3, seed=0):
    """Ratings, the movies as they are rated and as they are asked about, and what is known of people."""
    rng = np.random.default_rng(seed)
    given = rng.random((B, M)) < 0.3
    given[0] = False
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    values = rng.standard_normal(int(given.sum())).astype(np.float32)
    rows = Csr(indptr, np.nonzero(given)[1].astype(np.int32), values, M)
    halves = rng.standard_normal((S, k, k)) / np.sqrt(k)
    A0 = (halves @ halves.transpose(0, 2, 1) + np.eye(k)).reshape(S * k, k)
    slopes, components = rng.standard_normal((S * D, k)), rng.standard_normal((M, D)).astype(np.float32)
    prior = Prior(A0, rng.standard_normal((S, k)), slopes, components)
    return rows, factors(rng, S, k), factors(rng, S, k), prior


def factors(rng, S, k):
    Y = rng.standard_normal((M, S * k)).astype(np.float32)
    return Factors(Y, rng.standard_normal((M, S)).astype(np.float32), rng.gamma(4, 0.5, (M, S)).astype(np.float32))


def posterior_of(rated, asked, prior):
    return Posterior(rated, asked, prior, pseudo_ratings=PSEUDO, degrees=DEGREES)


def in_sample(factors, s):
    S = factors.offsets.shape[1]
    return (part.reshape(M, S, -1)[:, s].squeeze(1 if part is not factors.Y else ()).astype(float) for part in factors)


def plain(rows, rated, asked, prior, person, movies):
    (S, k), (columns, values) = prior.base.shape, rows.row(person)
    f = prior.components[columns].sum(axis=0, dtype=float) / np.sqrt(len(columns) + PSEUDO)
    solutions, means, variances = [], [], []
    for s in range(S):
        y, offset, w = (part[columns] for part in in_sample(rated, s))
        a, level, precision = (part[movies] for part in in_sample(asked, s))
        targets = values - offset
        b0 = prior.base[s] + f @ prior.slopes.reshape(S, D, k)[s]
        A, b = equation.normal_equations(y, w, w * targets, 0, prior.A0[s * k : (s + 1) * k], b0)
        x = np.linalg.solve(A, b)
        C = np.linalg.inv(A)
        squares = (targets - y @ x) ** 2 + np.sum(y @ C * y, axis=1)
        g = (DEGREES + len(columns)) / (DEGREES + np.sum(w * squares))
        solutions.append(x)
        means.append(a @ x + level)
        variances.append(1 / (g * precision) + np.sum(a @ C * a, axis=1))
    return solutions, np.mean(means, axis=0), np.mean(variances, axis=0) + np.var(means, axis=0)


@pytest.mark.parametrize("k", [1, 7, 16, 31, 32, 33, 64])
@pytest.mark.parametrize("m", [0, 1, 48, 49, 70])
def test_means_and_moments__equal_the_plain_equation(k, m):
    rows, rated, asked, prior = drawn(k)
    movies = np.random.default_rng(m).permutation(M)[:m].astype(np.int32)
    posterior = posterior_of(rated, asked, prior)
    X = posterior.means(rows)
    mean, variance = posterior.moments(rows, movies)
    assert mean.shape == variance.shape == (B, m)
    scores = posterior_scores(X, asked, movies)
    for person in range(B):
        solutions, means, variances = plain(rows, rated, asked, prior, person, movies)
        np.testing.assert_allclose(scores[person], means, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(X[:, person], solutions, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(mean[person], means, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(variance[person], variances, rtol=1e-3)


def test_a_person_of_many_ratings__is_folded_in_alike():
    rng, k, n, S = np.random.default_rng(5), 12, 1_000, 2
    Y = rng.standard_normal((n, S * k)).astype(np.float32)
    rated = Factors(Y, rng.standard_normal((n, S)).astype(np.float32), np.ones((n, S), np.float32))
    prior = Prior(np.tile(np.eye(k), (S, 1)), np.zeros((S, k)), np.empty((0, k)), np.empty((n, 0), np.float32))
    columns, values = np.arange(0, n, 2, dtype=np.int32), rng.standard_normal(n // 2).astype(np.float32)
    X = Posterior(rated, rated, prior).means(Csr(np.array([0, n // 2]), columns, values, n))
    for s in range(S):
        y, targets = Y[columns, s * k : (s + 1) * k].astype(float), values - rated.offsets[columns, s]
        np.testing.assert_allclose(X[s, 0], np.linalg.solve(np.eye(k) + y.T @ y, y.T @ targets), rtol=1e-3, atol=1e-5)


def test_covariances__are_the_inverses_in_every_sample():
    rows, rated, _, prior = drawn(6)
    C = posterior_covariances(rows, rated, prior.A0)
    for s in range(3):
        y, _, w = (part[rows.row(2)[0]] for part in in_sample(rated, s))
        np.testing.assert_allclose(C[s, 2], np.linalg.inv(prior.A0[s * 6 : (s + 1) * 6] + (y.T * w) @ y), rtol=1e-6)


def test_each_persons_own_movies__are_asked_about_row_by_row():
    rows, *rest = drawn(5)
    posterior = posterior_of(*rest)
    own = np.random.default_rng(1).integers(0, M, (B, 9)).astype(np.int32)
    mean, variance = posterior.moments(rows, own)
    for person in range(B):
        alone = posterior.moments(rows, own[person])
        np.testing.assert_array_equal(mean[person], alone[0][person])
        np.testing.assert_array_equal(variance[person], alone[1][person])


@pytest.mark.parametrize("k", [1, 7, 16, 31, 32, 33, 64])
def test_the_means_of_moments__have_the_bits_of_scores(k):
    rows, *rest = drawn(k)
    movies, posterior = np.random.default_rng(k).permutation(M).astype(np.int32), posterior_of(*rest)
    mean, _ = posterior.moments(rows, movies)
    np.testing.assert_array_equal(mean, posterior_scores(posterior.means(rows), rest[1], movies))


def test_moments__are_the_same_bits_for_any_number_of_threads():
    rows, *rest = drawn(40, S=12)
    movies, posterior = np.arange(M, dtype=np.int32), posterior_of(*rest)
    np.testing.assert_array_equal(posterior.means(rows, threads=1), posterior.means(rows, threads=3))
    one, three = (posterior.moments(rows, movies, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_scores__are_the_same_bits_for_any_number_of_threads_and_people():
    rng = np.random.default_rng(3)
    asked = Factors(
        rng.standard_normal((3000, 4 * 33), np.float32),
        rng.standard_normal((3000, 4), np.float32),
        np.ones((3000, 4), np.float32),
    )
    X, movies = rng.standard_normal((4, 11, 33), np.float32), rng.permutation(3000).astype(np.int32)
    one = posterior_scores(X, asked, movies, threads=1)
    np.testing.assert_array_equal(one, posterior_scores(X, asked, movies, threads=3))
    np.testing.assert_array_equal(one[7:8], posterior_scores(X[:, 7:8], asked, movies))


def test_a_movie_that_does_not_exist__is_refused():
    rows, rated, asked, prior = drawn(4)
    posterior = posterior_of(rated, asked, prior)
    with pytest.raises(ValueError, match="movies must be positions from 0 to 69, not 70 to 70"):
        posterior.moments(rows, np.array([70], np.int32))
    with pytest.raises(ValueError, match="movies must be positions from 0 to 69, not -1 to -1"):
        posterior_scores(posterior.means(rows), asked, np.array([-1], np.int32))
    with pytest.raises(ValueError, match="have 5 rows, not 2"):
        posterior.moments(rows, np.zeros((2, 3), np.int32))


def test_arrays_that_do_not_fit__are_refused():
    rows, rated, asked, prior = drawn(4)
    posterior = posterior_of(rated, asked, prior)
    with pytest.raises(ValueError, match=r"rated.Y must have shape \(70, 12\)"):
        posterior_of(rated._replace(Y=rated.Y[1:]), asked, prior)
    with pytest.raises(ValueError, match=r"asked.offsets must have shape \(70, 3\)"):
        posterior_of(rated, asked._replace(offsets=asked.offsets[1:]), prior)
    with pytest.raises(ValueError, match=r"asked.Y must have shape \(70, 8\)"):
        posterior_scores(posterior.means(rows)[:2], asked, rows.indices[:2])
    for name in ("A0", "slopes"):
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            posterior_of(rated, asked, prior._replace(**{name: getattr(prior, name)[1:]}))
    with pytest.raises(ValueError, match="rows has 71 columns but must have 70"):
        posterior.means(Csr(rows.indptr, rows.indices, rows.values, M + 1))
    beyond = Csr(rows.indptr, rows.indices + 1000, rows.values, M)
    for call in (posterior.means, lambda rows: posterior.moments(rows, rows.indices[:0])):
        with pytest.raises(ValueError, match="row 1: a column is out of range"):
            call(beyond)


def test_samples_and_ratings_that_are_not_finite__are_refused():
    rows, rated, asked, prior = drawn(4)
    posterior = posterior_of(rated, asked, prior)
    broken = Csr(rows.indptr, rows.indices, np.full_like(rows.values, np.nan), M)
    with pytest.raises(ModelError, match="row 1"):
        posterior.means(broken)
    with pytest.raises(ModelError, match="row 1"):
        posterior.moments(broken, rows.indices[:2])
    with pytest.raises(ModelError, match="not positive definite"):
        posterior_of(rated, asked, prior._replace(A0=-prior.A0))
