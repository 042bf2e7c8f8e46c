"""Movie tables: id, title, year, genres and links of movies, from any table, by the names of its columns.

cells --year, genres--> rows of SCHEMA; rows that break a rule are errors, or skipped and counted
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matinee.catalog import SCHEMA
from matinee.dataset import Finding
from matinee.datasets import headers, identifiers
from matinee.datasets.delimited import SHOWN, is_number, number
from matinee.datasets.rows import Lines, OnBadRows
from matinee.errors import DataError
from matinee.titles import split_title

NO_GENRES = "(no genres listed)"
YEARS = range(1800, 2200)
COLUMNS = ("movie", "title", "year", "release", "genres", "imdb", "tmdb")
DAY = re.compile(r"(?:^|\D)(1[89]\d\d|2[01]\d\d)(?:\D|$)")
Links = Mapping[str, tuple[str | None, str | None]]
"""{movie: (IMDb id, TMDB id)}"""


@dataclass(frozen=True, eq=False)
class MovieRows:
    """Movies as rows of SCHEMA; how many rows were skipped, and the place and rule of the first.

    by_tmdb     whether the ids are likely to be TMDB's
    findings    what is probably not meant
    """

    table: pa.Table
    skipped: int = 0
    bad: str = ""
    by_tmdb: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Cells:
    """A row of a movie table: where it stands, what its cells say, and the rule that the row breaks as a whole."""

    place: str
    cells: Mapping[str, Any]
    rule: str = ""


def columns_of(where: str, header: tuple[str, ...], named: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return {our column: the header's name}: those named, and those with a usual name.

    Raises DataError where there is no id or title, or a named column is missing.
    """
    unknown = sorted(set(named or {}) - set(COLUMNS))
    if unknown:
        raise DataError(f"a movie table has no column for {unknown[0]!r}; name one of {', '.join(COLUMNS)}")
    found = headers.choose(where, header, {column: (named or {}).get(column) for column in COLUMNS})
    if found["movie"] is None or (
        found["movie"] in (found["imdb"], found["tmdb"]) and "id" in map(headers.plain, header)
    ):
        found["movie"] = next((name for name in header if headers.plain(name) == "id"), found["movie"])
    for column in ("movie", "title"):
        if found[column] is None:
            raise DataError(
                f"{where} has no column for {column}: its columns are {headers.listed(header)}; "
                f"name it with `movie_columns='{column}=COLUMN'`"
            )
    return {column: name for column, name in found.items() if name is not None}


def table(
    rows: Iterable[Cells],
    columns: Mapping[str, str],
    on_bad_rows: OnBadRows = "error",
    links: Links | None = None,
    tags: Mapping[str, list[str]] | None = None,
) -> MovieRows:
    """Return the movies of these rows; links and tags by movie come with them.

    Raises DataError naming the first row that breaks a rule, unless bad rows are skipped.
    """
    found, skipped, bad = [], 0, ""
    for row in rows:
        try:
            if row.rule:
                raise ValueError(row.rule)
            found.append(_movie({column: row.cells[name] for column, name in columns.items()}, links or {}, tags or {}))
        except ValueError as problem:
            place = f"{row.place}: {problem}"
            if on_bad_rows == "error":
                raise DataError(f"{place}; or leave bad rows out with `on_bad_rows='skip'`") from None
            skipped, bad = skipped + 1, bad or place
    return MovieRows(pa.Table.from_pylist(found, SCHEMA), skipped, bad)


def _movie(cells: Mapping[str, Any], links: Links, tags: Mapping[str, list[str]]) -> dict[str, Any]:
    movie = identifiers.read(text(cells["movie"]), "movie")
    if not text(cells["title"]):
        raise ValueError("the title is missing")
    title, in_title = split_title(text(cells["title"]))
    imdb, tmdb = links.get(movie, (None, None))
    return {
        "movie": movie,
        "title": title,
        "year": year(text(cells.get("year"))) or released(text(cells.get("release"))) or in_title,
        "genres": genres(cells.get("genres")),
        "tags": tags.get(movie, []),
        "imdb": identifiers.imdb(text(cells.get("imdb"))) or imdb,
        "tmdb": identifiers.tmdb(text(cells.get("tmdb"))) or tmdb,
    }


def text(value: Any) -> str:
    """Return a cell as text; nothing for a missing value.

    >>> text(None), text(float("nan")), text(31.0), text(" Up ")
    ('', '', '31.0', 'Up')
    """
    if value is None or value != value:
        return ""
    return identifiers.of_float(value) if isinstance(value, float) else str(value).strip()


def year(written: str) -> int | None:
    """Return the year that a cell says, None where it is empty. Raises ValueError for what is no year.

    >>> year("1999.0"), year("1999-03-31"), year(""), year("nan")
    (1999, 1999, None, None)
    """
    if not written or written in identifiers.MISSING:
        return None
    if is_number(written):
        value = number(written)
        if value in YEARS:
            return int(value)
        if value == 0:  # some data sets write 0 for an unknown year
            return None
    elif (found := released(written)) is not None:
        return found
    raise ValueError(f"year {written[:SHOWN]!r} is no year from {YEARS[0]} to {YEARS[-1]}")


def released(written: str) -> int | None:
    """Return the year of a date, None without a year.

    >>> released("1995-10-30"), released("30-Oct-1995"), released("")
    (1995, 1995, None)
    """
    found = DAY.search(written)
    return int(found[1]) if found else None


def genres(written: Any) -> list[str]:
    """Return the genres of a cell, sorted: `A|B`, `A, B`, a list in JSON or Python, of texts or of dicts with a name.

    Raises ValueError for a list that is cut or broken.

    >>> genres("Drama|Action"), genres("Action, Drama"), genres("[{'id': 16, 'name': 'Animation'}]"), genres('["Up"]')
    (['Action', 'Drama'], ['Action', 'Drama'], ['Animation'], ['Up'])
    """
    if isinstance(written, str):
        written = _listed(written.strip())
    names = [_name(one) for one in ([] if written is None or isinstance(written, float) else written)]
    return sorted({name for name in names if name and name != NO_GENRES})


def _listed(written: str) -> list[Any]:
    if written in identifiers.MISSING or not written:
        return []
    if written[0] in "[{(":
        parsed = _literal(written) if not written.startswith(NO_GENRES) else []
        return list(parsed) if isinstance(parsed, list | tuple) else [parsed]
    mark = next((mark for mark in ("|", ";", ",", " / ") if mark in written), "|")
    return written.split(mark)


def _literal(written: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(written)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    raise ValueError(f"genres {written[:SHOWN]!r} are no list")


def _name(one: Any) -> str:
    value = one.get("name", "") if isinstance(one, Mapping) else one
    return "" if value is None else str(value).strip()


def cells_of_table(where: str, movies: pa.Table) -> Iterator[Cells]:
    """Yield the rows of a table with typed columns."""
    for at, row in enumerate(movies.to_pylist(), 1):
        yield Cells(f"{where} row {at}", row)


def cells_of_lines(lines: Lines) -> Iterator[Cells]:
    """Yield the rows of a table in text."""
    for row in lines.rows():
        yield Cells(f"{lines.name} line {row.line}", dict(zip(lines.header, row.fields, strict=False)), row.rule)
