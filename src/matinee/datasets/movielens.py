"""MovieLens: every release's format, from its folder or straight from its zip.

    release                          ratings                    movies                       other
    latest*, 20M, 25M, 32M           ratings.csv, header        movies.csv, header           links.csv, tags.csv
    1M, 10M                          ratings.dat, `::`          movies.dat, `::`, Latin-1    tags.dat (10M)
    100K                             u.data, tabs               u.item, `|`, genre flags

Formats: the README of each release, https://grouplens.org/datasets/movielens/.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from matinee.catalog import MAX_TAGS
from matinee.dataset import Dataset, Facts
from matinee.datasets import delimited, headers, identifiers, movies, quoting
from matinee.datasets.assembly import assemble
from matinee.datasets.delimited import Text
from matinee.datasets.movies import Cells, Links, MovieRows
from matinee.datasets.rows import Layout, OnBadRows, read_text
from matinee.errors import DataError
from matinee.ratings import Scale

COLUMNS = ("userId", "movieId", "rating", "timestamp")
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
        """Find the folder or the zip's folder that holds the ratings. Raises DataError without ratings."""
        if path.is_dir():
            return cls(path, frozenset(file.name for file in path.iterdir() if file.is_file()))
        try:
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        except zipfile.BadZipFile:
            raise DataError(f"{path} is not a complete zip file; fetch it again") from None
        except OSError as problem:
            raise DataError(f"reading {path} failed: {problem.strerror}") from None
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
    """Return whether a folder or zip holds a MovieLens release: its files, with its columns."""
    source = Source.open(path)
    file = next((name for name in RATING_FILES if name in source.names), None)
    if file != "ratings.csv":
        return file is not None
    header = delimited.read(source.read(file), file).header
    return tuple(map(headers.plain, header)) == tuple(map(headers.plain, COLUMNS))


def read(
    path: Path, on_bad_rows: OnBadRows = "error", scale: Scale | None = None, not_rated: float | None = None
) -> Dataset:
    """Read a release from its folder or zip, on its own scale unless another is given.

    Raises DataError naming file, line, value and rule where a row is bad, unless bad rows are skipped.
    """
    source = Source.open(path)
    file = next(name for name in RATING_FILES if name in source.names)
    text, own = RATING_FILES[file](source, file)
    user, movie, rating, timestamp = text.header
    layout = Layout(text.header, user, movie, rating, timestamp, not_rated=not_rated)
    rows = replace(read_text(text, layout, scale or own, on_bad_rows), columns=layout.taken)
    found = _movies(source, on_bad_rows)
    return assemble(rows, found.table, scale, _facts(source, found.skipped), own=own, has_times=True)


def movies_beside(path: Path, on_bad_rows: OnBadRows = "error") -> MovieRows | None:
    """Return the movies of a release's own file, None where the file is not one of these.

    Links and tags that lie beside it come with them.
    """
    return _movies(Source.open(path.parent), on_bad_rows, path.name) if path.name in MOVIE_FILES else None


def links_beside(path: Path, on_bad_rows: OnBadRows = "error") -> movies.Links:
    """Return the links.csv that lies beside a file, empty where none does."""
    return _links(Source.open(path.parent), on_bad_rows)


def _facts(source: Source, skipped_movies: int) -> Facts:
    name = source.path.stem if source.path.is_file() else source.path.resolve().name
    return Facts(name, str(source.path), skipped_movies=skipped_movies)


def _movies(source: Source, on_bad_rows: OnBadRows, file: str | None = None) -> MovieRows:
    """Return the movies in a file of the release, or in the first that there is."""
    found = file or next((name for name in MOVIE_FILES if name in source.names), None)
    if found is None:
        return movies.table((), {}, on_bad_rows)
    rows, columns = MOVIE_FILES[found](source)
    return movies.table(rows, columns, on_bad_rows, _links(source, on_bad_rows), _tags(source) or _dat_tags(source))


def _modern(source: Source, file: str) -> tuple[Text, Scale]:
    return delimited.read(source.read(file), file), Scale(0.5, 5.0, 0.5)


def _dat(source: Source, file: str) -> tuple[Text, Scale]:
    data = source.read(file)
    raw = data.read_bytes() if isinstance(data, Path) else data
    return Text(file, raw, COLUMNS, "::", 0), Scale(0.5, 5.0, 0.5) if b".5::" in raw else Scale(1.0, 5.0, 1.0)


def _100k(source: Source, file: str) -> tuple[Text, Scale]:
    return Text(file, source.read(file), COLUMNS, "\t", 0), Scale(1.0, 5.0, 1.0)


Movies = tuple[Iterator[Cells], dict[str, str]]
"""Rows and the names of their columns."""
OWN = {"movie": "movie", "title": "title", "genres": "genres"}


def _modern_movies(source: Source) -> Movies:
    text = delimited.read(source.read("movies.csv"), "movies.csv", fallback="latin-1")
    return movies.cells_of_lines(text), movies.columns_of("movies.csv", text.header)


def _links(source: Source, on_bad_rows: OnBadRows) -> Links:
    """Return {movie: (IMDb id, TMDB id)}."""
    if "links.csv" not in source.names:
        return {}
    text = delimited.read(source.read("links.csv"), "links.csv")
    names = headers.choose("links.csv", text.header, {"movie": None, "imdb": None, "tmdb": None})
    links: dict[str, tuple[str | None, str | None]] = {}
    for row in text.rows():
        try:
            movie, link = _link(dict(zip(text.header, row.fields, strict=False)), names, row.rule)
        except ValueError as problem:
            if on_bad_rows == "error":
                raise DataError(
                    f"links.csv line {row.line}: {problem}; or leave bad rows out with `on_bad_rows='skip'`"
                ) from None
            continue
        links[movie] = link
    return links


def _link(cells: dict[str, str], names: dict[str, str | None], rule: str) -> tuple[str, tuple[str | None, str | None]]:
    """Return a movie and its IMDb and TMDB ids. Raises ValueError with the rule that a row of links breaks."""
    if rule:
        raise ValueError(rule)
    movie, imdb, tmdb = (cells.get(names[column] or "", "") for column in ("movie", "imdb", "tmdb"))
    found = identifiers.imdb(imdb), identifiers.tmdb(tmdb)
    for what, written, read_as in (("IMDb", imdb, found[0]), ("TMDB", tmdb, found[1])):
        if written and written not in identifiers.MISSING and read_as is None:
            raise ValueError(f"{written!r} is no {what} id")
    return identifiers.read(movie, "movie"), found


def _tags(source: Source) -> dict[str, list[str]]:
    """Return {movie: tags, most used first}."""
    if "tags.csv" not in source.names:
        return {}
    text = delimited.read(source.read("tags.csv"), "tags.csv")
    tag = next((name for name in text.header if headers.plain(name) == "tag"), None)
    movie = headers.find("tags.csv", text.header, "movie")
    if movie is None or tag is None:
        raise DataError(f"tags.csv needs columns movieId and tag; its columns are {headers.listed(text.header)}")
    places = [text.header.index(movie), text.header.index(tag)]
    return _most_used(*(_tags_by_arrow(text, places) or _tags_by_line(text, places)))


def _tags_by_arrow(text: Text, places: list[int]) -> list[pa.ChunkedArray] | None:
    """Return movies and tags, None where the file is not clean."""
    raw = text.data.read_bytes() if isinstance(text.data, Path) else text.data
    if not quoting.is_clean(raw, text.delimiter):
        return None
    names = [str(at) for at in range(len(text.header))]
    wanted = [names[at] for at in places]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(raw),
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=text.above),
            parse_options=pacsv.ParseOptions(delimiter=text.delimiter),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [table[name] for name in wanted]


def _tags_by_line(text: Text, places: list[int]) -> list[pa.ChunkedArray]:
    found: list[list[str]] = [[], []]
    for row in text.rows():
        if row.rule:
            raise DataError(f"tags.csv line {row.line}: {row.rule}; mend the line, or move the file away")
        for column, at in zip(found, places, strict=True):
            column.append(row.fields[at])
    return [pa.chunked_array([pa.array(column, pa.string())]) for column in found]


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


def _dat_movies(source: Source) -> Movies:
    """Read movies.dat: id :: title :: genres."""

    def rows() -> Iterator[Cells]:
        for number, line in _lines(source, "movies.dat"):
            movie, _, rest = line.partition("::")
            title, separator, genres = rest.rpartition("::")
            rule = "" if separator else f"{line[:60]!r} is not MovieID::Title::Genres"
            kept = genres.replace("Children's", "Children")
            yield Cells(f"movies.dat line {number}", {"movie": movie, "title": title, "genres": kept}, rule)

    return rows(), OWN


def _dat_tags(source: Source) -> dict[str, list[str]]:
    fields = [line.split("::") for _, line in _lines(source, "tags.dat")]
    pairs = [(row[1], row[2]) for row in fields if len(row) == 4]
    columns = [pa.chunked_array([pa.array(column, pa.string())]) for column in zip(*pairs, strict=True)]
    return _most_used(*columns) if pairs else {}


def _lines(source: Source, name: str) -> list[tuple[int, str]]:
    if name not in source.names:
        return []
    lines = enumerate(source.text(name).split("\n"), 1)
    return [(number, line.rstrip("\r")) for number, line in lines if line.strip()]


def _flagged_movies(source: Source) -> Movies:
    """Read u.item: id | title | release | video release | address | 19 flags."""

    def rows() -> Iterator[Cells]:
        for number, line in _lines(source, "u.item"):
            fields = line.split("|")
            expected = 5 + len(GENRES_100K)
            rule = "" if len(fields) == expected else f"it has {len(fields)} fields where {expected} are expected"
            flags = zip(GENRES_100K, fields[5:], strict=False)
            genres = [genre for genre, flag in flags if flag == "1" and genre != "unknown"]
            title = fields[1] if len(fields) > 1 else ""
            yield Cells(f"u.item line {number}", {"movie": fields[0], "title": title, "genres": genres}, rule)

    return rows(), OWN


RATING_FILES: dict[str, Callable[[Source, str], tuple[Text, Scale]]] = {
    "ratings.csv": _modern,
    "ratings.dat": _dat,
    "u.data": _100k,
}
MOVIE_FILES: dict[str, Callable[[Source], Movies]] = {
    "movies.csv": _modern_movies,
    "movies.dat": _dat_movies,
    "u.item": _flagged_movies,
}
