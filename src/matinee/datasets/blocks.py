"""Blocks: the raw files of the Netflix Prize, a line `1:` for each movie and under it lines `user,rating,date`."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

MOVIE = re.compile(rb"\s*([0-9]+):\s*")
FIRST = re.compile(rb"(?:\xef\xbb\xbf)?\s*[0-9]+:[ \t]*\r?\n")
COLUMNS = ("user", "rating", "timestamp", "movie")


def is_in_blocks(head: bytes) -> bool:
    """Return whether a file begins with the line of a movie.

    >>> is_in_blocks(b"1:\\n1488844,3,2005-09-06\\n"), is_in_blocks(b"1::1193::5")
    (True, False)
    """
    return FIRST.match(head) is not None


def with_movies(data: bytes) -> bytes:
    """Return the lines with their movie behind them, as COLUMNS; those of movies become blank.

    >>> with_movies(b"1:\\n1488844,3,2005-09-06\\n")
    b'\\n1488844,3,2005-09-06,1\\n'
    """
    return b"".join(_lines(data.removeprefix(b"\xef\xbb\xbf")))


def _lines(data: bytes) -> Iterator[bytes]:
    movie = b""
    for line in io.BytesIO(data):
        found = MOVIE.fullmatch(line)
        movie = found[1] if found else movie
        yield b"\n" if found or not line.strip() else line.rstrip(b"\r\n") + b"," + movie + b"\n"
