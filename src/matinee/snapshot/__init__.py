"""Store and Snapshot: everything needed to answer, in one immutable folder, published by one atomic rename.

    store/
        snapshots/20261123-104437-3f2a1/    manifest.json and Arrow files; never rewritten
        snapshots/.writing-...              a snapshot in the making; left by a crash, cleaned by the next publish
        current                             the id that is served
        checks/                             what is known of the snapshots' bytes
        lock                                held while publishing and activating

docs/snapshot.md describes the files.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from matinee import system
from matinee.dataset import Dataset
from matinee.errors import StoreError, UsageError
from matinee.models import Model, Rater
from matinee.scratch import UNFINISHED, scratch_folder, sweep
from matinee.snapshot import files
from matinee.snapshot.checks import Checks
from matinee.snapshot.contents import check_model, read_dataset, read_model, write_dataset, write_models
from matinee.snapshot.manifest import FILE_NAME, Manifest, read

DEFAULT_STORE = "matinee-store"
NEXT = ".current-"
TESTED = "tested.arrow"
KEPT = 3


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
        self.checks = Checks(self.path)

    def current_id(self) -> str | None:
        """Return the id of the snapshot that is served, None where none was published."""
        try:
            return (self.path / "current").read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as problem:
            raise StoreError(f"{self.path / 'current'} cannot be read: {problem}") from None

    def ids(self) -> Sequence[str]:
        """Return the ids of all snapshots, the newest first; some may turn out to be damaged."""
        if not self.snapshots.is_dir():
            return []
        folders = (path for path in self.snapshots.iterdir() if path.is_dir() and not path.name.startswith("."))
        return sorted((path.name for path in folders), reverse=True)

    def is_rolled_back(self) -> bool:
        """Return whether a newer snapshot than the one that is served is here: somebody went back."""
        return self.current_id() not in (None, *self.ids()[:1])

    def list(self) -> Sequence[Manifest]:
        """Return the manifests of all snapshots, the newest first. Raises StoreError where one is damaged."""
        return [read(self.snapshots / name) for name in self.ids()]

    def manifest(self, snapshot: str | None = None) -> Manifest:
        """Return the manifest of a snapshot, by default the current one. Raises StoreError if it is missing."""
        return read(self._folder(snapshot))

    def open(self, snapshot: str | None = None, *, damaged: bool = False) -> Snapshot:
        """Map a snapshot, by default the current one; sizes and what indexes other files are checked, hashes are not.

        damaged   open one of which `checks` found that a file differs from its checksum, too

        Raises StoreError naming the file that is missing, damaged or not ours.
        """
        folder = self._folder(snapshot)
        manifest = read(folder)
        if not damaged and (damage := self.damage(manifest.id)) is not None:
            raise StoreError(damage)
        rater, ranker = (read_model(folder, manifest, role) for role in ("rater", "ranker"))
        if not hasattr(rater, "predict"):
            raise StoreError(f"{folder / FILE_NAME} names no model that knows stars as its rater; train again")
        dataset = read_dataset(folder, manifest)
        for role, model in (("rater", rater), ("ranker", ranker)):
            check_model(folder, role, model, len(dataset.catalog))
        return Snapshot(folder, manifest, dataset, cast(Rater, rater), ranker)

    def damage(self, snapshot: str) -> str | None:
        """Return what a check of the bytes found wrong with a snapshot, None where nothing is known to be."""
        name = self.checks.damaged(snapshot)
        return None if name is None else _damaged(self.snapshots / snapshot / name)

    def verify(self, snapshot: str | None = None) -> Manifest:
        """Check every byte of a snapshot against its checksums. Raises StoreError naming the damaged file."""
        folder = self._folder(snapshot)
        manifest = read(folder)
        for name in self.checks.check(manifest.id, manifest.files, again=True):
            raise StoreError(_damaged(folder / name))
        self.open(manifest.id)
        return manifest

    def activate(self, snapshot: str) -> Manifest:
        """Activate this snapshot. Raises StoreError where opening it or writing the store fails."""
        opened = self.open(snapshot)
        with self._writable(), self._locked():
            self._switch(opened.id)
        return opened.manifest

    def remove(self, snapshot: str) -> None:
        """Delete a snapshot; servers that still have it open keep its files until they close it.

        Raises UsageError where it is the one that is served.
        """
        folder = self._folder(snapshot)
        with self._writable(), self._locked():
            if snapshot == self.current_id():
                raise UsageError(f"snapshot {snapshot} is served; activate another one before removing it")
            gone = self.snapshots / f"{UNFINISHED}{snapshot}"  # a crash while deleting leaves what a publish cleans
            folder.rename(gone)
            system.sync_folder(self.snapshots)
            shutil.rmtree(gone)
            self.checks.remove(snapshot)

    def prune(self, keep: int = KEPT, before: str | None = None) -> Sequence[str]:
        """Delete all but the newest `keep` snapshots and the one that is served, and return the ids of the deleted.

        before   was served before: where two or more are kept it stays to go back to, instead of the oldest of them
        """
        if keep < 1:
            raise UsageError(f"keep is {keep}; it must be at least 1, the snapshot that is served")
        ids = self.ids()
        stay = (*ids[: keep - 1], before) if keep > 1 and before in ids[keep:] else ids[:keep]
        old = [snapshot for snapshot in ids if snapshot not in (self.current_id(), *stay)]
        for snapshot in old:
            self.remove(snapshot)
        return old

    def copy(self, folder: Path) -> Manifest:
        """Copy the snapshot that is served, every byte checked, into a new folder elsewhere, on disk when this returns.

        Nothing is published or deleted meanwhile. Raises StoreError where there is no snapshot or it is damaged.
        """
        self._folder(None)  # a store that is not there gets no lock
        with self._writable(), self._locked():
            manifest = self.verify()
            files.copy_folder(self._folder(None), folder)
        return manifest

    def take(self, folder: Path) -> Manifest:
        """Copy a snapshot's folder into this store, every byte checked; it is served when it is activated.

        One that is here already stays as it is. Raises StoreError where it is damaged or cannot be read or written.
        """
        manifest = read(folder)
        if manifest.id in self.ids():
            return manifest
        with self.scratch() as scratch, self._writable():
            files.copy_folder(folder, scratch)
            for name, entry in manifest.files.items():
                files.check_hash(scratch / name, entry, f"{folder / name} is damaged; take another copy")
            with self._locked():
                scratch.rename(self.snapshots / manifest.id)
                system.sync_folder(self.snapshots)
        return manifest

    def tested(self, snapshot: str) -> pa.Table | None:
        """Return what `publish` was given under this name, None where it was given nothing."""
        folder = self._folder(snapshot)
        entry = read(folder).files.get(TESTED)
        return None if entry is None else files.map_table(folder / TESTED, entry)

    def publish(
        self,
        dataset: Dataset,
        rater: Rater,
        ranker: Model | None = None,
        *,
        metrics: Mapping[str, Any] | None = None,
        tested: pa.Table | None = None,
        parent: str | None = None,
        as_of: int | None = None,
        forgets: Mapping[str, Any] | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> Snapshot:
        """Write a snapshot and serve it from now on.

        tested                  held-out ratings and what was predicted of them, kept for the next refit
        parent, as_of, forgets, engine   as in the manifest; with a parent, that one must still be served

        A crash at any moment leaves the previous one served. Raises StoreError where the store cannot be written, or
        another snapshot than the parent is served by now.
        """
        created = datetime.now(UTC)
        name = f"{created:%Y%m%d-%H%M%S}-{created.microsecond:05x}"
        with self._writable(), self.scratch() as folder:
            entries, models = write_models(folder, {"rater": rater, "ranker": ranker})
            written, data = write_dataset(folder, dataset)
            entries |= written
            if tested is not None:
                entries[TESTED] = files.write_table(folder / TESTED, tested)
            manifest = Manifest(
                name,
                created.isoformat(),
                version("matinee"),
                data,
                models,
                metrics or {},
                entries,
                parent=parent,
                as_of=as_of,
                forgets=forgets,
                engine=engine,
            )
            files.write_text(folder / FILE_NAME, manifest.to_json())
            system.sync_folder(folder)
            with self._locked():
                if parent is not None and self.current_id() != parent:
                    raise StoreError(f"snapshot {self.current_id()} replaced {parent} meanwhile; refit again")
                folder.rename(self.snapshots / name)
                system.sync_folder(self.snapshots)
                self._switch(name)
        return self.open(name)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise StoreError(f"the store {self.path} cannot be written: {problem.strerror or problem}") from problem

    def _make(self) -> None:
        if not self.snapshots.is_dir():
            self.snapshots.mkdir(parents=True, exist_ok=True)
            system.sync_folder(self.path.parent)

    def _folder(self, snapshot: str | None) -> Path:
        name = snapshot or self.current_id()
        if name is None:
            raise StoreError(
                f"there is no snapshot in {self.path}; make one with `mt.train(ds, store={str(self.path)!r})`"
            )
        if Path(name).name != name or name.startswith("."):
            raise UsageError(f"{name!r} is not the id of a snapshot; see `mt.Store(DIR).ids`")
        folder = self.snapshots / name
        if not folder.is_dir():
            raise StoreError(f"there is no snapshot {name} in {self.path}; see `mt.Store(DIR).ids`")
        return folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / "lock").open("w") as lock:
            system.lock(lock.fileno())
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make a folder to write in beside the snapshots, and remove it in the end; after a crash the next one does.

        Raises StoreError where the store cannot be written.
        """
        with ExitStack() as made:
            with self._writable():
                self._make()
                with self._locked():
                    self._clean()
                folder = made.enter_context(scratch_folder(self.snapshots, UNFINISHED))
            yield folder

    def _clean(self) -> None:
        """Remove what crashes left behind; called under the lock."""
        for file in self.path.glob(f"{NEXT}*"):
            file.unlink()
        sweep(self.snapshots, f"{UNFINISHED}*")

    def _switch(self, name: str) -> None:
        fresh = self.path / f"{NEXT}{secrets.token_hex(4)}"
        files.write_text(fresh, f"{name}\n")
        fresh.replace(self.path / "current")
        system.sync_folder(self.path)


def _damaged(file: Path) -> str:
    return f"{file} is damaged: its checksum is not the one written with it; activate another snapshot"
