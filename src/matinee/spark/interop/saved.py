"""A saved Spark model's folders: which kind each is, what its metadata says, and where ALS is inside.

    MatrixFactorizationModel   (pyspark.mllib)    metadata/  data/user/  data/product/
    ALSModel                   (pyspark.ml)       metadata/  userFactors/  itemFactors/
    StringIndexerModel                            metadata/  data/
    PipelineModel                                 metadata/  stages/0_UID/ ...         in the order of stageUids,
                                                                                       pipelines among them
    CrossValidatorModel, TrainValidationSplitModel   metadata/  bestModel/  estimator/  evaluator/

`metadata/` holds one line of JSON in `part-00000` (by Spark 2 also `part-00000-UUID-c000.txt`).

A tuned model keeps no parameters of ALS. The estimator has those that were fixed, `estimatorParamMaps` those that were
tried, and the metrics say which of these were best.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matinee.errors import DataError

MLLIB, ML = "MatrixFactorizationModel", "ALSModel"
TUNED = {"CrossValidatorModel": "avgMetrics", "TrainValidationSplitModel": "validationMetrics"}
READABLE = (MLLIB, ML, "PipelineModel", *TUNED)


@dataclass(frozen=True)
class Saved:
    """One folder that Spark saved: `kind` is the last word of its class, `metadata` the JSON of its metadata."""

    path: Path
    kind: str
    metadata: Mapping[str, Any]

    def param(self, name: str, default: Any = None) -> Any:
        """Return a parameter: as it was set, or its default as saved (from Spark 2.4 on)."""
        defaults = {"default": default, **self._map("defaultParamMap"), **self._map("paramMap")}
        return defaults.get(name, default)

    def _map(self, name: str) -> dict[str, Any]:
        found = self.metadata.get(name, {})
        return dict(found) if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class Found:
    """Where ALS is in what was saved, the indexers before it, and the tuning around it."""

    als: Saved
    indexers: tuple[Saved, ...] = ()
    tuning: Saved | None = None


def visible(folder: Path) -> list[Path]:
    """Return a folder's files as Spark sees them: none whose name starts with `_` or `.`, by name."""
    if not folder.is_dir():
        raise DataError(f"{folder} is missing: this is not all of what Spark saved; copy the whole folder again")
    return sorted(path for path in folder.iterdir() if path.name[0] not in "_." and path.is_file())


def open_saved(path: Path) -> Saved:
    """Read the metadata of a folder. Raises DataError where it is missing or not JSON."""
    folder = path / "metadata"
    lines = (line for part in visible(folder) for line in _lines(part))
    first = next((line for line in lines if line.strip()), None)
    try:
        metadata = json.loads(first or "")
        kind = str(metadata["class"]).rpartition(".")[2]
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{folder} holds no metadata of Spark's (one line of JSON); save the model again") from None
    return Saved(path, kind, metadata)


def _lines(part: Path) -> list[str]:
    try:
        return part.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{part} is not readable as text ({problem}); save the model again") from None


def find(name: str | os.PathLike[str]) -> Found:
    """Return where ALS is in a saved model, pipeline or tuned model.

    Raises DataError where the folder is missing, not Spark's, or holds no ALS.
    """
    path = Path(name)
    if re.match("[a-z0-9]+:/", str(name)):
        raise DataError(f"{name} is not on this machine; copy the folder here first, then name the copy")
    if not path.is_dir():
        raise DataError(f"there is no folder {path}; PATH is what a Spark model's save() wrote")
    if not (path / "metadata").is_dir():
        raise DataError(f"{path} is not a saved Spark model: it has no folder metadata; name what save() wrote")
    return _found(open_saved(path))


def _found(saved: Saved) -> Found:
    if saved.kind in (MLLIB, ML):
        return Found(saved)
    if saved.kind == "PipelineModel":
        return _in_stages(saved, _flat(saved))
    if saved.kind in TUNED:
        return replace(_found(open_saved(saved.path / "bestModel")), tuning=saved)
    raise DataError(f"{saved.path} holds a {saved.kind}, not ALS; what can be read is {', '.join(READABLE)}")


def _stages(pipeline: Saved) -> list[Path]:
    """Return the folders of a pipeline's stages, in the order of their uids."""
    uids = pipeline.param("stageUids")
    folder = pipeline.path / "stages"
    by_uid = {path.name.partition("_")[2]: path for path in folder.iterdir()} if folder.is_dir() else {}
    if not isinstance(uids, list) or not all(uid in by_uid for uid in uids):
        raise DataError(f"{folder} lacks stages that the pipeline's metadata names; copy the whole folder again")
    return [by_uid[uid] for uid in uids]


def _flat(pipeline: Saved) -> list[Saved]:
    """Return a pipeline's stages, and in the place of a pipeline among them the stages of that."""
    stages = [open_saved(stage) for stage in _stages(pipeline)]
    return [one for stage in stages for one in (_flat(stage) if stage.kind == "PipelineModel" else [stage])]


def _in_stages(pipeline: Saved, stages: list[Saved]) -> Found:
    indexers = [stage for stage in stages if stage.kind == "StringIndexerModel"]
    inside = [_found(stage) for stage in stages if stage.kind in READABLE]
    if len(inside) != 1:
        kinds = ", ".join(stage.kind for stage in stages) or "nothing"
        raise DataError(f"{pipeline.path} needs one ALS model among its stages, which are {kinds}")
    return replace(inside[0], indexers=(*indexers, *inside[0].indexers))


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
