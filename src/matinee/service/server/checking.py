"""Checking: the watching process of a service reads the snapshots in the background and compares their checksums.

What is served comes first, then what one may go back to. The workers see what was found where they look for newer
snapshots. Pieces are read at low priority, with as long a rest behind each: 500 MB take a few seconds.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress

from matinee.errors import MatineeError
from matinee.snapshot import Store

LOOK_EVERY = 1.0  # seconds
REST = 1.0  # as long as reading took
NICENESS = 10
PATIENCE = 5.0  # seconds for the thread to end

log = logging.getLogger("matinee.service")


class Checking:
    """Checks a store's snapshots, inside a context, from the call of `begin` on."""

    def __init__(self, store: str) -> None:
        self._store, self._begun, self._stopping = Store(store), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="check-snapshots", daemon=True)
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Checking:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopping.set()
        self._begun.set()
        self._thread.join(PATIENCE)

    def begin(self) -> None:
        """Check from now on: the service answers, and nobody waits for its start any more."""
        self._begun.set()

    def _watch(self) -> None:
        self._begun.wait()
        with suppress(OSError, AttributeError):  # where threads have no priorities of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._stopping.wait(LOOK_EVERY):
            with suppress(MatineeError, OSError), self._store.checks.alone() as we:  # workers report what is amiss
                for snapshot in self._snapshots() if we else ():
                    self._check(snapshot)

    def _snapshots(self) -> Sequence[str]:
        served = self._store.current_id()
        return sorted(self._store.ids(), key=lambda snapshot: snapshot != served)

    def _check(self, snapshot: str) -> None:
        with suppress(MatineeError):
            entries = self._store.manifest(snapshot).files
            for file in self._store.checks.check(snapshot, entries, lambda took: self._stopping.wait(REST * took)):
                if (snapshot, file) not in self._told:
                    log.error("snapshot %s is damaged: %s is not what was written; activate another", snapshot, file)
                self._told.add((snapshot, file))
