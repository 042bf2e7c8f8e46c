"""A snapshot's files: Arrow IPC, one uncompressed batch each, hashed while written and mapped when read.

A table is stored as it is; an array is one flat column `values` whose schema metadata holds its shape.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.errors import StoreError

CHUNK = 1 << 22


@dataclass(frozen=True)
class Entry:
    """What a file must be: its size in bytes and its SHA-256."""

    size: int
    sha256: str


class _HashedFile:
    """A file that knows the hash of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.hash.update(view)
        self.size += view.nbytes
        return self.file.write(view)

    def flush(self) -> None:
        self.file.flush()

    @property
    def closed(self) -> bool:
        return False  # Arrow asks before each write; the file outlives the writer


def write_table(path: Path, table: pa.Table) -> Entry:
    """Write a table as one batch, on disk when this returns."""
    with path.open("xb", buffering=0) as raw:
        file = _HashedFile(raw)
        with pa.ipc.new_file(pa.PythonFile(file, mode="w"), table.schema) as writer:
            writer.write_table(table.combine_chunks())
        os.fsync(raw.fileno())
    return Entry(file.size, file.hash.hexdigest())


def write_array(path: Path, array: NDArray[Any]) -> Entry:
    """Write an array of at most two dimensions as one flat column."""
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    schema = pa.schema([pa.field("values", flat.type, nullable=False)], {"shape": json.dumps(array.shape)})
    return write_table(path, pa.table([flat], schema=schema))


def map_table(path: Path, entry: Entry) -> pa.Table:
    """Return a table as views on the file. Raises StoreError where the file is not the one that was written."""
    try:
        size = path.stat().st_size
    except OSError as problem:
        raise StoreError(f"{path} is missing ({problem.strerror}); activate another snapshot or train again") from None
    if size != entry.size:
        raise StoreError(f"{path} is damaged: it has {size:,} bytes where {entry.size:,} were written; train again")
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowInvalid, OSError) as problem:
        raise StoreError(f"{path} is not an Arrow file of ours: {str(problem).splitlines()[0]}; train again") from None


def map_array(path: Path, entry: Entry) -> NDArray[Any]:
    """Return an array as a view on the file."""
    table = map_table(path, entry)
    try:
        shape = json.loads((table.schema.metadata or {})[b"shape"])
        return column(table, "values").reshape(shape)
    except (KeyError, ValueError) as problem:
        raise StoreError(f"{path} holds no array of ours ({problem}); train again") from None


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column without nulls as a view."""
    chunks = table[name].chunks
    values: NDArray[Any] = (
        chunks[0].to_numpy() if chunks else np.empty(0, table.schema.field(name).type.to_pandas_dtype())
    )
    return values


def check_hash(path: Path, entry: Entry) -> None:
    """Read the whole file. Raises StoreError where a byte differs."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as problem:
        raise StoreError(f"{path} cannot be read: {problem.strerror}") from None
    if digest.hexdigest() != entry.sha256:
        raise StoreError(f"{path} is damaged: its checksum is not the one written with it; activate another snapshot")


def sync_folder(path: Path) -> None:
    """Put a folder's entries on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
