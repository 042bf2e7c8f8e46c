"""Checks: every byte of a store's snapshots is compared with its checksum, and what was found stays beside them.

    store/checks/20261123-104437-3f2a1.json     {file name: which file it was, when it was read, is it intact}

What was found of a file holds as long as it is the same file, and for a day: disks rot without a word.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from matinee import system
from matinee.snapshot.files import Entry

FOLDER = "checks"
GOOD_FOR = 24 * 3600  # seconds
AT_ONCE = 1 << 22  # bytes

Pause = Callable[[float], bool]
"""Called with the seconds that a piece took, to wait as it likes; True ends the check."""


@dataclass(frozen=True)
class Found:
    """One file as it was when it was read; `at` in seconds since 1970."""

    size: int
    modified: int
    inode: int
    at: float
    intact: bool

    def is_of(self, path: Path) -> bool:
        """Return whether this is still the file."""
        try:
            now = path.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns, now.st_ino) == (self.size, self.modified, self.inode)

    @property
    def is_fresh(self) -> bool:
        """Whether it was read within a day; a clock that went back does not make it fresher."""
        return abs(time.time() - self.at) < GOOD_FOR


class Checks:
    """What is known of the files of a store's snapshots; store is its folder."""

    def __init__(self, store: Path) -> None:
        self._folder, self._snapshots = store / FOLDER, store / "snapshots"

    def found(self, snapshot: str) -> dict[str, Found]:
        """Return what was found of each file; {} where nothing is known, or what is written there cannot be read."""
        try:
            said = json.loads((self._folder / f"{snapshot}.json").read_text("utf-8"))
            return {name: Found(**fields) for name, fields in said.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def damaged(self, snapshot: str) -> str | None:
        """Return the name of a file that differs from its checksum and was not replaced since, None where none does."""
        folder = self._snapshots / snapshot
        found = self.found(snapshot)
        return next((name for name, one in found.items() if not one.intact and one.is_of(folder / name)), None)

    def check(
        self, snapshot: str, entries: Mapping[str, Entry], pause: Pause | None = None, again: bool = False
    ) -> Sequence[str]:
        """Read the files of a snapshot that were not read yet, and return the names of those that are damaged.

        entries   what each must be
        again     read all, whatever is known

        What is found is written down file by file, so that the next call goes on from there.
        """
        folder, known = self._snapshots / snapshot, {} if again else self.found(snapshot)
        for name, entry in entries.items():
            path = folder / name
            if name not in known or not known[name].is_of(path) or not known[name].is_fresh:
                found = _read(path, entry, pause)
                if found is None:
                    break
                known[name] = found
                self._write(snapshot, known)
        return [name for name, one in known.items() if name in entries and not one.intact]

    def remove(self, snapshot: str) -> None:
        """Forget what was found of a snapshot."""
        (self._folder / f"{snapshot}.json").unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Give True to one caller among all processes, False to the others."""
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            yield system.try_lock(lock.fileno())

    def _write(self, snapshot: str, known: Mapping[str, Found]) -> None:
        """Replace what is written down; on a disk that cannot be written it is found again the next time."""
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            fresh = self._folder / f".{snapshot}.{os.getpid()}"
            fresh.write_text(json.dumps({name: asdict(one) for name, one in known.items()}, indent=1), "utf-8")
            fresh.replace(self._folder / f"{snapshot}.json")


def _read(path: Path, entry: Entry, pause: Pause | None) -> Found | None:
    """Return what a file is, None where the pause ended the check. One that cannot be read is damaged."""
    digest, size = hashlib.sha256(), 0
    try:
        now = path.stat()
    except OSError:
        return Found(0, 0, 0, time.time(), False)
    with suppress(OSError), path.open("rb", buffering=0) as file:
        start = time.perf_counter()
        while piece := file.read(AT_ONCE):
            digest.update(piece)
            size += len(piece)
            if pause is not None and pause(time.perf_counter() - start):
                return None
            start = time.perf_counter()
    intact = (size, digest.hexdigest()) == (entry.size, entry.sha256)
    return Found(now.st_size, now.st_mtime_ns, now.st_ino, time.time(), intact)
