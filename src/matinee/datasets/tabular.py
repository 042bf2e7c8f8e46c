"""Any table with a column of users, one of movies and one of ratings: CSV, TSV, JSON or Parquet file, or data frame.

Tables in memory come in by `frames`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from matinee.dataset import Dataset, Facts
from matinee.datasets import blocks, delimited, files, headers, jsonlines, movies, rows, tmdb_tables
from matinee.datasets.assembly import assemble
from matinee.datasets.files import File
from matinee.datasets.frames import arrow_table
from matinee.datasets.movielens import movies_beside
from matinee.datasets.movies import MovieRows
from matinee.datasets.rows import Layout, OnBadRows, Rows, no_movies
from matinee.errors import DataError
from matinee.ratings import Scale

Names = Mapping[str, str | None]
NONE = "-"
"""The name of a column that is not to be read."""
RATINGS, MOVIES = "ratings.csv", "movies.csv"
"""Files of a folder that are one table of ratings and one of movies, not parts of one table."""


def read_file(
    path: Path,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    columns: Sequence[str] | None = None,
    movies: Any = None,
    movie_columns: Mapping[str, str] | None = None,
    scale: Scale | None = None,
    not_rated: float | None = None,
    on_bad_rows: OnBadRows = "error",
) -> Dataset:
    """Read ratings from a file, or a folder or zip of its parts; without names the usual ones are looked for.

    `columns` names the columns of a text file without header, in order. `movies` is a table of movies (file or data
    frame) with an id, a title and perhaps a year, genres and links, whose columns `movie_columns` names. Without
    `scale` the scale is inferred; rows whose stars are `not_rated` are left out; a `timestamp` of "-" is no column.
    Raises DataError naming the file, the line and the rule.
    """
    names = {"user": user, "movie": movie, "rating": rating, "timestamp": timestamp}
    if (path / RATINGS).is_file():
        beside = path / MOVIES
        path, movies = path / RATINGS, beside if movies is None and beside.is_file() else movies
    parts = files.of(path)
    _check_alike(path, parts)
    found = rows.joined([_read_part(part, names, columns, scale, not_rated, on_bad_rows) for part in parts])
    facts = Facts(path.name.removesuffix(".gz").rpartition(".")[0] or path.name, str(path))
    has_times = timestamp is not None or columns is not None
    return _dataset(found, movies, movie_columns, scale, on_bad_rows, facts, has_times)


def read_frame(
    frame: Any,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    movies: Any = None,
    movie_columns: Mapping[str, str] | None = None,
    scale: Scale | None = None,
    not_rated: float | None = None,
    on_bad_rows: OnBadRows = "error",
) -> Dataset:
    """Read ratings from a table in memory, as `frames.arrow_table` takes it."""
    where, table = "the data frame", arrow_table(frame, "the data frame")
    names = {"user": user, "movie": movie, "rating": rating, "timestamp": timestamp}
    layout = replace(choose(where, tuple(table.column_names), names), not_rated=not_rated)
    found = replace(rows.read_table(where, table, layout, scale, on_bad_rows), columns=layout.taken)
    facts, has_times = Facts("data frame", "memory"), timestamp is not None
    return _dataset(found, movies, movie_columns, scale, on_bad_rows, facts, has_times)


def _dataset(
    found: Rows,
    movies: Any,
    movie_columns: Mapping[str, str] | None,
    scale: Scale | None,
    on_bad_rows: OnBadRows,
    facts: Facts,
    has_times: bool,
) -> Dataset:
    table = no_movies()
    if movies is not None:
        read = tmdb_tables.for_ratings(
            movie_rows(movies, movie_columns, on_bad_rows), movies, found.columns.get("movie", ""), on_bad_rows
        )
        table, facts = read.table, replace(facts, skipped_movies=read.skipped, findings=read.findings)
    return assemble(found, table, scale, facts, has_times=has_times)


def choose(where: str, header: tuple[str, ...], names: Names) -> Layout:
    """Return which column is which: the named ones, or those with a usual name.

    Raises DataError where a column is missing, naming the ones there are.
    """
    found = headers.choose(where, header, {what: name for what, name in names.items() if name != NONE})
    for what in ("user", "movie", "rating"):
        if found[what] is None:
            raise DataError(
                f"{where} has no column for {what}: its columns are {headers.listed(header)}; "
                f"name it with `{what}=COLUMN`"
            )
    _check_apart(where, found)
    return Layout(header, str(found["user"]), str(found["movie"]), str(found["rating"]), found.get("timestamp"))


def _check_apart(where: str, found: Names) -> None:
    """Raise DataError where one column is taken for two things."""
    taken: dict[str, str] = {}
    for what, name in found.items():
        if name is not None and taken.setdefault(name, what) != what:
            raise DataError(
                f"{where}: the column {name!r} is named for both {taken[name]} and {what}; name two columns"
            )


def _check_alike(path: Path, parts: Sequence[File]) -> None:
    """Raise DataError where files are not the parts of one table: their columns differ."""
    if len(parts) > 1 and len({frozenset(_header(part)) for part in parts}) > 1:
        listed = ", ".join(part.name for part in parts[:6])
        raise DataError(f"{path} holds tables with different columns ({listed}); name the file of ratings")


def _header(part: File) -> tuple[str, ...]:
    if part.kind == "parquet":
        return _parquet_header(part)
    if part.kind == "json":
        return jsonlines.read(part.data, part.name).header
    return delimited.read(part.data, part.name).header


def _read_part(
    part: File,
    names: Names,
    columns: Sequence[str] | None,
    scale: Scale | None,
    not_rated: float | None,
    on_bad_rows: OnBadRows,
) -> Rows:
    def layout(header: tuple[str, ...]) -> Layout:
        return replace(choose(part.name, header, names), not_rated=not_rated)

    if part.kind == "parquet":
        chosen = layout(_parquet_header(part))
        found = rows.read_table(part.name, _read_parquet(part, chosen.wanted), chosen, scale, on_bad_rows)
    elif part.kind == "json":
        lines = jsonlines.read(part.data, part.name)
        chosen = layout(lines.header)
        found = rows.read_lines(lines, chosen, scale, on_bad_rows)
    else:
        text = _text(part, names, columns)
        chosen = layout(text.header)
        found = rows.read_text(text, chosen, scale, on_bad_rows)
    return replace(found, columns=chosen.taken)


def _text(part: File, names: Names, columns: Sequence[str] | None) -> delimited.Text:
    if columns is None and blocks.is_in_blocks(part.head):
        return delimited.read(blocks.with_movies(part.content()), part.name, blocks.COLUMNS)
    named = [name for name in names.values() if name and name != NONE]
    text = delimited.read(part.data, part.name, columns, named=named)
    if not text.named:
        raise DataError(
            f"{part.name} has no line of column names: it begins with {delimited.shown(text)}; name all columns in "
            "their order, such as `columns='user,movie,rating,timestamp'`"
        )
    return text


def _parquet_header(part: File) -> tuple[str, ...]:
    try:
        own = pq.ParquetFile(_source(part)).schema_arrow.names
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{part.name} is not a complete Parquet file: {str(problem).splitlines()[0]}") from None
    return (*own, *(name for name in _partition(part) if name not in own))


def _read_parquet(part: File, columns: Sequence[str] | None = None) -> pa.Table:
    """Return columns of a Parquet file; those that its folders are named by, as in user=7/, are among them."""
    header, partition = _parquet_header(part), _partition(part)
    wanted = header if columns is None else columns
    own = [name for name in header if name in wanted and (name not in partition or name in _own_names(part))]
    try:
        table = pq.ParquetFile(_source(part)).read(columns=own)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{part.name} is not a complete Parquet file: {str(problem).splitlines()[0]}") from None
    for name in wanted:
        if name not in table.column_names:
            table = table.append_column(name, pa.array([partition[name]] * len(table), pa.string()))
    return table


def _own_names(part: File) -> list[str]:
    return list(pq.ParquetFile(_source(part)).schema_arrow.names)


def _partition(part: File) -> dict[str, str]:
    """Return {column: value} that the folders of a part are named by."""
    named = (folder.partition("=") for folder in Path(part.name).parts[:-1] if "=" in folder)
    return {name: unquote(value) for name, _, value in named}


def _source(part: File) -> Any:
    return pa.BufferReader(part.data) if isinstance(part.data, bytes) else part.data


def movie_table(given: Any, movie_columns: Mapping[str, str] | None = None) -> pa.Table:
    """Return rows of SCHEMA from a file or data frame. Raises DataError naming the first row that breaks a rule."""
    return movie_rows(given, movie_columns).table


def movie_rows(
    given: Any, movie_columns: Mapping[str, str] | None = None, on_bad_rows: OnBadRows = "error"
) -> MovieRows:
    """Return the movies of a file or data frame with an id, a title and perhaps a year, genres and links."""
    if not isinstance(given, str | Path):
        table = arrow_table(given, "the movie table")
        columns = movies.columns_of("the movie table", tuple(table.column_names), movie_columns)
        found = movies.table(movies.cells_of_table("the movie table", table), columns, on_bad_rows)
        return replace(found, by_tmdb=tmdb_tables.is_one(table.column_names, movie_columns))
    path = Path(given)
    if not path.exists():
        raise DataError(f"there is no movies file {path}")
    if path.is_file() and not movie_columns and (known := movies_beside(path, on_bad_rows)) is not None:
        return known
    parts = [_movies_in(part, movie_columns, on_bad_rows) for part in files.of(path)]
    bad = next((part.bad for part in parts if part.bad), "")
    table, skipped = pa.concat_tables([part.table for part in parts]), sum(part.skipped for part in parts)
    return MovieRows(table, skipped, bad, any(part.by_tmdb for part in parts))


def _movies_in(part: File, named: Mapping[str, str] | None, on_bad_rows: OnBadRows) -> MovieRows:
    if part.kind == "parquet":
        header = _parquet_header(part)
        columns = movies.columns_of(part.name, header, named)
        table = _read_parquet(part, list(dict.fromkeys(columns.values())))
        found = movies.table(movies.cells_of_table(part.name, table), columns, on_bad_rows)
        return replace(found, by_tmdb=tmdb_tables.is_one(header, named))
    lines: jsonlines.JsonLines | delimited.Text = (
        jsonlines.read(part.data, part.name)
        if part.kind == "json"
        else delimited.read(part.data, part.name, named=list((named or {}).values()), fallback="latin-1")
    )
    columns = movies.columns_of(part.name, lines.header, named)
    found = movies.table(movies.cells_of_lines(lines), columns, on_bad_rows)
    return replace(found, by_tmdb=tmdb_tables.is_one(lines.header, named))
