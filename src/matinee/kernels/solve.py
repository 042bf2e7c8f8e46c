"""Solve the one equation for many rows at once (matinee.kernels.equation is its definition).

Symbols: B rows; M rows of the other side; k rank, 1 to 512.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native
from matinee.errors import ModelError
from matinee.kernels import check
from matinee.kernels.csr import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]


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
    Y              (M, k) float32 factors of the other side
    reg            (B,) float64 added to the diagonal of each row's A
    A0             (k, k) float64, symmetric (the upper triangle is read), shared by all rows
    b0             (k,) float64 shared, or (B, k)
    alpha          None: explicit, w = g h and v = g h (r - offset); otherwise implicit as in Spark,
                   w = alpha |r| and v = 1 + alpha |r| where r > 0 else 0
    row_weight     (B,) float32 g, ones where None (explicit only)
    other_weight   (M,) float32 h, ones where None (explicit only)
    other_offset   (M,) float32 subtracted from the ratings, zeros where None (explicit only)
    noise          (seed, sweep): add L^-T z, z from a counter-based generator per (seed, sweep, first_row + row)
    out            (B, k) float32 to write into

    Returns (B, k) float32. Blocks of 128 ratings are summed in float32, blocks are added and A is factored in float64;
    rows where that could show are refined with float64 residuals: within 1e-5 norm-wise of the plain equation.
    A row with neither ratings nor A0 and b0 is zero.
    Raises ModelError, naming the row, where A is not positive definite or an input is not finite, and ValueError for
    an array of another dtype or shape or a column outside Y.
    """
    side, B, k = _side(rows, Y, reg, A0, b0, alpha, row_weight, other_weight, other_offset)
    out = check.output("out", out, np.float32, B, k)
    problem = native.solve_side(side, noise, first_row, out, check.thread_count(threads))
    _raise(problem, rows, Y)
    return out


def covariances(
    rows: Csr,
    Y: Float32,
    reg: Float64,
    *,
    A0: Float64 | None = None,
    alpha: float | None = None,
    row_weight: Float32 | None = None,
    other_weight: Float32 | None = None,
    threads: int | None = None,
) -> Float64:
    """Return A^-1 (B, k, k) of every row, float64 throughout; arguments as in `solve_side`.

    With C = A^-1, y_i^T C y_i is the variance that `quadratic_forms` takes for intervals, and v_p y_i^T C y_p is what
    rating p adds to the score of movie i.
    Raises what `solve_side` does; a row with neither ratings nor A0 nor reg has no inverse.
    """
    side, B, k = _side(rows, Y, reg, A0, None, alpha, row_weight, other_weight, None)
    out = np.empty((B, k, k))
    _raise(native.covariances(side, out, check.thread_count(threads)), rows, Y)
    return out


def quadratic_forms(C: Float64, Y: Float32, positions: Int32 | None = None, *, threads: int | None = None) -> Float32:
    """Return y_i^T C y_i (m,) for the rows i of Y at `positions` (m,), or for all of them where None.

    C (k, k) symmetric float64; Y (M, k) float32. Summed in float32.

    >>> quadratic_forms(np.diag([1.0, 2.0]), np.ones((3, 2), np.float32)).tolist()
    [3.0, 3.0, 3.0]
    """
    Y = check.array("Y", Y, np.float32, None, None)
    k = check.rank("Y", Y)
    C = check.array("C", C, np.float64, k, k)
    if positions is not None:
        positions = check.positions("positions", positions, len(Y), None)
    out = np.empty(len(Y) if positions is None else len(positions), np.float32)
    native.quadratic_forms(C, Y, positions, out, check.thread_count(threads))
    return out


def _side(
    rows: Csr,
    Y: Float32,
    reg: Float64,
    A0: Float64 | None,
    b0: Float64 | None,
    alpha: float | None,
    row_weight: Float32 | None,
    other_weight: Float32 | None,
    other_offset: Float32 | None,
) -> tuple[Any, int, int]:
    Y = check.array("Y", Y, np.float32, None, None)
    (M, k), B = (len(Y), check.rank("Y", Y)), rows.n_rows
    check.columns("rows", rows, M)
    if alpha is not None and (row_weight is not None or other_weight is not None or other_offset is not None):
        raise ValueError("alpha is for implicit ratings, without weights or offsets")
    if b0 is not None:
        b0 = check.array("b0", np.atleast_2d(b0), np.float64, None, k)
        if len(b0) not in (1, B):
            raise ValueError(f"b0 must have 1 or {B} rows, not {len(b0)}")
    side = native.Side(
        *check.csr("rows", rows),
        Y,
        check.array("reg", np.asarray(reg, np.float64), np.float64, B),
        check.optional("A0", A0, np.float64, k, k),
        b0,
        alpha,
        check.optional("row_weight", row_weight, np.float32, B),
        check.optional("other_weight", other_weight, np.float32, M),
        check.optional("other_offset", other_offset, np.float32, M),
    )
    return side, B, k


def _raise(problem: tuple[int, str], rows: Csr, Y: Float32) -> None:
    row, rule = problem
    if row < 0:
        return
    columns, values = rows.row(row)
    if rule == "column":
        raise ValueError(f"row {row}: its columns must be 0 to {len(Y) - 1}, not {columns.min()} to {columns.max()}")
    if not np.all(np.isfinite(values)):
        raise ModelError(f"row {row}: a rating is {values[~np.isfinite(values)][0]}; ratings must be finite")
    if not np.all(np.isfinite(Y[columns])):
        bad = columns[~np.isfinite(Y[columns]).all(axis=1)][0]
        raise ModelError(f"row {row}: the factors of its column {bad} are not finite")
    raise ModelError(
        f"row {row}: its normal matrix is not positive definite or not finite; use a larger regularisation"
    )
