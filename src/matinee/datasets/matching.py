"""Matching: the movies that a person's written ratings mean, and their stars on the data's scale.

lines  --IMDb id, else id, else title and year-->  {movie id: stars}  and the lines that mean no movie, with why
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.datasets.exports import Export, Line, Unmatched
from matinee.datasets.title_matching import Loose, TitleMatcher
from matinee.ids import Positions
from matinee.ratings import Scale


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


@dataclass(frozen=True)
class Matched:
    """stars {movie id: stars on the data's scale}, of two lines for one movie the later; and what was not matched."""

    stars: dict[str, float]
    unmatched: tuple[Unmatched, ...]
    loose: tuple[LooseMatch, ...] = ()


def match(
    export: Export,
    catalog: Catalog,
    own: Scale,
    also: Collection[str] = (),
    counts: NDArray[np.integer] | None = None,
) -> Matched:
    """Return what an export says of the movies that `find` finds, on the data's `own` scale."""
    stars: dict[str, float] = {}
    unmatched, loose = list(export.unread), []
    for line, found in zip(export.lines, find(export.lines, catalog, also, counts), strict=True):
        if isinstance(found, Unmatched):
            unmatched.append(found)
            continue
        stars[found.movie] = export.scale.convert(line.stars, own)
        if found.why is not None:
            title = catalog.title(int(catalog.ids.positions([found.movie])[0]))
            loose.append(LooseMatch(line.number, line.what, found.movie, title, found.why))
    return Matched(stars, tuple(sorted(unmatched, key=lambda one: one.line)), tuple(loose))


def find(
    lines: Sequence[Line], catalog: Catalog, also: Collection[str] = (), counts: NDArray[np.integer] | None = None
) -> list[Found | Unmatched]:
    """Return the movie that each line means, or why it means none.

    also    ids of movies besides those of the catalogue
    counts  (n_movies,) ratings of each movie of the catalogue: of two with one title and year the more rated is meant

    An IMDb id decides where the catalogue knows it. A movie id decides where the line names no title or the movie has
    that title. A title decides as matinee.datasets.title_matching says.
    """
    matcher = TitleMatcher(catalog, counts)
    return [
        _found(line, by_imdb, catalog, also, matcher)
        for line, by_imdb in zip(lines, _by_imdb(lines, catalog).tolist(), strict=True)
    ]


def _found(
    line: Line, by_imdb: int, catalog: Catalog, also: Collection[str], matcher: TitleMatcher
) -> Found | Unmatched:
    if by_imdb >= 0:
        return Found(catalog.ids[by_imdb])
    titled = (
        matcher.match(line.titles, line.year, lambda movie: _is_other(line, movie, catalog)) if line.titles else None
    )
    position = catalog.ids.position(line.movie) if line.movie else None
    if position is not None and (titled is None or matcher.has(position, line.titles)):
        return Found(catalog.ids[position])
    if isinstance(titled, Loose):
        return Found(catalog.ids[titled.movie], titled.why)
    if line.movie is not None and line.movie in also:
        return Found(line.movie)
    if titled is not None:
        return Unmatched(line.number, line.what, titled.reason, titled.kind)
    named = " or ".join(what for what, value in (("movie id", line.movie), ("IMDb id", line.imdb)) if value)
    reason = f"no movie here has this {named}" if named else "the line names no movie"
    return Unmatched(line.number, line.what, reason, "unknown" if named else "nameless")


def _is_other(line: Line, movie: int, catalog: Catalog) -> bool:
    """Return whether a movie is known to be another one than the line's, by its IMDb id."""
    return line.imdb is not None and catalog.table["imdb"][movie].as_py() not in (None, line.imdb)


def _by_imdb(lines: Sequence[Line], catalog: Catalog) -> Positions:
    """Return the position of each line's IMDb id, -1 where it has none or the catalogue does not know it."""
    asked = pa.array([line.imdb for line in lines], pa.string())
    found = pc.index_in(asked, value_set=catalog.table["imdb"].combine_chunks(), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1), np.int32)
