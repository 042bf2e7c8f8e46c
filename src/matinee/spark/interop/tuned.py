"""Tuned models: which ALS parameters a CrossValidatorModel or TrainValidationSplitModel chose.

The best model itself does not keep them. The estimator has those that were fixed, `estimatorParamMaps` those that were
tried, and the metrics say which of these were best.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from matinee.errors import DataError
from matinee.spark.interop.metadata import TUNED, Found, Saved, open_saved

PARAMS = ("regParam", "alpha", "implicitPrefs", "nonnegative")
LOWEST = {"RegressionEvaluator": {"rmse": True, "mse": True, "mae": True, "r2": False, "var": False}}
"""Whether the lowest of a metric is the best, by evaluator; of a ranking the highest always is."""


def tuned_params(found: Found) -> dict[str, Any]:
    """Return what is certain of PARAMS; {} for a model that was not tuned.

    Metrics that are not numbers, or of an evaluator of somebody's own, do not say which candidate won: then only what
    all of them share is certain.
    """
    if found.tuning is None:
        return {}
    fixed = _of_estimator(open_saved(found.tuning.path / "estimator"))
    return {**fixed, **_chosen(found.tuning)}


def _of_estimator(estimator: Saved) -> dict[str, Any]:
    """Return the parameters that ALS was set up with, in the estimator or in a stage of it."""
    if estimator.kind == "ALS":
        values = {name: estimator.param(name) for name in PARAMS}
        return {name: value for name, value in values.items() if value is not None}
    found: dict[str, Any] = {}
    with suppress(OSError):
        for stage in (estimator.path / "stages").iterdir():
            found |= _of_estimator(open_saved(stage))
    return found


def _chosen(tuning: Saved) -> dict[str, Any]:
    """Return PARAMS of the best candidate; None for one on which the candidates that may be best differ."""
    candidates = [_read(candidate) for candidate in tuning.param("estimatorParamMaps", [])]
    metrics = [float(one) if one is not None else math.nan for one in tuning.metadata.get(TUNED[tuning.kind], [])]
    best = _best(open_saved(tuning.path / "evaluator"))
    if best and len(metrics) == len(candidates) and metrics and not any(map(math.isnan, metrics)):
        return candidates[metrics.index(best(metrics))]
    shared = {name for candidate in candidates for name in candidate}
    values = {name: [candidate.get(name) for candidate in candidates] for name in shared}
    return {name: said[0] if all(one == said[0] for one in said) else None for name, said in values.items()}


def _best(evaluator: Saved) -> Callable[[list[float]], float] | None:
    """Return what chooses the best of an evaluator's metrics, None where nobody knows."""
    if evaluator.kind == "RankingEvaluator":
        return max
    is_lowest = LOWEST.get(evaluator.kind, {}).get(evaluator.param("metricName", "rmse"))
    return None if is_lowest is None else min if is_lowest else max


def _read(candidate: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return PARAMS of one candidate: [{"parent": ..., "name": "regParam", "value": "0.1"}, ...]."""
    try:
        return {one["name"]: json.loads(str(one["value"])) for one in candidate if one["name"] in PARAMS}
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"estimatorParamMaps is unreadable ({problem}); name the folder bestModel in it") from None
