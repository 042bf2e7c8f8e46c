"""The interface of a database of live ratings, and which database an address names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from matinee.errors import UsageError

PATIENCE = 10.0  # seconds a caller waits for other processes' writes


class Database(Protocol):
    """A database with the tables. Every method may raise LiveError, whose message has the cause and the remedy.

    name   its name in messages, without a password
    """

    name: str

    def rows(self, query: Any, **parameters: Any) -> Sequence[Any]:
        """Return the rows of one query."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a read transaction that sees one moment and never waits for a writer."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Open the one write transaction; it is on disk when the block ends, or undone where the block raises."""

    def lock(self, name: str, *, wait: bool) -> AbstractContextManager[None]:
        """Hold a named lock, one holder across processes and machines. Raises BusyError if held and not `wait`."""

    def erase(self) -> bool:
        """Erase deleted rows from our files; return False where that must be tried again."""

    def close(self) -> None:
        """Close all connections."""


def address_of(database: str | os.PathLike[str]) -> Path | str:
    """Return the absolute path that a path or sqlite:///PATH names, or the URL of a PostgreSQL database.

    Raises UsageError for another kind of database.
    """
    text = os.fspath(database)
    kind, is_url, rest = text.partition("://")
    if is_url and kind in ("postgresql", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    if is_url and (kind not in ("sqlite", "sqlite+pysqlite") or not rest.startswith("/")):
        raise UsageError(
            f"live ratings do not support {kind}://...; name a file, sqlite:///PATH, or "
            "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        )
    path = rest.removeprefix("/") if is_url else text
    if path in ("", ":memory:"):
        raise UsageError(
            "live ratings need a file: an in-memory database would be lost; name a path, or sqlite:///PATH"
        )
    return Path(path).absolute()
