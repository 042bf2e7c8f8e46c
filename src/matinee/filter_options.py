"""The filters of lists, declared once: Python's parameters, the command line's options and the API's query follow.

`matinee.recommender.filters.Filters` applies them. A new filter is an entry here, a field there, and a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict

from matinee.defaults import DEFAULT_MIN_RATINGS

LAST_YEAR = 9999


class FilterOptions(TypedDict, total=False):
    """What a caller of Python may pass; FILTERS describes each."""

    genre: str | Iterable[str] | None
    not_genre: str | Iterable[str] | None
    year_from: int | None
    year_to: int | None
    rated_since: str | date | None
    min_ratings: int | None


@dataclass(frozen=True)
class FilterOption:
    """One filter as people write it.

    kind        str, int or date
    help        one sentence, the same in the command line's help and in the API's document
    metavar     its value in the command line's help
    several     whether it can be given several times
    low, high   bounds of a number, both included
    examples    for the API's document
    """

    kind: type
    help: str
    metavar: str
    several: bool = False
    low: int | None = None
    high: int | None = None
    examples: tuple[Any, ...] = ()


FILTERS: Mapping[str, FilterOption] = {
    "genre": FilterOption(str, "Only movies of this genre; repeat it for any of several.", "G", several=True),
    "not_genre": FilterOption(str, "No movies of this genre; repeat it for none of several.", "G", several=True),
    "year_from": FilterOption(int, "Only movies of this year or newer.", "Y", low=1, high=LAST_YEAR),
    "year_to": FilterOption(int, "Only movies of this year or older.", "Y", low=1, high=LAST_YEAR),
    "rated_since": FilterOption(
        date, "Count only ratings since this day, UTC, for the minimum.", "DATE", examples=("2018-01-31",)
    ),
    "min_ratings": FilterOption(
        int,
        f"Only movies with so many ratings: {DEFAULT_MIN_RATINGS} by default, 0 within chosen movies.",
        "N",
        low=0,
    ),
}
