"""What a Spark model minimised: reg, alpha and kind. Neither format keeps it, so it is asked for or found out.

Spark solves users last, so at the true parameters every stored user x is the solution of its own equation

    explicit   (sum y y^T + reg n I) x = sum r y
    implicit   (Y^T Y + sum alpha |r| y y^T + reg n+ I) x = sum_{r > 0} (1 + alpha |r|) y

which is linear in reg and alpha: k equations for one or two unknowns, by each user. Of a nonnegative x only the
equations of its positive entries hold. Medians over the users are robust against ratings that changed since. Factors
and the sums that made them are float32, which all users share, so no number of users tells more than the terms of one
user's equations do when each is half a unit off in its last place: an estimate is the roundest number within that.

Symbols: Y (n_movies, k) movies' factors; n a user's ratings, n+ those above 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import Csr

Float64 = NDArray[np.float64]
Found = tuple[float, float]
"""A number, and how far it may be off."""

DIGITS = 7
"""Most significant digits of an estimate."""
HALF_A_UNIT = 2.0**-24
"""The largest part of a float32 that its rounding changes."""


@dataclass(frozen=True)
class Estimate:
    """A parameter found from the users, and how far from it the true one may be."""

    value: float
    within: float


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


def estimate_explicit(X: Float64, histories: Csr, Y: Float64) -> Estimate | None:
    """Return reg from users' factors X (B, k) and their ratings (B, n_movies), None where they do not tell.

    reg = x . (b - A x) / (n x . x), the least squares solution of each user's equation.
    """
    found = []
    for x, rated, stars in _users(X, histories, Y):
        predicted, unit = rated @ x, len(stars) * (x @ x)
        terms = np.abs(predicted) @ (np.abs(stars) + np.abs(predicted))
        found.append((float(predicted @ (stars - predicted) / unit), float(HALF_A_UNIT * terms / unit)))
    return _median(found)


def estimate_implicit(X: Float64, histories: Csr, Y: Float64, alpha: float | None) -> tuple[Estimate, Estimate] | None:
    """Return reg and alpha, of which `alpha` may be known, as `estimate_explicit` does."""
    gram = Y.T @ Y
    users = (_implicit_of(gram, *user, alpha) for user in _users(X, histories, Y))
    found = [pair for pair in users if pair is not None]
    reg, strength = (_median([pair[place] for pair in found]) for place in (0, 1))
    return None if reg is None or strength is None else (reg, strength)


def _implicit_of(
    gram: Float64, x: Float64, rated: Float64, stars: Float64, alpha: float | None
) -> tuple[Found, Found] | None:
    """Return reg and alpha by one user's equations, None where these are too few."""
    positive, held, size, predicted = stars > 0, x != 0, np.abs(stars), rated @ x
    above = np.where(positive, stars, 0)
    by_reg, by_alpha = positive.sum() * x, rated.T @ (size * predicted - above)
    columns = np.stack([by_reg, by_alpha] if alpha is None else [by_reg], axis=1)[held]
    if not positive.any() or len(columns) < columns.shape[1]:
        return None
    solver = np.linalg.pinv(columns)
    target = rated.T @ positive - gram @ x - (alpha or 0) * by_alpha
    reg, strength = [*(solver @ target[held]).tolist(), alpha][:2]
    terms = np.abs(gram) @ np.abs(x)
    terms += np.abs(rated).T @ (positive + abs(strength) * (size * np.abs(predicted) + above))
    reg_off, alpha_off = [*(np.abs(solver) @ (HALF_A_UNIT * terms[held])).tolist(), 0.0][:2]
    return (reg, reg_off), (strength, alpha_off)


def _users(X: Float64, histories: Csr, Y: Float64) -> Iterator[tuple[Float64, Float64, Float64]]:
    """Yield x (k,), the rated movies' factors (n, k) and the stars (n,) of users who say something."""
    for row, x in enumerate(X):
        columns, stars = histories.row(row)
        if len(columns) and x.any():
            yield x, Y[columns], stars.astype(np.float64)


def _median(found: list[Found]) -> Estimate | None:
    """Return the median of values and of how far each may be off, as round as that allows: 0.1 and not 0.09999996.

    None where it is not positive, so that no such parameter explains the users.
    """
    middle, within = np.median(found, axis=0).tolist() if found else (0.0, 0.0)
    if not middle > 0:
        return None
    rounded = [float(f"{middle:.{digits}g}") for digits in range(1, DIGITS + 1)]
    return Estimate(next((value for value in rounded if abs(value - middle) <= within), rounded[-1]), within)
