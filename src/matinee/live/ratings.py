"""Live ratings: what people said since the snapshot was made, on disk before it is acknowledged.

    rate(), delete()  -->  queue  -->  one writer thread: file lock, BEGIN IMMEDIATE, whole queue, COMMIT  -->  answers
    read()            -->  a connection of the read pool; never waits for a writer (SQLite's write-ahead log)

A commit costs a disk sync, so whatever queues up during one sync shares the next. The lock is a file beside the
database: several processes take turns, and the kernel releases it when one of them crashes.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Connection,
    QueuePool,
    Select,
    Table,
    TextClause,
    bindparam,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DBAPIError

from matinee.errors import LiveError, UsageError
from matinee.live.schema import MAX_ID, RATINGS, USERS, prepare

FILE_NAME = "live.sqlite3"  # in the store
PATIENCE = 10.0  # seconds a caller waits for the other processes' turns
BUSY_TIMEOUT = 5.0  # seconds SQLite waits for programs that do not know our lock
KEYS_PER_QUERY = 5_000  # SQLite takes 32,766 parameters


def _upsert(table: Table) -> Insert:
    statement = insert(table)
    values = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_=values)


# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_WHOLE_HISTORY = (
    select(USERS.c.revision, RATINGS.c.movie, RATINGS.c.stars)
    .join_from(USERS, RATINGS, USERS.c.user == RATINGS.c.user)
    .where(USERS.c.user == bindparam("user_id"))
    .order_by(RATINGS.c.movie)
)
_REVISION = select(USERS.c.revision).where(USERS.c.user == bindparam("user_id"))
_COUNT = select(func.count(RATINGS.c.stars))
_REVISIONS = select(USERS.c.user, USERS.c.revision).where(USERS.c.user.in_(bindparam("keys", expanding=True)))
_STARS = text(  # SQLite finds pairs by the primary key only where they come from a plain SELECT, not from VALUES
    "SELECT user, movie, stars FROM ratings WHERE (user, movie) IN (SELECT * FROM :keys)"
).bindparams(bindparam("keys", expanding=True))
_PUT_RATINGS = _upsert(RATINGS)
_PUT_USERS = _upsert(USERS)

_NOT_IN_AN_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_REASONS = {
    "SQLITE_FULL": "the disk is full; make room and try again",
    "SQLITE_READONLY": "the file or its disk is read-only; make it writable and try again",
    "SQLITE_BUSY": "another program holds the database's lock; close it or wait, and try again",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that it is there and that its folder is writable",
    "SQLITE_NOTADB": "the file is not an SQLite database; name another one",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_IOERR": "the disk failed; see the system's log",
}


@dataclass(frozen=True)
class LiveHistory:
    """What one person said since the snapshot.

    revision   counts the writes that changed something; 0 for a person who never wrote
    stars      {movie id: stars, or None for a deleted rating}
    """

    revision: int
    stars: Mapping[str, float | None]


@dataclass(frozen=True)
class _Write:
    user: str
    stars: Mapping[str, float | None]
    revision: Future[int] = field(default_factory=Future)


class LiveRatings:
    """The live ratings in one SQLite file, shared by any number of threads and processes.

    database   a path or sqlite:///PATH; the file is created where it is missing, its folder is not

    Make one in each process, after it has started. Every method may raise LiveError: the database cannot be read or
    written, and why. It works again as soon as the cause is gone.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as store, LiveRatings(f"{store}/live.sqlite3") as live:
    ...     live.rate("ann", {"260": 4.5, "1": 3}), live.delete("ann", "1"), live.ratings("ann")
    (1, 2, {'1': None, '260': 4.5})
    """

    def __init__(self, database: str | os.PathLike[str]) -> None:
        self.path = database_path(database)
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._reader = create_engine("sqlite://", creator=self._connect, poolclass=QueuePool, max_overflow=-1)
        self._writer = create_engine("sqlite://", creator=self._connect_to_write, poolclass=QueuePool, pool_size=1)
        event.listen(self._writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        self._identity = self._prepared()
        self._thread = threading.Thread(target=self._write_queued, name="live-ratings-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> LiveRatings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rate(self, user: str, stars: Mapping[str, float]) -> int:
        """Store one person's ratings, all or none, and return the person's revision once they are on disk.

        stars   {movie id: stars on the data's scale}

        Writing what is already there changes nothing, the revision included.
        Raises UsageError for an id or number that cannot be stored.
        """
        return self._write(user, {checked_id(movie, "movie"): _checked_stars(s, movie) for movie, s in stars.items()})

    def delete(self, user: str, movie: str) -> int:
        """Delete one rating, whether live or of the snapshot, and return the person's revision once it is on disk."""
        return self._write(user, {checked_id(movie, "movie"): None})

    def read(self, user: str) -> LiveHistory:
        """Return what a person said, with its revision, as of one moment."""
        rows = self._read(_WHOLE_HISTORY, user_id=user)
        return LiveHistory(rows[0].revision if rows else 0, {movie: stars for _, movie, stars in rows})

    def ratings(self, user: str) -> dict[str, float | None]:
        """Return {movie id: stars, or None for a deleted rating} of one person."""
        return dict(self.read(user).stars)

    def revision(self, user: str) -> int:
        """Return how many writes have changed something for this person."""
        rows = self._read(_REVISION, user_id=user)
        return int(rows[0].revision) if rows else 0

    def count(self) -> int:
        """Return the number of live ratings of all people, deleted ones not counted."""
        return int(self._read(_COUNT)[0][0])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment and never waits for a writer."""
        with self._reported():
            self._check_identity()
            with self._reader.begin() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that is on disk when the block ends, or did nothing where the block raises.

        For what is rare; ratings go through `rate`, which shares its disk syncs.
        """
        with self._reported(), _locked(self.path):
            self._check_identity()
            with self._writer.begin() as connection:
                yield connection

    def close(self) -> None:
        """Finish what is queued and close the file; may be called again."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join(PATIENCE)
        self._forget_connections()

    def _prepared(self) -> tuple[int, int]:
        """Create file and tables where they are missing, and return the file's identity."""
        if self.path.is_dir():
            raise LiveError(f"live ratings {self.path}: this is a folder; name a file in it")
        with self._reported(), _locked(self.path):
            self.path.touch(0o600)
            try:
                with self._writer.begin() as connection:
                    prepare(connection, str(self.path))
            finally:
                self._forget_connections()
            _sync_folder(self.path.parent)
            return _identity(self.path)

    def _read(self, query: Select[Any], **parameters: Any) -> Sequence[Any]:
        with self._reported():
            self._check_identity()
            with self._reader.connect() as connection:
                return connection.execute(query, parameters).all()

    def _write(self, user: str, stars: Mapping[str, float | None]) -> int:
        write = _Write(checked_id(user, "user"), stars)
        with self._closing:
            if self._closed:
                raise LiveError(f"live ratings {self.path}: closed; open them again to write")
            self._queue.put(write)
        try:
            return write.revision.result(PATIENCE)
        except TimeoutError:
            if write.revision.cancel():
                raise LiveError(
                    f"live ratings {self.path}: not stored, another process has held {self.path.name}.lock "
                    f"for {PATIENCE:g} seconds; look for one that hangs"
                ) from None
            return write.revision.result()

    def _write_queued(self) -> None:
        """Commit the queue as groups until `close`: the body of the writer thread."""
        first = self._queue.get()
        while first is not None:
            group = [first]
            try:
                with self._reported(), _locked(self.path):
                    group.extend(self._drain())
                    revisions = self._commit(
                        [write for write in group if write.revision.set_running_or_notify_cancel()]
                    )
            except Exception as error:
                self._writer.dispose()
                _fail(group, error)
            else:
                for write, revision in revisions:
                    write.revision.set_result(revision)
            first = self._queue.get()

    def _commit(self, group: list[_Write]) -> list[tuple[_Write, int]]:
        identity = self._check_identity()
        with self._writer.begin() as connection:
            revisions = _apply(connection, group, int(time.time()))
        if _identity(self.path) != identity:
            raise LiveError(f"live ratings {self.path}: not stored, the file was replaced meanwhile; try again")
        return list(zip(group, revisions, strict=True))

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

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what the disk and the database raise into LiveError."""
        try:
            yield
        except (DBAPIError, OSError, sqlite3.Error) as error:
            raise LiveError(f"live ratings {self.path}: {_reason(error)}") from error

    def _check_identity(self) -> tuple[int, int]:
        """Open anew where another file lies under the name: what is written to a deleted file would be lost."""
        found = _identity(self.path)
        if found != self._identity:
            self._forget_connections()
            self._identity = found
        return found

    def _connect(self) -> sqlite3.Connection:
        """Open a connection; the file must be there, as an empty one in its place would answer that nobody rated."""
        address = f"file:{quote(str(self.path))}?mode=rw"
        connection = sqlite3.connect(address, BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, uri=True)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _connect_to_write(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.executescript("PRAGMA query_only = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        return connection

    def _forget_connections(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


def database_path(database: str | os.PathLike[str]) -> Path:
    """Return the absolute path that a path or sqlite:///PATH names.

    Raises UsageError for another kind of database.
    """
    text = os.fspath(database)
    kind, is_url, rest = text.partition("://")
    if is_url and (kind not in ("sqlite", "sqlite+pysqlite") or not rest.startswith("/")):
        raise UsageError(f"live ratings cannot be kept in {kind}://...; name a file, or sqlite:///PATH")
    path = rest.removeprefix("/") if is_url else text
    if path in ("", ":memory:"):
        raise UsageError("live ratings need a file, or they would be lost; name a path, or sqlite:///PATH")
    return Path(path).absolute()


def checked_id(value: str, what: str) -> str:
    """Return an id of a user or movie as it is, or raise UsageError saying what no id can be.

    >>> checked_id("260", "movie")
    '260'
    """
    if not value or len(value) > MAX_ID or _NOT_IN_AN_ID.search(value):
        raise UsageError(
            f"{value[:40]!r} cannot be the id of a {what}: it takes 1 to {MAX_ID} characters, none a control character"
        )
    return value


def _checked_stars(stars: float, movie: str) -> float:
    if not math.isfinite(stars):
        raise UsageError(f"{stars!r} cannot be the stars of movie {movie!r}: give a number, or delete the rating")
    return float(stars)


def _apply(connection: Connection, group: Sequence[_Write], at: int) -> Iterable[int]:
    """Write a group in its order, in few statements, and return each write's revision.

    Only changes are written, so a repeated write leaves no trace and keeps the revision.
    """
    users = sorted({write.user for write in group})
    keys = sorted({(write.user, movie) for write in group for movie in write.stars})
    revisions: dict[str, int] = dict(_look_up(connection, _REVISIONS, users))
    known = {(user, movie): stars for user, movie, stars in _look_up(connection, _STARS, keys)}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    answers = []
    for write in group:
        changed = {m: s for m, s in write.stars.items() if (write.user, m) not in known or known[write.user, m] != s}
        revision = revisions.get(write.user, 0) + bool(changed)
        for movie, stars in changed.items():
            known[write.user, movie] = stars
            rows[write.user, movie] = {
                "user": write.user, "movie": movie, "stars": stars, "at": at, "revision": revision,
            }  # fmt: skip
        revisions[write.user] = revision
        answers.append(revision)
    if rows:
        connection.execute(_PUT_RATINGS, list(rows.values()))
        connection.execute(
            _PUT_USERS, [{"user": user, "revision": revisions[user]} for user in {user for user, _ in rows}]
        )
    return answers


def _look_up(connection: Connection, query: Select[Any] | TextClause, keys: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows with these keys, in queries of a size that the database takes."""
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield from connection.execute(query, {"keys": keys[start : start + KEYS_PER_QUERY]})


def _fail(group: Iterable[_Write], error: Exception) -> None:
    for write in group:
        if write.revision.running() or write.revision.set_running_or_notify_cancel():
            write.revision.set_exception(error)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that all processes with this database share, waiting for it as long as it takes."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: BaseException | None) -> str:
    """Say what went wrong and what to do about it."""
    if isinstance(error, DBAPIError):
        error = error.orig
    code = getattr(error, "sqlite_errorname", "")
    for prefix, reason in _REASONS.items():
        if code.startswith(prefix):
            return reason
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}"
    return str(error)
