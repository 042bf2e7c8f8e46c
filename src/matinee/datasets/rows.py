"""Rating rows in a delimited text file: read fast by Arrow, and row by row where a rule is broken.

    bytes --Arrow--> columns --rules--> Rows
              |                  |
              +---- refused -----+--> the row reader, which names the line, or skips and counts

Ids are read as dictionary-encoded strings, so "007" is not 7.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset, Facts
from matinee.errors import DataError
from matinee.ids import Ids, Positions
from matinee.ratings import Ratings, Scale, Stars, Times

OnBadRows = Literal["error", "skip"]
ID = pa.dictionary(pa.int32(), pa.string())
BLOCK = 1 << 22
MAX_ID = 256
COMMON_SCALES = (Scale(1, 5, 1), Scale(0.5, 5, 0.5), Scale(1, 10, 1), Scale(0.5, 10, 0.5))


@dataclass(frozen=True)
class Layout:
    """Where the fields of a rating stand.

    header      names of the columns in the file; `has_header` says whether its first line repeats them
    user, movie, rating, timestamp     which of them is which; timestamp may be None
    """

    header: tuple[str, ...]
    user: str = "userId"
    movie: str = "movieId"
    rating: str = "rating"
    timestamp: str | None = "timestamp"
    delimiter: str = ","
    has_header: bool = True

    @property
    def wanted(self) -> list[str]:
        """The names of the columns that are read."""
        return [self.user, self.movie, self.rating] + ([self.timestamp] if self.timestamp else [])


@dataclass(frozen=True, eq=False)
class Rows:
    """Ratings as they stand in a file: dictionary-encoded ids (n,), stars (n,), times (n,) or None; rows left out."""

    users: pa.ChunkedArray
    movies: pa.ChunkedArray
    stars: Stars
    times: Times | None
    skipped: int = 0


def read_text(name: str, data: Path | bytes, layout: Layout, scale: Scale | None, on_bad_rows: OnBadRows) -> Rows:
    """Read the ratings of one file; `name` is how errors call it, `scale` None takes any finite number.

    Raises DataError naming line, value and rule where a row is bad and `on_bad_rows` is "error".
    """
    try:
        rows = columns_of(_parse(data, layout), layout)
    except pa.ArrowInvalid:
        rows = None
    if rows is None or broken_rule(rows, scale):
        return _row_by_row(name, data, layout, scale, on_bad_rows)
    return rows


def _parse(data: Path | bytes, layout: Layout) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(data) if isinstance(data, bytes) else data,
        read_options=pacsv.ReadOptions(
            block_size=BLOCK, column_names=list(layout.header), skip_rows=1 if layout.has_header else 0
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=layout.delimiter, quote_char='"' if layout.delimiter == "," else False
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=layout.wanted,
            column_types={layout.user: ID, layout.movie: ID, layout.rating: pa.float32()},
            strings_can_be_null=False,
        ),
    )


def columns_of(table: pa.Table, layout: Layout) -> Rows:
    """Return a table's rating columns as Rows. Raises ArrowInvalid where they cannot be numbers or times."""
    users, movies = (_encoded(table[name]) for name in (layout.user, layout.movie))
    stars = _filled(table[layout.rating].cast(pa.float32()), np.nan)
    times = None if layout.timestamp is None else _seconds(table[layout.timestamp])
    return Rows(users, movies, np.asarray(stars, np.float32), times)


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ids as dictionary-encoded text, all chunks with one dictionary."""
    if pa.types.is_dictionary(column.type):
        return column.cast(ID).unify_dictionaries()
    if pa.types.is_floating(column.type):
        column = column.cast(pa.int64())  # a data frame's integer ids with gaps; refused where they are not whole
    encoded = column.dictionary_encode()  # one dictionary for all chunks, where unify_dictionaries takes minutes
    if not encoded.num_chunks:
        return pa.chunked_array([], ID)
    texts = encoded.chunk(0).dictionary.cast(pa.string())
    return pa.chunked_array([pa.DictionaryArray.from_arrays(chunk.indices, texts) for chunk in encoded.chunks])


def _filled(column: pa.ChunkedArray, value: float) -> NDArray[np.generic]:
    return cast(NDArray[np.generic], pc.fill_null(column, pa.scalar(value, column.type)).to_numpy())


def _seconds(column: pa.ChunkedArray) -> Times:
    """Return seconds since 1970, -1 where missing."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s", "UTC" if getattr(column.type, "tz", None) else None), safe=False)
    elif pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int64)
    return np.asarray(_filled(column.cast(pa.int64()), -1), np.int64)


def broken_rule(rows: Rows, scale: Scale | None) -> str | None:
    """Return the first rule that some row breaks, None where all are good."""
    for ids, what in ((rows.users, "user"), (rows.movies, "movie")):
        if ids.null_count:
            return f"a {what} id is missing"
        values = ids.chunk(0).dictionary if ids.num_chunks else pa.array([], pa.string())
        if rule := next((rule for value in values.to_pylist() if (rule := id_rule(value, what))), None):
            return rule
    if len(rows.stars):
        low, high = float(np.min(rows.stars)), float(np.max(rows.stars))
        for value in (low, high):
            if rule := stars_rule(value, scale):
                return rule
    if rows.times is not None and len(rows.times) and rows.times.min() < 0:
        return "a timestamp is missing or before 1970"
    return None


def id_rule(value: str, what: str) -> str | None:
    """Return why this cannot be an id, or None."""
    if not value or not value.isprintable():
        return f"{what} id {value!r} must be printable text and not empty"
    if len(value) > MAX_ID:
        return f"{what} id {value[:20]!r}... is longer than {MAX_ID} characters"
    if value.startswith("~"):
        return f"{what} id {value!r} begins with ~, which is kept for visitors of the page"
    return None


def stars_rule(value: float, scale: Scale | None) -> str | None:
    """Return why this cannot be a rating, or None."""
    if not math.isfinite(value):
        return f"rating {value} is not a finite number"
    if scale is not None and value not in scale:
        return (
            f"rating {value:.6g} is outside {scale.low:g} to {scale.high:g}; "
            "use `scale='LOW:HIGH'`, such as 1:10, if the data is on another scale"
        )
    return None


def _row_by_row(name: str, data: Path | bytes, layout: Layout, scale: Scale | None, on_bad_rows: OnBadRows) -> Rows:
    """Read in Python: the first bad row is an error, or bad rows are skipped and counted."""
    users, movies, stars, times, skipped = [], [], [], [], 0
    for line, fields in _fields(data, layout):
        try:
            user, movie, value, time = _rating(fields, layout, scale)
        except ValueError as problem:
            if on_bad_rows == "error":
                raise DataError(
                    f"{name} line {line}: {problem}; or leave bad rows out with `on_bad_rows='skip'`"
                ) from None
            skipped += 1
            continue
        users.append(user)
        movies.append(movie)
        stars.append(value)
        times.append(time)
    ids = [pa.chunked_array([pa.array(values, pa.string())]).dictionary_encode() for values in (users, movies)]
    known_times = np.array(times, np.int64) if layout.timestamp else None
    return Rows(_encoded(ids[0]), _encoded(ids[1]), np.array(stars, np.float32), known_times, skipped)


def _fields(data: Path | bytes, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    with _opened(data) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        quoted = layout.delimiter == ","
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        if layout.has_header:
            next(reader, None)
        for fields in reader:
            if fields:
                yield reader.line_num, fields


def _opened(data: Path | bytes) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


def _rating(fields: list[str], layout: Layout, scale: Scale | None) -> tuple[str, str, float, int]:
    """Return user, movie, stars and time of one row. Raises ValueError with the rule it breaks."""
    if len(fields) != len(layout.header):
        raise ValueError(
            f"it has {len(fields)} fields where {len(layout.header)} are expected ({', '.join(layout.header)})"
        )
    row = dict(zip(layout.header, fields, strict=True))
    user, movie = row[layout.user], row[layout.movie]
    try:
        stars = float(row[layout.rating])
    except ValueError:
        raise ValueError(f"rating {row[layout.rating]!r} is not a number") from None
    time = _time(row[layout.timestamp]) if layout.timestamp else 0
    if rule := id_rule(user, "user") or id_rule(movie, "movie") or stars_rule(stars, scale):
        raise ValueError(rule)
    return user, movie, stars, time


def _time(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"timestamp {text!r} is neither seconds since 1970 nor a date such as 2015-04-01"
            ) from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 2**53:
        raise ValueError(f"timestamp {text} is not a time after 1970, in seconds")
    return int(seconds)


def infer_scale(stars: Stars) -> Scale:
    """Return the scale that a data set seems to use: a common one that holds every value, or lowest to highest.

    >>> infer_scale(np.array([1, 4, 5], np.float32)), infer_scale(np.array([0, 40, 100], np.float32))
    (Scale(low=1, high=5, step=1), Scale(low=0.0, high=100.0, step=40.0))
    """
    values = np.unique(stars).astype(np.float64)
    for scale in COMMON_SCALES:
        if len(values) and values[0] >= scale.low and values[-1] <= scale.high and _on_grid(values, scale):
            return scale
    if len(values) < 2:
        return Scale(float(values[0]), float(values[0]) + 1) if len(values) else COMMON_SCALES[1]
    step = float(np.diff(values).min()) if len(values) <= 101 else None
    return Scale(float(values[0]), float(values[-1]), step)


def _on_grid(values: NDArray[np.float64], scale: Scale) -> bool:
    steps = values / (scale.step or 1)
    return bool(np.all(steps == np.round(steps)))


def assemble(rows: Rows, movies: pa.Table, scale: Scale, facts: Facts) -> Dataset:
    """Return the data set of these rows and movies (columns of SCHEMA); rated movies without a row are included.

    Raises DataError where there are no rows.
    """
    if not len(rows.stars):
        raise DataError(f"{facts.source} holds no ratings")
    users, user = _sorted_ids(rows.users)
    rated, movie = _sorted_ids(rows.movies)
    ids = Ids(pa.concat_arrays([rated.array, *movies["movie"].cast(pa.string()).chunks]))
    movie = ids.positions(rated.array)[movie] if len(rated) else movie
    ratings = Ratings.from_pairs(users, ids, user, movie, rows.stars, scale, rows.times)
    facts = Facts(facts.name, facts.source, facts.licence, facts.simulated, len(user) - ratings.n, rows.skipped)
    return Dataset(ratings, Catalog.of(ids, movies), facts)


def _sorted_ids(column: pa.ChunkedArray) -> tuple[Ids, Positions]:
    """Return the sorted ids of a dictionary-encoded column and each row's position among them."""
    if not column.num_chunks:
        return Ids([]), np.empty(0, np.int32)
    dictionary = column.chunk(0).dictionary
    ids = Ids(dictionary)
    place = ids.positions(dictionary)
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in column.chunks])
    return ids, place[codes]


def no_movies() -> pa.Table:
    """Return a movie table without rows."""
    return SCHEMA.empty_table()
