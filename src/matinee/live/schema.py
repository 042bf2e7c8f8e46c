"""The tables of the live database.

Times are seconds since 1970, UTC. Secrets (API keys, links, rooms) are stored as their SHA-256, and so is the id of a
forgotten user.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

MAX_ID = 256  # characters
SCHEMA_VERSION = 4

METADATA = MetaData()


def _table(name: str, *columns: Column[object] | Index) -> Table:
    return Table(name, METADATA, *columns, sqlite_with_rowid=False)


def _at(name: str = "at") -> Column[object]:
    return Column(name, BigInteger, nullable=False)


def _id(name: str) -> Column[object]:
    return Column(name, String(MAX_ID), primary_key=True)


SCHEMA = Table(
    "schema",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("database", String(32)),  # random, from the creation of the tables: forgets are counted per database
)
USERS = _table(
    "users",
    _id("user"),
    Column("revision", BigInteger, nullable=False),  # counts the writes that changed something
)
RATINGS = _table(
    "ratings",
    _id("user"),
    _id("movie"),
    Column("stars", Double),  # NULL: a tombstone, the user deleted the rating of the snapshot
    _at(),
    Column("revision", BigInteger, nullable=False),  # the user's, when this row changed last
)
MARKS = _table(
    "marks",
    _id("user"),
    _id("movie"),
    Column("mark", String(16), nullable=False),  # seen, hidden or watchlist; one a movie
    _at(),
)
FORGOTTEN = _table(  # applies to ratings in imports and snapshots before this time
    "forgotten",
    _id("hash"),
    _at(),
    Column("revision", BigInteger, nullable=False, server_default="0"),  # the user's, which never decreases
    Column("number", BigInteger, nullable=False, server_default="0"),  # counts the forgets; 0 before schema 4
)
MOVIES = _table(  # those that are not in the data yet
    "movies",
    _id("movie"),
    Column("title", Text, nullable=False),
    Column("year", Integer),
    Column("genres", Text, nullable=False),  # separated by |
    Column("imdb", String(16)),
    Column("tmdb", String(16)),
    _at(),
)
KEYS = _table(
    "keys",
    _id("key"),  # what `matinee key list` shows
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", String(64), nullable=False),  # separated by spaces
    Column("note", Text, nullable=False),
    _at(),
)
SECRETS = _table("secrets", _id("secret"), _at())  # that sign cookies: the newest signs, all are accepted
LINKS = _table("links", _id("hash"), Column("user", String(MAX_ID), nullable=False, index=True), _at())
ROOMS = _table("rooms", _id("hash"), _at(), _at("expires"))
MEMBERS = _table("members", _id("room"), _id("user"), _at())  # room is its hash
STATES = _table("states", _id("name"), Column("value", Text, nullable=False), _at())  # such as how the last refit went

ABOUT_PEOPLE = [table for table in METADATA.sorted_tables if "user" in table.c]
