"""Notes: what a reader of an answer must know besides its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.models import Rater
from matinee.recommender.filters import Filters
from matinee.recommender.people import People

BY_POPULARITY = "the movies most people rate, with stars that are not personal"
BY_STARS = "the highest stars in all, which are not personal"
STARS = "stars that are not personal"


def fewer(people: People, listed: NDArray[np.bool_], n: int, allowed: NDArray[np.bool_], filters: Filters) -> str:
    """Return why somebody's list has fewer than n movies; `listed` (B, n) says which places are taken."""
    counts = listed.sum(axis=1)
    if (counts >= n).all():
        return ""
    since = f" since {filters.rated_since}" if filters.rated_since else ""
    passing = f"movies that pass the filters and have at least {filters.min_ratings} ratings{since}: {allowed.sum():,}"
    if len(people) > 1:
        return f"fewer than {n} for {(counts < n).sum()} of {len(people)} people; {passing}"
    rated = allowed[people.people[0].history.movies].sum()
    return f"{counts[0]} instead of {n}; {passing}; of these rated already: {rated}"


def short(people: People, rater: Rater, shown: str) -> str:
    """Return for whom the rater falls back, because of no ratings or too few; `shown` is what those without any see."""
    empty = people.histories.counts == 0
    few = rater.falls_back(people.profiles) & ~empty
    nobody = f"no ratings yet: {shown}" if empty.any() else ""
    hardly = "few ratings yet: stars are damped means, a rough guess" if few.any() else ""
    if len(people) > 1:
        nobody = nobody and f"{int(empty.sum())} of {len(people)} people have {nobody}"
        hardly = hardly and f"{int(few.sum())} of {len(people)} people have {hardly}"
    return "\n".join(filter(None, (nobody, hardly)))


def simulated(dataset: Dataset) -> str:
    """Return the warning that nobody gave these ratings, where that is so."""
    return "simulated ratings" if dataset.facts.simulated else ""
