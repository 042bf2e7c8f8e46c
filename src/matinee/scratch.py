"""Folders in the making: locked while their maker lives, so that the next one removes what a killed maker left."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matinee import system

UNFINISHED = ".writing-"
FOR_ALL, FOR_ITS_OWNER = 0o777, 0o700  # who may read a folder, less what the umask forbids


@contextmanager
def new_folder(target: Path, mode: int = FOR_ALL) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` when the block ends well, and is removed when it does not.

    It is made beside the target as `.NAME.writing-...`; those that killed processes left there, of any name, are
    removed first. Raises OSError where it cannot be written.
    """
    sweep(target.parent, f".*{UNFINISHED}*")
    with scratch_folder(target.parent, f".{target.name}{UNFINISHED}", mode) as folder:
        yield folder
        system.sync_folder(folder)
        folder.rename(target)
        system.sync_folder(target.parent)


@contextmanager
def scratch_folder(parent: Path, prefix: str, mode: int = FOR_ALL) -> Iterator[Path]:
    """Make a folder whose name begins so, which `sweep` leaves alone; remove it at the end, where it has this name yet.

    Raises OSError where it cannot be made.
    """
    folder, lock = _locked_folder(parent, prefix, mode)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            system.unlock_folder(folder, lock)


def sweep(parent: Path, pattern: str) -> None:
    """Remove the folders of such names that no process has locked: their makers were killed."""
    for folder in parent.glob(pattern):
        with suppress(OSError):  # another user's, or removed meanwhile, or on a disk without locks
            lock = system.lock_folder(folder)
            if lock is not None:  # else its maker lives
                shutil.rmtree(folder, ignore_errors=True)
                system.unlock_folder(folder, lock)


def _locked_folder(parent: Path, prefix: str, mode: int) -> tuple[Path, int | None]:
    """Make a folder and return it with the lock that this process holds on it, None on a disk without locks."""
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(8)}"
        folder.mkdir(mode)
        try:
            lock = system.lock_folder(folder)
        except FileNotFoundError:  # swept by another process before it was locked
            continue
        except OSError:
            return folder, None
        if lock is not None:
            if folder.exists():
                return folder, lock
            system.unlock_folder(folder, lock)
