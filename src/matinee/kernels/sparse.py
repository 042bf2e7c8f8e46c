"""Sparse matrices: building, transposing, products.

Symbols: n values; B rows; M columns; k rank; m columns of a dense matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native
from matinee.kernels import check
from matinee.kernels.csr import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


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

    row, column    (n,) int32 positions
    value          (n,) float32
    timestamps     (n,) int64, or None

    Of entries for the same (row, column) the latest timestamp wins; among equal timestamps, and without timestamps,
    the last entry. Returns the matrix and the timestamps in its order.
    Raises ValueError where a position is out of range or an array has another dtype or shape.
    """
    row = check.array("row", row, np.int32, None)
    n = len(row)
    indptr, indices, values = np.empty(n_rows + 1, np.int64), np.empty(n, np.int32), np.empty(n, np.float32)
    times = None if timestamps is None else np.empty(n, np.int64)
    kept = native.build_csr(
        row,
        check.array("column", column, np.int32, n),
        check.array("value", value, np.float32, n),
        check.optional("timestamps", timestamps, np.int64, n),
        n_columns,
        indptr,
        indices,
        values,
        times,
        check.thread_count(threads),
    )
    if kept < n:
        indices, values, times = (
            indices[:kept].copy(),
            values[:kept].copy(),
            None if times is None else times[:kept].copy(),
        )
    return Csr(indptr, indices, values, n_columns), times


def transpose(matrix: Csr, *, threads: int | None = None) -> Csr:
    """Return the matrix by columns, as a Csr (n_columns, n_rows) with ascending columns.

    Raises ValueError where a column is out of range.

    >>> a = Csr(np.array([0, 2]), np.array([0, 2], np.int32), np.array([5, 7], np.float32), 3)
    >>> transpose(a).indptr.tolist(), transpose(a).values.tolist()
    ([0, 1, 1, 2], [5.0, 7.0])
    """
    arrays = check.csr("matrix", matrix)
    n = int(matrix.indptr[-1] - matrix.indptr[0])
    indptr, indices, values = np.empty(matrix.n_columns + 1, np.int64), np.empty(n, np.int32), np.empty(n, np.float32)
    native.transpose(*arrays, indptr, indices, values, check.thread_count(threads))
    return Csr(indptr, indices, values, matrix.n_rows)


def gram(Y: Float32, *, threads: int | None = None) -> Float64:
    """Return Y^T Y (k, k) float64 of Y (M, k) float32: blocks of 128 rows in float32, added in float64.

    >>> gram(np.eye(2, dtype=np.float32)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    Y = check.array("Y", Y, np.float32, None, None)
    out = np.zeros((Y.shape[1], Y.shape[1]))
    if Y.size:
        native.gram(Y, out, check.thread_count(threads))
    return out


def weighted_gram(rows: Csr, weights: Float32, *, threads: int | None = None) -> Float32:
    """Return X^T diag(weights) X (M, M) float32 of the sparse matrix X (B, M), symmetric, summed in float64.

    weights (B,) float32. Raises ValueError where a column is out of range.
    """
    out = np.empty((rows.n_columns, rows.n_columns), np.float32)
    arrays = check.csr("rows", rows)
    weights = check.array("weights", weights, np.float32, rows.n_rows)
    native.weighted_gram(*arrays, weights, out, check.thread_count(threads))
    return out


def gather_rows(rows: Csr, matrix: Float32, *, threads: int | None = None) -> Float32:
    """Return rows @ matrix (B, m) float32: per row, the named rows of `matrix` (M, m) times their values.

    The sums run in the order of the row's columns. Raises ValueError where a column is out of range.
    """
    matrix = check.array("matrix", matrix, np.float32, None, None)
    check.columns("rows", rows, len(matrix))
    out = np.empty((rows.n_rows, matrix.shape[1]), np.float32)
    native.gather_rows(*check.csr("rows", rows), matrix, out, check.thread_count(threads))
    return out


def relative_rows(rows: Csr, place: Int32, n_places: int, *, mean: float, pseudo: float, weight: float) -> Csr:
    """Return rows (B, n_places) of what has a place, each value as 1 + weight (value - m).

    m is the mean of the row's values that have a place and of `pseudo` ones at `mean`; place (M,) int32, ascending and
    negative for none. Raises ValueError where a column is out of range.

    >>> rows = Csr(np.array([0, 3]), np.array([0, 1, 3], np.int32), np.array([4, 1, 2], np.float32), 4)
    >>> relative_rows(rows, np.array([0, -1, -1, 1], np.int32), 2, mean=3, pseudo=0, weight=0.5).values.tolist()
    [1.5, 0.5]
    """
    n = len(rows.indices)
    check.columns("rows", rows, len(place))
    indptr, indices, values = np.empty(rows.n_rows + 1, np.int64), np.empty(n, np.int32), np.empty(n, np.float32)
    place = check.array("place", place, np.int32, rows.n_columns)
    kept = native.relative_rows(*check.csr("rows", rows), place, mean, pseudo, weight, indptr, indices, values)
    return Csr(indptr, indices[:kept], values[:kept], n_places)


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
    """Return sum_p h (r - x . y - row_offset - other_offset)^2 (B,) over each row's ratings; h is `other_weight`.

    rows (B, M); X (B, k); Y (M, k); row_offset (B,); other_offset and other_weight (M,), all float32. Returns float64.
    Raises ValueError where a column is out of range or an array has another dtype or shape.
    """
    Y = check.array("Y", Y, np.float32, None, None)
    B, M, k = rows.n_rows, len(Y), check.rank("Y", Y)
    check.columns("rows", rows, M)
    out = np.empty(B)
    native.residual_sums(
        *check.csr("rows", rows),
        check.array("X", X, np.float32, B, k),
        Y,
        check.optional("row_offset", row_offset, np.float32, B),
        check.optional("other_offset", other_offset, np.float32, M),
        check.optional("other_weight", other_weight, np.float32, M),
        out,
        check.thread_count(threads),
    )
    return out
