"""One user's live ratings and marks, read in one query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Double,
    Select,
    String,
    Table,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from matinee.live.schema import FORGOTTEN, MARKS, RATINGS, USERS


@dataclass(frozen=True)
class LiveHistory:
    """One user's ratings and marks added after the snapshot.

    revision    counts the writes that changed something, and never decreases; 0 for a user who never wrote
    stars       {movie id: stars, or None for a deleted rating}
    marks       {movie id: "seen", "hidden" or "watchlist"}
    forgotten   the user was forgotten: the snapshot's ratings of them do not count
    """

    revision: int = 0
    stars: Mapping[str, float | None] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    forgotten: bool = False

    @classmethod
    def of(cls, rows: Iterable[Any]) -> LiveHistory:
        """Return the history that the rows of `HISTORY` hold."""
        revision, forgotten = 0, False
        stars: dict[str, float | None] = {}
        marks: dict[str, str] = {}
        for table, movie, value, mark, counted in rows:
            if table == RATINGS.name:
                stars[movie] = value
            elif table == MARKS.name:
                marks[movie] = mark
            else:
                revision, forgotten = max(revision, counted), forgotten or table == FORGOTTEN.name
        return cls(revision, stars, marks, forgotten)


def _rows_of(table: Table, whose: ColumnElement[Any], **columns: ColumnElement[Any]) -> Select[Any]:
    shape = {
        "movie": literal_column("''"),
        "stars": cast(null(), Double),
        "mark": cast(null(), String),
        "revision": literal_column("0"),
        **columns,
    }
    name: ColumnElement[str] = literal_column(f"'{table.name}'").label("said")
    return select(name, *(column.label(label) for label, column in shape.items())).where(whose)


_USER: ColumnElement[str] = bindparam("user_id")
HISTORY: CompoundSelect[Any] = union_all(
    _rows_of(USERS, USERS.c.user == _USER, revision=USERS.c.revision),
    _rows_of(RATINGS, RATINGS.c.user == _USER, movie=RATINGS.c.movie, stars=RATINGS.c.stars),
    _rows_of(MARKS, MARKS.c.user == _USER, movie=MARKS.c.movie, mark=MARKS.c.mark),
    _rows_of(FORGOTTEN, FORGOTTEN.c.hash == bindparam("hash_of_user"), revision=FORGOTTEN.c.revision),
)
"""Asked with `user_id`, and its `hashed` as `hash_of_user`."""
