"""Filters: which movies may be recommended, applied before the list is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import UsageError
from matinee.filter_options import FilterOptions


@dataclass(frozen=True)
class Filters:
    """The conditions on a recommended movie.

    genres          at least one of these, where any are named
    not_genres      none of these
    year_from, year_to      released in these years, both included; a movie of unknown year is in no range
    rated_since     count only ratings since the start of this day, UTC, for min_ratings
    min_ratings     at least this many ratings
    """

    genres: tuple[str, ...] = ()
    not_genres: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    rated_since: date | None = None
    min_ratings: int = DEFAULT_MIN_RATINGS

    @classmethod
    def of(cls, **options: Unpack[FilterOptions]) -> Filters:
        """Make filters from what a person writes: one genre or several, a date as text; None is the default.

        Raises UsageError for an invalid value.

        >>> Filters.of(genre="Drama", rated_since="2015-04-01").rated_since
        datetime.date(2015, 4, 1)
        """
        year_from, year_to = options.get("year_from"), options.get("year_to")
        least = options.get("min_ratings")
        min_ratings = DEFAULT_MIN_RATINGS if least is None else least
        if year_from is not None and year_to is not None and year_from > year_to:
            raise UsageError(f"year_from {year_from} is after year_to {year_to}; no movie is in that range")
        if min_ratings < 0:
            raise UsageError(f"min_ratings must be 0 or more, not {min_ratings}")
        genres, not_genres = _names(options.get("genre")), _names(options.get("not_genre"))
        return cls(genres, not_genres, year_from, year_to, _day(options.get("rated_since")), min_ratings)

    def allowed(self, catalog: Catalog, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (n_movies,) which movies pass, by their number of ratings (n_movies,), counted since `rated_since`.

        Raises UsageError naming a genre that no movie has.
        """
        allowed = np.asarray(counts >= self.min_ratings)
        if self.genres:
            allowed &= _flags(catalog, self.genres)
        if self.not_genres:
            allowed &= ~_flags(catalog, self.not_genres)
        if self.year_from is not None:
            allowed &= (catalog.years >= self.year_from) & (catalog.years > 0)
        if self.year_to is not None:
            allowed &= (catalog.years <= self.year_to) & (catalog.years > 0)
        return allowed


def since(day: date) -> int:
    """Return the start of a day in seconds since 1970, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _names(genre: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if genre is None else (genre,) if isinstance(genre, str) else tuple(genre)


def _day(day: str | date | None) -> date | None:
    if isinstance(day, datetime):
        return day.date()
    if day is None or isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except (TypeError, ValueError):
        raise UsageError(f"a date has the form 2015-04-01, not {day!r}") from None


def _flags(catalog: Catalog, genres: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return (n_movies,) which movies have one of the genres."""
    known = {name.casefold(): column for column, name in enumerate(catalog.genre_names)}
    missing = [genre for genre in genres if genre.casefold() not in known]
    if missing:
        listed = ", ".join(catalog.genre_names) or "no genres"
        raise UsageError(f"no movie has the genre {missing[0]!r}; this data has {listed}")
    columns = [known[genre.casefold()] for genre in genres]
    return np.asarray(catalog.genre_flags[:, columns].any(axis=1))
