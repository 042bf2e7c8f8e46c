from __future__ import annotations

import numpy as np
import pytest

from matinee.kernels import Csr, transpose
from matinee.models.bayes import features


@pytest.fixture
def ratings():
    rng = np.random.default_rng(8)
    taste, style = rng.standard_normal((90, 3)), rng.standard_normal((60, 3))
    given = taste @ style.T + rng.standard_normal((90, 60)) > 1.0
    given[:, 0] = given[0] = True
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    by_user = Csr(indptr, np.nonzero(given)[1].astype(np.int32), np.ones(int(given.sum()), np.float32), 60)
    return given.astype(float), by_user, transpose(by_user)


def plain_components(given, m):
    U, _, Vt = np.linalg.svd(given / np.sqrt(given.sum(axis=1))[:, None] / np.sqrt(given.sum(axis=0)))
    return U[:, 1 : m + 1] / np.sqrt(given.sum(axis=1))[:, None], Vt[1 : m + 1].T / np.sqrt(given.sum(axis=0))[:, None]


def test_components__equal_those_of_the_full_svd_without_the_first(ratings):
    given, by_user, by_movie = ratings
    found = features.components(by_user, by_movie, 3, np.random.default_rng(0), passes=30)
    for ours, plain in zip(found, plain_components(given, 3), strict=True):
        signs = np.sign(np.sum(ours * plain, axis=0))
        np.testing.assert_allclose(ours * signs, plain, atol=2e-4)


def test_components__of_all_ratings_sum_to_zero(ratings):
    given, by_user, by_movie = ratings
    users, movies = features.components(by_user, by_movie, 5, np.random.default_rng(0))
    np.testing.assert_allclose(given.sum(axis=0) @ movies, 0, atol=1e-3)
    np.testing.assert_allclose(given.sum(axis=1) @ users, 0, atol=1e-3)


def test_components__are_the_same_bits_for_the_same_seed(ratings):
    _, by_user, by_movie = ratings
    one, two = (features.components(by_user, by_movie, 4, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(one.users, two.users)
    np.testing.assert_array_equal(one.movies, two.movies)


def test_components__can_be_none_at_all(ratings):
    _, by_user, by_movie = ratings
    users, movies = features.components(by_user, by_movie, 0, np.random.default_rng(0))
    assert users.shape == (90, 0)
    assert movies.shape == (60, 0)


def test_who_rated__is_the_sum_over_the_root_of_the_count_plus_ten(ratings):
    given, by_user, _ = ratings
    q = np.random.default_rng(1).standard_normal((60, 4)).astype(np.float32)
    expected = given @ q / np.sqrt(given.sum(axis=1) + 10)[:, None]
    np.testing.assert_allclose(features.who_rated(by_user, q), expected, rtol=1e-4, atol=1e-5)


def test_who_rated__of_nothing_is_zero():
    empty = Csr(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 3)
    np.testing.assert_array_equal(features.who_rated(empty, np.ones((3, 2), np.float32)), np.zeros((1, 2)))


def test_scaled__gives_features_of_deviation_one_and_drops_what_never_varies(ratings):
    _, by_user, _ = ratings
    q = np.random.default_rng(1).standard_normal((60, 4)).astype(np.float32)
    q[:, 2] = 0
    found = features.who_rated(by_user, features.scaled(q, by_user))
    assert found.shape == (90, 3)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-4)


def test_year_hinges__treat_an_unknown_year_as_the_median():
    years = np.array([1950, 1990, 2000, 0, 1990], np.int16)
    found = features.year_hinges(years, np.ones(5, bool))
    np.testing.assert_array_equal(found[3], found[1])
    assert found[0, 0] == -3
    assert found[2, 0] == 1


def test_year_hinges__without_years_are_zero():
    assert not features.year_hinges(np.zeros(4, np.int16), np.ones(4, bool)).any()


def test_standardised__looks_at_rated_movies_only_and_drops_rare_columns():
    rng = np.random.default_rng(0)
    rated = np.arange(2000) < 1900
    columns = np.column_stack([rng.normal(5, 3, 2000), np.arange(2000) == 0, np.full(2000, 7.0)])
    columns[-1, 0] = 1e6
    found = features.standardised(columns, rated)
    assert found[-1, 0] == pytest.approx(found[rated, 0].max() + 1)
    assert found.shape == (2000, 1)
    assert found[rated].mean() == pytest.approx(0, abs=1e-5)
    assert found[rated].std() == pytest.approx(1, rel=1e-5)
