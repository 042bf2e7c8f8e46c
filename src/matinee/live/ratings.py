"""Live ratings: ratings and marks added after the snapshot, on disk before they are acknowledged.

rate(), mark(), forget()  -->  queue  -->  one writer thread: the database's lock, whole queue, COMMIT  -->  answers
read()                    -->  a connection of the read pool; never waits for a writer
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from matinee.errors import LiveError
from matinee.live import dialects, migrations
from matinee.live.changes import Change, touch
from matinee.live.checks import can_be_id, checked_id, checked_mark, checked_stars
from matinee.live.contents import LiveContents, NewMovie, new_movies
from matinee.live.database import Database, address_of
from matinee.live.forgotten import Forgotten, hashed
from matinee.live.history import HISTORY, LiveHistory
from matinee.live.migrations import prepare
from matinee.live.postgresql import PostgresServer
from matinee.live.schema import MOVIES, RATINGS, STATES
from matinee.live.sqlite import SqliteFile
from matinee.live.writer import GroupWriter

FILE_NAME = "live.sqlite3"  # in the store

_COUNT = select(func.count(RATINGS.c.stars))
_STATE = select(STATES.c.value).where(STATES.c.name == bindparam("named"))


class LiveRatings:
    """The live ratings in one database, shared by any number of threads and processes.

    database   a path or sqlite:///PATH: the file is created if it is missing, its folder is not; or
               postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, which must exist; tables are created if it is empty

    Make one in each process, after it has started. Every method may raise LiveError where reading or writing the
    database fails. It works again as soon as the cause is gone.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as store, LiveRatings(f"{store}/live.sqlite3") as live:
    ...     live.rate("ann", {"260": 4.5, "1": 3}), live.delete("ann", "1"), live.mark("ann", "16", "seen")
    ...     live.read("ann")
    (1, 2, 3)
    LiveHistory(revision=3, stars={'1': None, '260': 4.5}, marks={'16': 'seen'}, forgotten=False)
    """

    def __init__(self, database: str | os.PathLike[str]) -> None:
        self._database = _opened(database)
        self.name = self._database.name
        self._writer = GroupWriter(self._database)

    def __enter__(self) -> LiveRatings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rate(self, user: str, stars: Mapping[str, float]) -> int:
        """Store one user's ratings, all or none, and return the user's revision once they are on disk.

        stars   {movie id: stars on the data's scale}

        Writing the stored values again changes nothing, the revision included.
        Raises UsageError for an invalid id or number.
        """
        return self.bring(user, stars, {})

    def bring(self, user: str, stars: Mapping[str, float], marks: Mapping[str, str]) -> int:
        """Store one user's ratings and marks, all or none, as `rate` and `mark` do."""
        checked = {checked_id(movie, "movie"): checked_mark(mark) for movie, mark in marks.items()}
        return self._writer.write(Change(checked_id(user, "user"), stars=checked_stars(stars), marks=checked))

    def delete(self, user: str, movie: str) -> int:
        """Delete one rating, live or of the snapshot, and return the user's revision once that is on disk."""
        return self._writer.write(Change(checked_id(user, "user"), stars={checked_id(movie, "movie"): None}))

    def mark(self, user: str, movie: str, mark: str) -> int:
        """Mark one movie, replacing an earlier mark, and return the user's revision once it is on disk.

        mark   seen, hidden or watchlist
        """
        return self.bring(user, {}, {movie: mark})

    def unmark(self, user: str, movie: str) -> int:
        """Delete the mark of one movie and return the user's revision once that is on disk."""
        return self._writer.write(Change(checked_id(user, "user"), marks={checked_id(movie, "movie"): None}))

    def forget(self, user: str) -> None:
        """Delete everything about a user; the snapshot's ratings of them no longer count.

        A hash of the id stays, with the time and number of the forget and the last revision. An SQLite file overwrites
        deleted rows, in its log within seconds, as soon as no reader needs them; docs/operation.md describes what
        PostgreSQL needs.
        """
        self._writer.write(Change(checked_id(user, "user"), forget=True))

    def read(self, user: str) -> LiveHistory:
        """Return a user's ratings, marks and revision, as of one moment."""
        asked = user if can_be_id(user) else ""
        return LiveHistory.of(self._database.rows(HISTORY, user_id=asked, hash_of_user=hashed(asked)))

    def ratings(self, user: str) -> dict[str, float | None]:
        """Return {movie id: stars, or None for a deleted rating} of one user."""
        return dict(self.read(user).stars)

    def revision(self, user: str) -> int:
        """Return how many writes have changed something for this user."""
        return self.read(user).revision

    def count(self) -> int:
        """Return the number of live ratings of all users, deleted ones not counted."""
        return int(self._database.rows(_COUNT)[0][0])

    def everything(self) -> LiveContents:
        """Return all ratings, added movies and forgotten users, as of one moment."""
        with self.reading() as connection:
            return LiveContents.of(connection)

    def add_movie(self, movie: NewMovie) -> str | None:
        """Store a movie that is not in the data yet, or replace it; it is on disk afterwards.

        Return the id of another added movie with the same IMDb id if there is one; then nothing is stored. Users who
        rated or marked a replaced movie get a new revision, because their answers change.
        """
        row = movie.row(int(time.time()))
        with self.writing() as connection:
            known = {one.movie: one for one in new_movies(connection)}
            same = (one.movie for one in known.values() if movie.imdb and one.imdb == movie.imdb)
            other = next((name for name in same if name != movie.movie), None)
            if other is None and known.get(movie.movie) != replace(movie, genres=tuple(sorted(movie.genres))):
                connection.execute(dialects.upsert(MOVIES, connection.dialect.name), row)
                touch(connection, movie.movie)
        return other

    def movies(self) -> tuple[NewMovie, ...]:
        """Return the movies that were added, by their ids."""
        with self.reading() as connection:
            return new_movies(connection)

    def forgotten(self) -> Forgotten:
        """Return the forgotten users."""
        with self.reading() as connection:
            return Forgotten.of(connection)

    def state(self, name: str) -> dict[str, Any] | None:
        """Return what `set_state` stored last under this name, None if it stored nothing."""
        found = self._database.rows(_STATE, named=name)
        return json.loads(found[0][0]) if found else None

    def set_state(self, name: str, value: Mapping[str, Any]) -> None:
        """Store a JSON value for all processes and later ones."""
        with self.writing() as connection:
            _put_state(connection, name, value)

    def replace_state(self, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
        """Store a state if `before` is the stored one, and return whether it was: True for one of several callers."""
        with self.writing() as connection:
            found = connection.execute(_STATE, {"named": name}).scalar()
            if (None if found is None else json.loads(found)) != before:
                return False
            _put_state(connection, name, after)
        return True

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold a lock in a block, one holder among all processes and machines; a crash releases it.

        Raises BusyError at once if another process holds it and `wait` is false.
        """
        return self._database.lock(checked_id(name, "lock"), wait=wait)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment and never waits for a writer."""
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that is on disk when the block ends, and does nothing if the block raises.

        For rare writes; ratings and marks go through `rate` and `mark`, which share their disk syncs.
        """
        with self._database.writing() as connection:
            yield connection

    def close(self) -> None:
        """Finish the queue and close all connections; may be called again."""
        self._writer.close()
        self._database.close()


def _put_state(connection: Connection, name: str, value: Mapping[str, Any]) -> None:
    row = {"name": checked_id(name, "state"), "value": json.dumps(value), "at": int(time.time())}
    connection.execute(dialects.upsert(STATES, connection.dialect.name), row)


def migrate(database: str | os.PathLike[str]) -> tuple[int, int]:
    """Update the tables of an older Matinee, and return the versions of the schema before and after.

    All or nothing. Raises LiveError where there is nothing to migrate, or for the tables of a newer Matinee.
    """
    address, versions = address_of(database), []
    if isinstance(address, Path) and not address.exists():
        raise LiveError(f"no live ratings in {address}; a server creates them")
    opened = _opened(database, lambda connection, name: versions.append(migrations.migrate(connection, name)))
    opened.close()
    return versions[0]


def _opened(database: str | os.PathLike[str], prepared: Callable[[Connection, str], None] = prepare) -> Database:
    address = address_of(database)
    return SqliteFile(address, prepared) if isinstance(address, Path) else PostgresServer(address, prepared)
