"""Side information: what is known of a movie or a person besides the stars.

Who rates what is very informative, even without the stars. With X the binary matrix of ratings (n_users, n_movies),

    D_u^-1/2 X D_i^-1/2 = U S V^T          D: the numbers of ratings
    q_j = V_j / sqrt(n_j)                  f_u = (n_u + 10)^-1/2 sum_{j rated by u} q_j     (movies likewise, from U)

without the first component, which is known (singular value 1, V_j = sqrt(n_j / n)) and only counts ratings. Because
the others are orthogonal to it, the q_j of all ratings sum to zero: a person without ratings has the features of an
average one.

Symbols: U users; M movies; m components; D columns in all. Features are float32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.catalog import Catalog
from matinee.kernels import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

PSEUDO_RATINGS = 10
LEAST_DEVIATION = 0.03  # a column that hardly ever differs from its mean is left out
SPARE = 16  # columns iterated beyond those asked for, which makes the last of those exact
YEAR_KNOTS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9)


class Components(NamedTuple):
    """The leading components of who rated what: `users` (U, m) and `movies` (M, m), each row over sqrt(n)."""

    users: Float32
    movies: Float32


def components(
    by_user: Csr, by_movie: Csr, m: int, rng: np.random.Generator, *, passes: int = 4, threads: int | None = None
) -> Components:
    """Return the m leading components by block power iteration (Halko, Martinsson & Tropp 2011, section 4.5).

    Every user and movie needs a rating. The draw of `rng` decides the start; signs and order are otherwise fixed.
    """
    down, across = _normalised(by_user, by_movie.counts), _normalised(by_movie, by_user.counts)
    first = np.sqrt(by_movie.counts / by_movie.n).astype(np.float32)
    V = rng.standard_normal((by_movie.n_rows, min(m + SPARE, by_user.n_rows, by_movie.n_rows)), np.float32)
    for _ in range(passes):
        V = np.linalg.qr(V - np.outer(first, first @ V))[0]
        U = kernels.gather_rows(down, V, threads=threads)
        V = kernels.gather_rows(across, U, threads=threads)
    V = np.linalg.qr(V - np.outer(first, first @ V))[0]
    U = kernels.gather_rows(down, V, threads=threads)
    squares, turn = np.linalg.eigh((U.T @ U).astype(np.float64))
    turn = turn[:, ::-1][:, :m].astype(np.float32)
    deviations = np.sqrt(np.maximum(squares[::-1][:m], np.finfo(np.float32).tiny)).astype(np.float32)
    return Components(_over_root(U @ turn / deviations, by_user.counts), _over_root(V @ turn, by_movie.counts))


def _normalised(rows: Csr, column_counts: NDArray[np.int64]) -> Csr:
    weights = np.repeat(rows.counts**-0.5, rows.counts) * (column_counts**-0.5)[rows.indices]
    return Csr(rows.indptr, rows.indices, weights.astype(np.float32), rows.n_columns)


def _over_root(vectors: Float32, counts: NDArray[np.int64]) -> Float32:
    return np.divide(vectors, np.sqrt(counts)[:, None], dtype=np.float32)


def who_rated(rows: Csr, components: Float32) -> Float32:
    """Return (B, m): each row's sum of the components of its columns, over sqrt(n + 10); zeros for an empty row."""
    ones = Csr(rows.indptr, rows.indices, np.ones(rows.n, np.float32), rows.n_columns)
    return _over_root(kernels.gather_rows(ones, components), rows.counts + PSEUDO_RATINGS)


def scaled(components: Float32, rows: Csr) -> Float32:
    """Return the components scaled so that `who_rated` of these rows has standard deviation one in every column."""
    deviation = who_rated(rows, components).std(axis=0, dtype=np.float64)
    keep = deviation > 1e-6 * deviation.max(initial=0)
    return np.asarray(components[:, keep] / deviation[keep], np.float32)


def movie_facts(counts: NDArray[np.int64], catalog: Catalog) -> Float32:
    """Return (n_movies, D): log(1 + n), genres and year hinges, standardised over the movies that have ratings."""
    columns = np.column_stack([np.log1p(counts), catalog.genre_flags, year_hinges(catalog.years, counts > 0)])
    return standardised(columns.astype(np.float64), counts > 0)


def year_hinges(years: NDArray[np.int16], rated: NDArray[np.bool_]) -> Float64:
    """Return (n_movies, 7): a line through the median year, within 30 years of it, and what lies beyond each knot.

    The unit is ten years. An unknown year (0) counts as the median; without any known year all columns are zero.
    """
    known = years[(years > 0) & rated]
    if not len(known):
        return np.zeros((len(years), 1 + len(YEAR_KNOTS)))
    middle, knots = np.median(known), np.quantile(known, YEAR_KNOTS)
    decades = np.where(years > 0, years, middle)[:, None] / 10
    line = np.clip(decades - middle / 10, -3, 3)
    return np.hstack([line, np.maximum(0, decades - knots / 10)])


def standardised(columns: Float64, rated: NDArray[np.bool_]) -> Float32:
    """Return the columns with mean 0 and standard deviation 1 over the rated rows, without the (nearly) constant.

    Other rows stay within one standard deviation of the range of the rated: a prior mean is not extrapolated far.
    """
    columns = columns[:, columns[rated].std(axis=0) > LEAST_DEVIATION]
    standard = (columns - columns[rated].mean(axis=0)) / columns[rated].std(axis=0)
    seen = standard[rated]
    return np.asarray(np.clip(standard, seen.min(axis=0) - 1, seen.max(axis=0) + 1), np.float32)
