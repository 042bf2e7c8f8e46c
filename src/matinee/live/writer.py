"""The writer: one thread that commits the queue as a group, and answers each caller once its change is on disk."""

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

ERASE_AGAIN = 1.0  # seconds until erasing is tried again, while there is a reader


@dataclass(frozen=True)
class _Write:
    change: Change
    revision: Future[int] = field(default_factory=Future)


class GroupWriter:
    """Commits changes in groups: a commit costs a disk sync, so all changes queued during one sync share the next.

    After a user is forgotten it erases the deleted rows, and tries again until they are gone; it does so at the
    start too, because an earlier process may have died in between.
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
        """Return the user's revision once the change is on disk. Raises LiveError if the write fails."""
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
                    f"live ratings {self._database.name}: not stored, no lock after {PATIENCE:g} seconds; "
                    "look for another process that holds it and hangs"
                ) from None
            return write.revision.result()

    def close(self) -> None:
        """Finish the queue and end; may be called again."""
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
        """Return the first change of the queue, None at the end; meanwhile, try to erase if needed."""
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
        with suppress(LiveError):  # the next write reports what is wrong with the disk or the lock
            self._erases = not self._database.erase()

    def _drain(self) -> Iterator[_Write]:
        """Take the current queue up to the end mark of `close`, which is put back."""
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
