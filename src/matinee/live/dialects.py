"""The statements that differ between SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, TextClause, bindparam, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

PAIRS_PER_QUERY = 5_000  # SQLite takes 32,766 parameters

# SQLite finds pairs by the primary key only where they come from a plain SELECT, not from VALUES.
_PAIRS = {
    "sqlite": 'SELECT "user", movie, {column} FROM {table} WHERE ("user", movie) IN (SELECT * FROM :pairs)',
    "postgresql": (
        'SELECT "user", movie, {column} FROM {table} '
        'JOIN unnest(CAST(:users AS text[]), CAST(:movies AS text[])) AS pairs ("user", movie) USING ("user", movie)'
    ),
}


def upsert(table: Table, dialect: str) -> Insert:
    """Return the statement that inserts rows, or replaces those with the same primary key.

    dialect   the name of the connection's dialect: sqlite or postgresql
    """
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    values = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_=values)


def pairs(table: Table, column: str, dialect: str) -> TextClause:
    """Return the query for user, movie and one column of the rows with the keys that `of_pairs` gives."""
    query = text(_PAIRS[dialect].format(table=table.name, column=column))
    return query.bindparams(bindparam("pairs", expanding=True)) if dialect == "sqlite" else query


def of_pairs(keys: list[tuple[str, str]], dialect: str) -> dict[str, Any]:
    """Return the parameters of the query `pairs` for at most PAIRS_PER_QUERY (user, movie)."""
    if dialect == "sqlite":
        return {"pairs": keys}
    return {"users": [user for user, _ in keys], "movies": [movie for _, movie in keys]}
