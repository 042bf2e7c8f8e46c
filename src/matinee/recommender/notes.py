"""Notes: what the reader of an answer must know besides its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.models import Rater
from matinee.recommender.filters import Filters
from matinee.recommender.people import People
from matinee.recommender.within import Within

BY_POPULARITY = "the movies most people rate, with stars that are not personal"
BY_STARS = "the movies with the highest mean stars, which are not personal"
STARS = "stars that are not personal"


def fewer(
    people: People, listed: NDArray[np.bool_], n: int, allowed: NDArray[np.bool_], filters: Filters, some: Within = None
) -> str:
    """Return why a list has fewer than n movies; `listed` (B, n) is true for filled places."""
    if np.count_nonzero(listed) == len(people) * n:  # a third of the time that `all` takes for one person
        return ""
    counts = listed.sum(axis=1)
    of_them = "" if some is None else " on the watchlist" if isinstance(some, str) else " among the named ones"
    passing = _passing(allowed, filters, of_them)
    if len(people) > 1:
        return f"fewer than {n} for {(counts < n).sum()} of {len(people)} people; {passing}"
    person = people.people[0]
    rated, unlisted = (int(allowed[movies].sum()) for movies in (person.history.movies, person.unlisted))
    marked = f"; seen or hidden: {unlisted - rated}" if unlisted > rated else ""
    return f"{counts[0]} instead of {n}; {passing}; already rated: {rated}{marked}"


def fewer_together(found: int, n: int, passing: NDArray[np.bool_], left: NDArray[np.bool_], filters: Filters) -> str:
    """Return why a joint list has fewer than n movies: how many pass, and how many of them remain for all."""
    if found >= n:
        return ""
    gone = passing.sum() - left.sum()
    return f"{found} instead of {n}; {_passing(passing, filters)}; rated, seen or hidden by a member: {gone}"


def _passing(allowed: NDArray[np.bool_], filters: Filters, of_them: str = "") -> str:
    since = f" since {filters.rated_since}" if filters.rated_since else ""
    least = f" and have at least {filters.min_ratings} ratings{since}" if filters.min_ratings else ""
    return f"movies{of_them} that pass the filters{least}: {allowed.sum():,}"


def voices(heard: int, people: int) -> str:
    """Return how many people a joint list ignores."""
    if heard in (0, people):
        return ""
    return f"{people - heard} of {people} people have no ratings yet and do not affect the order"


def short(people: People, rater: Rater, shown: str) -> str:
    """Return for whom the rater falls back, with no ratings or too few; `shown` describes the list without any."""
    some = people.histories.counts > 0
    empty = len(people) - np.count_nonzero(some)
    few = np.count_nonzero(rater.falls_back(people.profiles) & some)
    nobody = f"no ratings yet: {shown}" if empty else ""
    hardly = "few ratings yet: stars are damped means, a rough guess" if few else ""
    if len(people) > 1:
        nobody = nobody and f"{empty} of {len(people)} people have {nobody}"
        hardly = hardly and f"{few} of {len(people)} people have {hardly}"
    return "\n".join(filter(None, (nobody, hardly)))


def simulated(dataset: Dataset) -> str:
    """Return the warning that the ratings are simulated, if they are."""
    return "simulated ratings" if dataset.facts.simulated else ""
