from __future__ import annotations

import numpy as np
import pytest

from matinee.errors import ModelError
from matinee.kernels import Csr, equation
from matinee.kernels.posterior import Factors, Samples, posterior_covariances, posterior_scores

B, M, DEGREES = 5, 70, 30.0


def drawn(k, S=3, seed=0):
    rng = np.random.default_rng(seed)
    given = rng.random((B, M)) < 0.3
    given[0] = False
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    values = rng.standard_normal(int(given.sum())).astype(np.float32)
    rows = Csr(indptr, np.nonzero(given)[1].astype(np.int32), values, M)
    halves = rng.standard_normal((S, k, k)) / np.sqrt(k)
    A0 = (halves @ halves.transpose(0, 2, 1) + np.eye(k)).reshape(S * k, k)
    return (rows, factors(rng, S, k), A0), rng.standard_normal((S, B, k)), factors(rng, S, k)


def factors(rng, S, k):
    Y = rng.standard_normal((S * M, k)).astype(np.float32)
    return Factors(Y, rng.standard_normal(S * M).astype(np.float32), rng.gamma(4, 0.5, S * M).astype(np.float32))


def samples_of(solved, asked):
    _, rated, A0 = solved
    return Samples(rated, asked, A0)


def in_sample(factors, s):
    return (part.reshape(-1, M, *part.shape[1:])[s].astype(float) for part in factors)


def plain(solved, b0, asked, person, movies):
    rows, rated, A0 = solved
    (S, _, k), (columns, values) = b0.shape, rows.row(person)
    solutions, means, variances = [], [], []
    for s in range(S):
        y, offset, w = (part[columns] for part in in_sample(rated, s))
        a, level, precision = (part[movies] for part in in_sample(asked, s))
        targets = values - offset
        A, b = equation.normal_equations(y, w, w * targets, 0, A0[s * k : (s + 1) * k], b0[s, person])
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
    solved, b0, asked = drawn(k)
    movies = np.random.default_rng(m).permutation(M)[:m].astype(np.int32)
    rows, samples = solved[0], samples_of(solved, asked)
    X = samples.means(rows, b0)
    mean, variance = samples.moments(rows, b0, movies, DEGREES)
    assert mean.shape == variance.shape == (B, m)
    scores = posterior_scores(X, asked, movies)
    for person in range(B):
        solutions, means, variances = plain(solved, b0, asked, person, movies)
        np.testing.assert_allclose(scores[person], means, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(X[:, person], solutions, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(mean[person], means, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(variance[person], variances, rtol=1e-3)


def test_covariances__are_the_inverses_in_every_sample():
    (rows, rated, A0), _, _ = drawn(6)
    C = posterior_covariances(rows, rated, A0)
    for s in range(3):
        y, _, w = (part[rows.row(2)[0]] for part in in_sample(rated, s))
        np.testing.assert_allclose(C[s, 2], np.linalg.inv(A0[s * 6 : (s + 1) * 6] + (y.T * w) @ y), rtol=1e-6)


def test_each_persons_own_movies__are_asked_about_row_by_row():
    solved, b0, asked = drawn(5)
    rows, samples = solved[0], samples_of(solved, asked)
    own = np.random.default_rng(1).integers(0, M, (B, 9)).astype(np.int32)
    mean, variance = samples.moments(rows, b0, own, DEGREES)
    for person in range(B):
        alone = samples.moments(rows, b0, own[person], DEGREES)
        np.testing.assert_array_equal(mean[person], alone[0][person])
        np.testing.assert_array_equal(variance[person], alone[1][person])


def test_moments__are_the_same_bits_for_any_number_of_threads():
    solved, b0, asked = drawn(40, S=12)
    movies = np.arange(M, dtype=np.int32)
    rows, samples = solved[0], samples_of(solved, asked)
    np.testing.assert_array_equal(samples.means(rows, b0, threads=1), samples.means(rows, b0, threads=3))
    for one, three in zip(
        samples.moments(rows, b0, movies, DEGREES, threads=1),
        samples.moments(rows, b0, movies, DEGREES, threads=3),
        strict=True,
    ):
        np.testing.assert_array_equal(one, three)


def test_scores__are_the_same_bits_for_any_number_of_threads_and_people():
    rng = np.random.default_rng(3)
    asked = Factors(
        rng.standard_normal((4 * 3000, 33), np.float32),
        rng.standard_normal(12000, np.float32),
        np.ones(12000, np.float32),
    )
    X, movies = rng.standard_normal((4, 11, 33), np.float32), rng.permutation(3000).astype(np.int32)
    one = posterior_scores(X, asked, movies, threads=1)
    np.testing.assert_array_equal(one, posterior_scores(X, asked, movies, threads=3))
    np.testing.assert_array_equal(one[7:8], posterior_scores(X[:, 7:8], asked, movies))


def test_a_movie_that_does_not_exist__is_refused():
    solved, b0, asked = drawn(4)
    rows, samples = solved[0], samples_of(solved, asked)
    with pytest.raises(ValueError, match="movies must be positions from 0 to 69, not 70 to 70"):
        samples.moments(rows, b0, np.array([70], np.int32), DEGREES)
    with pytest.raises(ValueError, match="movies must be positions from 0 to 69, not -1 to -1"):
        posterior_scores(samples.means(rows, b0), asked, np.array([-1], np.int32))
    with pytest.raises(ValueError, match="have 5 rows, not 2"):
        samples.moments(rows, b0, np.zeros((2, 3), np.int32), DEGREES)


def test_arrays_that_do_not_fit__are_refused():
    (rows, rated, A0), b0, asked = drawn(4)
    samples = Samples(rated, asked, A0)
    with pytest.raises(ValueError, match=r"rated.Y must have shape"):
        Samples(rated._replace(Y=rated.Y[1:]), asked, A0)
    with pytest.raises(ValueError, match=r"asked.offsets must have shape"):
        Samples(rated, asked._replace(offsets=asked.offsets[1:]), A0)
    with pytest.raises(ValueError, match="rated must have a multiple of 3 rows, one for each movie and sample"):
        Samples(Factors(*(part[1:] for part in rated)), asked, A0)
    with pytest.raises(ValueError, match="asked must be 2 samples of 4 columns, not 209 rows of 4"):
        posterior_scores(samples.means(rows, b0)[:2], Factors(*(part[1:] for part in asked)), rows.indices[:2])
    with pytest.raises(ValueError, match="one matrix per sample"):
        Samples(rated, asked, A0[1:])
    with pytest.raises(ValueError, match=r"b0 must have shape \(3, 5, 4\)"):
        samples.moments(rows, b0[:, 1:], rows.indices[:2], DEGREES)
    with pytest.raises(ValueError, match="rows has 71 columns but must have 70"):
        samples.means(Csr(rows.indptr, rows.indices, rows.values, M + 1), b0)
    beyond = Csr(rows.indptr, rows.indices + 1000, rows.values, M)
    with pytest.raises(ValueError, match="column is out of range"):
        samples.moments(beyond, b0, rows.indices[:2], DEGREES)


def test_samples_and_ratings_that_are_not_finite__are_refused():
    (rows, rated, A0), b0, asked = drawn(4)
    samples = Samples(rated, asked, A0)
    broken = Csr(rows.indptr, rows.indices, np.full_like(rows.values, np.nan), M)
    with pytest.raises(ModelError, match="row 1"):
        samples.means(broken, b0)
    with pytest.raises(ModelError, match="row 1"):
        samples.moments(broken, b0, rows.indices[:2], DEGREES)
    with pytest.raises(ModelError, match="not positive definite"):
        Samples(rated, asked, -A0)
