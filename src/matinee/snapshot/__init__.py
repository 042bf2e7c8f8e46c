"""Store and Snapshot: everything needed to answer, in one immutable folder, published by one atomic rename.

    store/
        snapshots/20261123-104437-3f2a/     manifest.json and Arrow files; never rewritten
        snapshots/.writing-...              a snapshot in the making; left by a crash, cleaned by the next publish
        current                             the id that is served
        lock                                held while publishing and activating

docs/snapshot.md describes the files.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.dataset import Dataset
from matinee.errors import StoreError, UsageError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models import Model, Rater
from matinee.models.registry import from_json, to_json
from matinee.ratings import Ratings, Scale
from matinee.snapshot import files
from matinee.snapshot.files import Entry
from matinee.snapshot.manifest import FILE_NAME, Manifest, data_of, read

DEFAULT_STORE = "matinee-store"
UNFINISHED = ".writing-"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An opened snapshot: its data and models are views on the mapped files."""

    path: Path
    manifest: Manifest
    dataset: Dataset
    rater: Rater
    ranker: Model | None

    @property
    def id(self) -> str:
        """The name under which it was published."""
        return self.manifest.id


class Store:
    """One folder that holds everything. Nothing is made before the first publish.

    path   by default MATINEE_STORE, or ./matinee-store
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path if path is not None else os.environ.get("MATINEE_STORE", DEFAULT_STORE))
        self.snapshots = self.path / "snapshots"

    def current_id(self) -> str | None:
        """Return the id of the snapshot that is served, None where none was published."""
        try:
            return (self.path / "current").read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as problem:
            raise StoreError(f"{self.path / 'current'} cannot be read: {problem}") from None

    def list(self) -> list[Manifest]:
        """Return the manifests of all snapshots, the newest first."""
        if not self.snapshots.is_dir():
            return []
        folders = [path for path in self.snapshots.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return sorted(map(read, folders), key=lambda manifest: manifest.created, reverse=True)

    def manifest(self, snapshot: str | None = None) -> Manifest:
        """Return the manifest of a snapshot, by default the current one. Raises StoreError where there is none."""
        return read(self._folder(snapshot))

    def open(self, snapshot: str | None = None) -> Snapshot:
        """Map a snapshot, by default the current one; sizes are checked, hashes are not.

        Raises StoreError naming the file that is missing, damaged or not ours.
        """
        folder = self._folder(snapshot)
        manifest = read(folder)
        dataset = _read_dataset(folder, manifest)
        rater = _read_model(folder, manifest, "rater")
        if rater is None:
            raise StoreError(f"{folder} has no rater; train again")
        return Snapshot(folder, manifest, dataset, cast(Rater, rater), _read_model(folder, manifest, "ranker"))

    def verify(self, snapshot: str | None = None) -> Manifest:
        """Check every byte of a snapshot against its checksums. Raises StoreError naming the damaged file."""
        folder = self._folder(snapshot)
        manifest = read(folder)
        for name, entry in manifest.files.items():
            files.check_hash(folder / name, entry)
        self.open(manifest.id)
        return manifest

    def activate(self, snapshot: str) -> Manifest:
        """Serve this snapshot from now on. Raises StoreError where it is missing or cannot be opened."""
        opened = self.open(snapshot)
        with self._locked():
            self._switch(opened.id)
        return opened.manifest

    def publish(
        self, dataset: Dataset, rater: Rater, ranker: Model | None = None, *, metrics: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """Write a snapshot and serve it from now on.

        A crash at any moment leaves the previous one served. Raises StoreError where the store cannot be written.
        """
        created = datetime.now(UTC)
        name = f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            self.snapshots.mkdir(parents=True, exist_ok=True)
            with self._unfinished() as folder:
                entries, models = _write(folder, dataset, {"rater": rater, "ranker": ranker})
                data, made_by = data_of(dataset), version("matinee")
                manifest = Manifest(name, created.isoformat(), made_by, data, models, metrics or {}, entries)
                _write_text(folder / FILE_NAME, manifest.to_json())
                files.sync_folder(folder)
                with self._locked():
                    folder.rename(self.snapshots / name)
                    files.sync_folder(self.snapshots)
                    self._switch(name)
        except OSError as problem:
            raise StoreError(f"the store {self.path} cannot be written: {problem.strerror or problem}") from problem
        return self.open(name)

    def _folder(self, snapshot: str | None) -> Path:
        name = snapshot or self.current_id()
        if name is None:
            raise StoreError(
                f"there is no snapshot in {self.path}; make one with `matinee train DATA --store {self.path}`"
            )
        if Path(name).name != name or name.startswith("."):
            raise UsageError(f"{name!r} is not the id of a snapshot; see `matinee snapshot list`")
        folder = self.snapshots / name
        if not folder.is_dir():
            raise StoreError(f"there is no snapshot {name} in {self.path}; see `matinee snapshot list`")
        return folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """Make a folder to write in, under a lock that a crash releases; remove those of crashes, and it in the end."""
        folder = self.snapshots / f"{UNFINISHED}{secrets.token_hex(8)}"
        with self._locked():
            self._clean()
            folder.mkdir()
            held = os.open(folder, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)

    def _clean(self) -> None:
        for folder in self.snapshots.glob(f"{UNFINISHED}*"):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                pass  # its writer is alive
            finally:
                os.close(descriptor)

    def _switch(self, name: str) -> None:
        fresh = self.path / f"current.{secrets.token_hex(4)}"
        _write_text(fresh, f"{name}\n")
        fresh.replace(self.path / "current")
        files.sync_folder(self.path)


def _write_text(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _write(
    folder: Path, dataset: Dataset, models: Mapping[str, Model | None]
) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Write everything but the manifest; return the files' entries and the models' descriptions."""
    entries = _write_dataset(folder, dataset)
    described: dict[str, Any] = {}
    for role, model in models.items():
        described[role] = None if model is None else {"config": to_json(model.config), "arrays": {}}
        for name, array in model.arrays().items() if model else ():
            file = f"{role}-{name.replace('_', '-')}.arrow"
            entries[file] = files.write_array(folder / file, np.asarray(array))
            described[role]["arrays"][name] = file
    return entries, described


def _write_dataset(folder: Path, dataset: Dataset) -> dict[str, Entry]:
    ratings, matrix = dataset.ratings, dataset.ratings.by_user
    columns: dict[str, NDArray[Any]] = {"movie": matrix.indices, "stars": matrix.values}
    if ratings.timestamps is not None:
        columns["timestamp"] = ratings.timestamps
    tables = {
        "users.arrow": pa.table({"user": ratings.users.array}),
        "offsets.arrow": pa.table({"start": matrix.indptr}),
        "ratings.arrow": pa.table(columns),
        "catalog.arrow": dataset.catalog.table,
        "counts.arrow": pa.table({"ratings": ratings.movie_counts, "mean": ratings.movie_means}),
    }
    return {name: files.write_table(folder / name, table) for name, table in tables.items()}


def _read_dataset(folder: Path, manifest: Manifest) -> Dataset:
    tables = {name: files.map_table(folder / name, manifest.files[name]) for name in DATASET_FILES}
    catalog = Catalog(tables["catalog.arrow"])
    rows, counts = tables["ratings.arrow"], tables["counts.arrow"]
    users = tables["users.arrow"]["user"]
    matrix = Csr(
        files.column(tables["offsets.arrow"], "start"),
        files.column(rows, "movie"),
        files.column(rows, "stars"),
        len(catalog),
    )
    times = files.column(rows, "timestamp") if "timestamp" in rows.column_names else None
    user_ids = Ids(users.chunk(0) if users.num_chunks else pa.array([], pa.string()), is_sorted=True)
    ratings = Ratings(user_ids, catalog.ids, matrix, Scale(**manifest.data["scale"]), times)
    # What Ratings would count over all ratings is known already: no worker pays for it again.
    known = {"mean": manifest.data["mean"], "movie_counts": files.column(counts, "ratings")}
    vars(ratings).update(known, movie_means=files.column(counts, "mean"))
    return Dataset(ratings, catalog, manifest.facts)


DATASET_FILES = ("users.arrow", "offsets.arrow", "ratings.arrow", "catalog.arrow", "counts.arrow")


def _read_model(folder: Path, manifest: Manifest, role: str) -> Model | None:
    described = manifest.models.get(role)
    if described is None:
        return None
    arrays = {name: files.map_array(folder / file, manifest.files[file]) for name, file in described["arrays"].items()}
    try:
        return from_json(described["config"]).load(arrays)
    except (KeyError, ValueError, UsageError) as problem:
        raise StoreError(f"{folder}: its {role} cannot be read ({problem}); train again with this version") from None
