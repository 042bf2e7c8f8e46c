"""People folded into many samples of the other side at once, and what they would say of it.

In each sample a person is a row of the one equation with its own A0, weights w and offsets:

    A = A0 + sum_p w_p y_p y_p^T       b = b0 + sum_p w_p y_p (r_p - offset_p)       x = A^-1 b       C = A^-1

Symbols: S samples; B people; M movies; k columns; m movies asked about.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import _matinee_native as native
import numpy as np
from numpy.typing import NDArray

from matinee.errors import ModelError
from matinee.kernels import check
from matinee.kernels.csr import Csr
from matinee.kernels.solve import covariances

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


class Factors(NamedTuple):
    """The other side in S samples, one after the other: Y (S M, k), offsets (S M,) and precisions w (S M,), float32."""

    Y: Float32
    offsets: Float32
    precisions: Float32


class Samples:
    """The other side in S samples, checked once, so that a call about one person costs only what it works.

    rated    the movies (y) as they are rated
    asked    the movies (a) as they are asked about
    A0       (S k, k) float64, symmetric and positive definite

    Raises ValueError for an array of another dtype or shape, ModelError where an A0 is not positive definite.
    """

    def __init__(self, rated: Factors, asked: Factors, A0: Float64) -> None:
        k = check.rank("A0", check.array("A0", A0, np.float64, None, None))
        n, S = len(rated.offsets), len(A0) // k
        if not S or len(A0) % k:
            raise ValueError(f"A0 must have a multiple of {k} rows, one matrix per sample, not {len(A0)}")
        if n % S:
            raise ValueError(f"rated must have a multiple of {S} rows, one for each movie and sample, not {n}")
        self.n, self.n_movies, self.k = S, n // S, k
        A0 = check.array("A0", A0, np.float64, S * k, k)
        self._native = native.Samples(
            *_factors("rated", rated, n, k), A0, _roots(A0, k), *_factors("asked", asked, n, k)
        )

    def means(self, rows: Csr, b0: Float64, *, threads: int | None = None) -> Float32:
        """Return x (S, B, k) float32 of every person in every sample.

        rows     (B, M) ratings
        b0       (S, B, k) float64

        Raises ModelError, naming the row, where an input is not finite or A is not positive definite.
        """
        X = np.empty((self.n, rows.n_rows, self.k), np.float32)
        _raise(native.posterior_means(self._native, *self._rows(rows, b0), X, check.thread_count(threads)))
        return X

    def moments(
        self, rows: Csr, b0: Float64, movies: Int32, degrees: float, *, threads: int | None = None
    ) -> tuple[Float32, Float32]:
        """Return mean and variance (B, m) float32 of what people would give movies: (m,) for all, or (B, m) each own.

            mean_s[x . a + offset]        mean_s[1 / (g w) + a^T C a] + var_s[x . a + offset]
            g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))

        rows and b0 as in `means`; offset and w those of the movies as they are asked about, with an index p as they are
        rated.

        Raises as `means` does, and ValueError for a position that is out of range.
        """
        B = rows.n_rows
        movies = check.positions("movies", np.atleast_2d(movies), self.n_movies, None, None)
        if len(movies) not in (1, B):
            raise ValueError(f"movies must be the same for all, or have {B} rows, not {len(movies)}")
        mean, variance = np.empty((2, B, movies.shape[1]), np.float32)
        arguments = *self._rows(rows, b0), degrees, movies, mean, variance
        _raise(native.posterior_moments(self._native, *arguments, check.thread_count(threads)))
        return mean, variance

    def _rows(self, rows: Csr, b0: Float64) -> tuple[Any, ...]:
        check.columns("rows", rows, self.n_movies)
        return *check.csr("rows", rows), check.array("b0", b0, np.float64, self.n, rows.n_rows, self.k)


def posterior_scores(X: Float32, asked: Factors, movies: Int32, *, threads: int | None = None) -> Float32:
    """Return mean_s[x . a + offset] (B, m) float32 of movies (m,) alone, for X (S, B, k).

    Raises ValueError for a position that is out of range.
    """
    S, B, k = check.array("X", X, np.float32, None, None, None).shape
    n = len(asked.offsets)
    Y, offsets, _ = _factors("asked", asked, n, check.rank("Y", asked.Y))
    if not S or n % S or Y.shape[1] != k:
        raise ValueError(f"asked must be {S} samples of {k} columns, not {n} rows of {Y.shape[1]}")
    movies = check.positions("movies", movies, n // S, None)
    out = np.empty((B, len(movies)), np.float32)
    native.posterior_scores(np.ascontiguousarray(X), Y, offsets, movies, out, check.thread_count(threads))
    return out


def posterior_covariances(rows: Csr, rated: Factors, A0: Float64) -> Float64:
    """Return C (S, B, k, k) float64 of every person in every sample; arguments as in `Samples`."""
    k, M = A0.shape[1], rows.n_columns
    S, reg = len(A0) // k, np.zeros(rows.n_rows)
    Y, _, precisions = _factors("rated", rated, S * M, k)
    samples = zip(A0.reshape(S, k, k), Y.reshape(S, M, k), precisions.reshape(S, M), strict=True)
    return np.stack([covariances(rows, y, reg, A0=a0, other_weight=weights) for a0, y, weights in samples])


def _roots(A0: Float64, k: int) -> Float32:
    """(S k, k) float32 L, lower triangular, with A0 = L L^T."""
    try:
        return np.linalg.cholesky(A0.reshape(-1, k, k)).astype(np.float32).reshape(-1, k)
    except np.linalg.LinAlgError:
        raise ModelError("an A0 of the samples is not positive definite") from None


def _factors(name: str, factors: Factors, n: int, k: int) -> Factors:
    return Factors(
        check.array(f"{name}.Y", factors.Y, np.float32, n, k),
        check.array(f"{name}.offsets", factors.offsets, np.float32, n),
        check.array(f"{name}.precisions", factors.precisions, np.float32, n),
    )


def _raise(problem: tuple[int, str]) -> None:
    row, rule = problem
    if rule == "column":
        raise ValueError(f"row {row}: a column is out of range")
    if row >= 0:
        raise ModelError(f"row {row}: its ratings or the samples are not finite")
