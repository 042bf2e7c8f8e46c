"""Finding: movies of the data and those added since, by a title or all of them, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.errors import UsageError
from matinee.ids import Positions
from matinee.recommender import Filters
from matinee.service.api.additions import added_since
from matinee.service.api.rows import movie_rows
from matinee.service.api.told import facts
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
