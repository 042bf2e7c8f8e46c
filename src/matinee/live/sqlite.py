"""Live ratings in one SQLite file: a write-ahead log, full sync, and a lock file, so that one process writes at a time.

The lock is a file beside the database, and the kernel releases it when its holder crashes. Deleted rows are
overwritten, with any build of SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, QueuePool, create_engine, event
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError

from matinee import system
from matinee.errors import BusyError, LiveError
from matinee.live.database import PATIENCE
from matinee.live.migrations import check

Identity = tuple[int, int]  # of a file: its device and number
BUSY_TIMEOUT = 5.0  # seconds SQLite waits for programs that do not use our lock
READERS_END = 200  # milliseconds to wait for readers before the log is emptied, while writers wait too

_REASONS = {
    "SQLITE_FULL": "the disk is full; make room and try again",
    "SQLITE_READONLY": "the file or its disk is read-only; make it writable and try again",
    "SQLITE_BUSY": "another program holds the database's lock; close it or wait, and try again",
    "SQLITE_CANTOPEN": "cannot open the file; check that it exists and that its folder is writable",
    "SQLITE_NOTADB": "the file is not an SQLite database; name another one",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_IOERR": "the disk failed; see the system's log",
}


class SqliteFile:
    """A Database in the file `path`.

    Every list starts with `rows`, which keeps connections of its own: SQLAlchemy's pool and results take three times
    as long as the query.

    prepare   called in the first write transaction, with the connection and the database's name
    """

    def __init__(self, path: Path, prepare: Callable[[Connection, str], None]) -> None:
        self.path, self.name = path, str(path)
        self._reader = create_engine("sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=0)
        self._writer = create_engine("sqlite://", creator=self._connect_to_write, poolclass=QueuePool, pool_size=1)
        event.listen(self._writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        self._idle: list[tuple[Identity, sqlite3.Connection]] = []
        self._identity = self._prepared(prepare)

    def rows(self, query: Any, **parameters: Any) -> Sequence[Any]:
        with self._reported():
            identity = self._check_identity()
            connection = self._idle_reader(identity) or self._connect()
            try:
                found = connection.execute(_as_text(query), parameters).fetchall()
            except BaseException:
                connection.close()
                raise
            self._idle.append((identity, connection))
            return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._reported():
            self._check_identity()
            with self._reader.begin() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._reported(), self._locked(_lock_file(self.path), PATIENCE):
            identity = self._check_identity()
            try:
                with self._writer.begin() as connection:
                    yield connection
            except BaseException:
                self._writer.dispose()
                raise
            if _identity(self.path) != identity:
                raise LiveError(f"live ratings {self.name}: not stored: the file was replaced meanwhile; try again")

    @contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[None]:
        with self._locked(_lock_file(self.path, name), None if wait else 0):
            yield

    def erase(self) -> bool:
        """Empty the write-ahead log, which holds earlier rows, unless a reader still needs it."""
        with self._reported(), self._locked(_lock_file(self.path), PATIENCE):
            self._check_identity()
            with closing(self._connect()) as connection:
                connection.execute(f"PRAGMA busy_timeout = {READERS_END}")
                (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not is_busy

    def close(self) -> None:
        self._idle_reader(None)
        self._reader.dispose()
        self._writer.dispose()

    def _idle_reader(self, identity: Identity | None) -> sqlite3.Connection | None:
        """Take an idle connection to this file, and close idle ones to another file."""
        while self._idle:
            try:
                opened, connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if opened == identity:
                return connection
            connection.close()
        return None

    def _prepared(self, prepare: Callable[[Connection, str], None]) -> Identity:
        """Create the file and tables if they are missing, and return the file's identity."""
        if self.path.is_dir():
            raise LiveError(f"live ratings {self.name}: this is a folder; name a file in it")
        with self._reported(), self._locked(_lock_file(self.path), PATIENCE):
            self.path.touch(0o600)
            try:
                with self._writer.begin() as connection:
                    prepare(connection, self.name)
            finally:
                self.close()
            system.sync_folder(self.path.parent)
            return _identity(self.path)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn errors of the disk and the database into LiveError."""
        try:
            yield
        except (DBAPIError, OSError, sqlite3.Error) as error:
            raise LiveError(f"live ratings {self.name}: {_reason(error)}") from error

    @contextmanager
    def _locked(self, path: Path, patience: float | None) -> Iterator[None]:
        """Hold a lock file, waiting for it for some seconds, or as long as it takes."""
        with self._reported():
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _taken(lock, patience):
                waited = f" for {patience:g} seconds; look for one that hangs" if patience else "; wait for it to end"
                raise BusyError(f"live ratings {self.name}: another process has held {path.name}{waited}")
            yield
        finally:
            os.close(lock)

    def _check_identity(self) -> Identity:
        """Open again if another file has the name: writes to a deleted file would be lost.

        The new file is checked as at the start, until it passes.
        """
        found = _identity(self.path)
        if found != self._identity:
            self.close()
            with self._reader.connect() as connection:
                check(connection, self.name)
            self._identity = found
        return found

    def _connect(self) -> sqlite3.Connection:
        """Open a connection to an existing file: a new, empty one would answer that no user has ratings."""
        address = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(
            address, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, uri=True
        )
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _connect_to_write(self) -> sqlite3.Connection:
        connection = self._connect()
        pragmas = "query_only = OFF", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"
        try:
            connection.executescript(";".join(f"PRAGMA {pragma}" for pragma in pragmas))
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@cache
def _as_text(query: Any) -> str:
    """Return a query as SQLite takes it, with named parameters."""
    return str(query.compile(dialect=sqlite_dialect(paramstyle="named")))


def _lock_file(path: Path, name: str = "") -> Path:
    return path.with_name(f"{path.name}.{quote(name, safe='')}.lock" if name else f"{path.name}.lock")


def _taken(lock: int, patience: float | None) -> bool:
    """Return whether we got the lock within `patience` seconds; None waits as long as it takes."""
    if system.try_lock(lock):
        return True
    if patience == 0:
        return False
    waiting = threading.Thread(target=_wait_and_close, args=(os.dup(lock),), daemon=True)
    waiting.start()
    waiting.join(patience)
    return not waiting.is_alive()


def _wait_and_close(lock: int) -> None:
    """Wait for a lock in a thread, as the system has no timeout, and release it if the caller gave up."""
    try:
        system.lock(lock)
    finally:
        os.close(lock)


def _identity(path: Path) -> Identity:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _reason(error: BaseException | None) -> str:
    """Return the cause and the remedy."""
    if isinstance(error, DBAPIError):
        error = error.orig
    code = getattr(error, "sqlite_errorname", "")
    for prefix, reason in _REASONS.items():
        if code.startswith(prefix):
            return reason
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}"
    return str(error)
