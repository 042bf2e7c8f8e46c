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


def posterior_means(rows: Csr, rated: Factors, A0: Float64, b0: Float64, *, threads: int | None = None) -> Float32:
    """Return x (S, B, k) float32 of every person in every sample.

    rows     (B, M) ratings
    rated    the movies they are of
    A0       (S k, k) float64, symmetric and positive definite
    b0       (S, B, k) float64

    Raises ModelError, naming the row, where an input is not finite or A is not positive definite.
    """
    posterior = _posterior(rows, rated, A0)
    S, k = len(A0) // A0.shape[1], A0.shape[1]
    b0 = check.array("b0", b0, np.float64, S, rows.n_rows, k)
    X = np.empty((S, rows.n_rows, k), np.float32)
    _raise(native.posterior_means(posterior, b0, X, check.thread_count(threads)))
    return X


def posterior_moments(
    rows: Csr,
    rated: Factors,
    A0: Float64,
    X: Float32,
    asked: Factors,
    movies: Int32,
    degrees: float,
    *,
    threads: int | None = None,
) -> tuple[Float32, Float32]:
    """Return mean and variance (B, m) float32 of what people would give movies: (m,) for all, or (B, m) each their own.

        mean_s[x . a + offset]        mean_s[1 / (g w) + a^T C a] + var_s[x . a + offset]
        g = (degrees + n) / (degrees + sum_p w_p ((r_p - offset_p - x . y_p)^2 + y_p^T C y_p))

    rated    the movies (y) that the rows were solved with, X (S, B, k) being their `posterior_means`
    asked    the movies (a, offset, w) as they are asked about

    Raises as `posterior_means` does, and ValueError for a position that is out of range.
    """
    posterior = _posterior(rows, rated, A0)
    B, S, k = rows.n_rows, len(A0) // A0.shape[1], A0.shape[1]
    movies = check.positions("movies", np.atleast_2d(movies), rows.n_columns, None, None)
    if len(movies) not in (1, B):
        raise ValueError(f"movies must be the same for all, or have {B} rows, not {len(movies)}")
    mean, variance = np.empty((2, B, movies.shape[1]), np.float32)
    X = check.array("X", X, np.float32, S, B, k)
    arguments = posterior, X, *_factors("asked", asked, S * rows.n_columns, k), degrees, movies, mean, variance
    _raise(native.posterior_moments(*arguments, check.thread_count(threads)))
    return mean, variance


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
    """Return C (S, B, k, k) float64 of every person in every sample; arguments as in `posterior_means`."""
    k, M = A0.shape[1], rows.n_columns
    S, reg = len(A0) // k, np.zeros(rows.n_rows)
    Y, _, precisions = _factors("rated", rated, S * M, k)
    samples = zip(A0.reshape(S, k, k), Y.reshape(S, M, k), precisions.reshape(S, M), strict=True)
    return np.stack([covariances(rows, y, reg, A0=a0, other_weight=weights) for a0, y, weights in samples])


def _posterior(rows: Csr, rated: Factors, A0: Float64) -> Any:
    k = check.rank("A0", check.array("A0", A0, np.float64, None, None))
    S, M = len(A0) // k, rows.n_columns
    if not S or len(A0) % k:
        raise ValueError(f"A0 must have a multiple of {k} rows, one matrix per sample, not {len(A0)}")
    A0 = check.array("A0", A0, np.float64, S * k, k)
    return native.Posterior(*check.csr("rows", rows), *_factors("rated", rated, S * M, k), A0, np.zeros(rows.n_rows))


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
