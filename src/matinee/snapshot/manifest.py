"""The manifest: what a snapshot holds, what it was made of and how well it did; JSON, written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matinee.dataset import Dataset, Facts
from matinee.errors import DataError, StoreError
from matinee.ratings import Scale
from matinee.snapshot.files import Entry

FORMAT = 2  # 1 had the factors of `bayes` sample by sample; it is read, too
FILE_NAME = "manifest.json"
CHECKSUM = "checksum"  # of all else that a manifest says; older ones have none


@dataclass(frozen=True)
class Manifest:
    """One snapshot's description.

    id, created     its name, and when it was published (ISO 8601, UTC)
    version         of the package that wrote it
    data            facts and counts of the data set
    models          {"rater": {"config": ..., "arrays": {name: file}}, "ranker": the same or None}
    metrics         what was measured before it was published; empty where nothing was
    files           {file name: size and SHA-256}
    parent          the snapshot that it refits, None for one that was trained
    as_of           when the live ratings in it were read (seconds since 1970), None where it has none
    forgets         which people it leaves out: those that a live database, {"database": its name, "number": so far},
                    had forgotten by then; None where it was made without one
    engine          where a cluster trained it, None where this machine did
    """

    id: str
    created: str
    version: str
    data: Mapping[str, Any]
    models: Mapping[str, Any]
    metrics: Mapping[str, Any]
    files: Mapping[str, Entry]
    format: int = FORMAT
    parent: str | None = None
    as_of: int | None = None
    forgets: Mapping[str, Any] | None = None
    engine: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """Return the manifest as text, with a checksum of itself."""
        said = json.loads(json.dumps(asdict(self), default=str))
        return json.dumps({**said, CHECKSUM: _checksum(said)}, indent=1, ensure_ascii=False) + "\n"

    @property
    def facts(self) -> Facts:
        """Where the data came from."""
        return Facts.of(self.data)

    @property
    def scale(self) -> Scale:
        """What stars can be."""
        return Scale(**self.data["scale"])

    def entry(self, folder: Path, name: str) -> Entry:
        """Return what a file must be. Raises StoreError where the manifest does not list it."""
        try:
            return self.files[name]
        except KeyError:
            raise StoreError(f"{folder / FILE_NAME} is damaged: it does not list {name}; train again") from None


def read(folder: Path) -> Manifest:
    """Read a snapshot's manifest. Raises StoreError where it is missing, damaged or of a newer format."""
    path = folder / FILE_NAME
    try:
        said = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{folder} is not a snapshot: it has no {FILE_NAME}") from None
    except (OSError, ValueError) as problem:
        raise StoreError(f"{path} is damaged ({problem}); activate another snapshot") from None
    if not isinstance(said, dict) or not isinstance(said.get("format"), int):
        raise StoreError(f"{path} is not a manifest of Matinee's")
    checksum = said.pop(CHECKSUM, None)
    if said["format"] > FORMAT:
        raise StoreError(
            f"{path} has format {said['format']}, newer than this Matinee reads ({FORMAT}); upgrade Matinee"
        )
    if unknown := sorted(said.keys() - Manifest.__dataclass_fields__.keys()):
        raise StoreError(
            f"{path} says {', '.join(unknown)}, which this Matinee does not know: a newer one wrote it; upgrade Matinee"
        )
    if checksum is not None and checksum != _checksum(said):
        raise StoreError(f"{path} is damaged: its checksum is not the one written with it; activate another snapshot")
    try:
        files = {name: Entry(int(entry["size"]), str(entry["sha256"])) for name, entry in said.pop("files").items()}
        manifest = Manifest(files=files, **said)
        _check(manifest)
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as problem:
        raise StoreError(f"{path} is damaged: {problem!r}; activate another snapshot") from None
    if any("/" in name for name in manifest.files):
        raise StoreError(f"{path} names files outside the snapshot")
    return manifest


def _checksum(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _check(manifest: Manifest) -> None:
    """Raise one of several errors where something that every snapshot needs is missing or of another kind."""
    _ = manifest.facts, manifest.scale, manifest.data["mean"] + 0.0
    if manifest.forgets is not None:
        _ = manifest.forgets["database"] + "", manifest.forgets["number"] + 0
    for model in (manifest.models["rater"], manifest.models.get("ranker")):
        if model is not None:
            _ = model["config"]["model"], model["arrays"].items()


def data_of(dataset: Dataset) -> dict[str, Any]:
    """Return the facts and counts of a data set, as a manifest holds them."""
    ratings = dataset.ratings
    return {
        **asdict(dataset.facts),
        "users": len(ratings.users),
        "movies": len(ratings.movies),
        "ratings": ratings.n,
        "mean": ratings.mean,
        "scale": asdict(ratings.scale),
    }
