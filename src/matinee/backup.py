"""Backup and restore: everything needed to answer as before, in one folder, made while the service runs.

    backup/
        backup.json     what it is: format, snapshot, rows of each table, checksums
        snapshot/       the snapshot that was served
        live/           one Arrow file for each table: ratings, marks, keys (hashed), secrets of cookies, ...

All tables are of one moment. A backup of SQLite can be restored into PostgreSQL, and the other way round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import BigInteger, Connection, Double, Integer, Table, select

from matinee.errors import StoreError, UsageError
from matinee.live import LiveRatings
from matinee.live.forgotten import hashed
from matinee.live.schema import FORGOTTEN, METADATA, SCHEMA, SCHEMA_VERSION
from matinee.scratch import FOR_ITS_OWNER, new_folder
from matinee.snapshot import Store, files
from matinee.snapshot.files import Entry

FORMAT = 1
ABOUT = "backup.json"
TABLES = {table.name: table for table in METADATA.sorted_tables if table is not SCHEMA}
ROWS = 50_000  # written at a time


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    rows     of each table of the live database
    files    what each file below `live` must be
    """

    created: str
    made_by: str
    snapshot: str
    rows: dict[str, int]
    files: dict[str, Entry]
    schema: int = SCHEMA_VERSION
    format: int = FORMAT


def backup(store: Store, live: LiveRatings, folder: Path) -> Backup:
    """Write a backup into a new folder, which appears when all of it is on disk.

    Removes what killed backups left beside it.
    Raises UsageError where the folder exists, StoreError and LiveError where something cannot be read or written.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists already; name a folder that does not")
    with _written(folder), new_folder(folder, FOR_ITS_OWNER) as writing:  # it holds live ratings and secrets
        (writing / "live").mkdir()
        snapshot = store.copy(writing / "snapshot").id
        rows, entries = _write_tables(live, writing / "live")
        made = Backup(datetime.now(UTC).isoformat(timespec="seconds"), version("matinee"), snapshot, rows, entries)
        files.write_text(writing / ABOUT, json.dumps(asdict(made), indent=1))
    return made


def restore(folder: Path, store: Store, live: LiveRatings) -> Backup:
    """Put a backup into a store without snapshots and an empty live database; everything is checked before.

    Raises UsageError where one of them is not empty, StoreError where the backup is damaged or of a newer Matinee.
    """
    found = read(folder)
    if store.current_id() is not None:
        raise UsageError(f"the store {store.path} serves a snapshot already; restore into a new one")
    tables = {name: _checked_table(folder, name, found) for name in found.rows}
    store.take(folder / "snapshot")
    with live.writing() as connection:
        _check_empty(connection, live)
        for name, rows in tables.items():
            for batch in rows.to_batches(ROWS):
                connection.execute(TABLES[name].insert(), [_of_today(name, row) for row in batch.to_pylist()])
    store.activate(found.snapshot)
    return found


def read(folder: Path) -> Backup:
    """Return a backup's description. Raises StoreError where it is not a backup, or of a newer Matinee."""
    try:
        said: dict[str, Any] = json.loads((folder / ABOUT).read_text("utf-8"))
        entries = {name: Entry(**entry) for name, entry in said.pop("files").items()}
        found = Backup(**said, files=entries)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise StoreError(f"{folder} is not a backup; name the folder of a backup") from None
    if found.format > FORMAT or found.schema > SCHEMA_VERSION or not found.rows.keys() <= TABLES.keys():
        raise StoreError(f"the backup {folder} was written by a newer Matinee, {found.made_by}; install that one")
    return found


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreError(f"cannot write the backup {folder}: {problem.strerror or problem}") from problem


def _write_tables(live: LiveRatings, folder: Path) -> tuple[dict[str, int], dict[str, Entry]]:
    rows, entries = {}, {}
    with live.reading() as connection:
        for name, table in TABLES.items():
            found = _read_table(connection, table)
            rows[name], entries[f"{name}.arrow"] = found.num_rows, files.write_table(folder / f"{name}.arrow", found)
    return rows, entries


def _read_table(connection: Connection, table: Table) -> pa.Table:
    schema = pa.schema([pa.field(column.name, _arrow_type(column.type)) for column in table.columns])
    parts = connection.execution_options(yield_per=ROWS).execute(select(table)).partitions()
    batches = [pa.RecordBatch.from_pylist([row._asdict() for row in part], schema) for part in parts]
    return pa.Table.from_batches(batches, schema)


def _arrow_type(kind: Any) -> pa.DataType:
    if isinstance(kind, Integer | BigInteger):
        return pa.int64()
    return pa.float64() if isinstance(kind, Double) else pa.string()


def _checked_table(folder: Path, name: str, found: Backup) -> pa.Table:
    path, entry = folder / "live" / f"{name}.arrow", found.files[f"{name}.arrow"]
    files.check_hash(path, entry)
    return files.map_table(path, entry)


def _of_today(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is stored: up to schema 3 forgotten people had their id there instead of a hash."""
    if table != FORGOTTEN.name or "user" not in row:
        return row
    return {"hash": hashed(row.pop("user")), **row}


def _check_empty(connection: Connection, live: LiveRatings) -> None:
    for table in TABLES.values():
        if connection.execute(select(table).limit(1)).first() is not None:
            raise UsageError(f"the live database {live.name} holds {table.name} already; restore into an empty one")
