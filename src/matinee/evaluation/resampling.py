"""Resampling: how far a metric could have been off, had other people been asked.

Paired bootstrap over people (Efron & Tibshirani 1993): every model is averaged over the same draws, so that the
interval of a difference between two models does not contain what both share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee.evaluation.measure import Result

Float = NDArray[np.float64]

RESAMPLES = 1_000
AT_ONCE = 50


def resample(results: Sequence[Result], rng: np.random.Generator) -> dict[str, Float]:
    """Return {model: (RESAMPLES, K)} its metrics over people drawn with replacement, as many as there are."""
    n_people = results[0].sums.totals.shape[1]
    parts: dict[str, list[Float]] = {result.label: [] for result in results}
    with threadpool_limits(1, "blas"):
        for _ in range(0, RESAMPLES, AT_ONCE):
            multiplicity = rng.multinomial(n_people, np.full(n_people, 1 / n_people), AT_ONCE).astype(np.float64)
            for result in results:
                parts[result.label].append(result.sums.averages(multiplicity))
    return {label: np.concatenate(part) for label, part in parts.items()}


def interval(values: Float) -> tuple[float, float]:
    """Return the 95 % interval of resampled values (R,); NaN where a metric has none."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)
