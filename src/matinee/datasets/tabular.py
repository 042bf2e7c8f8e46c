"""Any table with a column of users, one of movies and one of ratings: CSV, TSV or Parquet file, or data frame.

Tables in memory come in by `frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from matinee.catalog import SCHEMA
from matinee.dataset import Dataset, Facts
from matinee.datasets.frames import arrow_table
from matinee.datasets.movielens import COLUMNS, header_of, movies_beside
from matinee.datasets.rows import (
    Layout,
    OnBadRows,
    Rows,
    assemble,
    broken_rule,
    columns_of,
    infer_scale,
    no_movies,
    read_text,
)
from matinee.errors import DataError
from matinee.ratings import Scale
from matinee.titles import split_title

USUAL_NAMES = {
    "user": ("userId", "user_id", "user", "userid", "UserID"),
    "movie": ("movieId", "movie_id", "movie", "movieid", "MovieID", "itemId", "item_id", "item"),
    "rating": ("rating", "stars", "score", "Rating"),
    "timestamp": ("timestamp", "time", "date", "Timestamp"),
    "title": ("title", "name", "Title"),
    "year": ("year", "Year"),
    "genres": ("genres", "genre", "Genres"),
}

DELIMITERS = ",\t;|"
PARQUET = (".parquet", ".pq")
MAGIC = b"PAR1"
"""What a Parquet file begins with, whatever it is called."""


def read_file(
    path: Path,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    movies: Any = None,
    scale: Scale | None = None,
    on_bad_rows: OnBadRows = "error",
) -> Dataset:
    """Read ratings from a CSV, TSV or Parquet file with named columns; without names the usual ones are looked for.

    A text file whose first line is numbers has no header: user, movie, rating, perhaps time, as in ml-100k's u1.base.

    `movies` is a table of movies (file or data frame) with an id, a title and perhaps a year and genres. Without
    `scale` the scale is inferred. Raises DataError naming the file, the line and the rule.
    """
    names = {"user": user, "movie": movie, "rating": rating, "timestamp": timestamp}
    if _is_parquet(path):
        table = _read_parquet(path)
        rows = _rows_of(path.name, table, choose(path.name, tuple(table.column_names), names), scale)
    else:
        layout = _text_layout(path, names)
        rows = read_text(path.name, path, layout, scale, on_bad_rows)
    return _dataset(rows, movies, scale, Facts(path.stem, str(path)))


def read_frame(
    frame: Any,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    movies: Any = None,
    scale: Scale | None = None,
) -> Dataset:
    """Read ratings from a table in memory, as `frames.arrow_table` takes it."""
    table = arrow_table(frame, "the data frame")
    names = {"user": user, "movie": movie, "rating": rating, "timestamp": timestamp}
    layout = choose("the data frame", tuple(table.column_names), names)
    return _dataset(_rows_of("the data frame", table, layout, scale), movies, scale, Facts("data frame", "memory"))


def _dataset(rows: Rows, movies: Any, scale: Scale | None, facts: Facts) -> Dataset:
    table = no_movies() if movies is None else movie_table(movies)
    return assemble(rows, table, scale or infer_scale(rows.stars), facts)


def choose(where: str, header: tuple[str, ...], names: dict[str, str | None]) -> Layout:
    """Return which column is which: the named ones, or those with a usual name.

    Raises DataError where a column is missing, naming the ones there are.
    """
    if not all(map(str.isprintable, header)):
        raise DataError(f"{where} is not text; name a CSV, TSV or Parquet file")
    found = {what: _column(where, header, what, name) for what, name in names.items()}
    for what in ("user", "movie", "rating"):
        if found[what] is None:
            raise DataError(
                f"{where} has no column for {what}: its columns are {', '.join(header)}; name it with `{what}=COLUMN`"
            )
    return Layout(header, str(found["user"]), str(found["movie"]), str(found["rating"]), found["timestamp"])


def _column(where: str, header: Sequence[str], what: str, name: str | None) -> str | None:
    if name is not None and name not in header:
        raise DataError(f"{where} has no column {name!r} for {what}: its columns are {', '.join(header)}")
    return name or next((usual for usual in USUAL_NAMES[what] if usual in header), None)


def _text_layout(path: Path, names: dict[str, str | None]) -> Layout:
    """Return how a text file is laid out; one that begins with numbers has MovieLens' columns and no header."""
    delimiter = _delimiter(path)
    header = header_of(path.name, path, delimiter, ())
    if not any(names.values()) and (layout := without_header(header, delimiter)):
        return layout
    return replace(choose(path.name, header, names), delimiter=delimiter)


def without_header(first: tuple[str, ...], delimiter: str) -> Layout | None:
    """Return the layout of a file whose first line is numbers, None where they are names."""
    if not (3 <= len(first) <= len(COLUMNS) and all(map(_is_number, first))):
        return None
    timestamp = "timestamp" if len(first) > 3 else None
    return Layout(COLUMNS[: len(first)], timestamp=timestamp, delimiter=delimiter, has_header=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _delimiter(path: Path) -> str:
    with path.open("rb") as file:
        first = file.readline(1 << 16).decode("utf-8", errors="replace")
    return max(DELIMITERS, key=first.count)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() in PARQUET or file.read(len(MAGIC)) == MAGIC


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{path} is not a complete Parquet file: {str(problem).splitlines()[0]}") from None


def _rows_of(where: str, table: pa.Table, layout: Layout, scale: Scale | None) -> Rows:
    """Return a table's ratings. Raises DataError with the rule that a row breaks."""
    try:
        rows = columns_of(table, layout)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise DataError(f"{where}: {str(problem).splitlines()[0]}") from None
    if rule := broken_rule(rows, scale):
        raise DataError(f"{where}: {rule}")
    return rows


def movie_table(movies: Any) -> pa.Table:
    """Return rows of SCHEMA from a file or data frame with an id, a title and perhaps a year and genres (`A|B`)."""
    if isinstance(movies, str | Path):
        path = Path(movies)
        if not path.is_file():
            raise DataError(f"there is no movies file {path}")
        if (known := movies_beside(path)) is not None:
            return known
        table = _read_parquet(path) if _is_parquet(path) else _read_csv(path)
    else:
        table = arrow_table(movies, "the movie table")
    header = tuple(table.column_names)
    movie, title = (_column("the movie table", header, what, None) for what in ("movie", "title"))
    if movie is None or title is None:
        raise DataError(f"a movie table needs columns movieId and title; these are {', '.join(header)}")
    year, genres = (_column("the movie table", header, what, None) for what in ("year", "genres"))
    rows = []
    for row in table.to_pylist():
        shown, in_title = split_title(str(row[title] or ""))
        known = row[genres] if genres else None
        listed = known.split("|") if isinstance(known, str) else list(known or [])
        rows.append(
            {
                "movie": str(row[movie]),
                "title": shown,
                "year": int(row[year]) if year and row[year] is not None else in_title,
                "genres": sorted({str(genre) for genre in listed if genre}),
                "tags": [],
            }
        )
    return pa.Table.from_pylist(rows, SCHEMA)


def _read_csv(path: Path) -> pa.Table:
    import pyarrow.csv as pacsv

    delimiter = _delimiter(path)
    header = header_of(path.name, path, delimiter, ())
    movie = _column(path.name, header, "movie", None)
    try:
        return pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
            convert_options=pacsv.ConvertOptions(column_types={movie: pa.string()} if movie else {}),
        )
    except pa.ArrowInvalid as problem:
        raise DataError(f"{path.name}: {str(problem).splitlines()[0]}") from None
