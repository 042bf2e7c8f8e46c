"""One person's ratings and marks from a file: what another site exports, or lines MOVIE,STARS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matinee.errors import DataError
from matinee.remedies import at_the_command_line

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.datasets.matching import Matched
    from matinee.recommender.people import Person

MOST_EXAMPLES = 5


def read_person(path: Path, dataset: Dataset, scale: str | None) -> tuple[Person, list[str]]:
    """Return the person of a file, by the movies of a data set, and a report on the file's lines.

    The file is read like an import over HTTP; MOVIE of lines MOVIE,STARS is an id or a title. Raises DataError where no
    line matches a movie.
    """
    from matinee.datasets import exports, matching
    from matinee.ratings import History, Scale
    from matinee.recommender.people import Person

    own = dataset.ratings.scale
    given = None if scale is None else Scale.parse(scale)
    export = exports.read(path.read_bytes(), given, own=own, name=path.name)
    found = matching.match(export, dataset.catalog, own, counts=dataset.ratings.movie_counts)
    if not found.stars and not found.marks:
        raise DataError(f"{path} {_nothing(found)}")
    ids = dataset.catalog.ids
    stars = {int(ids.positions([movie])[0]): value for movie, value in found.stars.items()}
    marks = {int(ids.positions([movie])[0]): mark for movie, mark in found.marks.items()}
    return Person(History.of(stars), 0, marks), [f"{path}: {line}" for line in _report(found)]


def _nothing(found: Matched) -> str:
    if not found.unmatched:
        return "holds no ratings; it needs lines MOVIE,STARS such as 260,4.5, or what another site exports"
    first = found.unmatched[0]
    more = f", and {len(found.unmatched) - 1:,} more lines match no movie" if len(found.unmatched) > 1 else ""
    return f"line {first.line}: {first.what!r}: {first.reason}{more}"


def _report(found: Matched) -> list[str]:
    """Return a report on unmatched lines and on guesses."""
    from matinee.datasets.matching import GROUPS

    lines = list(map(at_the_command_line, found.notes))
    if found.unmatched:
        groups = "; ".join(f"{count:,} {GROUPS[kind]}" for kind, count in found.groups.items())
        lines.append(f"{len(found.unmatched):,} of {found.lines:,} lines were not used: {groups}")
        lines += [f"line {one.line}: {one.what!r}: {one.reason}" for one in found.unmatched[:MOST_EXAMPLES]]
    if found.loose:
        lines.append(f"{len(found.loose):,} of {found.lines:,} lines match a movie by a guess")
        lines += [f"line {one.line}: {one.what} is {one.title} ({one.why})" for one in found.loose[:MOST_EXAMPLES]]
    return lines
