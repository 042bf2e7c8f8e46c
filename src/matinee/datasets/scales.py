"""Scales: what stars can be, inferred from those that were given."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.ratings import Scale, Stars

COMMON_SCALES = (Scale(1, 5, 1), Scale(0.5, 5, 0.5), Scale(1, 10, 1), Scale(0.5, 10, 0.5))
MOST_LEVELS = 101


def distinct(stars: Stars) -> Stars:
    """Return the numbers that occur, ascending."""
    return np.sort(np.asarray(pc.unique(pa.array(stars))))


def infer_scale(stars: Stars) -> Scale:
    """Return the scale that a data set seems to use: a common one that holds every value, or lowest to highest.

    The step of the latter is the least distance of two values, where all of them lie on it; else there are no steps.

    >>> infer_scale(np.array([1, 4, 5], np.float32)), infer_scale(np.array([1.4, 4.9, 1.5], np.float32))
    (Scale(low=1, high=5, step=1), Scale(low=1.4, high=4.9, step=0.1))
    >>> infer_scale(np.array([0, 40, 100], np.float32))
    Scale(low=0.0, high=100.0, step=None)
    """
    values = distinct(stars)
    if not len(values):
        return COMMON_SCALES[1]
    for scale in COMMON_SCALES:
        if scale.holds(values).all():
            return scale
    written = [Decimal(str(value)) for value in values[: MOST_LEVELS + 1]]
    low, high = float(str(values[0])), float(str(values[-1]))
    if len(values) < 2:
        return Scale(low, low + 1)
    step = _step(written) if len(written) <= MOST_LEVELS else None
    return Scale(low, high, step)


def _step(values: Sequence[Decimal]) -> float | None:
    """Return the least distance of neighbours, None where some value does not lie on it."""
    step = min(later - earlier for earlier, later in pairwise(values))
    on_it = all((value - values[0]) % step == 0 for value in values)
    return float(step) if on_it and (values[-1] - values[0]) / step < MOST_LEVELS else None
