"""Delimited text: the one strict reader of tables, line by line, for every door.

bytes --delimiter, quotes, header--> Text --rows()--> Row(line, fields, rule)

A line that breaks a rule becomes a Row that says which. None is swallowed: a quote that is not closed makes its own
line bad, not the ones behind it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from matinee.datasets import headers, quoting
from matinee.errors import DataError

DELIMITERS = ("::", "\t", ";", ",", "|")
NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
SAMPLE_LINES = 50
SAMPLE_BYTES = 1 << 18
MOST_LINES = 100  # that one quoted field may have
SHOWN = 60  # characters of what somebody wrote
RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")


class Row(NamedTuple):
    """A line (or lines, where a quoted field has several): its fields, stripped, or the rule that it breaks.

    `is_clean` is False where quotes stand in the midst of a field, as no program writes them.
    """

    line: int
    fields: list[str]
    rule: str = ""
    is_clean: bool = True


@dataclass(frozen=True)
class Text:
    """A table in delimited text.

    name         how messages call it
    header       names of the columns, as written or as given
    delimiter    one of DELIMITERS
    above        lines above the first row: those of the header and blank ones
    named        False where the columns of a file without header have no names
    numeric      the columns that hold numbers in the first rows
    """

    name: str
    data: bytes | Path
    header: tuple[str, ...]
    delimiter: str
    above: int
    named: bool = True
    numeric: frozenset[int] = frozenset()

    def rows(self) -> Iterator[Row]:
        """Yield every line that is not blank, in order."""
        with _opened(self.data) as file:
            lines = _lines(file)
            for _ in range(self.above):
                next(lines, None)
            yield from self._rows(lines)

    def _rows(self, lines: Iterator[str]) -> Iterator[Row]:
        ahead: deque[str] = deque()
        number = self.above
        while line := ahead.popleft() if ahead else next(lines, ""):
            number += 1
            if '"' not in line or self.delimiter == "::":
                if line.strip():
                    yield self._row(number, line.rstrip("\r\n").split(self.delimiter), '"' not in line)
                continue
            fields, rule = _parsed(line, self.delimiter)
            taken = 0
            if rule == UNCLOSED:
                fields, rule, taken = self._over_lines(line, ahead, lines)
            whole = " ".join([line, *list(ahead)[:taken]]).replace("\n", " ").replace("\r", " ").strip()
            has_quote = any('"' in field for field in fields)
            is_clean = not has_quote or quoting.is_clean(whole.encode("utf-8", "replace"), self.delimiter)
            yield Row(number, fields, rule) if rule else self._row(number, fields, is_clean)
            for _ in range(taken):
                ahead.popleft()
            number += taken

    def _row(self, number: int, fields: list[str], is_clean: bool) -> Row:
        if len(fields) == len(self.header):
            return Row(number, [field.strip() for field in fields], "", is_clean)
        shown = ", ".join(self.header)[: 2 * SHOWN]
        return Row(number, fields, f"it has {len(fields)} fields where {len(self.header)} are expected ({shown})")

    def _over_lines(self, line: str, ahead: deque[str], lines: Iterator[str]) -> tuple[list[str], str, int]:
        """Return the fields of a row with a quoted field over several lines, the rule it breaks, and the lines more."""
        for more in range(1, MOST_LINES):
            if len(ahead) < more:
                if not (following := next(lines, "")):
                    break
                ahead.append(following)
            following = ahead[more - 1]
            if self._is_row(following):
                return [], UNCLOSED, 0
            if following.count('"') % 2:
                fields, rule = _parsed(line + "".join(list(ahead)[:more]), self.delimiter)
                return (fields, "", more) if not rule else ([], rule, 0)
        return [], UNCLOSED, 0

    def _is_row(self, line: str) -> bool:
        """Return whether a line is a row of its own: with all fields, and numbers where they are expected."""
        fields, rule = _parsed(line, self.delimiter)
        if rule:
            fields = line.replace('"', "").strip().split(self.delimiter)
        return len(fields) == len(self.header) and all(is_number(fields[at]) for at in self.numeric)


UNCLOSED = "a quote that opens on it is not closed"


def read(
    data: bytes | Path,
    name: str,
    columns: Sequence[str] | None = None,
    *,
    named: Collection[str] = (),
    fallback: str | None = None,
) -> Text:
    """Find how a text file is laid out.

    columns     the names of the columns of a file without header
    named       names by which columns are asked for: a first line with one of these is a header
    fallback    encoding of a file that is not UTF-8; without, its bytes become lone surrogates

    A file without header whose first line is three or four numbers has the columns user, movie, rating and perhaps
    timestamp, as in ml-1m and ml-100k. Raises DataError where the file is empty or not text.
    """
    data = _as_utf8(data, fallback)
    sample, above = _sample(data, name)
    delimiter = _delimiter(sample)
    rows = [_fields(line, delimiter) for line in sample]
    if columns is not None:
        return _without_header(name, data, tuple(columns), delimiter, above, rows)
    first = tuple(rows[0])
    if is_header(first, named):
        _check_quotes(name, above + 1, sample[0], delimiter)
        return Text(name, data, first, delimiter, above + 1, numeric=_numeric(rows[1:], len(first)))
    usual = usual_columns(first)
    text = _without_header(name, data, usual or _numbered(len(first)), delimiter, above, rows)
    return text if usual else replace(text, named=False)


def _check_quotes(name: str, line: int, header: str, delimiter: str) -> None:
    """Raise DataError where the quotes in a line of column names are not those of CSV."""
    rule = _parsed(header, delimiter)[1] if delimiter != "::" else ""
    if not rule and '"' in header and not quoting.is_clean(header.encode("utf-8", "replace"), delimiter):
        rule = "a quote stands in the midst of a column's name"
    if rule:
        raise DataError(f"{name} line {line}: {rule}")


def shown(text: Text) -> str:
    """Return the first line of a table, for a message."""
    first = next(text.rows(), Row(0, []))
    return repr(text.delimiter.join(first.fields)[: 2 * SHOWN])


def is_header(first: Sequence[str], named: Collection[str] = ()) -> bool:
    """Return whether a first line holds names: one that is known or asked for, or nothing that is a number."""
    if any(name in named for name in first):
        return True
    plain = {headers.plain(name) for name in first}
    known = any(plain & set(usual) for usual in headers.COLUMNS.values())
    return known or not any(map(is_number, first))


def number(text: str) -> float:
    """Return a number as people and programs write it, with a decimal point or comma. Raises ValueError.

    >>> number("4.5"), number("4,5"), number("1e3")
    (4.5, 4.5, 1000.0)
    """
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{text[:SHOWN]!r} is not a number")
    return float(text.replace(",", "."))


def is_number(text: str) -> bool:
    """Return whether `number` reads a text."""
    return NUMBER.fullmatch(text.strip()) is not None


def _parsed(line: str, delimiter: str) -> tuple[list[str], str]:
    """Return the fields of a line and the rule that its quotes break, if any."""
    reader = csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        return next(reader), ""
    except csv.Error as problem:
        if "end of data" in str(problem):
            return [], UNCLOSED
        return [], f"its quotes are not those of CSV ({problem}); a quote in a quoted field is written twice"


def _fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of a sample line, whatever is wrong with it."""
    if delimiter == "::" or '"' not in line:
        return [field.strip() for field in line.strip("\r\n").split(delimiter)]
    fields, rule = _parsed(line, delimiter)
    return [field.strip() for field in (line.strip("\r\n").split(delimiter) if rule else fields)]


def _delimiter(lines: Sequence[str]) -> str:
    """Return what parts most lines into as many fields as the first, and these into most.

    >>> _delimiter(["Const;Your Rating"]), _delimiter(["1;10;4,5", "1;11;3,0"]), _delimiter(["rating"])
    (';', ';', ',')
    """

    def score(mark: str) -> tuple[bool, float, int]:
        counts = [len(_fields(line, mark)) for line in lines]
        return counts[0] > 1, round(counts.count(counts[0]) / len(counts), 1), counts[0]

    best = max(DELIMITERS, key=score)
    return best if score(best)[0] else ","


def usual_columns(first: Sequence[str]) -> tuple[str, ...] | None:
    """Return the columns of a file whose first line is three or four numbers, None for another."""
    if not (3 <= len(first) <= len(RATING_COLUMNS) and all(map(is_number, first))):
        return None
    return RATING_COLUMNS[: len(first)]


def _without_header(
    name: str, data: bytes | Path, columns: tuple[str, ...], delimiter: str, above: int, rows: list[list[str]]
) -> Text:
    if len(rows[0]) != len(columns):
        raise DataError(
            f"{name} has {len(rows[0])} columns in its first line, and {len(columns)} are named "
            f"({', '.join(columns)}); name each of them, - for one that is not read"
        )
    return Text(name, data, columns, delimiter, above, numeric=_numeric(rows, len(columns)))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"column {at}" for at in range(1, count + 1))


def _numeric(rows: Sequence[Sequence[str]], count: int) -> frozenset[int]:
    """Return the columns in which most of these rows have numbers."""
    whole = [row for row in rows if len(row) == count]
    return frozenset(at for at in range(count) if whole and 2 * sum(is_number(row[at]) for row in whole) > len(whole))


def _sample(data: bytes | Path, name: str) -> tuple[list[str], int]:
    """Return the first lines that are not blank, and how many blank ones are above them."""
    with _opened(data) as file:
        head = file.read(SAMPLE_BYTES)
    lines = [line for _, line in zip(range(SAMPLE_LINES + 1), _lines(io.BytesIO(head)), strict=False)]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise DataError(f"{name} is empty; it should begin with a line of column names")
    if not filled[0].replace("\t", " ").strip().isprintable():
        raise DataError(f"{name} is not text; name a CSV, TSV, JSON or Parquet file")
    if len(head) == SAMPLE_BYTES and len(filled) > 1:
        filled.pop()  # it may be cut
    return filled, lines.index(filled[0])


def _lines(file: BinaryIO) -> Iterator[str]:
    return iter(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""))


def _opened(data: bytes | Path) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


def _as_utf8(data: bytes | Path, fallback: str | None) -> bytes | Path:
    """Return a file in UTF-8: spreadsheets save as UTF-16, old exports in Latin-1."""
    with _opened(data) as file:
        is_utf16 = file.read(2) in UTF16
    if not is_utf16 and fallback is None:
        return data
    raw = data if isinstance(data, bytes) else data.read_bytes()
    try:
        return raw.decode("utf-16" if is_utf16 else "utf-8").encode()
    except UnicodeDecodeError:
        return raw.decode(fallback or "latin-1").encode()
