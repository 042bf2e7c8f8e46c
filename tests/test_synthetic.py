from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.catalog import SCHEMA
from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.ratings import Ratings


@pytest.fixture(scope="module")
def small() -> Dataset:
    return synthetic(700, 900, 50_000, rng=3)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int, int]:
    n_users, n_movies = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return n_users, n_movies, draw(st.integers(n_users, n_users * n_movies))


def gini(counts: np.ndarray) -> float:
    ascending, n = np.sort(counts), len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ascending / n / ascending.sum())


def nobody_rates_a_movie_twice(ratings: Ratings) -> bool:
    pairs = ratings.by_user.row_of_each().astype(np.int64) * len(ratings.movies) + ratings.by_user.indices
    return bool(np.all(np.diff(pairs) > 0))


@settings(max_examples=150, deadline=None)
@given(sizes(), st.integers(0, 10))
def test_synthetic__has_exactly_the_sizes_asked_for_from_one_rating_each_to_all(
    size: tuple[int, int, int], seed: int
) -> None:
    n_users, n_movies, n_ratings = size
    ratings = synthetic(n_users, n_movies, n_ratings, rng=seed).ratings
    assert (len(ratings.users), len(ratings.movies), ratings.n) == size
    assert ratings.by_user.counts.min() >= 1
    assert ratings.by_user.indices.min() >= 0
    assert ratings.by_user.indices.max() < n_movies
    assert nobody_rates_a_movie_twice(ratings)


def test_the_same_seed__gives_the_same_data_and_another_seed_other_data(small: Dataset) -> None:
    again, other = synthetic(700, 900, 50_000, rng=3), synthetic(700, 900, 50_000, rng=4)
    for name in ("indptr", "indices", "values"):
        assert np.array_equal(getattr(again.ratings.by_user, name), getattr(small.ratings.by_user, name))
    assert again.ratings.timestamps is not None
    assert small.ratings.timestamps is not None
    assert np.array_equal(again.ratings.timestamps, small.ratings.timestamps)
    assert again.catalog.table.equals(small.catalog.table)
    assert not np.array_equal(other.ratings.by_user.indices, small.ratings.by_user.indices)


def test_users__rate_at_least_20_movies_and_a_few_rate_very_many(small: Dataset) -> None:
    counts = small.ratings.by_user.counts
    assert counts.min() >= 20
    assert counts.mean() > 1.3 * np.median(counts)
    assert counts.max() > 3 * counts.mean()


def test_stars__are_halves_on_the_scale_with_whole_ones_preferred(small: Dataset) -> None:
    stars = small.ratings.by_user.values
    assert set(np.unique(stars)) == set(np.arange(0.5, 5.1, 0.5))
    assert 3.3 < stars.mean() < 3.7
    assert 0.9 < stars.std() < 1.15
    assert np.isin(stars, [1, 2, 3, 4, 5]).mean() > 0.6


def test_stars__hold_tastes_beyond_the_biases_of_users_and_movies() -> None:
    ratings = synthetic(400, 300, 60_000, rng=0).ratings
    matrix = np.full((400, 300), np.nan)
    matrix[ratings.by_user.row_of_each(), ratings.by_user.indices] = ratings.by_user.values
    matrix -= np.nanmean(matrix, axis=0)
    matrix -= np.nanmean(matrix, axis=1, keepdims=True)
    shuffled = np.random.default_rng(0).permuted(matrix, axis=0)
    assert strongest(matrix) > 1.3 * strongest(shuffled)


def strongest(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(np.nan_to_num(matrix), 2))


def test_times__are_within_the_twenty_years_of_the_tutorials_data(small: Dataset) -> None:
    assert small.ratings.timestamps is not None
    years = small.ratings.timestamps.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    assert (years.min(), years.max()) == (1996, 2015)


def test_the_data__says_that_it_is_simulated(small: Dataset) -> None:
    assert small.facts.simulated
    assert small.catalog.table.schema == SCHEMA
    assert all(small.catalog.table["genres"].to_pylist())


@pytest.mark.parametrize("size", [(0, 5, 5), (5, 5, 26), (5, 5, 4)])
def test_sizes_that_cannot_be__are_refused_with_the_rule(size: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match=r"at least 1|are possible"):
        synthetic(*size, rng=0)


@pytest.mark.slow
@pytest.mark.once
def test_at_the_tutorials_size__popularity_is_skewed_like_movielens() -> None:
    ratings = synthetic(229_772, 27_300, 21_000_000, rng=0).ratings
    counts = ratings.movie_counts
    assert ratings.n == 21_000_000
    assert 17 <= np.median(counts) <= 19
    assert 0.895 <= gini(counts) <= 0.91
    assert 50_000 < counts.max() < 90_000
    assert ratings.by_user.counts.min() >= 20
    assert nobody_rates_a_movie_twice(ratings)
