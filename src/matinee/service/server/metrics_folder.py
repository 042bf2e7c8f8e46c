"""Where the processes of one service count: a folder for as long as it runs.

It is in the temporary folder, not in the store: where a disk is full, a page of a mapped file that has no place yet
ends the worker that writes it, and the store's disk is the one that ratings fill.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matinee import system

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "matinee-metrics-"


@contextmanager
def counting_together() -> Iterator[None]:
    """Let the processes started in the block count in one folder, which is gone afterwards.

    Removes the folders of services that were killed.
    """
    _sweep()
    folder, lock = _locked_folder()
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[FOLDER]
        else:
            os.environ[FOLDER] = before
        shutil.rmtree(folder, ignore_errors=True)
        system.unlock_folder(folder, lock)


def _locked_folder() -> tuple[Path, int]:
    """Make a folder and return it with the lock that this process holds on it until it ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError):  # another service, which starts too, removed it before it was locked
            lock = system.lock_folder(folder)
            if lock is not None and folder.exists():
                return folder, lock
            if lock is not None:
                system.unlock_folder(folder, lock)


def _sweep() -> None:
    """Remove our own folders that no process has locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or removed meanwhile
            lock = system.lock_folder(folder)
            if lock is not None:  # else its service runs
                shutil.rmtree(folder, ignore_errors=True)
                system.unlock_folder(folder, lock)
