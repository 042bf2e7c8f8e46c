"""Within: a list of some movies only, a user's watchlist or named ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.errors import UsageError
from matinee.recommender.people import People

Within = Literal["watchlist"] | Iterable[str | int] | None
WATCHLIST = "watchlist"


def among(allowed: NDArray[np.bool_], some: Within, people: People, catalog: Catalog) -> NDArray[np.bool_]:
    """Return (n_movies,) which of the allowed movies are in `some`: None for all, a watchlist, or ids and titles.

    Raises UsageError for an invalid value, UnknownMovieError or AmbiguousTitleError naming the movie.
    """
    if some is None:
        return allowed
    chosen = _watchlist(some, people) if isinstance(some, str) else [catalog.resolve(movie) for movie in some]
    kept = np.zeros_like(allowed)
    kept[chosen] = allowed[chosen]
    return kept


def _watchlist(some: str, people: People) -> Any:
    if some != WATCHLIST:
        raise UsageError(f"within must be {WATCHLIST!r} or a list of movies, not {some!r}")
    if len(people) != 1:
        raise UsageError("within='watchlist' needs one user; name a user with `user=ID`")
    return people.people[0].marked(WATCHLIST)
