"""Exports: one person's ratings as MovieLens, Letterboxd and IMDb hand them out, a CSV or a zip with one.

bytes --zip--> CSV --column names--> whose it is --> Export(lines)

site          file                    stars    says which movie by
MovieLens     movielens-ratings.csv   0.5-5    movie_id, imdb_id, title with its year
              ratings.csv             0.5-5    movieId
Letterboxd    ratings.csv in a zip    0.5-5    Name, Year
IMDb          one CSV                 1-10     Const (the IMDb id), Title or Original Title, Year
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from matinee.datasets import zips
from matinee.errors import DataError
from matinee.ratings import Scale
from matinee.titles import split_title, with_year

MOST_BYTES = 10_000_000  # of a CSV when unpacked
MOST_LINES = 50_000  # the busiest person of MovieLens has 33,000
MOST_TITLE = 500  # characters
MOST_COLUMNS = 100
MOST_HEADER = 10_000  # bytes
YEAR_DIGITS = 4
SHOWN = 80  # characters of what somebody wrote
RATING_FILES = ("ratings.csv", "movielens-ratings.csv")
HALF_STARS = Scale(0.5, 5, 0.5)


@dataclass(frozen=True)
class Line:
    """A rating as it was written down: the movie by one or several of its ids, titles and year."""

    number: int
    stars: float
    movie: str | None = None
    imdb: str | None = None
    titles: tuple[str, ...] = ()
    year: int | None = None

    @property
    def what(self) -> str:
        """How a person would name the movie."""
        title = with_year(self.titles[0], self.year) if self.titles else None
        return (title or self.imdb or self.movie or "")[:SHOWN]


@dataclass(frozen=True)
class Unmatched:
    """A line that became nothing, and why; `kind` groups lines that share a reason."""

    line: int
    what: str
    reason: str
    kind: str = "unreadable"


@dataclass(frozen=True)
class Export:
    """What stands in a file, in its order: the ratings on `scale`, and the lines that hold none."""

    site: str
    scale: Scale
    lines: tuple[Line, ...]
    unread: tuple[Unmatched, ...] = ()


@dataclass(frozen=True)
class Site:
    """How one site writes; columns by name, `titles` in the order in which they are tried."""

    name: str
    scale: Scale
    stars: str
    needs: frozenset[str]
    movie: str = ""
    imdb: str = ""
    titles: tuple[str, ...] = ()
    year: str = ""


SITES = (
    Site(
        "IMDb", Scale(1, 10, 1), "Your Rating", frozenset({"Const", "Your Rating"}),
        imdb="Const", titles=("Title", "Original Title"), year="Year",
    ),
    Site(
        "Letterboxd", HALF_STARS, "Rating", frozenset({"Name", "Letterboxd URI", "Rating"}),
        titles=("Name",), year="Year",
    ),
    Site(
        "MovieLens", HALF_STARS, "rating", frozenset({"movie_id", "rating"}),
        movie="movie_id", imdb="imdb_id", titles=("title",),
    ),
    Site("MovieLens", HALF_STARS, "rating", frozenset({"movieId", "rating"}), movie="movieId", titles=("title",)),
)  # fmt: skip


def read(data: bytes, scale: Scale | None = None) -> Export:
    """Read an export, whichever site it is from; `scale` says what its stars mean where they are not the site's.

    Raises DataError where it is none of these, holds the ratings of several people, or is too large or damaged.

    >>> read(b"Const,Your Rating,Title,Year\\r\\ntt0133093,9,The Matrix,1999\\r\\n").lines
    (Line(number=2, stars=9.0, movie=None, imdb='tt0133093', titles=('The Matrix',), year=1999),)
    """
    if data.startswith(zips.ZIP):
        data = zips.unpacked(data, _member, MOST_BYTES)
    rows = _rows(data, _encoding(data))
    header = [name.strip() for name in next(rows, (0, []))[1]]
    site = _site(header)
    scale = scale or site.scale
    lines, unread, users = [], [], set()
    for count, (number, fields) in enumerate(rows, 1):
        if count > MOST_LINES:
            raise DataError(
                f"the file has more than {MOST_LINES:,} lines; no person's ratings have so many; send fewer"
            )
        row = {name: field.strip() for name, field in zip(header, fields, strict=False)}
        users.add(row.get("userId"))
        line = _line(number, row, site, scale)
        lines.append(line) if isinstance(line, Line) else unread.append(line)
    if len(users) > 1:
        raise DataError(f"the file holds the ratings of {len(users):,} users; send those of one person")
    return Export(site.name, scale, tuple(lines), tuple(unread))


def _line(number: int, row: Mapping[str, str], site: Site, scale: Scale) -> Line | Unmatched:
    titles, year = _names(row, site)
    line = Line(number, 0.0, row.get(site.movie) or None, _imdb(row.get(site.imdb, "")), titles, year)
    if any(len(title) > MOST_TITLE for title in titles):
        return Unmatched(number, line.what, f"its title has more than {MOST_TITLE} characters")
    text = row.get(site.stars, "")
    try:
        stars = float(text.replace(",", "."))
    except ValueError:
        reason = f"{text[:SHOWN]!r} is not a number of stars" if text else "there is no rating on this line"
        return Unmatched(number, line.what, reason)
    rule = scale.check(stars)
    return Unmatched(number, line.what, rule) if rule else replace(line, stars=stars)


def _names(row: Mapping[str, str], site: Site) -> tuple[tuple[str, ...], int | None]:
    """Return the titles and the year, which stands in a column of its own or behind the title."""
    titles = tuple(dict.fromkeys(row[title] for title in site.titles if row.get(title)))
    if not site.year:
        title, year = split_title(titles[0]) if titles else ("", None)
        return ((title,) if title else ()), year
    text = row.get(site.year, "")
    return titles, int(text) if text.isascii() and text.isdigit() and len(text) <= YEAR_DIGITS else None


def _imdb(text: str) -> str | None:
    """Return an IMDb id as IMDb writes it.

    >>> _imdb("114709"), _imdb("tt0114709"), _imdb("nm0000001")
    ('tt0114709', 'tt0114709', None)
    """
    digits = text.removeprefix("tt")
    return f"tt{digits.zfill(7)}" if digits.isascii() and digits.isdigit() else None


def _site(header: list[str]) -> Site:
    for site in SITES:
        if site.needs <= set(header):
            return site
    if not header:
        raise DataError("the file is empty; send the CSV or the zip as the site hands it out")
    named = ", ".join(header)[: 2 * SHOWN]
    raise DataError(
        f"the columns {named!r} are not those of ratings exported from MovieLens, Letterboxd or IMDb; of Letterboxd's "
        "files send ratings.csv or the whole zip, or name columns movieId,rating in the first line"
    )


def _rows(data: bytes, encoding: str) -> Iterator[tuple[int, list[str]]]:
    header = data[:MOST_HEADER].partition(b"\n")[0].decode(encoding, "replace")
    text = io.TextIOWrapper(io.BytesIO(data), encoding, newline="")
    reader = csv.reader(text, delimiter=_delimiter(header))
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"line {reader.line_num} cannot be read as CSV: {error}") from None
        if len(fields) > MOST_COLUMNS:
            raise DataError(f"line {reader.line_num} has {len(fields)} columns; no export has more than {MOST_COLUMNS}")
        if any(fields):
            yield reader.line_num, fields


def _delimiter(header: str) -> str:
    """Return what parts the columns: spreadsheets that write 4,5 for 4.5 save with semicolons.

    >>> _delimiter("Const;Your Rating"), _delimiter("movieId,rating"), _delimiter("rating")
    (';', ',', ',')
    """
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _encoding(data: bytes) -> str:
    """Return the encoding of a text: UTF-8, or else what older exports are written in."""
    if len(data) > MOST_BYTES:
        raise DataError(f"the file has more than {MOST_BYTES:,} bytes; no person's ratings do")
    if b"\0" in data:
        raise DataError("the file is not text; send the CSV or the zip as the site hands it out")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _member(members: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """Return the file that holds the ratings: the one with the name for that which lies highest, or the only CSV."""
    files = [member for member in members if member.filename.lower().endswith(".csv") and not _is_litter(member)]
    named = [member for member in files if PurePosixPath(member.filename).name.lower() in RATING_FILES]
    chosen = sorted(named, key=lambda member: member.filename.count("/"))[:1] or files
    if len(chosen) != 1:
        names = ", ".join(member.filename for member in files)[: 2 * SHOWN] or "none"
        raise DataError(
            f"the zip holds no ratings.csv, nor a single CSV file; its CSV files: {names}; send the CSV itself"
        )
    return chosen[0]


def _is_litter(member: zipfile.ZipInfo) -> bool:
    return member.filename.startswith("__MACOSX/")
