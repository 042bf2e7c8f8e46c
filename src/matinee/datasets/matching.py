"""Matching: the movies of a person's exported lines, and their stars and marks.

lines  --IMDb id, else TMDB id, else id, else title and year-->  {movie id: stars}, {movie id: mark}
                                                                 and what became of every other line, with why
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.dataset import Finding
from matinee.datasets import times
from matinee.datasets.exports import Export, Line, Unmatched
from matinee.datasets.sites import Kind
from matinee.datasets.title_matching import WITHOUT_YEAR, Loose, TitleMatcher
from matinee.ids import Positions
from matinee.ratings import Scale

MARKS: Mapping[Kind, str] = {"watched": "seen", "liked": "seen", "hidden": "hidden", "watchlist": "watchlist"}
OWN = "JSON"  # what is exported here comes back as it was
STRONGER = ("watchlist", "seen", "hidden")
"""Of two marks of one movie the later here: what was seen is not listed again."""
GROUPS = {
    "newer": "newer than the data",
    "unknown": "not in the data",
    "another year": "in the data with another year only",
    "several": "the title of several movies",
    "nameless": "without a movie",
    "series": "series and episodes, not films",
    "stars": "without a rating that can be read",
    "listed": "on lists, which are not kept; send one list by itself to bring it in as watched or as a watchlist",
    "unreadable": "not as the other lines",
}
"""What groups of lines that became nothing are called, by `Unmatched.kind`."""


When = tuple[int, str, int]  # the file's place, the date, the line's place


@dataclass(frozen=True)
class Found:
    """The movie that a line means, and what of that is not exact, None where all is."""

    movie: str
    why: str | None = None


@dataclass(frozen=True)
class LooseMatch:
    """A line that means a movie in all likelihood: what it names, the movie that was taken, and what differs."""

    line: int
    what: str
    movie: str
    title: str
    why: str
    file: str = ""


@dataclass(frozen=True)
class Matched:
    """What an export says, on the data's scale.

    stars       {movie id: stars}, of two lines for one movie the later
    marks       {movie id: "seen", "watchlist" or "hidden"}, of movies without stars, but for the watchlist
    unmatched   lines that became nothing
    loose       lines whose movie is not certain
    read        {kind of line: how many were read}
    found       {kind of line: how many movies these mean}
    findings    what in the file is probably not meant
    again       how many lines name a movie that another line of their kind names, too
    guessed     how many lines count as watched though nothing says so
    """

    stars: dict[str, float]
    unmatched: tuple[Unmatched, ...]
    loose: tuple[LooseMatch, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[Kind, int] = field(default_factory=dict)
    found: Mapping[Kind, int] = field(default_factory=dict)
    again: int = 0
    guessed: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def lines(self) -> int:
        """How many lines there were in all."""
        unread = len(self.unmatched) - sum(one.kind in OF_READ for one in self.unmatched)
        return sum(self.read.values()) + unread

    @property
    def groups(self) -> dict[str, int]:
        """{kind of reason: lines} of lines that became nothing, the largest group first; GROUPS has what to call it."""
        return dict(Counter(one.kind for one in self.unmatched).most_common())

    @property
    def notes(self) -> list[str]:
        """What else a reader must know: what is probably not meant, and what became of likes, lists and some marks.

        A finding names its remedy in Python's words.
        """
        found = list(map(str, self.findings))
        if likes := self.read.get("liked", 0):
            kept = f"{self.found.get('liked', 0):,} of their movies"
            found.append(f"{likes:,} likes were read; {kept} are here and count as seen, as likes are not kept yet")
        if lists := self.read.get("listed", 0):
            found.append(f"{lists:,} lines of lists were read; {GROUPS['listed']}")
        if self.guessed:
            found.append(
                f"{self.guessed:,} lines without stars count as watched, as neither the file's name nor its columns "
                "say more; if it is a watchlist, name the file watchlist.csv, or over HTTP ask for ?kind=watchlist"
            )
        if self.again:
            found.append(f"{self.again:,} lines name a movie again; the later counts")
        both = sum(self.found.get(kind, 0) for kind in MARKS) - len(self.marks)
        if both:
            found.append(
                f"{both:,} marks gave way: a movie has one, seen before watchlist, and a rated one needs no seen"
            )
        return found


OF_READ = ("newer", "unknown", "another year", "several", "nameless", "listed")
"""Kinds of unmatched lines that could be read."""


def match(
    export: Export,
    catalog: Catalog,
    own: Scale,
    also: Collection[str] = (),
    counts: NDArray[np.integer] | None = None,
) -> Matched:
    """Return what an export says of the movies that `find` finds, on the data's `own` scale."""
    said: dict[Kind, dict[str, tuple[When, float]]] = {}
    files = {name: place for place, name in enumerate(dict.fromkeys(line.file for line in export.lines))}
    unmatched, loose, again = list(export.unread), [], 0
    for order, (line, found) in enumerate(zip(export.lines, find(export.lines, catalog, also, counts), strict=True)):
        if line.kind == "listed":
            found = Unmatched(line.number, line.what, "on a list", "listed", line.file)
        if isinstance(found, Unmatched):
            unmatched.append(found)
            continue
        when = (files[line.file], times.iso(line.date), order)
        movies = said.setdefault(line.kind, {})
        again += found.movie in movies
        if found.movie not in movies or movies[found.movie][0] <= when:
            movies[found.movie] = (when, line.stars)
        if found.why is not None:
            loose.append(_loose(line, found, catalog))
    stars = {movie: export.scale.convert(given, own) for movie, (_, given) in said.get("rated", {}).items()}
    return Matched(
        stars,
        tuple(unmatched if any(one.file for one in unmatched) else sorted(unmatched, key=lambda one: one.line)),
        tuple(loose),
        _marks(said, () if export.site == OWN else stars),
        Counter(line.kind for line in export.lines),
        {kind: len(movies) for kind, movies in said.items()},
        again,
        sum(line.is_guess for line in export.lines),
        export.findings,
    )


def _marks(said: Mapping[Kind, Collection[str]], stars: Collection[str]) -> dict[str, str]:
    """Return the marks of movies: a rated one needs none but for the watchlist, as it is not listed again anyway."""
    given = [(movie, MARKS[kind]) for kind, movies in said.items() if kind in MARKS for movie in movies]
    needed = [(movie, mark) for movie, mark in given if mark != "seen" or movie not in stars]
    return dict(sorted(needed, key=lambda one: STRONGER.index(one[1])))


def _loose(line: Line, found: Found, catalog: Catalog) -> LooseMatch:
    title = catalog.title(int(catalog.ids.positions([found.movie])[0]))
    return LooseMatch(line.number, line.what, found.movie, title, str(found.why), line.file)


def find(
    lines: Sequence[Line], catalog: Catalog, also: Collection[str] = (), counts: NDArray[np.integer] | None = None
) -> list[Found | Unmatched]:
    """Return the movie that each line means, or why it means none.

    also    ids of movies besides those of the catalogue
    counts  (n_movies,) ratings of each movie of the catalogue: of two with one title and year the more rated is meant

    An IMDb id decides where the catalogue knows it, then a TMDB id. A movie id decides where the line names no title,
    the movie has that title, or the title and the id are one column. A title decides as
    matinee.datasets.title_matching says.
    """
    matcher = TitleMatcher(catalog, counts)
    by_imdb, by_tmdb = (_by_id([getattr(line, name) for line in lines], catalog, name) for name in ("imdb", "tmdb"))
    by_id = np.where(by_imdb >= 0, by_imdb, by_tmdb).tolist()
    return [_found(line, place, catalog, also, matcher) for line, place in zip(lines, by_id, strict=True)]


def _found(line: Line, by_id: int, catalog: Catalog, also: Collection[str], matcher: TitleMatcher) -> Found | Unmatched:
    if by_id >= 0:
        return Found(catalog.ids[by_id])
    position = catalog.ids.position(line.movie) if line.movie else None
    if position is not None and (line.is_either or not line.titles or matcher.has(position, line.titles)):
        return Found(catalog.ids[position])
    if line.movie is not None and position is None and line.movie in also:
        return Found(line.movie)
    if not line.titles:
        return _unknown(line)
    titled = matcher.match(line.titles, line.year, lambda movie: _is_other(line, movie, catalog))
    if isinstance(titled, Loose):
        is_whole = line.is_either and titled.why == WITHOUT_YEAR
        return Found(catalog.ids[titled.movie], None if is_whole else titled.why)
    return Unmatched(line.number, line.what, titled.reason, titled.kind, line.file)


def _unknown(line: Line) -> Unmatched:
    names = (("movie id", line.movie), ("IMDb id", line.imdb), ("TMDB id", line.tmdb))
    named = " or ".join(what for what, value in names if value)
    reason = f"no movie here has this {named}" if named else "the line names no movie"
    return Unmatched(line.number, line.what, reason, "unknown" if named else "nameless", line.file)


def _is_other(line: Line, movie: int, catalog: Catalog) -> bool:
    """Return whether a movie is known to be another one than the line's, by its IMDb or TMDB id."""
    known = ((line.imdb, "imdb"), (None if line.imdb else line.tmdb, "tmdb"))
    return any(given and catalog.table[name][movie].as_py() not in (None, given) for given, name in known)


def _by_id(ids: Sequence[str | None], catalog: Catalog, column: str) -> Positions:
    """Return the position of each id of another site, -1 without one or for one that is not in the catalogue."""
    known = catalog.table[column].combine_chunks()
    found = pc.index_in(pa.array(ids, pa.string()), value_set=known, skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1), np.int32)
