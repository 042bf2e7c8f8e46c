"""Quoting: whether the quotes of a file are those of CSV on every line, so that every reader reads the same."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 24
QUOTE, LINE_END, RETURN = (ord(mark) for mark in '"\n\r')


def is_clean(data: bytes | mmap.mmap, delimiter: str) -> bool:
    r"""Return whether each quoted field begins behind a delimiter, ends before one, and lies on one line.

    >>> is_clean(b'1,"a ""b"", c",5\n', ","), is_clean(b'1,"a\n2,b\n', ","), is_clean(b'1,"a"b,5\n', ",")
    (True, False, False)
    """
    return len(delimiter) == 1 and all(_is_clean(piece, ord(delimiter)) for piece in _pieces(data))


def _pieces(data: bytes | mmap.mmap) -> Iterator[bytes]:
    """Yield the file in pieces of whole lines."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + PIECE)
        stop = (end if end >= 0 else data.find(b"\n", start)) + 1 if start + PIECE < len(data) else len(data)
        yield data[start : stop or len(data)]
        start = stop or len(data)


def _is_clean(piece: bytes, delimiter: int) -> bool:
    marks = np.frombuffer(piece, np.uint8)
    quotes = np.flatnonzero(marks == QUOTE)
    opens, closes = quotes[::2], quotes[1::2]
    if len(opens) != len(closes):
        return False
    line = np.cumsum(marks == LINE_END, dtype=np.int32)
    if np.any(line[opens] != line[closes]):
        return False
    padded = np.frombuffer(b"\n" + piece + b"\n", np.uint8)
    return bool(
        _all_in(padded[opens], (delimiter, LINE_END, QUOTE))
        and _all_in(padded[closes + 2], (delimiter, LINE_END, RETURN, QUOTE))
    )


def _all_in(marks: NDArray[np.uint8], allowed: Sequence[int]) -> bool:
    table = np.zeros(256, bool)
    table[list(allowed)] = True
    return bool(table[marks].all())
