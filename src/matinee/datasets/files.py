"""Files: the tables that a path means: a file, a pipe, a compressed file, a zip with one table, a folder of parts."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from matinee.errors import DataError

Kind = Literal["parquet", "json", "text"]
PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".tab", ".dat", ".data", ".json", ".jsonl", ".ndjson", ".inter", *PARQUET)
PARQUET_MAGIC, GZIP, ZIP = b"PAR1", b"\x1f\x8b", b"PK\x03\x04"
MAX_UNZIPPED = 8 << 30
HEAD = 64


@dataclass(frozen=True)
class File:
    """A table in a file: what messages call it, and its bytes, or the path of a file that is read in place."""

    name: str
    data: bytes | Path

    @property
    def head(self) -> bytes:
        """The first bytes."""
        if isinstance(self.data, bytes):
            return self.data[:HEAD]
        with self.data.open("rb") as file:
            return file.read(HEAD)

    @property
    def kind(self) -> Kind:
        """How it is written, by its first bytes, or by its name where it claims to be Parquet."""
        if self.head.startswith(PARQUET_MAGIC) or PurePath(self.name).suffix.lower() in PARQUET:
            return "parquet"
        return "json" if self.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[") else "text"

    def content(self) -> bytes:
        """All of its bytes."""
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


def of(path: Path) -> list[File]:
    """Return the tables at a path, all of one kind. Raises DataError without one, or for more than one in a zip."""
    if path.is_dir():
        return _parts(path)
    try:
        return [_unpacked(File(path.name, path if path.is_file() else path.read_bytes()))]
    except OSError as problem:
        raise DataError(f"reading {path} failed: {problem.strerror or problem}") from None


def _unpacked(file: File) -> File:
    if file.head.startswith(GZIP):
        return File(file.name.removesuffix(".gz"), _gunzipped(file))
    return _in_zip(file) if file.head.startswith(ZIP) else file


def _gunzipped(file: File) -> bytes:
    try:
        with gzip.open(file.data if isinstance(file.data, Path) else io.BytesIO(file.data)) as opened:
            data = opened.read(MAX_UNZIPPED + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{file.name} is not a complete gzip file: {problem}") from None
    return _not_too_large(file.name, bytes(data))


def _in_zip(file: File) -> File:
    try:
        with zipfile.ZipFile(file.data if isinstance(file.data, Path) else io.BytesIO(file.data)) as packed:
            tables = [one for one in packed.infolist() if _is_table(one.filename) and not one.is_dir()]
            if len(tables) != 1:
                listed = ", ".join(one.filename for one in (tables or packed.infolist())[:6]) or "nothing"
                number = "several tables" if tables else "no table but"
                raise DataError(f"{file.name} holds {number} {listed}; unpack it and name the file of ratings")
            if tables[0].file_size > MAX_UNZIPPED:
                _not_too_large(file.name, b"", tables[0].file_size)
            return File(PurePath(tables[0].filename).name, packed.read(tables[0]))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        raise DataError(f"{file.name} is not a complete zip file ({problem}); fetch it again") from None


def _not_too_large(name: str, data: bytes, size: int | None = None) -> bytes:
    if (len(data) if size is None else size) > MAX_UNZIPPED:
        raise DataError(f"{name} would unpack to more than {MAX_UNZIPPED >> 30} GB; unpack it and name the file")
    return data


def _parts(folder: Path) -> list[File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and _is_table(str(path.relative_to(folder))))
    found = [_unpacked(File(str(path.relative_to(folder)), path)) for path in paths]
    kinds = sorted({file.kind for file in found})
    if not found:
        listed = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise DataError(
            f"the folder {folder} holds neither ratings.csv nor another table but {listed}; name a CSV, TSV, JSON or "
            "Parquet file"
        )
    if len(kinds) > 1:
        raise DataError(f"the folder {folder} holds files of several kinds ({', '.join(kinds)}); name one file")
    return found


def _is_table(name: str) -> bool:
    parts = PurePath(name).parts
    return PurePath(name.lower().removesuffix(".gz")).suffix in SUFFIXES and not any(
        part.startswith(("_", ".")) for part in parts
    )
