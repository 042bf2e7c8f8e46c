"""The native calls of `bayes`: people folded into many samples of the movies at once.

Symbols: S samples; B people; M movies; k columns; m movies asked about; C = A^-1. All factors float32.

    A = A0 + sum_p w_p y_p y_p^T       b = A0 m + sum_p w_p y_p (r_p - offset_p)       x = A^-1 b
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import solve_side
from matinee.kernels.csr import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


def posterior_means(
    rows: Csr, Y: Float32, offsets: Float32, precisions: Float32, A0: Float32, prior_means: Float32
) -> Float32:
    """Return x (S, B, k) of every person in every sample.

    rows         (B, M) ratings
    Y            (S M, k) the samples one after the other; offsets, precisions (S M,) likewise, A0 (S k, k)
    prior_means  (S, B, k) m
    """
    S, B, k = prior_means.shape
    M = len(Y) // S
    X = np.empty((S, B, k), np.float32)
    for s in range(S):
        precision = A0[s * k : (s + 1) * k].astype(np.float64)
        part = slice(s * M, (s + 1) * M)
        b0 = prior_means[s] @ precision
        solve_side(
            rows,
            Y[part],
            np.zeros(B),
            A0=precision,
            b0=b0,
            other_weight=precisions[part],
            other_offset=offsets[part],
            out=X[s],
        )
    return X


def posterior_moments(
    rows: Csr, X: Float32, Y: Float32, offsets: Float32, precisions: Float32, A0: Float32, movies: Int32, degrees: float
) -> tuple[Float32, Float32]:
    """Return mean and variance (B, m) of what each person would give their movies (B, m).

    X are the person's `posterior_means`; the rest is as there. The noise of a person is estimated from their
    ratings, with `degrees` ratings of ordinary noise added.
    """
    S, B, k = X.shape
    M = len(Y) // S
    means = np.empty((S, *movies.shape))
    variances = np.empty_like(means)
    for s in range(S):
        A, y, offset, precision = (
            A0[s * k : (s + 1) * k],
            *(part[s * M : (s + 1) * M] for part in (Y, offsets, precisions)),
        )
        for person in range(B):
            rated, values = rows.row(person)
            x, asked = X[s, person], y[movies[person]]
            errors = values - offset[rated] - y[rated] @ x
            weight = (degrees + len(rated)) / (degrees + np.sum(precision[rated] * errors**2))
            spread = asked @ np.linalg.inv(A + (y[rated].T * precision[rated]) @ y[rated])
            means[s, person] = offset[movies[person]] + asked @ x
            variances[s, person] = 1 / (weight * precision[movies[person]]) + np.sum(spread * asked, axis=1)
    return means.mean(axis=0).astype(np.float32), (variances.mean(axis=0) + means.var(axis=0)).astype(np.float32)


def posterior_covariances(rows: Csr, Y: Float32, precisions: Float32, A0: Float32) -> Float64:
    """Return A^-1 (S, B, k, k) of every person in every sample."""
    k = Y.shape[1]
    S = len(A0) // k
    M = len(Y) // S
    C = np.empty((S, rows.n_rows, k, k))
    for s in range(S):
        for person in range(rows.n_rows):
            rated = rows.row(person)[0] + s * M
            C[s, person] = np.linalg.inv(A0[s * k : (s + 1) * k] + (Y[rated].T * precisions[rated]) @ Y[rated])
    return C
