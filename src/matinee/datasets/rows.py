"""Rating rows: read fast by Arrow where a file is clean, and line by line where it is not.

    Text --Arrow--> columns --rules--> Rows
              |                  |
              +---- refused -----+--> line by line, which names the line, or skips and counts

Both ways give the same rows.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from matinee.catalog import SCHEMA
from matinee.datasets import identifiers, times
from matinee.datasets.delimited import Row, Text, number
from matinee.datasets.identifiers import MAX_ID as MAX_ID
from matinee.datasets.quoting import is_clean
from matinee.datasets.scales import distinct
from matinee.datasets.times import Moments
from matinee.errors import DataError
from matinee.ratings import Scale, Stars, Times

OnBadRows = Literal["error", "skip"]
Rating = tuple[str, str, float, tuple[int, float, bool] | None]
"""User, movie, stars and time, as `times.read` gives it."""
BLOCK = 1 << 22


@dataclass(frozen=True)
class Layout:
    """Which columns of a header are which; `timestamp` may be None. A file whose header this is has one or has not.

    `not_rated` are stars that mean so, None where none do.
    """

    header: tuple[str, ...]
    user: str = "userId"
    movie: str = "movieId"
    rating: str = "rating"
    timestamp: str | None = "timestamp"
    delimiter: str = ","
    has_header: bool = True
    not_rated: float | None = None

    @property
    def wanted(self) -> list[str]:
        """The names of the columns that are read."""
        return [self.user, self.movie, self.rating] + ([self.timestamp] if self.timestamp else [])

    @property
    def taken(self) -> dict[str, str]:
        """Which column is taken for what."""
        named = {"user": self.user, "movie": self.movie, "rating": self.rating, "timestamp": self.timestamp}
        return {what: column for what, column in named.items() if column is not None}

    @property
    def places(self) -> list[int]:
        """Where in a row these columns stand."""
        return [self.header.index(name) for name in self.wanted]


@dataclass(frozen=True, eq=False)
class Rows:
    """Ratings as they stand in a file.

    users, movies   (n,) dictionary-encoded ids
    stars, times    (n,); `times` is None where the data has none
    skipped         rows left out
    bad             the place of the first of these and the rule that it breaks
    unrated         rows whose stars mean "not rated", left out
    dated           whether times are written as dates, not as numbers
    columns         {"user": "userId", ...}: which column was taken for what
    """

    users: pa.ChunkedArray
    movies: pa.ChunkedArray
    stars: Stars
    times: Times | None
    skipped: int = 0
    bad: str = ""
    unrated: int = 0
    dated: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)


class Lines(Protocol):
    """A table that is read line by line."""

    @property
    def name(self) -> str: ...

    @property
    def header(self) -> tuple[str, ...]: ...

    def rows(self) -> Iterator[Row]: ...


def read_text(text: Text, layout: Layout, scale: Scale | None, on_bad_rows: OnBadRows) -> Rows:
    """Read the ratings of a text file; `scale` None takes any finite number.

    Raises DataError naming line, value and rule where a row is bad and `on_bad_rows` is "error".
    """
    try:
        columns = _parsed(text, layout)
    except (pa.ArrowInvalid, ValueError):
        columns = None
    if columns is None:
        return read_lines(text, layout, scale, on_bad_rows)
    rated, unrated = columns.rated(layout.not_rated)
    if rated.bad(scale).any():
        return read_lines(text, layout, scale, on_bad_rows)
    return replace(rated.rows(), unrated=unrated)


def read_table(where: str, table: pa.Table, layout: Layout, scale: Scale | None, on_bad_rows: OnBadRows) -> Rows:
    """Read the ratings of a table with typed columns. Raises DataError naming the first bad row and its rule."""
    try:
        columns = Columns.of(*(_chunked(table[name]) for name in layout.wanted))
    except ValueError as problem:
        raise DataError(f"{where}: {problem}; name another column") from None
    stays = columns.are_rated(layout.not_rated)
    bad = columns.bad(scale) & stays
    count, unrated = int(np.count_nonzero(bad)), int(np.count_nonzero(~stays))
    if not count:
        return replace(columns.rated(layout.not_rated)[0].rows(), unrated=unrated)
    at = int(bad.argmax())
    place = f"{where} row {at + 1}: {_rule_of(table.slice(at, 1), layout, scale)}"
    if on_bad_rows == "error":
        more = f" ({count:,} rows break a rule)" if count > 1 else ""
        raise DataError(f"{place}{more}; or leave bad rows out with `on_bad_rows='skip'`")
    return replace(columns.where(stays & ~bad).rows(count, place), unrated=unrated)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of ratings as they are read, bad rows among them: null ids, NaN stars, times of -1."""

    users: pa.ChunkedArray
    movies: pa.ChunkedArray
    stars: Stars
    moments: Moments | None

    @classmethod
    def of(
        cls,
        users: pa.ChunkedArray,
        movies: pa.ChunkedArray,
        stars: pa.ChunkedArray,
        when: pa.ChunkedArray | None = None,
    ) -> Columns:
        """Read columns of any type. Raises ValueError where one holds what it cannot."""
        return cls(
            identifiers.column(users, "user"),
            identifiers.column(movies, "movie"),
            _numbers(stars),
            None if when is None else times.column(when),
        )

    def bad(self, scale: Scale | None) -> NDArray[np.bool_]:
        """Return (n,) whether each row breaks a rule."""
        bad = ~np.isfinite(self.stars) if scale is None else ~self._on(scale)
        if self.moments is not None:
            bad |= self.moments.bad()
        for ids in (self.users, self.movies):
            if ids.null_count:
                bad |= np.asarray(pc.is_null(ids))
        return bad

    def _on(self, scale: Scale) -> NDArray[np.bool_]:
        """Return whether stars are on a scale; of few different numbers each is looked at once."""
        if len(self.stars) and scale.holds(distinct(self.stars)).all():
            return np.ones(len(self.stars), bool)
        return scale.holds(self.stars)

    def are_rated(self, not_rated: float | None) -> NDArray[np.bool_]:
        """Return (n,) whether the stars of each row mean other than "not rated"."""
        return np.ones(len(self.stars), bool) if not_rated is None else self.stars != np.float32(not_rated)

    def rated(self, not_rated: float | None) -> tuple[Columns, int]:
        """Return the rows of which that is so, and how many others there are."""
        keep = self.are_rated(not_rated)
        return (self, 0) if keep.all() else (self.where(keep), int(np.count_nonzero(~keep)))

    def where(self, keep: NDArray[np.bool_]) -> Columns:
        mask = pa.array(keep)
        moments = None if self.moments is None else self.moments.where(keep)
        return Columns(self.users.filter(mask), self.movies.filter(mask), self.stars[keep], moments)

    def rows(self, skipped: int = 0, bad: str = "") -> Rows:
        """Return good rows; the later of two in one second stands behind the other."""
        if self.moments is None:
            return Rows(self.users, self.movies, self.stars, None, skipped, bad)
        dated, order = self.moments.dated, self.moments.order()
        rows = Rows(self.users, self.movies, self.stars, self.moments.seconds, skipped, bad, dated=dated)
        return rows if order is None else taken(rows, order)


def taken(rows: Rows, order: NDArray[np.int64]) -> Rows:
    """Return the rows in another order."""
    places, times = pa.array(order), None if rows.times is None else rows.times[order]
    users, movies = rows.users.take(places), rows.movies.take(places)
    return replace(rows, users=users, movies=movies, stars=rows.stars[order], times=times)


def _chunked(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _numbers(column: pa.ChunkedArray) -> Stars:
    """Return a column of stars, NaN where there is no number. Raises ValueError where it cannot hold numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return np.array([_number_or_nan(text) for text in column.to_pylist()], np.float32)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind) or _is_flag(kind)):
        raise ValueError(f"the column of ratings holds {kind}, which is no number")
    numbers = (
        column if kind == pa.float32() else column.cast(pa.float64() if _is_exact(kind) else pa.float32(), safe=False)
    )
    filled = pc.fill_null(numbers, pa.scalar(math.nan, numbers.type)) if numbers.null_count else numbers
    return np.asarray(filled.to_numpy(), np.float32)


def _is_exact(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind))


def _is_flag(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _number_or_nan(text: str | None) -> float:
    try:
        return number((text or "").strip())
    except ValueError:
        return math.nan


def _parsed(text: Text, layout: Layout) -> Columns | None:
    """Return the columns as Arrow reads them, None where its reader and the one of lines may differ."""
    with _bytes(text.data) as raw:
        has_quotes = raw.find(b'"') >= 0
        if has_quotes and not is_clean(raw, text.delimiter):
            return None
        if text.delimiter == "::" and raw.find(b"\t") >= 0:
            return None
    data, delimiter = text.data, text.delimiter
    if delimiter == "::":
        whole = data if isinstance(data, bytes) else data.read_bytes()
        data, delimiter = whole.replace(b"::", b"\t"), "\t"
    names = [str(at) for at in range(len(layout.header))]
    user, movie, rating, *when = (names[at] for at in layout.places)
    table = pacsv.read_csv(
        pa.BufferReader(data) if isinstance(data, bytes) else data,
        read_options=pacsv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=text.above),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if has_quotes else False),
        convert_options=pacsv.ConvertOptions(
            include_columns=[user, movie, rating, *when],
            column_types={user: identifiers.ENCODED, movie: identifiers.ENCODED, rating: pa.float32()},
            strings_can_be_null=False,
            decimal_point="," if _has_decimal_commas(text, layout) else ".",
        ),
    )
    if when and not _holds_times(table[when[0]].type):
        return None
    return Columns.of(*(table[name] for name in (user, movie, rating, *when)))


@contextmanager
def _bytes(data: bytes | Path) -> Iterator[bytes | mmap.mmap]:
    """Give the block a file's bytes to look at."""
    if isinstance(data, bytes) or not data.stat().st_size:
        yield data if isinstance(data, bytes) else b""
        return
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _has_decimal_commas(text: Text, layout: Layout) -> bool:
    at = layout.places[2]
    first = next((row for row in text.rows() if not row.rule), None)
    return first is not None and "," in first.fields[at]


def _holds_times(kind: pa.DataType) -> bool:
    """Return whether Arrow took a column for what `times.read` takes it for."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)) and not bool(
        pa.types.is_time(kind) or pa.types.is_duration(kind)
    )


def read_lines(lines: Lines, layout: Layout, scale: Scale | None, on_bad_rows: OnBadRows) -> Rows:
    """Read line by line: the first bad row is an error, or bad rows are skipped and counted."""
    ratings: list[Rating] = []
    numbers: list[int] = []
    skipped, unrated, bad, places = 0, 0, "", layout.places
    for row in lines.rows():
        if not row.rule and _is_unrated(row.fields[places[2]], layout.not_rated):
            unrated += 1
            continue
        try:
            ratings.append(_good_rating(row, places, scale, ratings))
        except ValueError as problem:
            place = _place(lines.name, row.line, str(problem), on_bad_rows)
            skipped, bad = skipped + 1, bad or place
        else:
            numbers.append(row.line)
    users, movies, stars, when = zip(*ratings, strict=True) if ratings else ((), (), (), ())
    moments = times.of(when) if layout.timestamp else None
    columns = Columns(_encoded(users), _encoded(movies), np.array(stars, np.float32), moments)
    late = columns.bad(None)
    if late.any():
        at = int(late.argmax())
        bad = bad or _place(
            lines.name, numbers[at], f"timestamp of {when[at][0]} seconds is {times.NO_TIME}", on_bad_rows
        )
        return replace(columns.where(~late).rows(skipped + int(late.sum()), bad), unrated=unrated)
    return replace(columns.rows(skipped, bad), unrated=unrated)


def _is_unrated(stars: str, not_rated: float | None) -> bool:
    return not_rated is not None and _number_or_nan(stars) == not_rated


def _place(name: str, line: int, rule: str, on_bad_rows: OnBadRows) -> str:
    """Return where a rule is broken. Raises DataError where bad rows are errors."""
    if on_bad_rows == "error":
        raise DataError(f"{name} line {line}: {rule}; or leave bad rows out with `on_bad_rows='skip'`")
    return f"{name} line {line}: {rule}"


def _encoded(ids: Sequence[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(ids, pa.string())]).dictionary_encode().cast(identifiers.ENCODED)


def _good_rating(row: Row, places: Sequence[int], scale: Scale | None, before: Sequence[Rating]) -> Rating:
    """Return user, movie, stars and time of a row. Raises ValueError with the rule that it breaks."""
    if row.rule:
        raise ValueError(row.rule)
    user, movie, stars, *when = (row.fields[at] for at in places)
    if not row.is_clean and '"' in user + movie:
        raise ValueError(f"a quote stands in the midst of an id, {user!r} or {movie!r}")
    rating = _rating(user, movie, stars, when[0] if when else None, scale)
    if when and before and before[0][3] is not None and rating[3] is not None and before[0][3][2] != rating[3][2]:
        raise ValueError(
            f"timestamp {when[0]!r} is {_written(rating[3][2])} where the first row has {_written(before[0][3][2])}"
        )
    return rating


def _written(is_date: bool) -> str:
    return "a date" if is_date else "a number"


def _rating(user: str, movie: str, stars: str, when: str | None, scale: Scale | None) -> Rating:
    known_user, known_movie = identifiers.read(user, "user"), identifiers.read(movie, "movie")
    try:
        value = number(stars)
    except ValueError:
        raise ValueError(f"rating {stars[:MAX_ID]!r} is not a number") from None
    if rule := stars_rule(float(np.float32(value)), scale):
        raise ValueError(rule)
    return known_user, known_movie, value, None if when is None else times.read(when)


def _rule_of(row: pa.Table, layout: Layout, scale: Scale | None) -> str:
    """Return the rule that a row of a table breaks."""
    for name, what in ((layout.user, "user"), (layout.movie, "movie")):
        if rules := identifiers.rules(_chunked(row[name]), what):
            return rules[0]
    stars = float(_numbers(_chunked(row[layout.rating]))[0])
    given = row[layout.rating][0].as_py()
    if math.isnan(stars):
        return "the rating is missing" if given is None or given != given else f"rating {given!r} is not a number"
    return stars_rule(stars, scale) or f"timestamp {row[layout.timestamp][0].as_py()!r} is missing or {times.NO_TIME}"


def stars_rule(value: float, scale: Scale | None) -> str | None:
    """Return why this cannot be a rating, or None."""
    if not math.isfinite(value):
        return f"rating {value} is not a finite number"
    rule = scale.check(value) if scale is not None else None
    return f"{rule}; use `scale='LOW:HIGH'`, such as 1:10, if the data is on another scale" if rule else None


def joined(parts: Iterable[Rows]) -> Rows:
    """Return the rows of several files as those of one."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    timed = [part.times for part in found if part.times is not None]
    return Rows(
        _appended([part.users for part in found]),
        _appended([part.movies for part in found]),
        np.concatenate([part.stars for part in found]),
        np.concatenate(timed) if len(timed) == len(found) else None,
        sum(part.skipped for part in found),
        next((part.bad for part in found if part.bad), ""),
        sum(part.unrated for part in found),
        any(part.dated for part in found),
        found[0].columns,
    )


def _appended(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    chunks = [chunk for column in columns for chunk in column.chunks]
    return pa.chunked_array(chunks, identifiers.ENCODED).unify_dictionaries()


def no_movies() -> pa.Table:
    """Return a movie table without rows."""
    return SCHEMA.empty_table()
