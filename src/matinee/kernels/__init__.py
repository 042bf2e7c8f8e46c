"""The native calls, checked and documented: the only place that touches `_matinee_native`.

Symbols: B rows solved or asked at once; M rows of the other side (movies); k rank; n length of a list.
Dtypes: factors, stars and scores float32; hyper-parameters float64; row pointers int64; positions int32.
Every call releases the GIL, uses `threads` threads (None: MATINEE_THREADS, or one per core) and gives the same bits
for any number of threads and any slice of rows on one instruction set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.csr import Csr

__all__ = ["Csr", "build_csr", "gram", "instruction_set", "select_top_n", "solve_side", "top_n", "transpose"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


def instruction_set() -> str:
    """Return the instruction set the kernels run on: "avx512", "avx2" or "portable"."""
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


def select_top_n(
    scores: Float32,
    n: int,
    *,
    allowed: Bool | None = None,
    exclude: Csr | None = None,
    threads: int | None = None,
) -> tuple[Int32, Float32]:
    """Return the n highest of each row of scores (B, M) as `top_n` does; NaN and -inf are never returned."""
    raise NotImplementedError


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
    raise NotImplementedError


def transpose(matrix: Csr, *, threads: int | None = None) -> Csr:
    """Return the matrix by columns, as a Csr (n_columns, n_rows) with ascending columns."""
    raise NotImplementedError


def gram(Y: Float32, *, threads: int | None = None) -> Float64:
    """Return Y^T Y (k, k) of Y (M, k), summed in float64 over blocks of 128 rows."""
    raise NotImplementedError
