"""Search: movies of the data and those added since, by a title or all of them, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.errors import UsageError
from matinee.ids import Positions
from matinee.live import NewMovie
from matinee.recommender import Filters
from matinee.search import NOT_FOUND, TitleIndex
from matinee.service.movies import added, facts
from matinee.service.rows import movie_rows
from matinee.service.serving import recommender


@dataclass(frozen=True, eq=False)
class Listing:
    """Movies in their order.

    places   (n,) positions of those of the data, and -1 - i for the i-th of those added since
    new      the ids of those added since
    """

    places: Positions
    new: Sequence[str]

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, start: int, end: int) -> list[dict[str, Any]]:
        """Return the facts of the movies from one place to another."""
        places = self.places[start:end]
        known = iter(movie_rows().of(places[places >= 0]))
        new = iter(facts([self.new[-1 - place] for place in places[places < 0].tolist()]))
        return [next(known if place >= 0 else new) for place in places.tolist()]

    def behind(self, movie: str) -> int:
        """Return the place behind a movie, with which a page ended. Raises UsageError where it is not here."""
        place = -1 - self.new.index(movie) if movie in self.new else recommender().dataset.catalog.ids.position(movie)
        found = [] if place is None else np.flatnonzero(self.places == place).tolist()
        if not found:
            raise UsageError(f"the cursor {movie[:40]!r} is not of this list; begin again without a cursor")
        return int(found[0]) + 1


def find(query: str, filters: Filters) -> Listing:
    """Return the movies whose titles fit a query, best first, all of them for "", that pass the filters.

    Those added since have the fewest ratings, so they are behind the others that fit as well.
    """
    dataset = recommender().dataset
    if query:
        found, grades = dataset.catalog.graded(query, dataset.ratings.movie_counts)
    else:
        found, grades = movie_rows().most_rated, np.zeros(len(dataset.catalog), np.int8)
    passing = recommender().allowed(filters)[found]
    found, grades = found[passing], grades[passing]
    new, new_grades = added_since(query, filters)
    places = np.insert(found, np.searchsorted(grades, new_grades, side="right"), -1 - np.arange(len(new)))
    return Listing(places, new)


def added_since(query: str, filters: Filters) -> tuple[list[str], NDArray[np.int8]]:
    """Return the movies added since the data that fit a query and pass the filters, best first, and their grades."""
    ids = recommender().dataset.catalog.ids
    new = [movie for movie in added().values() if movie.movie not in ids and _passes(movie, filters)]
    grades = _grades(new, query)
    order = np.argsort(grades, kind="stable")
    order = order[grades[order] < NOT_FOUND]
    return [new[at].movie for at in order], grades[order]


def _grades(new: Sequence[NewMovie], query: str) -> NDArray[np.int8]:
    if not new or not query:
        return np.zeros(len(new), np.int8)
    return TitleIndex.of([movie.title for movie in new], np.array([movie.year or 0 for movie in new])).grades(query)


def _passes(movie: NewMovie, filters: Filters) -> bool:
    genres, wanted = {genre.casefold() for genre in movie.genres}, {genre.casefold() for genre in filters.genres}
    in_time = filters.year_from is None and filters.year_to is None
    if movie.year is not None:
        in_time = (filters.year_from or 0) <= movie.year <= (filters.year_to or movie.year)
    return in_time and (not wanted or bool(genres & wanted))
