"""The native calls, checked and documented: the only place that touches `_matinee_native`.

Symbols: B rows solved or asked at once; M rows of the other side (movies); k rank; n length of a list.
Dtypes: factors, stars and scores float32; hyper-parameters float64; row pointers int64; positions int32.
Every call releases the GIL, uses `threads` threads (None: MATINEE_THREADS, or one per core) and gives the same bits
for any number of threads and any slice of rows on one instruction set.
"""

from __future__ import annotations

import os
from typing import Any

import _matinee_native as native
import numpy as np
from numpy.typing import NDArray

from matinee.errors import ModelError
from matinee.kernels.csr import Csr

__all__ = [
    "Csr",
    "build_csr",
    "gather_rows",
    "gram",
    "residual_sums",
    "select_top_n",
    "solve_side",
    "top_n",
    "transpose",
    "weighted_gram",
]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


def default_threads() -> int:
    """Return MATINEE_THREADS, or the number of cores this process may use."""
    return int(os.environ.get("MATINEE_THREADS", 0)) or len(os.sched_getaffinity(0))


def solve_side(
    rows: Csr,
    Y: Float32,
    reg: Float64,
    *,
    A0: Float64 | None = None,
    b0: Float64 | None = None,
    alpha: float | None = None,
    row_weight: Float32 | None = None,
    other_weight: Float32 | None = None,
    other_offset: Float32 | None = None,
    noise: tuple[int, int] | None = None,
    first_row: int = 0,
    out: Float32 | None = None,
    threads: int | None = None,
) -> Float32:
    """Solve the equation (matinee.kernels.equation) for every row against the fixed other side.

    rows           (B, M) ratings
    Y              (M, k) factors of the other side, 1 <= k <= 512
    reg            (B,) added to the diagonal of each row's A
    A0             (k, k) symmetric, shared by all rows
    b0             (k,) shared, or (B, k)
    alpha          None: explicit, w = g h and v = g h (r - offset); otherwise implicit as in Spark,
                   w = alpha |r| and v = 1 + alpha |r| where r > 0 else 0
    row_weight     (B,) g, ones where None (explicit only)
    other_weight   (M,) h, ones where None (explicit only)
    other_offset   (M,) subtracted from the ratings, zeros where None (explicit only)
    noise          (seed, sweep): add L^-T z, z from a counter-based generator per (seed, sweep, first_row + row)
    out            (B, k) to write into

    Returns (B, k). Blocks of 128 ratings are summed in float32, blocks are added and A is factored in float64:
    within 1e-5 norm-wise of the plain equation. A row with neither ratings nor A0 and b0 is zero.
    Raises ModelError, naming the row, where A is not positive definite or an input is not finite.
    """
    k = Y.shape[1]
    if out is None:
        out = np.empty((rows.n_rows, k), np.float32)
    bad = native.solve_side(
        rows.indptr,
        rows.indices,
        rows.values,
        Y,
        np.ascontiguousarray(reg, np.float64),
        A0,
        None if b0 is None else np.atleast_2d(b0),
        alpha,
        row_weight,
        other_weight,
        other_offset,
        noise,
        first_row,
        out,
        threads or default_threads(),
    )
    if bad >= 0:
        raise ModelError(f"row {bad}: its normal matrix is not positive definite or an input is not finite")
    return out


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

    X (B, k); Y (M, k); bias (M,); allowed (M,) which rows of Y may be returned; exclude (B, M) its stored columns are
    left out for that row. Scoring, mask and selection in one pass: no (B, M) array is made.

    Returns positions (B, n) and scores (B, n); where fewer than n are allowed the rest is -1 and -inf.
    """
    return _select(native.top_n, (X, Y), len(X), n, bias, allowed, exclude, threads)


def select_top_n(
    scores: Float32,
    n: int,
    *,
    allowed: Bool | None = None,
    exclude: Csr | None = None,
    threads: int | None = None,
) -> tuple[Int32, Float32]:
    """Return the n highest of each row of scores (B, M) as `top_n` does; NaN and -inf are never returned."""
    return _select(native.select_top_n, (scores,), len(scores), n, None, allowed, exclude, threads)


def build_csr(
    row: Int32,
    column: Int32,
    value: Float32,
    n_rows: int,
    n_columns: int,
    timestamps: Int64 | None = None,
    *,
    threads: int | None = None,
) -> tuple[Csr, Int64 | None]:
    """Build a matrix from one entry per value, in any order, in linear time.

    Of entries for the same (row, column) the latest timestamp wins; among equal timestamps, and without timestamps,
    the last entry. Returns the matrix and the timestamps in its order.
    Raises ValueError where a position is out of range.
    """
    order = (
        np.lexsort((column, row)) if timestamps is None else np.lexsort((np.arange(len(row)), timestamps, column, row))
    )
    r, c = row[order], column[order]
    keep = np.ones(len(r), bool)
    keep[:-1] = (r[1:] != r[:-1]) | (c[1:] != c[:-1])
    order, r, c = order[keep], r[keep], c[keep]
    indptr = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(r, minlength=n_rows), out=indptr[1:])
    times = None if timestamps is None else timestamps[order]
    return Csr(indptr, c.astype(np.int32), value[order].astype(np.float32), n_columns), times


def transpose(matrix: Csr, *, threads: int | None = None) -> Csr:
    """Return the matrix by columns, as a Csr (n_columns, n_rows) with ascending columns."""
    indptr = np.empty(matrix.n_columns + 1, np.int64)
    indices, values = np.empty(matrix.n, np.int32), np.empty(matrix.n, np.float32)
    native.transpose(matrix.indptr, matrix.indices, matrix.values, indptr, indices, values)
    return Csr(indptr, indices, values, matrix.n_rows)


def gram(Y: Float32, *, threads: int | None = None) -> Float64:
    """Return Y^T Y (k, k) of Y (M, k), summed in float64 over blocks of 128 rows."""
    Z = Y.astype(np.float64)
    return Z.T @ Z


def _select(
    call: Any,
    inputs: tuple[Float32, ...],
    n_rows: int,
    n: int,
    bias: Float32 | None,
    allowed: Bool | None,
    exclude: Csr | None,
    threads: int | None,
) -> tuple[Int32, Float32]:
    positions, scores = np.empty((n_rows, n), np.int32), np.empty((n_rows, n), np.float32)
    masks = (allowed, None, None) if exclude is None else (allowed, exclude.indptr, exclude.indices)
    extra = (bias,) if len(inputs) == 2 else ()
    call(*inputs, n, *extra, *masks, positions, scores, threads or default_threads())
    return positions, scores


def residual_sums(
    rows: Csr,
    X: Float32,
    Y: Float32,
    *,
    row_offset: Float32 | None = None,
    other_offset: Float32 | None = None,
    other_weight: Float32 | None = None,
    threads: int | None = None,
) -> Float64:
    """Return sum_p h (r - x . y - row_offset - other_offset)^2 (B,) over each row's ratings; h is `other_weight`."""
    out = np.empty(rows.n_rows)
    native.residual_sums(
        rows.indptr,
        rows.indices,
        rows.values,
        X,
        Y,
        row_offset,
        other_offset,
        other_weight,
        out,
        threads or default_threads(),
    )
    return out


def weighted_gram(rows: Csr, weights: Float32, *, threads: int | None = None) -> Float32:
    """Return X^T diag(weights) X (M, M) of the sparse matrix X (B, M), symmetric."""
    out = np.empty((rows.n_columns, rows.n_columns))
    native.weighted_gram(rows.indptr, rows.indices, rows.values, weights, out)
    return out.astype(np.float32)


def gather_rows(rows: Csr, matrix: Float32) -> Float32:
    """Return rows @ matrix (B, m): for each row the sum of the named rows of `matrix` (M, m), times their values."""
    out = np.empty((rows.n_rows, matrix.shape[1]), np.float32)
    native.gather_rows(rows.indptr, rows.indices, rows.values, matrix, out)
    return out
