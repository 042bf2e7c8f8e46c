"""A snapshot's files: Arrow IPC, one uncompressed batch each, hashed while written and mapped when read.

A table is stored as it is; an array is one flat column `values` whose schema metadata holds its shape.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee import system
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
        return self.file.write(view)  # buffered, so all of it or an error; a raw file takes at most 2 GB at once

    def flush(self) -> None:
        self.file.flush()

    @property
    def closed(self) -> bool:
        return False  # Arrow asks before each write; the file outlives the writer


def write_table(path: Path, table: pa.Table) -> Entry:
    """Write a table as one batch, on disk when this returns."""
    with path.open("xb") as opened:
        file = _HashedFile(opened)
        with pa.ipc.new_file(pa.PythonFile(file, mode="w"), table.schema) as writer:
            writer.write_table(table.combine_chunks())
        opened.flush()
        os.fsync(opened.fileno())
    return Entry(file.size, file.hash.hexdigest())


def write_array(path: Path, array: NDArray[Any]) -> Entry:
    """Write an array of at most two dimensions as one flat column."""
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    schema = pa.schema([pa.field("values", flat.type, nullable=False)], {"shape": json.dumps(array.shape)})
    return write_table(path, pa.table([flat], schema=schema))


def write_text(path: Path, text: str) -> None:
    """Write a text file, on disk when this returns."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def map_table(path: Path, entry: Entry) -> pa.Table:
    """Return a table as views on the file, safe to read whatever the file holds.

    Raises StoreError where the file is not the one that was written: by its size and its form, not by its checksum.
    """
    try:
        size = path.stat().st_size
    except OSError as problem:
        raise StoreError(f"{path} is missing ({problem.strerror}); activate another snapshot or train again") from None
    if size != entry.size:
        raise StoreError(f"{path} is damaged: it has {size:,} bytes where {entry.size:,} were written; train again")
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if reader.num_record_batches > 1:
            raise pa.ArrowInvalid(f"it has {reader.num_record_batches} batches, not one")
        table = reader.read_all()
        table.validate(full=True)  # else offsets of strings could point outside the file; costs nothing for numbers
        _ = table.column_names  # decoded only now
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise StoreError(f"{path} is not an Arrow file of ours: {str(problem).splitlines()[0]}; train again") from None
    return table


def map_array(path: Path, entry: Entry) -> NDArray[Any]:
    """Return an array as a view on the file."""
    table = map_table(path, entry)
    try:
        shape = json.loads((table.schema.metadata or {})[b"shape"])
        return column(table, "values").reshape(shape)
    except (KeyError, TypeError, ValueError) as problem:
        raise StoreError(f"{path} holds no array of ours ({problem}); train again") from None


def only_chunk(table: pa.Table, name: str) -> pa.Array:
    """Return a column as the one array that it was written as."""
    chunks = table[name].chunks
    return chunks[0] if chunks else pa.array([], table.schema.field(name).type)


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column of numbers as a view. Raises ValueError where one is missing, or they are no numbers."""
    return numbers(only_chunk(table, name), name)


def numbers(values: pa.Array, name: str) -> NDArray[Any]:
    """Return the numbers of this name as a view. Raises ValueError where one is missing, or they are no numbers."""
    if values.null_count:
        raise ValueError(f"{values.null_count} values of {name} are missing")
    dtype = np.dtype(values.type.to_pandas_dtype())
    if not len(values):
        return np.empty(0, dtype)
    return np.frombuffer(values.buffers()[1], dtype, len(values), values.offset * dtype.itemsize)  # imports no pandas


def check_hash(path: Path, entry: Entry, message: str | None = None) -> None:
    """Read the whole file. Raises StoreError where a byte differs, with another message where one is given."""
    try:
        found = entry_of(path)
    except OSError as problem:
        raise StoreError(f"{path} cannot be read: {problem.strerror}") from None
    if found.sha256 != entry.sha256:
        told = f"{path} is damaged: its checksum is not the one written with it; activate another snapshot"
        raise StoreError(message or told)


def entry_of(path: Path) -> Entry:
    """Read a whole file and return what it is."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Entry(size, digest.hexdigest())


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder and all below it, on disk when this returns; the target may be an empty folder."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_dir():
            copy_folder(path, target / path.name)
        else:
            with path.open("rb") as found, (target / path.name).open("xb") as copy:
                shutil.copyfileobj(found, copy, CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
    system.sync_folder(target)
