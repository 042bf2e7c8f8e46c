"""Synthetic data of any size with MovieLens' skew: for benchmarks and tests, not for watching.

    how often each movie and user rates or is rated  ->  who rated what  ->  stars  ->  times  ->  Dataset

The degrees are fixed first and the ratings matched to them at random, so that the sizes come out exactly as asked.

    U users, M movies, N ratings; degrees (U,) and (M,) int64 with sum N; pairs (N,) int32, by user, movies ascending
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtri

from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset, Facts
from matinee.errors import UsageError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.ratings import Ratings, Scale, Stars, Times

Degrees = NDArray[np.int64]
Float32 = NDArray[np.float32]

SCALE = Scale(0.5, 5.0, 0.5)
GENRES = ("Action", "Adventure", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller")
FIRST_TIME, LAST_TIME = 823_000_000, 1_428_000_000  # January 1996 to April 2015, as in the tutorial's data

MIN_PER_USER = 20
USER_SPREAD = 1.4
"""Standard deviation of the log of what a user rates beyond the minimum."""
MOVIE_SLOPE, MOVIE_BEND = 4.08, 0.5
"""log popularity = slope z - bend z^2 of a standard normal z: MovieLens' counts, flatter at the head than lognormal."""

RANK = 12
TASTE_SD, USER_SD, MOVIE_SD, NOISE_SD = 0.5, 0.42, 0.4, 0.76
MEAN_STARS = 3.45
WHOLE_STARS_ONLY = 0.4
"""The share of users who never give half a star."""

SWAPPING_ROUNDS = 40
BLOCK = 1 << 20


def synthetic(n_users: int, n_movies: int, n_ratings: int, *, rng: int | np.random.Generator) -> Dataset:
    """Make exactly `n_ratings` ratings, no (user, movie) twice, whose skew and stars resemble MovieLens'.

    Every user has at least 20 ratings, or half the mean where that is less. At the tutorial's size (229,772 users,
    27,300 movies, 21 million ratings) the median movie has 18 ratings and the Gini coefficient of their counts is 0.90.
    Stars are biases of users and movies, tastes of rank 12 that follow the movies' genres, and noise, in half stars.
    The same seed gives the same data. Takes about 0.5 s and 40 MB for each million ratings.

    Raises UsageError where so many ratings do not fit so many users and movies.

    >>> ds = synthetic(100, 50, 1_000, rng=0)
    >>> ds.ratings.n, len(ds.ratings.users), ds.catalog.table["title"][0].as_py()
    (1000, 100, 'Synthetic movie 1')
    """
    _check(n_users, n_movies, n_ratings)
    rng = np.random.default_rng(rng)
    per_user = _user_degrees(n_users, n_movies, n_ratings, rng)
    per_movie = _movie_degrees(n_users, n_movies, n_ratings)
    quality = np.argsort(np.argsort(per_movie)) / n_movies  # of 0..1: the popular are liked a little better
    shuffled = rng.permutation(n_movies)
    by_user = _match(per_user, per_movie[shuffled], rng)
    genres = _genres(n_movies, rng)
    stars = _stars(by_user, quality[shuffled], genres, rng)
    ids = Ids(pa.array(np.arange(1, n_movies + 1)).cast(pa.string()))
    users = Ids(pa.array(np.arange(1, n_users + 1)).cast(pa.string()))
    ratings = Ratings(users, ids, Csr(by_user.indptr, by_user.indices, stars, n_movies), SCALE, _times(per_user, rng))
    facts = Facts("synthetic", f"simulated, {n_ratings:,} ratings", "simulated, no terms", simulated=True)
    return Dataset(ratings, _catalog(ids, genres, rng), facts)


def _check(n_users: int, n_movies: int, n_ratings: int) -> None:
    if min(n_users, n_movies, n_ratings) < 1:
        raise UsageError(f"synthetic data needs at least 1 of each, not {n_users=}, {n_movies=}, {n_ratings=}")
    if not n_users <= n_ratings <= n_users * n_movies:
        raise UsageError(
            f"{n_ratings:,} ratings do not fit {n_users:,} users and {n_movies:,} movies: "
            f"from {n_users:,} (one each) to {n_users * n_movies:,} (all of them) are possible"
        )


def _user_degrees(n_users: int, n_movies: int, n_ratings: int, rng: np.random.Generator) -> Degrees:
    low = min(MIN_PER_USER, max(1, n_ratings // n_users // 2), n_movies)
    high = max(n_movies // 3, -(-n_ratings // n_users))
    return _apportion(np.exp(USER_SPREAD * rng.standard_normal(n_users)), n_ratings, low, high)


def _movie_degrees(n_users: int, n_movies: int, n_ratings: int) -> Degrees:
    z = ndtri((np.arange(n_movies) + 0.5) / n_movies)
    z = np.minimum(z, MOVIE_SLOPE / (2 * MOVIE_BEND))
    return _apportion(np.exp(MOVIE_SLOPE * z - MOVIE_BEND * z**2), n_ratings, min(1, n_ratings // n_movies), n_users)


def _apportion(weights: NDArray[np.float64], total: int, low: int, high: int) -> Degrees:
    """Return whole numbers from low to high with this sum, low + weights times one factor as nearly as possible."""

    def spread(factor: float) -> NDArray[np.float64]:
        return np.minimum(low + weights * factor, high)

    below, above = 0.0, (high - low + 1) / weights.min()
    for _ in range(200):
        middle = (below + above) / 2
        below, above = (middle, above) if spread(middle).sum() <= total else (below, middle)
    exact = spread(below)
    degrees = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(degrees - exact, kind="stable")
    open_places = largest_remainders[degrees[largest_remainders] < high]
    degrees[open_places[: total - degrees.sum()]] += 1
    return degrees


def _match(per_user: Degrees, per_movie: Degrees, rng: np.random.Generator) -> Csr:
    """Return a matrix of ones, by users, with these row sums and (but for the densest data) these column sums.

    Users who rate so much that they would meet the most popular movies twice choose first, without replacement. The
    places that are left are dealt at random to the places of the others: the configuration model.
    """
    heavy = np.flatnonzero(per_user >= per_user.sum() / per_movie.max())
    chosen, left = _choose(heavy[np.argsort(-per_user[heavy], kind="stable")], per_user, per_movie, rng)
    user = np.repeat(np.arange(len(per_user), dtype=np.int32), per_user)
    movie = np.empty(len(user), np.int32)
    is_heavy = np.isin(user, heavy)
    movie[is_heavy] = np.concatenate([np.empty(0, np.int32), *(chosen[one] for one in heavy.tolist())])
    movie[~is_heavy] = _deal(user[~is_heavy], left, rng)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(per_user)])
    return Csr(indptr, movie, np.ones(len(movie), np.float32), len(per_movie))


def _choose(
    heavy: NDArray[np.int64], per_user: Degrees, per_movie: Degrees, rng: np.random.Generator
) -> tuple[dict[int, NDArray[np.int32]], Degrees]:
    """Let each user draw distinct movies, likelier the more of their places are left; return them and these places."""
    left, chosen = per_movie.copy(), {}
    for user in heavy.tolist():
        race = rng.standard_exponential(len(left)) / np.maximum(left, 1e-9)
        movies = np.sort(np.argpartition(race, per_user[user] - 1)[: per_user[user]])
        left[movies] -= 1
        chosen[user] = movies.astype(np.int32)
    return chosen, np.maximum(left, 0)


def _deal(user: NDArray[np.int32], left: Degrees, rng: np.random.Generator) -> NDArray[np.int32]:
    """Deal the movies' places to the users' places (n,), ascending; who gets a movie twice swaps with random others.

    What is still doubled after many rounds becomes a movie that the user lacks.
    """
    movie = rng.permutation(np.repeat(np.arange(len(left), dtype=np.int32), left))[: len(user)]
    for _ in range(SWAPPING_ROUNDS):
        movie = _sorted_within_users(user, movie, len(left))
        twins = _twins(user, movie)
        if not len(twins):
            return movie
        places = np.unique(np.concatenate([twins, rng.integers(len(user), size=2 * len(twins))]))
        movie[places] = movie[rng.permutation(places)]
    return _with_lacking_movies(user, _sorted_within_users(user, movie, len(left)), len(left), rng)


def _sorted_within_users(user: NDArray[np.int32], movie: NDArray[np.int32], n_movies: int) -> NDArray[np.int32]:
    keys = user.astype(np.int64) * n_movies + movie
    keys.sort()
    return (keys % n_movies).astype(np.int32)


def _twins(user: NDArray[np.int32], movie: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.flatnonzero((movie[1:] == movie[:-1]) & (user[1:] == user[:-1])) + 1


def _with_lacking_movies(
    user: NDArray[np.int32], movie: NDArray[np.int32], n_movies: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    twins = _twins(user, movie)
    for someone in np.unique(user[twins]):
        own = slice(*np.searchsorted(user, [someone, someone + 1]))
        places = twins[user[twins] == someone]
        movie[places] = rng.permutation(np.setdiff1d(np.arange(n_movies), movie[own]))[: len(places)]
    return _sorted_within_users(user, movie, n_movies)


def _genres(n_movies: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(M, n_genres): one genre for certain, others now and then."""
    flags = rng.random((n_movies, len(GENRES))) < 0.12
    flags[np.arange(n_movies), rng.integers(len(GENRES), size=n_movies)] = True
    return flags


def _stars(by_user: Csr, quality: NDArray[np.float64], genres: NDArray[np.bool_], rng: np.random.Generator) -> Stars:
    """(N,) mean + bias of user and movie + taste + noise, rounded to the steps this user gives."""
    n_users, n_movies = by_user.n_rows, by_user.n_columns
    X, Y = _tastes(n_users, genres, rng)
    of_user = (MEAN_STARS + USER_SD * rng.standard_normal(n_users)).astype(np.float32)
    of_movie = (MOVIE_SD * (1.5 * (quality - 0.9) + rng.standard_normal(n_movies))).astype(np.float32)
    per_star = np.where(rng.random(n_users) < WHOLE_STARS_ONLY, 1, 2).astype(np.float32)
    user, movie = by_user.row_of_each(), by_user.indices
    stars = np.empty(by_user.n, np.float32)
    for start in range(0, by_user.n, BLOCK):
        part = slice(start, start + BLOCK)
        u, m = user[part], movie[part]
        exact = of_user[u] + of_movie[m] + np.einsum("nk,nk->n", X[u], Y[m])
        exact += np.float32(NOISE_SD) * rng.standard_normal(len(u), np.float32)
        stars[part] = np.rint(exact * per_star[u]) / per_star[u]
    return SCALE.clip(stars)


def _tastes(n_users: int, genres: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Float32, Float32]:
    """(U, k) and (M, k), each later factor weaker, such that the product has TASTE_SD."""
    strength = 0.8 ** np.arange(RANK)
    strength *= TASTE_SD / np.sqrt((strength**2).sum())
    of_genre = rng.standard_normal((genres.shape[1], RANK))
    shared = genres @ of_genre / np.sqrt(genres.sum(axis=1, keepdims=True))
    Y = np.sqrt(0.4) * shared + np.sqrt(0.6) * rng.standard_normal((len(genres), RANK))
    X = rng.standard_normal((n_users, RANK)) * strength
    return X.astype(np.float32), Y.astype(np.float32)


def _times(per_user: Degrees, rng: np.random.Generator) -> Times:
    """(N,) everybody comes at some time and rates for minutes or years."""
    start = rng.uniform(FIRST_TIME, LAST_TIME, len(per_user))
    span = np.minimum(np.exp(rng.normal(10, 3, len(per_user))), LAST_TIME - start)
    times = rng.random(int(per_user.sum()))
    times *= np.repeat(span, per_user)
    times += np.repeat(start, per_user)
    return times.astype(np.int64)


def _catalog(ids: Ids, genres: NDArray[np.bool_], rng: np.random.Generator) -> Catalog:
    n_movies = len(ids)
    titles = [f"Synthetic movie {movie}" for movie in ids]
    years = (2015 - rng.exponential(18, n_movies)).clip(1920).astype(np.int16)
    named = [[GENRES[genre] for genre in np.flatnonzero(flags)] for flags in genres]
    none = pa.nulls(n_movies, pa.string())
    columns = [ids.array, titles, years, named, [[]] * n_movies, none, none]
    return Catalog(
        pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
        )
    )
