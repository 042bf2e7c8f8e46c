"""Scores of factors, and the best of many movies: fused scoring and selection, without an array of all scores.

A score has the same bits in `products` and `top_n`, whatever else is asked about: what orders a list can be shown.

Symbols: B rows asked about; M candidates; k rank; n length of a list; m movies asked about.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native
from matinee.kernels import check
from matinee.kernels.csr import Csr

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


def top_n(
    X: Float32,
    Y: Float32,
    n: int,
    *,
    bias: Float32 | None = None,
    allowed: Bool | None = None,
    exclude: Csr | None = None,
    threads: int | None = None,
) -> tuple[Int32, Float32]:
    """Return for each row of X the n rows of Y with the highest x . y + bias, best first, ties by lower position.

    X (B, k); Y (M, k); bias (M,), all float32; allowed (M,) bool, which rows of Y may be returned; exclude (B, M), its
    stored columns (ascending) are left out for that row. One pass: no (B, M) array is made.

    Returns positions (B, n) int32 and scores (B, n) float32; where fewer than n are allowed the rest is -1 and -inf.
    A score of NaN or -inf is never returned. Raises ValueError for an array of another dtype or shape.

    >>> positions, scores = top_n(np.ones((1, 1), np.float32), np.array([[1], [3], [2]], np.float32), 2)
    >>> positions.tolist(), scores.tolist()
    ([[1, 2]], [[3.0, 2.0]])
    """
    Y = check.array("Y", Y, np.float32, None, None)
    k = check.rank("Y", Y)
    X = check.array("X", X, np.float32, None, k)
    positions, scores = lists(len(X), n)
    native.top_n(
        X,
        Y,
        check.optional("bias", bias, np.float32, len(Y)),
        check.optional("allowed", allowed, np.bool_, len(Y)),
        *excluded(exclude, len(X), len(Y)),
        positions,
        scores,
        check.thread_count(threads),
    )
    return positions, scores


def products(X: Float32, Y: Float32, columns: Int32 | None = None, *, threads: int | None = None) -> Float32:
    """Return x . y (B, m) of each row of X and the rows of Y at `columns`: (m,) for all, (B, m) each own, None for all.

    X (B, k); Y (M, k), both float32. Raises ValueError for a position that is out of range, or an array of another
    dtype or shape.

    >>> products(np.ones((1, 1), np.float32), np.array([[1], [3]], np.float32), np.array([1], np.int32)).tolist()
    [[3.0]]
    """
    Y = check.array("Y", Y, np.float32, None, None)
    X = check.array("X", X, np.float32, None, check.rank("Y", Y))
    B, m = len(X), len(Y)
    if columns is not None:
        columns = check.positions("columns", np.atleast_2d(np.asarray(columns, np.int32)), len(Y), None, None)
        if len(columns) not in (1, B):
            raise ValueError(f"columns must be the same for all, or have {B} rows, not {len(columns)}")
        m = columns.shape[1]
    out = np.empty((B, m), np.float32)
    native.products(X, Y, columns, out, check.thread_count(threads))
    return out


def select_top_n(
    scores: Float32,
    n: int,
    *,
    allowed: Bool | None = None,
    exclude: Csr | None = None,
    threads: int | None = None,
) -> tuple[Int32, Float32]:
    """Return the n highest of each row of scores (B, M) as `top_n` does; NaN and -inf are never returned."""
    scores = check.array("scores", scores, np.float32, None, None)
    B, M = scores.shape
    positions, best = lists(B, n)
    native.select_top_n(
        scores,
        check.optional("allowed", allowed, np.bool_, M),
        *excluded(exclude, B, M),
        positions,
        best,
        check.thread_count(threads),
    )
    return positions, best


def lists(B: int, n: int) -> tuple[Int32, Float32]:
    """Return positions and scores (B, n) to write lists into."""
    if n < 0:
        raise ValueError(f"n is {n}; a list has 0 or more places")
    return np.empty((B, n), np.int32), np.empty((B, n), np.float32)


def excluded(exclude: Csr | None, B: int, M: int) -> tuple[Any, Any]:
    """Return what a kernel reads of the columns that are left out of each row, None and None for none."""
    if exclude is None:
        return None, None
    check.columns("exclude", exclude, M)
    if exclude.n_rows != B:
        raise ValueError(f"exclude has {exclude.n_rows} rows but {B} rows are asked about")
    indptr, indices, _ = check.csr("exclude", exclude)
    return indptr, indices
