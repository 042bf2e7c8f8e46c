"""People folded into many samples of the other side at once, and what they would say of it.

In each sample a person is a row of the one equation with its own A0, weights w and offsets, and a b0 by features f:

    A = A0 + sum_p w_p y_p y_p^T       b = b0 + sum_p w_p y_p (r_p - offset_p)       x = A^-1 b       C = A^-1
    b0 = base + f slopes               f = sum_p components_p / sqrt(n + pseudo_ratings)

Symbols: S samples; B people; M movies; k columns; D features; m movies asked about.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native
from matinee.errors import ModelError
from matinee.kernels import check
from matinee.kernels.csr import Csr
from matinee.kernels.solve import covariances

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


class Factors(NamedTuple):
    """The other side in S samples, movie by movie: Y (M, S k), offsets (M, S) and precisions w (M, S), float32."""

    Y: Float32
    offsets: Float32
    precisions: Float32


class Prior(NamedTuple):
    """What is known of a person before the ratings, in S samples: A0, and b0 by features.

    A0          (S k, k) float64, symmetric and positive definite
    base        (S, k) float64
    slopes      (S D, k) float64
    components  (M, D) float32, what having rated each movie says
    """

    A0: Float64
    base: Float64
    slopes: Float64
    components: Float32


class Posterior:
    """The other side in S samples, checked once, so that a call about one person costs only what it works.

    rated           the movies (y) as they are rated
    asked           the movies (a) as they are asked about
    prior           of people
    pseudo_ratings  that damp the features of people with few ratings
    degrees         ratings of ordinary noise that are added to a person's own, in `moments`

    Raises ValueError for an array of another dtype or shape, ModelError where an A0 is not positive definite.
    """

    def __init__(
        self, rated: Factors, asked: Factors, prior: Prior, *, pseudo_ratings: float = 0, degrees: float = 0
    ) -> None:
        base = check.array("base", prior.base, np.float64, None, None)
        components = check.array("components", prior.components, np.float32, None, None)
        (S, k), (M, D) = (base.shape[0], check.rank("base", base)), components.shape
        self.n, self.n_movies, self.k = S, M, k
        self._made_of = rated, asked, prior, pseudo_ratings, degrees
        A0 = check.array("A0", prior.A0, np.float64, S * k, k)
        self._native = native.Posterior(
            *_factors("rated", rated, M, S, k),
            *_factors("asked", asked, M, S, k),
            A0,
            _roots(A0),
            base,
            check.array("slopes", prior.slopes, np.float64, S * D, k),
            components,
            pseudo_ratings,
            degrees,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        rated, asked, prior, pseudo_ratings, degrees = self._made_of  # checked anew in the other process
        return partial(Posterior, pseudo_ratings=pseudo_ratings, degrees=degrees), (rated, asked, prior)

    def means(self, rows: Csr, *, threads: int | None = None) -> Float32:
        """Return x (S, B, k) float32 of every person in every sample, by their ratings (B, M).

        Raises ModelError, naming the row, where an input is not finite or A is not positive definite.
        """
        X = np.empty((self.n, rows.n_rows, self.k), np.float32)
        _raise(native.posterior_means(self._native, *self._rows(rows), X, check.thread_count(threads)))
        return X

    def moments(self, rows: Csr, movies: Int32, *, threads: int | None = None) -> tuple[Float32, Float32]:
        """Return mean and variance (B, m) float32 of what people would give movies: (m,) for all, or (B, m) each own.

            mean_s[x . a + offset]        mean_s[1 / (g w) + a^T C a] + var_s[x . a + offset]
            g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))

        by their ratings (B, M); offset and w are those of the movies as they are asked about, with an index p as they
        are rated.

        Raises as `means` does, and ValueError for a position that is out of range.
        """
        B = rows.n_rows
        movies = check.positions("movies", movies if movies.ndim == 2 else movies[None], self.n_movies, None, None)
        if len(movies) not in (1, B):
            raise ValueError(f"movies must be the same for all, or have {B} rows, not {len(movies)}")
        mean, variance = np.empty((2, B, movies.shape[1]), np.float32)
        arguments = *self._rows(rows), movies, mean, variance
        _raise(native.posterior_moments(self._native, *arguments, check.thread_count(threads)))
        return mean, variance

    def _rows(self, rows: Csr) -> tuple[Any, ...]:
        check.columns("rows", rows, self.n_movies)
        return check.csr("rows", rows)


def posterior_scores(X: Float32, asked: Factors, movies: Int32, *, threads: int | None = None) -> Float32:
    """Return mean_s[x . a + offset] (B, m) float32 of movies (m,) alone, for X (S, B, k).

    Raises ValueError for a position that is out of range.
    """
    S, B, k = check.array("X", X, np.float32, None, None, None).shape
    Y, offsets, _ = _factors("asked", asked, len(asked.offsets), S, k)
    movies = check.positions("movies", movies, len(Y), None)
    out = np.empty((B, len(movies)), np.float32)
    native.posterior_scores(np.ascontiguousarray(X), Y, offsets, movies, out, check.thread_count(threads))
    return out


def posterior_covariances(rows: Csr, rated: Factors, A0: Float64) -> Float64:
    """Return C (S, B, k, k) float64 of every person in every sample; arguments as in `Posterior`."""
    k = A0.shape[1]
    S, reg = len(A0) // k, np.zeros(rows.n_rows)
    movies, columns = np.unique(rows.indices, return_inverse=True)  # those rated, each sample's in one piece
    own = Csr(rows.indptr, columns.astype(np.int32), rows.values, len(movies))
    Y, precisions = (np.ascontiguousarray(part[movies].T) for part in (rated.Y, rated.precisions))
    Y = np.ascontiguousarray(Y.reshape(S, k, -1).swapaxes(1, 2))
    samples = zip(A0.reshape(S, k, k), Y, precisions, strict=True)
    return np.stack([covariances(own, y, reg, A0=a0, other_weight=weights) for a0, y, weights in samples])


def _roots(A0: Float64) -> Float32:
    """(S k, k) float32 L, lower triangular, with A0 = L L^T."""
    k = A0.shape[1]
    try:
        return np.linalg.cholesky(A0.reshape(-1, k, k)).astype(np.float32).reshape(-1, k)
    except np.linalg.LinAlgError:
        raise ModelError("an A0 of the samples is not positive definite") from None


def _factors(name: str, factors: Factors, M: int, S: int, k: int) -> Factors:
    return Factors(
        check.array(f"{name}.Y", factors.Y, np.float32, M, S * k),
        check.array(f"{name}.offsets", factors.offsets, np.float32, M, S),
        check.array(f"{name}.precisions", factors.precisions, np.float32, M, S),
    )


def _raise(problem: tuple[int, str]) -> None:
    row, rule = problem
    if rule == "column":
        raise ValueError(f"row {row}: a column is out of range")
    if row >= 0:
        raise ModelError(f"row {row}: its ratings or the samples are not finite")
