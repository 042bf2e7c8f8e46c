"""Changes of ratings and marks: a group is written in few statements, and each change gets its revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Delete, Table, TextClause, bindparam, func, literal, select, union, union_all

from matinee.live import dialects
from matinee.live.forgotten import hashed
from matinee.live.schema import ABOUT_PEOPLE, FORGOTTEN, MARKS, RATINGS, USERS

Key = tuple[str, str]  # user, movie
_NOTHING: Any = object()  # the stored value of a missing row


@dataclass(frozen=True)
class Change:
    """What one call writes about one user, all of it or nothing.

    stars    {movie id: stars, or None to delete the rating}
    marks    {movie id: mark, or None to delete it}
    forget   delete everything about the user, and nothing else
    """

    user: str
    stars: Mapping[str, float | None] = field(default_factory=dict)
    marks: Mapping[str, str | None] = field(default_factory=dict)
    forget: bool = False


# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_REVISIONS = union_all(
    *(
        select(literal(kind), key, table.c.revision).where(key.in_(bindparam(kind, expanding=True)))
        for kind, table, key in (("users", USERS, USERS.c.user), ("hashes", FORGOTTEN, FORGOTTEN.c.hash))
    )
)
_LAST_FORGET = select(func.coalesce(func.max(FORGOTTEN.c.number), 0))
_upsert = cache(dialects.upsert)
_pairs = cache(dialects.pairs)


@cache
def _delete(table: Table, *columns: str) -> Delete:
    statement = table.delete()
    for column in columns:
        statement = statement.where(table.c[column] == bindparam(f"of_{column}"))
    return statement


def apply(connection: Connection, changes: Sequence[Change], at: int) -> list[int]:
    """Write changes in their order and return, for each, the revision of its user after it.

    at   seconds since 1970

    Only differences are written, so a repeated change writes nothing and does not change the revision.
    """
    revisions: list[int] = []
    for forgets, group in groupby(changes, key=lambda change: change.forget):
        revisions += (_forget if forgets else _write)(connection, list(group), at)
    return revisions


def touch(connection: Connection, movie: str) -> None:
    """Give every user who rated or marked a movie a new revision."""
    people = union(*(select(table.c.user).where(table.c.movie == movie) for table in (RATINGS, MARKS)))
    connection.execute(USERS.update().where(USERS.c.user.in_(people)).values(revision=USERS.c.revision + 1))


def _write(connection: Connection, changes: Sequence[Change], at: int) -> list[int]:
    stars = _Values(connection, RATINGS, "stars", [(c.user, movie) for c in changes for movie in c.stars], _NOTHING)
    marks = _Values(connection, MARKS, "mark", [(c.user, movie) for c in changes for movie in c.marks], None)
    revisions = _revisions(connection, changes)
    changed: dict[str, int] = {}
    answers = []
    for change in changes:
        if stars.put(change.user, change.stars) | marks.put(change.user, change.marks):
            changed[change.user] = revisions[change.user] = revisions.get(change.user, 0) + 1
        answers.append(revisions.get(change.user, 0))
    stars.store(connection, lambda user: {"at": at, "revision": changed[user]})
    marks.store(connection, lambda user: {"at": at})
    _put(connection, USERS, [{"user": user, "revision": revision} for user, revision in changed.items()])
    return answers


def _forget(connection: Connection, changes: Sequence[Change], at: int) -> list[int]:
    """Delete every row about these users; a hash stays, with the revision, which never decreases, and the number."""
    revisions = _revisions(connection, changes)
    forgotten = {change.user: revisions.get(change.user, 0) + 1 for change in changes}
    for table in ABOUT_PEOPLE:
        connection.execute(_delete(table, "user"), [{"of_user": user} for user in forgotten])
    said = {"at": at, "number": connection.execute(_LAST_FORGET).scalar_one() + 1}
    _put(connection, FORGOTTEN, [{"hash": hashed(user), "revision": r, **said} for user, r in forgotten.items()])
    return [forgotten[change.user] for change in changes]


class _Values:
    """One column of a table by user and movie: the stored values, and the changes of a group."""

    def __init__(self, connection: Connection, table: Table, column: str, keys: Sequence[Key], nothing: Any) -> None:
        self.table, self.column, self.nothing = table, column, nothing
        query = _pairs(table, column, connection.dialect.name)
        self.known = {(user, movie): value for user, movie, value in _look_up(connection, query, sorted(set(keys)))}
        self.changed: dict[Key, Any] = {}

    def put(self, user: str, values: Mapping[str, Any]) -> bool:
        """Record the values of some movies and return whether any of them is new."""
        new = {
            (user, movie): value
            for movie, value in values.items()
            if self.known.get((user, movie), self.nothing) != value
        }
        self.known.update(new)
        self.changed.update(new)
        return bool(new)

    def store(self, connection: Connection, extra: Any) -> None:
        """Write the changes; `_NOTHING` deletes a row."""
        gone = [key for key, value in self.changed.items() if value is self.nothing]
        rows = [
            {"user": user, "movie": movie, self.column: value, **extra(user)}
            for (user, movie), value in self.changed.items()
            if value is not self.nothing
        ]
        _put(connection, self.table, rows)
        if gone:
            keys = [{"of_user": user, "of_movie": movie} for user, movie in gone]
            connection.execute(_delete(self.table, "user", "movie"), keys)


def _revisions(connection: Connection, changes: Sequence[Change]) -> dict[str, int]:
    users = sorted({change.user for change in changes})
    revisions: dict[str, int] = {}
    for start in range(0, len(users), dialects.PAIRS_PER_QUERY):
        some = users[start : start + dialects.PAIRS_PER_QUERY]
        whose = {hashed(user): user for user in some}
        for kind, key, revision in connection.execute(_REVISIONS, {"users": some, "hashes": [*whose]}):
            user = key if kind == "users" else whose[key]
            revisions[user] = max(revision, revisions.get(user, 0))
    return revisions


def _look_up(connection: Connection, query: TextClause, keys: Sequence[Key]) -> Iterator[Any]:
    """Yield the rows with these keys, in queries that the database accepts."""
    for start in range(0, len(keys), dialects.PAIRS_PER_QUERY):
        some = list(keys[start : start + dialects.PAIRS_PER_QUERY])
        yield from connection.execute(query, dialects.of_pairs(some, connection.dialect.name))


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_upsert(table, connection.dialect.name), rows)
