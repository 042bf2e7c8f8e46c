"""Matching: the movies that a person's written ratings mean, and their stars on the data's scale.

lines  --IMDb id, else id, else title and year-->  {movie id: stars}  and the lines that mean no movie, with why
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.catalog import Catalog
from matinee.datasets.exports import Export, Line, Unmatched
from matinee.ids import Positions
from matinee.ratings import Scale
from matinee.titles import with_year


@dataclass(frozen=True)
class Matched:
    """stars {movie id: stars on the data's scale}, of two lines for one movie the later; and what was not matched."""

    stars: dict[str, float]
    unmatched: tuple[Unmatched, ...]


def match(export: Export, catalog: Catalog, own: Scale, also: Collection[str] = ()) -> Matched:
    """Return what an export says of the movies that `find` finds, on the data's `own` scale."""
    stars: dict[str, float] = {}
    unmatched = list(export.unread)
    for line, found in zip(export.lines, find(export.lines, catalog, also), strict=True):
        if isinstance(found, Unmatched):
            unmatched.append(found)
        else:
            stars[found] = export.scale.convert(line.stars, own)
    return Matched(stars, tuple(sorted(unmatched, key=lambda one: one.line)))


def find(lines: Sequence[Line], catalog: Catalog, also: Collection[str] = ()) -> list[str | Unmatched]:
    """Return the id of the movie that each line means, or why it means none.

    also    ids of movies besides those of the catalogue

    An IMDb id decides where the catalogue knows it. A movie id decides where the line names no title or the movie has
    that title. A title decides where one movie has it, in that year or one beside it.
    """
    return [
        _found(line, by_imdb, catalog, also)
        for line, by_imdb in zip(lines, _by_imdb(lines, catalog).tolist(), strict=True)
    ]


def _found(line: Line, by_imdb: int, catalog: Catalog, also: Collection[str]) -> str | Unmatched:
    position = by_imdb if by_imdb >= 0 else _by_id_or_title(line, catalog)
    if isinstance(position, int):
        return catalog.ids[position]  # type: ignore[no-any-return]
    if line.movie is not None and line.movie in also:
        return line.movie
    return Unmatched(line.number, line.what, position)


def _by_imdb(lines: Sequence[Line], catalog: Catalog) -> Positions:
    """Return the position of each line's IMDb id, -1 where it has none or the catalogue does not know it."""
    asked = pa.array([line.imdb for line in lines], pa.string())
    found = pc.index_in(asked, value_set=catalog.table["imdb"].combine_chunks(), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1), np.int32)


def _by_id_or_title(line: Line, catalog: Catalog) -> int | str:
    """Return the position of the movie that a line means, or why there is none."""
    position = catalog.ids.position(line.movie) if line.movie else None
    if position is not None and (not line.titles or position in set(_called(line, catalog))):
        return position
    found = list(dict.fromkeys(_called(line, catalog)))
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{catalog.ids[movie]}: {catalog.title(movie)}" for movie in found[:3])
        return f"several movies are called this, name one by its id: {listed}"
    return _reason(line, catalog)


def _called(line: Line, catalog: Catalog) -> Iterator[int]:
    """Yield the movies with one of the line's titles, but for those known to be another one by their IMDb id."""
    for title in line.titles:
        for movie in catalog.called(title, line.year):
            if line.imdb is None or catalog.table["imdb"][movie].as_py() in (None, line.imdb):
                yield movie


def _reason(line: Line, catalog: Catalog) -> str:
    others = [movie for title in line.titles for movie in catalog.called(title)]
    if others and line.year is not None:
        return f"no movie here is {with_year(line.titles[0], line.year)}; there is {catalog.title(others[0])}"
    known_by = (("movie id", line.movie), ("IMDb id", line.imdb), ("title", line.titles[0] if line.titles else None))
    named = " or ".join(what for what, value in known_by if value)
    return f"no movie here has this {named}" if named else "the line names no movie"
