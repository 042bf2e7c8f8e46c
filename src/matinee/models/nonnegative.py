"""Nonnegative least squares for many rows at once: the one equation, minimised over x >= 0.

    x = argmin_{x >= 0} x^T A x / 2 - b^T x        A, b as in matinee.kernels.equation

By block principal pivoting (Kim & Park 2011): guess which entries are positive, solve for those, and exchange every
entry that breaks x >= 0 or A x >= b, one at a time where that goes round in circles. It ends at the exact minimum.

Symbols: B rows; k rank; F (B, k) which entries are free, that is positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.errors import ModelError
from matinee.kernels import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

FULL_EXCHANGES = 3
"""Exchanges of all entries that may fail to help, before one at a time."""
MOST_NUMBERS = 1 << 24
"""Entries of all A held at once."""
SLACK = 1e-9
"""How far below 0 rounding may bring an entry, of the largest."""
MOST_ROUNDS = 1_000
"""Exchanges after which the matrix must be too close to singular to decide; some ten are usual."""


def solve_nonnegative(
    rows: Csr,
    Y: Float32,
    reg: Float64,
    *,
    A0: Float64 | None = None,
    alpha: float | None = None,
    threads: int | None = None,
) -> Float32:
    """Return X (B, k) >= 0 of every row against the fixed other side; arguments as in `kernels.solve_side`.

    A row without ratings is zero. Raises ModelError, naming the row, where A is not positive definite.
    """
    X = np.zeros((rows.n_rows, Y.shape[1]), np.float32)
    rated = np.flatnonzero(rows.counts)
    pieces = -(-max(len(rated) * Y.shape[1] ** 2, rows.n * Y.shape[1]) // MOST_NUMBERS)
    for chosen in np.array_split(rated, max(pieces, 1)):
        if len(chosen):
            part = rows.take(chosen)
            C = kernels.covariances(part, Y, reg[chosen], A0=A0, alpha=alpha, threads=threads)
            X[chosen] = minimise(np.asarray(np.linalg.inv(C)), _targets(part, Y, alpha))
    return X


def _targets(rows: Csr, Y: Float32, alpha: float | None) -> Float64:
    """Return b (B, k) of rows that all have ratings."""
    r = rows.values.astype(np.float64)
    v = r if alpha is None else np.where(r > 0, 1 + alpha * np.abs(r), 0)
    return np.asarray(np.add.reduceat(Y[rows.indices] * v[:, None], rows.indptr[:-1]))


def minimise(A: Float64, b: Float64) -> Float64:
    """Return the minima (B, k) of A (B, k, k), positive definite, and b (B, k).

    Raises ModelError where rounding hides which entries are positive.

    >>> minimise(np.eye(2)[None], np.array([[3.0, -1.0]])).tolist()
    [[3.0, 0.0]]
    """
    free = np.ones(b.shape, bool)
    X, slope = _solved(A, b, free)
    fewest, left = np.full(len(b), b.shape[1] + 1), np.full(len(b), FULL_EXCHANGES)
    for _ in range(MOST_ROUNDS):
        wrong = _wrong(X, slope, free)
        count = wrong.sum(axis=1)
        rows = np.flatnonzero(count)
        if not len(rows):
            return np.maximum(X, 0)
        fewer = count < fewest
        left = np.where(fewer, FULL_EXCHANGES, left - 1)
        fewest = np.minimum(fewest, np.where(count, count, fewest))
        free[rows] ^= _exchanged(wrong[rows], left[rows] >= 0)
        X[rows], slope[rows] = _solved(A[rows], b[rows], free[rows])
    raise ModelError("the nonnegative equations of a row are too close to singular; use a larger regularisation")


def _solved(A: Float64, b: Float64, free: Flags) -> tuple[Float64, Float64]:
    """Return x, zero where not free, and the slope A x - b, zero where free."""
    pairs = free[:, :, None] & free[:, None, :]
    held = np.where(pairs, A, np.eye(A.shape[1]) * ~free[:, None, :])
    X = np.linalg.solve(held, np.where(free, b, 0)[:, :, None])
    return X[:, :, 0], np.where(free, 0, (A @ X)[:, :, 0] - b)


def _wrong(X: Float64, slope: Float64, free: Flags) -> Flags:
    """Return which entries (B, k) break their rule by more than rounding."""
    values = np.where(free, X, slope)
    size = [np.abs(side).max(axis=1, keepdims=True) for side in (X, slope)]
    return np.asarray(values < -SLACK * np.where(free, *size))


def _exchanged(wrong: Flags, all_at_once: Flags) -> Flags:
    """Return which entries change sides: all that are wrong, or the last of them."""
    last = np.zeros_like(wrong)
    last[np.arange(len(wrong)), wrong.shape[1] - 1 - np.argmax(wrong[:, ::-1], axis=1)] = True
    return np.where(all_at_once[:, None], wrong, last)


def shares(A: Float64, targets: Float64) -> Float64:
    """Return what each of n ratings adds to one row's x (k, n), from its share (k, n) of b: they sum to x.

    The entries held at 0 stay there, and the others solve their own part of A.
    """
    free = minimise(A[None], targets.sum(axis=1)[None])[0] > 0
    parts = np.zeros_like(targets)
    parts[free] = np.linalg.solve(A[np.ix_(free, free)], targets[free])
    return parts
