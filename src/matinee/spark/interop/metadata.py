"""A saved Spark model's folders: which kind each is, what its metadata says, and where ALS is inside.

    MatrixFactorizationModel   (pyspark.mllib)    metadata/  data/user/  data/product/
    ALSModel                   (pyspark.ml)       metadata/  userFactors/  itemFactors/
    StringIndexerModel                            metadata/  data/
    PipelineModel                                 metadata/  stages/0_UID/ ...         in the order of stageUids,
                                                                                       pipelines among them
    CrossValidatorModel, TrainValidationSplitModel   metadata/  bestModel/  estimator/  evaluator/

`metadata/` holds one line of JSON in `part-00000` (by Spark 2 also `part-00000-UUID-c000.txt`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
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
