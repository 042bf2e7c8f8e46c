"""The writer: one thread that commits whatever is queued as a group, and answers each caller once it is on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from matinee.errors import LiveError
from matinee.live.changes import Change, apply
from matinee.live.database import PATIENCE, Database

ERASE_AGAIN = 1.0  # seconds until erasing is tried again, where somebody still reads


@dataclass(frozen=True)
class _Write:
    change: Change
    revision: Future[int] = field(default_factory=Future)


class GroupWriter:
    """Commits changes in groups: a commit costs a disk sync, so whatever queues up during one sync shares the next.

    After somebody was forgotten it erases what was deleted, and tries again until it is gone; so it does at the
    start, as a process before this one may have died in between.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._erases, self._tried = True, -ERASE_AGAIN
        self._thread = threading.Thread(target=self._run, name="live-ratings-writer", daemon=True)
        self._thread.start()

    def write(self, change: Change) -> int:
        """Return the person's revision once the change is on disk; raise LiveError where it is not."""
        write = _Write(change)
        with self._closing:
            if self._closed:
                raise LiveError(f"live ratings {self._database.name}: closed; open them again to write")
            self._queue.put(write)
        try:
            return write.revision.result(PATIENCE)
        except TimeoutError:
            if write.revision.cancel():
                raise LiveError(
                    f"live ratings {self._database.name}: not stored, no turn to write in {PATIENCE:g} seconds; "
                    "look for another process that hangs with the lock"
                ) from None
            return write.revision.result()

    def close(self) -> None:
        """Finish what is queued and end; may be called again."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while (first := self._next()) is not None:
            group = [first]
            try:
                with self._database.writing() as connection:
                    group.extend(self._drain())
                    group = [write for write in group if write.revision.set_running_or_notify_cancel()]
                    revisions = apply(connection, [write.change for write in group], int(time.time()))
            except Exception as error:
                _fail(group, error)
            else:
                self._committed(group, revisions)

    def _next(self) -> _Write | None:
        """Return what is queued first, None at the end; while there is something to erase, try that now and then."""
        while True:
            try:
                return self._queue.get(timeout=ERASE_AGAIN if self._erases else None)
            except Empty:
                self._erase()

    def _committed(self, group: Sequence[_Write], revisions: Sequence[int]) -> None:
        late = self._erases and time.monotonic() - self._tried > ERASE_AGAIN
        if late or any(write.change.forget for write in group):
            self._erase()
        for write, revision in zip(group, revisions, strict=True):
            write.revision.set_result(revision)

    def _erase(self) -> None:
        self._erases, self._tried = True, time.monotonic()
        with suppress(LiveError):  # what is wrong with the disk or the lock, the next write says
            self._erases = not self._database.erase()

    def _drain(self) -> Iterator[_Write]:
        """Take what is queued now, up to the mark that `close` leaves, which is put back."""
        while True:
            try:
                write = self._queue.get_nowait()
            except Empty:
                return
            if write is None:
                self._queue.put(None)
                return
            yield write


def _fail(group: Iterable[_Write], error: Exception) -> None:
    for write in group:
        if write.revision.running() or write.revision.set_running_or_notify_cancel():
            write.revision.set_exception(error)
