"""Exports: what one person keeps of films at another site, as the site hands it out: a table, JSON, or a zip of them.

bytes --zip--> files --delimited, json_exports--> rows --sites--> Export(lines)

A line names a film by ids, titles and year, and says that it was rated, watched, liked, or put on a list. Nothing is
left out without a word: a line that cannot be read is in `unread`, and a file that is not read in `files`.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from matinee.dataset import Finding
from matinee.datasets import delimited, identifiers, json_exports, jsonlines, plausibility, sites, times, zips
from matinee.datasets.sites import EPISODES, HALF_STARS, SERIES, Kind, Layout
from matinee.errors import DataError
from matinee.ratings import Scale
from matinee.titles import split_title, with_year

__all__ = ["HALF_STARS", "Export", "Line", "Unmatched", "read"]

MOST_BYTES = 10_000_000  # when unpacked
MOST_LINES = 50_000  # of all files; the busiest person of MovieLens has 33,000
MOST_COLUMNS = 100
MOST_TITLE = 500  # characters
HEAD = 1_000  # bytes that say what a file is
SHOWN = 80  # characters of what somebody wrote
SUFFIXES = (".csv", ".tsv", ".txt", ".json")
USUAL = ("1:5", "0:5", "1:10", "0:10", "0:100")  # scales
PLAIN = ("movie", "stars")  # columns of a file without header
NOT_RATED = (0.0, -1.0)  # where they are off the scale
UNRATED = "there is no rating on this line: its stars mean that it is not rated"
LIST_OF_LETTERBOXD = b"Letterboxd list export"


class Line(NamedTuple):
    """What a line says of a film, which it names by one or several of its ids, titles and year.

    kind        "rated", with stars; or without stars: "watched", "liked", "watchlist", "hidden", "listed"
    date        when, as written, "" where unknown
    file        of a zip, "" for a single one
    is_either   whether `movie` may be a title as well
    is_guess    whether `kind` is what such lines mostly say, where neither the file's name nor its columns say it
    unrated     whether it has stars that mean "not rated"
    """

    number: int
    stars: float
    movie: str | None = None
    imdb: str | None = None
    titles: tuple[str, ...] = ()
    year: int | None = None
    tmdb: str | None = None
    kind: Kind = "rated"
    date: str = ""
    file: str = ""
    is_either: bool = False
    is_guess: bool = False
    unrated: bool = False

    @property
    def what(self) -> str:
        """How a person would name the movie."""
        title = with_year(self.titles[0], self.year) if self.titles else None
        return (title or self.imdb or self.movie or (self.tmdb and f"TMDB {self.tmdb}") or "")[:SHOWN]


@dataclass(frozen=True)
class Unmatched:
    """A line that became nothing, and why; `kind` groups lines that share a reason."""

    line: int
    what: str
    reason: str
    kind: str = "unreadable"
    file: str = ""


@dataclass(frozen=True)
class Export:
    """What stands in a file, in its order: lines, with stars on `scale`, and lines that say nothing.

    files     {name of a file in a zip: what it was read as, "" for nothing}
    findings  what is probably not meant
    """

    site: str
    scale: Scale
    lines: tuple[Line, ...]
    unread: tuple[Unmatched, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class _File(NamedTuple):
    name: str
    data: bytes
    kind: Kind | None


def read(
    data: bytes, scale: Scale | None = None, *, own: Scale = HALF_STARS, kind: Kind | None = None, name: str = ""
) -> Export:
    """Read an export, whichever site it is from.

    scale   of its stars, where they are not on the site's
    own     the data's scale, for a file of no known site
    kind    what lines without stars say; by default by the file's name, else by its columns
    name    of the file, where it is known

    Raises DataError where it holds no films, the ratings of several people, or stars off its scale, or is too large or
    damaged.

    >>> read(b"Const,Your Rating,Title,Year\\r\\ntt0133093,9,The Matrix,1999\\r\\n").lines[0].imdb
    'tt0133093'
    """
    is_zip = data.startswith(zips.ZIP)
    files, skipped = _members(data) if is_zip else ([_File("", data, kind or sites.kind_of_file(name))], [])
    if not files:
        raise DataError("the files of the zip are empty; send the zip as the site hands it out")
    lines: list[Line] = []
    unread: list[Unmatched] = []
    found: list[tuple[str, Scale]] = []
    for file in files:
        site, own_scale = _read(file, scale, own, lines, unread)
        found.append((site, own_scale))
    if len({one for _, one in found}) > 1:
        raise DataError("the files of the zip are on different scales; send them one by one")
    named = {file.name: file.kind or "rated" for file in files} if is_zip else {}
    findings = () if scale else _of_stars(lines)
    unrated = sum(line.unrated for line in lines) + sum(one.reason == UNRATED for one in unread)
    findings = (*findings, *plausibility.of_unrated(unrated), *_of_times(lines))
    return Export(*found[0], tuple(lines), tuple(unread), named | dict.fromkeys(skipped, ""), findings)


def _of_stars(lines: Sequence[Line]) -> tuple[Finding, ...]:
    stars = Counter(line.stars for line in lines if line.kind == "rated")
    values = sorted(stars)
    return tuple(plausibility.of_export(np.array(values, float), np.array([stars[one] for one in values], int)))


def _of_times(lines: Sequence[Line]) -> list[Finding]:
    """Return that dates are numbers in another unit than seconds, where they are."""
    found = Counter(times.unit_of(line.date) for line in lines)
    return [one for unit in times.FINER for one in plausibility.of_dates(unit, found[unit])]


def _read(
    file: _File, scale: Scale | None, own: Scale, lines: list[Line], unread: list[Unmatched]
) -> tuple[str, Scale]:
    """Read one file's lines, and return whose it is and the scale of its stars."""
    table = _table(file)
    layout = _layout(file, table.header)
    scale = scale or (layout.site.scale if layout.site else None) or own
    off: list[Line] = []
    users = set()
    for row in table.rows():
        if len(lines) + len(unread) >= MOST_LINES:
            raise DataError(
                f"the file has more than {MOST_LINES:,} lines; no person's ratings have so many; send fewer"
            )
        if row.rule:
            unread.append(Unmatched(row.line, ",".join(row.fields)[:SHOWN], row.rule, "unreadable", file.name))
            continue
        users.add(layout.cell(row.fields, "user"))
        line = _line(row.line, row.fields, layout, scale, file)
        if isinstance(line, Unmatched):
            unread.append(line)
        elif line.kind == "rated" and not _is_on(scale, line.stars):
            off.append(line)
        else:
            lines.append(line)
    if len(users) > 1:
        raise DataError(f"the file holds the ratings of {len(users):,} users; send those of one person")
    if off:
        raise DataError(_off_scale(off, scale, layout, [line.stars for line in lines if line.kind == "rated"]))
    return (layout.site.name if layout.site else "a table"), scale


def _table(file: _File) -> Any:
    where = file.name or "the file"
    if len(file.data) > MOST_BYTES:
        raise DataError(f"{where} has more than {MOST_BYTES:,} bytes; no person's ratings do")
    start = file.data[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"[", b"{"):
        return jsonlines.read(file.data, where) if _is_json_lines(file.data) else json_exports.read(file.data, where)
    if b"\0" in file.data and not file.data.startswith(delimited.UTF16):
        raise DataError(f"{where} is not text; send the CSV or the zip as the site hands it out")
    if not start and not file.data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{where} is empty; send the CSV or the zip as the site hands it out")
    if file.data.startswith(LIST_OF_LETTERBOXD):
        return delimited.read(_without_preface(file.data), where, fallback="latin-1")
    table = delimited.read(file.data, where, fallback="latin-1")
    if not table.named and len(table.header) == len(PLAIN):
        return delimited.read(file.data, where, PLAIN, fallback="latin-1")
    if not table.named:
        raise DataError(
            f"{where} has no line of column names: it begins with {delimited.shown(table)}; write one above, such as "
            "title,year,rating"
        )
    return table


def _is_json_lines(data: bytes) -> bool:
    first = data.lstrip(b"\xef\xbb\xbf \t\r\n")[: 1 << 16].partition(b"\n")[0].strip()
    return first.startswith(b"{") and first.endswith(b"}") and b"\n{" in data


def _without_preface(data: bytes) -> bytes:
    """Return a list of Letterboxd with blank lines where it speaks of the list itself."""
    above, mark, rows = data.partition(b"\nPosition,")
    return b"\n" * (above.count(b"\n") + 1) + mark.lstrip() + rows


def _layout(file: _File, header: Sequence[str]) -> Layout:
    where = file.name or "the file"
    if len(header) > MOST_COLUMNS:
        raise DataError(f"{where} has {len(header)} columns; no export has more than {MOST_COLUMNS}")
    kind = None if file.kind == "rated" else file.kind
    return sites.layout(where, header, kind)


def _line(number: int, fields: Sequence[str], layout: Layout, scale: Scale, file: _File) -> Line | Unmatched:
    line = _named(number, fields, layout)._replace(file=file.name)
    sort = layout.cell(fields, "type").lower()
    if any(word in sort for word in SERIES):
        if any(word in sort for word in EPISODES) or line.imdb is None:
            return Unmatched(number, line.what, f"it is a {sort[:SHOWN]}, not a film", "series", file.name)
        line = line._replace(titles=(), tmdb=None)
    if any(len(title) > MOST_TITLE for title in line.titles):
        return Unmatched(number, line.what, f"its title has more than {MOST_TITLE} characters", "unreadable", file.name)
    text = layout.cell(fields, "stars")
    try:
        stars = delimited.number(text) if text else 0.0
    except ValueError:
        return Unmatched(number, line.what, f"{text[:SHOWN]!r} is not a number of stars", "stars", file.name)
    if text and (stars not in NOT_RATED or _is_on(scale, stars)):
        return line._replace(stars=stars)
    return _without_stars(line._replace(unrated=bool(text)), fields, layout)


@lru_cache
def _is_on(scale: Scale, stars: float) -> bool:
    """Return whether stars are on a scale; a file has few that differ."""
    return scale.has(stars)


def _without_stars(line: Line, fields: Sequence[str], layout: Layout) -> Line | Unmatched:
    """Return what a line without stars says: where the table has a column for them, one without a date says nothing."""
    kind = layout.said_by(fields)
    if "stars" in layout.columns and kind == "watched" and not line.date:
        reason = UNRATED if line.unrated else "there is no rating on this line"
        return Unmatched(line.number, line.what, reason, "stars", line.file)
    return line._replace(kind=kind, is_guess=layout.is_guess(fields))


def _named(number: int, fields: Sequence[str], layout: Layout) -> Line:
    """Return a line with the names of its film and its date."""
    titles = [layout.cell(fields, column) for column in ("title", "original")]
    movie = layout.cell(fields, "movie") or None
    is_either = movie is not None and not any(titles) and "title" not in layout.columns
    year = _year(layout.cell(fields, "year")) or _year(layout.cell(fields, "released")[:4])
    if is_either:
        titles = [str(movie)]
    if year is None and any(titles):
        titles[0], year = split_title(titles[0] or titles[1])
    return Line(
        number,
        0.0,
        _id(movie),
        _of_site(layout.cell(fields, "imdb"), identifiers.imdb),
        tuple(dict.fromkeys(title for title in titles if title)),
        year,
        _of_site(layout.cell(fields, "tmdb"), identifiers.tmdb),
        date=layout.cell(fields, "watched") or layout.cell(fields, "date") or layout.cell(fields, "listed"),
        is_either=is_either,
    )


def _of_site(text: str, read_id: Callable[[str], str | None]) -> str | None:
    return read_id(text) if text else None


def _id(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return identifiers.read(text, "movie")
    except ValueError:
        return text


def _year(text: str) -> int | None:
    digits = text.removesuffix(".0")
    return int(digits) or None if digits.isascii() and digits.isdigit() and len(digits) <= 4 else None


def _off_scale(off: Sequence[Line], scale: Scale, layout: Layout, on: Sequence[float]) -> str:
    """Return why a file is refused whose stars are not on its scale, and on which they may be."""
    given = [*on, *(line.stars for line in off)]
    low, high = min(given), max(given)
    whose = f"{layout.site.name}'s scale" if layout.site and layout.site.scale == scale else "the scale"
    rule = str(scale.check(off[0].stars)).replace("the scale", whose)
    if high <= scale.high and low >= scale.low:
        likely = f"{scale.low:g}:{scale.high:g}"
    else:
        usual = (text for text in USUAL if low in Scale.parse(text) and high in Scale.parse(text))
        likely = next(usual, f"{low:g}:{high + (high == low):g}")
    more = f", and {len(off) - 1:,} more" if len(off) > 1 else ""
    return (
        f"line {off[0].number}{f' of {off[0].file}' if off[0].file else ''}: {rule}{more}; nothing was stored; "
        f'if they are on another scale, name it: `scale="{likely}"`'
    )


def _members(data: bytes) -> tuple[list[_File], list[str]]:
    """Return the files of a zip that say something of films, the one with the ratings last, and the names of others."""
    tables: dict[str, Kind | None] = {}

    def choose(members: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
        tables.update(_kinds([member.filename for member in members if _is_table(member.filename)]))
        return _chosen(members, tables)

    files = zips.unpacked(data, choose, MOST_BYTES)
    root = _root([*tables])
    read_files = [_File(name.removeprefix(root), content, tables[name]) for name, content in files.items() if content]
    return read_files, [name.removeprefix(root) for name in tables if name not in files]


def _kinds(names: Sequence[str]) -> dict[str, Kind | None]:
    root = _root(names)
    return {name: _kind(name.removeprefix(root)) for name in names}


def _chosen(members: Sequence[zipfile.ZipInfo], tables: Mapping[str, Kind | None]) -> list[zipfile.ZipInfo]:
    chosen = [name for name, kind in tables.items() if kind is not None] or ([*tables] if len(tables) == 1 else [])
    if not chosen:
        listed = ", ".join(tables)[: 2 * SHOWN] or "none"
        raise DataError(
            f"the zip holds no ratings.csv, nor a single CSV file; its CSV files: {listed}; send the CSV itself"
        )
    found = [member for member in members if member.filename in chosen]
    return sorted(found, key=lambda member: ORDER.index(tables[member.filename] or "rated"))


ORDER = ("listed", "watchlist", "liked", "watched", "hidden", "rated")
"""Of two lines for one film the later counts: what was rated last."""


def _is_table(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith("__MACOSX/")


def _root(names: Sequence[str]) -> str:
    """Return the folder in which all files are, with its slash."""
    first = {PurePosixPath(name).parts[0] for name in names if "/" in name}
    return f"{first.pop()}/" if len(first) == 1 and all("/" in name for name in names) and len(names) > 1 else ""


def _kind(name: str) -> Kind | None:
    """Return what a file of a zip says of films; None for one that says nothing, such as what was deleted."""
    folders = PurePosixPath(name).parts[:-1]
    if (folders and folders[0] not in ("likes", "lists")) or PurePosixPath(name).name in ("reviews.csv", "lists.csv"):
        return None
    return sites.kind_of_file(name)
