"""One row of the one equation, in plain NumPy: the definition, and the oracle of the tests.

Every factor model solves, for each row of one side against the fixed other side `Y`,

    A = A0 + reg * I + sum_p w_p y_p y_p^T        b = b0 + sum_p v_p y_p
    x = A^-1 b + L^-T z         where A = L L^T

with its own A0, b0, reg, w and v (docs/models.md has the table). z is absent except in the Gibbs sampler,
where z ~ N(0, I) makes x a draw from N(A^-1 b, A^-1).

Symbols: k rank; n ratings in the row. All arrays float64.
    Y (n, k) factors of the rated movies     w (n,) precision weights     v (n,) weighted targets
    A0 (k, k)     b0 (k,)     reg float     z (k,)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def normal_equations(
    Y: Float, w: Float, v: Float, reg: float, A0: Float | None = None, b0: Float | None = None
) -> tuple[Float, Float]:
    """Return A (k, k) and b (k,) of one row."""
    k = Y.shape[1]
    A = reg * np.eye(k) + (Y.T * w) @ Y
    b = Y.T @ v
    return (A if A0 is None else A + A0), (b if b0 is None else b + b0)


def solve_row(
    Y: Float,
    w: Float,
    v: Float,
    reg: float,
    A0: Float | None = None,
    b0: Float | None = None,
    z: Float | None = None,
) -> Float:
    """Return x (k,), the row's factors.

    Raises numpy.linalg.LinAlgError where A is not positive definite.
    """
    A, b = normal_equations(Y, w, v, reg, A0, b0)
    L = np.linalg.cholesky(A)
    x = np.linalg.solve(L.T, np.linalg.solve(L, b))
    return x if z is None else x + np.linalg.solve(L.T, z)
