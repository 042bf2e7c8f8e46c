"""Times: what stands in a column of times, as seconds since 1970.

A time is a number of seconds or a date. Which of two ratings is the later is decided by fractions of a second, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.datasets.delimited import SHOWN, is_number, number
from matinee.ratings import Times

LATEST = 2**63 - 1
EARLY = 10**8  # March 1973
NEWEST = 4 * 10**9  # 2096
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FINER = ("ms", "us", "ns")
WRITTEN_DAYS = (1900_01_01, 2100_12_31)
"""Numbers that are days as 20200101 writes them."""
NO_TIME = "before 1970, or in 1970 to 1973 where others are later"
ISO = re.compile(r"\d{4}-\d\d")
FORMATS = ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%m %d, %Y", "%d-%b-%Y", "%b %d, %Y")
"""Dates that are not ISO's, and mean one day only."""


@dataclass(frozen=True, eq=False)
class Moments:
    """When ratings were given.

    seconds     (n,) since 1970, -1 where missing
    fraction    (n,) of a second, or None where all are 0
    dated       whether they are written as dates and not as numbers
    """

    seconds: Times
    fraction: NDArray[np.float64] | None = None
    dated: bool = False

    def bad(self) -> NDArray[np.bool_]:
        """Return (n,) whether each is missing or no time after 1970; or in its first years, where others are later."""
        bad = (self.seconds < 0) | (self.seconds >= LATEST)
        if len(self.seconds) and self.seconds.min() < EARLY <= self.seconds.max():
            bad |= self.seconds < EARLY
        return bad

    def order(self) -> NDArray[np.int64] | None:
        """Return the order of time (n,), the rows of one moment in theirs; None where seconds alone decide."""
        return None if self.fraction is None else np.lexsort((self.fraction, self.seconds))

    def where(self, keep: NDArray[np.bool_]) -> Moments:
        """Return those of some rows."""
        return Moments(self.seconds[keep], None if self.fraction is None else self.fraction[keep], self.dated)


def read(text: str) -> tuple[int, float, bool]:
    """Return seconds since 1970, the fraction of a second beyond, and whether it is a date. Raises ValueError.

    >>> read("964982703.5"), read("2015-04-01T20:15:00+02:00")
    ((964982703, 0.5, False), (1427912100, 0.0, True))
    """
    is_date = not is_number(text)
    value = _date(text).timestamp() if is_date else number(text) if not text.isdigit() else int(text)
    if not 0 <= value < LATEST:
        raise ValueError(f"timestamp {text[:SHOWN]} is not a time after 1970, in seconds")
    return int(value), float(value - int(value)), is_date


def _date(text: str) -> datetime:
    moment = _iso(text.removesuffix(" UTC").replace("/", "-")) or _other(text)
    if moment is None:
        raise ValueError(f"timestamp {text[:SHOWN]!r} is neither seconds since 1970 nor a date such as 2015-04-01")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _other(text: str) -> datetime | None:
    for form in FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def of(read_as: Sequence[tuple[int, float, bool]]) -> Moments:
    """Return what `read` made of each row."""
    seconds, fraction, dated = zip(*read_as, strict=True) if read_as else ((), (), ())
    return _moments(np.array(seconds, np.int64), np.array(fraction, np.float64), any(dated))


def column(values: pa.ChunkedArray) -> Moments:
    """Return the times of a column. Raises ValueError where it holds other than numbers, dates and text."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = kind.unit if pa.types.is_timestamp(kind) else "ms"
        stamps = values if pa.types.is_timestamp(kind) else values.cast(pa.timestamp("ms"))
        return _parts(_filled(stamps.cast(pa.int64()), -1), PER_SECOND[unit])
    if pa.types.is_integer(kind):
        return Moments(np.asarray(_filled(values.cast(pa.int64()), -1), np.int64))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = np.asarray(_filled(values.cast(pa.float64()), np.nan), np.float64)
        numbers = np.where((numbers >= 0) & (numbers < LATEST), numbers, -1)
        return _moments(np.floor(numbers).astype(np.int64), numbers - np.floor(numbers), False)
    if pa.types.is_null(kind):
        return Moments(np.full(len(values), -1, np.int64))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return of([_read_or_missing(text) for text in values.to_pylist()])
    raise ValueError(f"the column of times holds {kind}, which is neither a number nor a date")


def _read_or_missing(text: str | None) -> tuple[int, float, bool]:
    try:
        return read((text or "").strip())
    except ValueError:
        return -1, 0.0, False


def _parts(stamps: NDArray[np.int64], per_second: int) -> Moments:
    seconds, rest = np.divmod(stamps, per_second)
    return _moments(seconds, rest / per_second, True)


def _moments(seconds: Times, fraction: NDArray[np.float64], dated: bool) -> Moments:
    return Moments(seconds, fraction if fraction.any() else None, dated)


def _filled(column: pa.ChunkedArray, value: float) -> NDArray[np.int64]:
    filled = pc.fill_null(column, pa.scalar(value, column.type)) if column.null_count else column
    return np.asarray(filled.to_numpy())


def in_seconds(numbers: Times, *, named: bool = False) -> tuple[Times | None, str]:
    """Return a column of numbers as seconds since 1970, and what they were written in: "s", "ms", "us", "ns", "date".

    Days such as 20200101 are dates. Numbers too small to be times are none (None, ""), unless the column was `named`.
    Raises ValueError where they are on several of these scales, or on none.

    >>> in_seconds(np.array([1_700_000_000_123, 1_700_000_001_000]))
    (array([1700000000, 1700000001]), 'ms')
    >>> in_seconds(np.array([20200101, 20200102]))
    (array([1577836800, 1577923200]), 'date')
    >>> in_seconds(np.array([1, 5, 3]))
    (None, '')
    """
    if not len(numbers):
        return numbers, "s"
    lowest, highest = int(numbers.min()), int(numbers.max())
    if WRITTEN_DAYS[0] <= lowest and highest <= WRITTEN_DAYS[1]:
        days = _days(numbers)
        if days is not None:
            return days, "date"
        if named:
            raise ValueError(f"timestamps {lowest} to {highest} look like days as 20200101, and some are no days")
    unit = next((unit for unit, many in PER_SECOND.items() if highest < NEWEST * many), None)
    if unit is None:
        raise ValueError(f"timestamp {highest} is no time in seconds, ms, us or ns")
    seconds = numbers // PER_SECOND[unit]
    if unit == "s":
        return (seconds, unit) if named or highest >= EARLY else (None, "")
    if np.any((numbers > 0) & (seconds < EARLY)):
        early = int(numbers[(numbers > 0) & (seconds < EARLY)][0])
        raise ValueError(f"timestamps {early} and {highest} are on different scales; write all of them in seconds")
    return seconds, unit


def unit_of(text: str) -> str:
    """Return what a number of today's times is written in: "s", "ms", "us" or "ns"; "" where it is none.

    >>> unit_of("1700000000123"), unit_of("1700000000"), unit_of("5")
    ('ms', 's', '')
    """
    if not (text.isascii() and text.isdigit()) or int(text) < EARLY:
        return ""
    return next((unit for unit, many in PER_SECOND.items() if int(text) < NEWEST * many), "")


def iso(text: str) -> str:
    """Return a time as text that sorts: a date of ISO as it is, a number as one; "" for any other.

    >>> iso("2024-01-01"), iso("1700000000123"), iso("yesterday")
    ('2024-01-01', '2023-11-14T22:13:20.123000000', '')
    """
    if ISO.match(text) or not (unit := unit_of(text)):
        return text if ISO.match(text) else ""
    seconds, rest = divmod(int(text), PER_SECOND[unit])
    nanoseconds = rest * PER_SECOND["ns"] // PER_SECOND[unit]
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}"


def _days(numbers: Times) -> Times | None:
    """Return seconds since 1970 of days such as 20200101, None where some is no day."""
    written, which = np.unique(numbers, return_inverse=True)
    texts = [f"{day // 10_000:04}-{day // 100 % 100:02}-{day % 100:02}" for day in written.tolist()]
    try:
        days = np.array(texts, "datetime64[s]").astype(np.int64)
    except ValueError:
        return None
    return np.asarray(days[which], np.int64)
