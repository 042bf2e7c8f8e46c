"""Zips that a stranger sent: how much they may hold, looked at before it is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence

from matinee.errors import DataError

ZIP = b"PK\x03\x04"  # how one begins
ENTRY = b"PK\x01\x02"  # before each file in its list
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python unpacks the others whole, whatever limit it is given
MOST_FILES = 1_000
MOST_RATIO = 100  # of what is unpacked to what was packed; a person's ratings have 3 to 15
SMALL = 100_000  # bytes that may be unpacked from however few
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)

Choice = Callable[[Sequence[zipfile.ZipInfo]], Sequence[zipfile.ZipInfo]]


def unpacked(data: bytes, choose: Choice, most: int) -> dict[str, bytes]:
    """Return the files of a zip that `choose` chooses, of at most so many bytes together, in its order.

    Raises DataError where the zip is damaged, holds too many files or too much, or is packed by another method than
    deflate.
    """
    if data.count(ENTRY) > MOST_FILES:
        raise DataError(f"the zip holds more than {MOST_FILES:,} files; no export has so many")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            files: dict[str, bytes] = {}
            for member in choose(packed.infolist()):
                files[member.filename] = _read(packed, member, most - sum(map(len, files.values())))
            return files
    except DAMAGED as error:
        raise DataError(f"unpacking the zip failed: {error}; send the CSV in it") from None


def _read(packed: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    if member.compress_type not in METHODS:
        raise DataError("the zip is packed by a method that is not deflate; send the CSV in it")
    limit = min(most, max(MOST_RATIO * member.compress_size, SMALL))
    with packed.open(member) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"the zip unpacks to more than {limit:,} bytes; send the CSV in it, of one person's ratings")
    return content
