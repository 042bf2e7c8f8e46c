"""Versions of the schema: create the tables in an empty database, and update those of an older Matinee in steps.

Servers of two versions may share a database while it is upgraded, so nothing changes by itself: `matinee live migrate`
does it, in one transaction.
"""

from __future__ import annotations

from secrets import token_hex

from sqlalchemy import Connection, inspect, select, text

from matinee.errors import LiveError
from matinee.live.forgotten import hashed
from matinee.live.schema import FORGOTTEN, METADATA, SCHEMA, SCHEMA_VERSION


def prepare(connection: Connection, database: str) -> None:
    """Create the tables in an empty database; refuse one that is not ours, or of another version of Matinee."""
    if version_of(connection, database) is None:
        METADATA.create_all(connection)
        connection.execute(SCHEMA.insert().values(version=SCHEMA_VERSION, database=token_hex(16)))
    check(connection, database)


def check(connection: Connection, database: str) -> None:
    """Refuse a database that is empty, not ours, or of another version of Matinee."""
    found = version_of(connection, database)
    if found is None:
        raise LiveError(
            f"live ratings {database}: the tables are gone; put the database back, restore a backup, or restart the "
            "server to create empty ones"
        )
    if found < SCHEMA_VERSION:
        raise LiveError(
            f"live ratings {database}: written by an older Matinee (schema {found}, this version needs "
            f"{SCHEMA_VERSION}); stop its servers, copy it (`matinee backup` of that version), and run "
            "`matinee live migrate`"
        )


def migrate(connection: Connection, database: str) -> tuple[int, int]:
    """Update the tables and return the versions before and after; their contents stay."""
    found = version_of(connection, database)
    if found is None:
        raise LiveError(f"live ratings {database}: empty, nothing to migrate; a server creates its tables")
    for version in range(found + 1, SCHEMA_VERSION + 1):
        _STEPS[version](connection)
    connection.execute(SCHEMA.update().values(version=SCHEMA_VERSION))
    return found, SCHEMA_VERSION


def version_of(connection: Connection, database: str) -> int | None:
    """Return the version of the schema, None in an empty database; refuse one that is not ours or too new."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if SCHEMA.name not in tables:
        raise LiveError(f"live ratings {database}: this database has other tables; name another database")
    version = int(connection.execute(select(SCHEMA.c.version)).scalar_one())
    if version > SCHEMA_VERSION:
        raise LiveError(
            f"live ratings {database}: written by a newer Matinee (schema {version}, this version reads up to "
            f"{SCHEMA_VERSION}); install that version"
        )
    return version


def _all_tables(connection: Connection) -> None:
    """To 2: marks, new movies, forgotten people, keys, secrets, links, rooms and states."""
    METADATA.create_all(connection)


def _revisions_of_the_forgotten(connection: Connection) -> None:
    """To 3: the revision of a forgotten user does not decrease."""
    if "revision" not in _columns(connection, "forgotten"):
        connection.execute(text("ALTER TABLE forgotten ADD COLUMN revision BIGINT NOT NULL DEFAULT 0"))


def _hashes_and_numbers_of_the_forgotten(connection: Connection) -> None:
    """To 4: a hash of a forgotten user stays, forgets are counted, and the database has a name."""
    if "user" in _columns(connection, "forgotten"):
        connection.execute(text('ALTER TABLE forgotten RENAME COLUMN "user" TO hash'))
        connection.execute(text("ALTER TABLE forgotten ADD COLUMN number BIGINT NOT NULL DEFAULT 0"))
        rows = [row._asdict() for row in connection.execute(select(FORGOTTEN))]
        connection.execute(FORGOTTEN.delete())
        if rows:
            connection.execute(FORGOTTEN.insert(), [{**row, "hash": hashed(row["hash"])} for row in rows])
    connection.execute(text("ALTER TABLE schema ADD COLUMN database VARCHAR(32)"))
    connection.execute(SCHEMA.update().values(database=token_hex(16)))


def _columns(connection: Connection, table: str) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table)}


_STEPS = {2: _all_tables, 3: _revisions_of_the_forgotten, 4: _hashes_and_numbers_of_the_forgotten}
