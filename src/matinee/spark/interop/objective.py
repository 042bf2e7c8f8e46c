"""What a Spark model minimised: reg, alpha and kind. Neither format keeps it, so it is asked for or found out.

Spark solves users last, so at the true parameters every stored user x is the solution of its own equation

    explicit   (sum y y^T + reg n I) x = sum r y
    implicit   (Y^T Y + sum alpha |r| y y^T + reg n+ I) x = sum_{r > 0} (1 + alpha |r|) y

which is linear in reg and alpha: k equations for one or two unknowns, by each user. Of a nonnegative x only the
equations of its positive entries hold. The medians over users stand, whoever's ratings changed meanwhile.

Symbols: Y (n_movies, k) movies' factors; n a user's ratings, n+ those above 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import Csr

Float64 = NDArray[np.float64]

DIGITS = 7
"""Most significant digits of an estimate; stored factors are float32."""
ROUNDED = 5e-6
"""Largest part of an estimate that rounding may change, where users disagree by more."""


@dataclass(frozen=True)
class Objective:
    """The parameters of Spark's ALS that a fold-in needs; `alpha` None is the explicit one, `reg` its `regParam`."""

    reg: float
    alpha: float | None = None
    nonnegative: bool = False

    def __str__(self) -> str:
        kind = "explicit" if self.alpha is None else f"implicit with alpha {self.alpha:g}"
        return f"{kind}, reg {self.reg:g}{', nonnegative' if self.nonnegative else ''}"


def looks_nonnegative(*factors: NDArray[np.float32]) -> bool:
    """Return whether factors look constrained: none is negative, and some were held at exactly zero.

    >>> looks_nonnegative(np.array([[0, 1.5]], np.float32)), looks_nonnegative(np.array([[0.5, 1.5]], np.float32))
    (True, False)
    """
    held = any(bool((side[side.any(axis=1)] == 0).any()) for side in factors)
    return held and all(bool((side >= 0).all()) for side in factors)


def estimate_explicit(X: Float64, histories: Csr, Y: Float64) -> float | None:
    """Return reg from users' factors X (B, k) and their ratings (B, n_movies), None where they do not tell.

    reg = x . (b - A x) / (n x . x), the least squares solution of each user's equation.
    """
    found = []
    for x, rated, stars in _users(X, histories, Y):
        missing = rated.T @ (stars - rated @ x)
        found.append(float(x @ missing / (len(stars) * (x @ x))))
    return _median(found)


def estimate_implicit(X: Float64, histories: Csr, Y: Float64, alpha: float | None) -> tuple[float, float] | None:
    """Return reg and alpha, of which `alpha` may be known, as `estimate_explicit` does."""
    gram = Y.T @ Y
    found = []
    for x, rated, stars in _users(X, histories, Y):
        positive, held = stars > 0, x != 0
        by_reg = (positive.sum() * x)[held]
        by_alpha = (rated.T @ (np.abs(stars) * (rated @ x) - np.where(positive, stars, 0)))[held]
        total = (rated.T @ positive - gram @ x)[held]
        columns = [by_reg] if alpha is not None else [by_reg, by_alpha]
        target = total if alpha is None else total - alpha * by_alpha
        solution = np.linalg.lstsq(np.stack(columns, axis=1), target, rcond=None)[0]
        if len(target) >= len(columns) and positive.any():
            found.append([float(solution[0]), float(solution[-1]) if alpha is None else alpha])
    reg, strength = (_median([pair[place] for pair in found]) for place in (0, 1))
    return None if reg is None or strength is None else (reg, strength)


def _users(X: Float64, histories: Csr, Y: Float64) -> Iterator[tuple[Float64, Float64, Float64]]:
    """Yield x (k,), the rated movies' factors (n, k) and the stars (n,) of users who say something."""
    for row, x in enumerate(X):
        columns, stars = histories.row(row)
        if len(columns) and x.any():
            yield x, Y[columns], stars.astype(np.float64)


def _median(found: list[float]) -> float | None:
    """Return the median, as round as users disagree about it: 0.1 and not 0.1000000008.

    None where it is not positive, so that no such parameter explains the users.
    """
    middle = float(np.median(found)) if found else 0.0
    if not middle > 0:
        return None
    spread = min(float(np.median(np.abs(np.subtract(found, middle)))), ROUNDED * middle)
    rounded = [float(f"{middle:.{digits}g}") for digits in range(1, DIGITS + 1)]
    return next((value for value in rounded if abs(value - middle) <= spread), rounded[-1])
