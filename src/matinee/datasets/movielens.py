"""MovieLens: every release's format, from its folder or straight from its zip.

    release                          ratings                    movies                       other
    latest*, 20M, 25M, 32M           ratings.csv, header        movies.csv, header           links.csv, tags.csv
    1M, 10M                          ratings.dat, `::`          movies.dat, `::`, Latin-1    tags.dat (10M)
    100K                             u.data, tabs               u.item, `|`, genre flags

Formats: the README of each release, https://grouplens.org/datasets/movielens/.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from matinee.catalog import MAX_TAGS, SCHEMA
from matinee.dataset import Dataset, Facts
from matinee.datasets.rows import Layout, OnBadRows, assemble, read_text
from matinee.errors import DataError
from matinee.ratings import Scale
from matinee.titles import split_title

LICENCE = (
    "MovieLens data: research use, no endorsement implied, redistribution under the same conditions, no commercial use "
    "without permission; see the data set's own README (F. M. Harper and J. A. Konstan 2015)"
)
COLUMNS = ("userId", "movieId", "rating", "timestamp")
NO_GENRES = "(no genres listed)"
GENRES_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
MAX_UNZIPPED = 8 << 30


@dataclass(frozen=True)
class Source:
    """A release's files, in a folder or a zip. `names` are its plain file names."""

    path: Path
    names: frozenset[str]
    inside: str = ""

    @classmethod
    def open(cls, path: Path) -> Source:
        """Find the folder or the zip's folder that holds the ratings. Raises DataError where there is none."""
        if path.is_dir():
            return cls(path, frozenset(file.name for file in path.iterdir() if file.is_file()))
        try:
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        except zipfile.BadZipFile:
            raise DataError(f"{path} is not a complete zip file; fetch it again") from None
        except OSError as problem:
            raise DataError(f"{path} cannot be read: {problem.strerror}") from None
        known = [name for name in members if name.rpartition("/")[2] in RATING_FILES]
        inside = min(known, key=len).rpartition("/")[0] if known else ""
        prefix = f"{inside}/" if inside else ""
        names = (name.removeprefix(prefix) for name in members if name.startswith(prefix))
        return cls(path, frozenset(name for name in names if name and "/" not in name), prefix)

    def read(self, name: str) -> Path | bytes:
        """Return a file's path, or its bytes where it stands in the zip."""
        if self.path.is_dir():
            return self.path / name
        with zipfile.ZipFile(self.path) as archive:
            member = archive.getinfo(self.inside + name)
            if member.file_size > MAX_UNZIPPED:
                raise DataError(
                    f"{self.path}: {name} would unpack to {member.file_size / 2**30:.0f} GB, which is too much"
                )
            try:
                return archive.read(member)
            except (zipfile.BadZipFile, EOFError, OSError) as problem:
                raise DataError(f"{self.path}: {name} is damaged ({problem}); fetch the file again") from None

    def text(self, name: str) -> str:
        """Return a file's text: UTF-8, or Latin-1 as the old releases are."""
        data = self.read(name)
        raw = data.read_bytes() if isinstance(data, Path) else data
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode("latin-1")


def is_release(path: Path) -> bool:
    """Return whether a folder or zip holds a MovieLens release."""
    return bool(Source.open(path).names & set(RATING_FILES))


def read(path: Path, on_bad_rows: OnBadRows = "error", scale: Scale | None = None) -> Dataset:
    """Read a release from its folder or zip, on its own scale unless another is given.

    Raises DataError naming file, line, value and rule where a row is bad, unless bad rows are skipped.
    """
    source = Source.open(path)
    file = next((name for name in RATING_FILES if name in source.names), None)
    if file is None:
        listed = ", ".join(sorted(source.names)[:6]) or "nothing"
        raise DataError(
            f"{path} is not a MovieLens release: it holds {listed}, but none of {', '.join(RATING_FILES)}; "
            "name the ratings file itself to read it as a table"
        )
    return RATING_FILES[file](source, file, on_bad_rows, scale)


def movies_beside(path: Path) -> pa.Table | None:
    """Return the movies (columns of SCHEMA) of a release's own file, None where the file is not one of these.

    Links and tags that lie beside it come with them.
    """
    source = Source.open(path.parent)
    read_movies = {"movies.csv": _modern_movies, "movies.dat": _dat_movies, "u.item": _flagged_movies}.get(path.name)
    return None if read_movies is None else _movie_table(read_movies(source), _links(source), _tags(source))


def _facts(source: Source) -> Facts:
    return Facts(source.path.stem if source.path.is_file() else source.path.resolve().name, str(source.path), LICENCE)


def _read_modern(source: Source, file: str, on_bad_rows: OnBadRows, scale: Scale | None) -> Dataset:
    layout = Layout(header_of(file, source.read(file), ",", COLUMNS))
    scale = scale or Scale(0.5, 5.0, 0.5)
    rows = read_text(file, source.read(file), layout, scale, on_bad_rows)
    movies = _movie_table(_modern_movies(source), _links(source), _tags(source))
    return assemble(rows, movies, scale, _facts(source))


def header_of(name: str, data: Path | bytes, delimiter: str, needed: tuple[str, ...]) -> tuple[str, ...]:
    """Return a delimited file's column names. Raises DataError where the file is empty or a needed one is missing."""
    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
        first = file.readline(1 << 16).decode("utf-8-sig", errors="replace")
    header = tuple(next(csv.reader(io.StringIO(first, newline=""), delimiter=delimiter), []))
    if not header:
        raise DataError(f"{name} is empty; it should begin with a line of column names")
    missing = [column for column in needed if column not in header]
    if missing:
        raise DataError(
            f"{name} has no column {', '.join(missing)}; its columns are {', '.join(header)}; "
            "say which is which with `user=COLUMN`, `movie=COLUMN`, `rating=COLUMN` and `timestamp=COLUMN`"
        )
    return header


def _modern_movies(source: Source) -> Iterator[tuple[str, str, list[str]]]:
    if "movies.csv" not in source.names:
        return
    for number, row in enumerate(csv.reader(io.StringIO(source.text("movies.csv"), newline="")), 1):
        if number == 1 or not row:
            continue
        if len(row) != 3:
            raise DataError(
                f"movies.csv line {number}: it has {len(row)} fields where movieId, title, genres are expected"
            )
        yield row[0], row[1], [genre for genre in row[2].split("|") if genre and genre != NO_GENRES]


def _links(source: Source) -> dict[str, tuple[str | None, str | None]]:
    """Return {movie: (IMDb id, TMDB id)}."""
    if "links.csv" not in source.names:
        return {}
    rows = csv.DictReader(io.StringIO(source.text("links.csv"), newline=""))
    return {
        row["movieId"]: (f"tt{row['imdbId']}" if row.get("imdbId") else None, row.get("tmdbId") or None) for row in rows
    }


def _tags(source: Source) -> dict[str, list[str]]:
    """Return {movie: tags, most used first}."""
    if "tags.csv" not in source.names:
        return {}
    data = source.read("tags.csv")
    table = pacsv.read_csv(
        pa.BufferReader(data) if isinstance(data, bytes) else data,
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            include_columns=["movieId", "tag"], column_types={"movieId": pa.string(), "tag": pa.string()}
        ),
    )
    return _most_used(table["movieId"], table["tag"])


def _most_used(movies: pa.ChunkedArray, tags: pa.ChunkedArray) -> dict[str, list[str]]:
    folded = pc.utf8_trim_whitespace(pc.utf8_lower(tags))
    counted = pa.table({"movie": movies, "tag": folded}).group_by(["movie", "tag"]).aggregate([([], "count_all")])
    order = [("movie", "ascending"), ("count_all", "descending"), ("tag", "ascending")]
    most: dict[str, list[str]] = {}
    for row in counted.filter(pc.not_equal(counted["tag"], "")).sort_by(order).to_pylist():
        tags_of = most.setdefault(row["movie"], [])
        if len(tags_of) < MAX_TAGS:
            tags_of.append(row["tag"])
    return most


def _movie_table(
    movies: Iterator[tuple[str, str, list[str]]],
    links: dict[str, tuple[str | None, str | None]] | None = None,
    tags: dict[str, list[str]] | None = None,
) -> pa.Table:
    """Return rows of SCHEMA from (id, title with year, genres)."""
    rows = []
    for movie, text, genres in movies:
        title, year = split_title(text)
        imdb, tmdb = (links or {}).get(movie, (None, None))
        rows.append(
            {
                "movie": movie,
                "title": title,
                "year": year,
                "genres": sorted(set(genres)),
                "tags": (tags or {}).get(movie, []),
                "imdb": imdb,
                "tmdb": tmdb,
            }
        )
    return pa.Table.from_pylist(rows, SCHEMA)


def _read_dat(source: Source, file: str, on_bad_rows: OnBadRows, scale: Scale | None) -> Dataset:
    data = source.read(file)
    raw = data.read_bytes() if isinstance(data, Path) else data
    layout = Layout(COLUMNS, delimiter="\t", has_header=False)
    half_stars = b".5::" in raw
    scale = scale or (Scale(0.5, 5.0, 0.5) if half_stars else Scale(1.0, 5.0, 1.0))
    rows = read_text(file, raw.replace(b"::", b"\t"), layout, scale, on_bad_rows)
    return assemble(rows, _movie_table(_dat_movies(source), tags=_dat_tags(source)), scale, _facts(source))


def _dat_movies(source: Source) -> Iterator[tuple[str, str, list[str]]]:
    for number, line in enumerate(_lines(source, "movies.dat"), 1):
        movie, _, rest = line.partition("::")
        title, separator, genres = rest.rpartition("::")
        if not separator:
            raise DataError(f"movies.dat line {number}: {line[:60]!r} is not MovieID::Title::Genres")
        yield (
            movie,
            title,
            [genre.replace("Children's", "Children") for genre in genres.split("|") if genre != NO_GENRES],
        )


def _dat_tags(source: Source) -> dict[str, list[str]]:
    fields = [line.split("::") for line in _lines(source, "tags.dat")]
    pairs = [(row[1], row[2]) for row in fields if len(row) == 4]
    columns = [pa.chunked_array([pa.array(column, pa.string())]) for column in zip(*pairs, strict=True)]
    return _most_used(*columns) if pairs else {}


def _lines(source: Source, name: str) -> list[str]:
    return [line for line in source.text(name).split("\n") if line.strip()] if name in source.names else []


def _read_100k(source: Source, file: str, on_bad_rows: OnBadRows, scale: Scale | None) -> Dataset:
    layout = Layout(COLUMNS, delimiter="\t", has_header=False)
    scale = scale or Scale(1.0, 5.0, 1.0)
    rows = read_text(file, source.read(file), layout, scale, on_bad_rows)
    return assemble(rows, _movie_table(_flagged_movies(source)), scale, _facts(source))


def _flagged_movies(source: Source) -> Iterator[tuple[str, str, list[str]]]:
    """Read u.item: id | title | release | video release | address | 19 flags."""
    for number, line in enumerate(_lines(source, "u.item"), 1):
        fields = line.rstrip("\r").split("|")
        if len(fields) != 5 + len(GENRES_100K):
            raise DataError(
                f"u.item line {number}: it has {len(fields)} fields where {5 + len(GENRES_100K)} are expected"
            )
        flags = zip(GENRES_100K, fields[5:], strict=True)
        yield fields[0], fields[1], [genre for genre, flag in flags if flag == "1" and genre != "unknown"]


RATING_FILES: dict[str, Callable[[Source, str, OnBadRows, Scale | None], Dataset]] = {
    "ratings.csv": _read_modern,
    "ratings.dat": _read_dat,
    "u.data": _read_100k,
}
