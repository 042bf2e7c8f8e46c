"""What differs between operating systems: locks, folders on disk, memory, and whether the service runs.

POSIX locks files and folders by flock, which the kernel releases when their holder dies. Windows locks files by msvcrt,
in the place of a folder a file beside it, and syncs a folder by itself.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import time
from pathlib import Path
from typing import Any

from matinee.errors import UsageError

try:
    import fcntl
except ModuleNotFoundError:
    IS_POSIX = False
    msvcrt: Any = importlib.import_module("msvcrt")
else:
    IS_POSIX = True

MOMENT = 0.05  # seconds between looks at a lock on Windows, whose own wait ends after 10 seconds


def lock(descriptor: int) -> None:
    """Wait for the lock of an open file, however long it takes; closing the file releases it."""
    if IS_POSIX:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    while not try_lock(descriptor):
        time.sleep(MOMENT)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file; return False where another one holds it."""
    try:
        if IS_POSIX:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock_folder(folder: Path) -> int | None:
    """Take the lock of a folder; return what `unlock_folder` takes, None where another one holds it.

    Raises FileNotFoundError where there is no such folder.
    """
    folder.stat()
    descriptor = os.open(folder, os.O_RDONLY) if IS_POSIX else os.open(_beside(folder), os.O_RDWR | os.O_CREAT)
    if try_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def unlock_folder(folder: Path, descriptor: int) -> None:
    """Release the lock of a folder, which may be gone meanwhile."""
    os.close(descriptor)
    if not IS_POSIX:
        _beside(folder).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk."""
    if IS_POSIX:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def memory() -> int:
    """Return the bytes of memory that this machine has."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kilobytes = ctypes.c_ulonglong()
    windows: Any = ctypes
    windows.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024


def check_can_serve() -> None:
    """Raise UsageError where the service does not run: its processes share sockets and signals as POSIX has them."""
    if not IS_POSIX:
        raise UsageError("the service needs Linux or macOS; on Windows run it in WSL or in a container")


def _beside(folder: Path) -> Path:
    return folder.with_name(f".lock-{folder.name}")
