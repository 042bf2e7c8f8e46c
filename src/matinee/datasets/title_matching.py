"""Title matching: the one movie that another source's title and year mean, and how far the two titles differ.

Years differ by one between sources, and titles by an article, a numeral, a subtitle. One of the two is allowed, not
both: with another year only the same title is the same movie. Every match that is not exact says why it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.datasets import spellings
from matinee.datasets.title_keys import TitleKeys, in_year, title_keys
from matinee.titles import titles_in, with_year

OTHERWISE = "the titles differ in an article, a numeral or the spelling"
PRESENTED = "the titles differ in who presents the movie, or in 3D"
BY_PARTS = "one title is a part of the other"
NEARLY = "the titles differ in a letter or two"
BESIDE = "the years differ by one"
WITHOUT_YEAR = "the line has no year"
YEAR_UNKNOWN = "the data has no year for it"


@dataclass(frozen=True)
class Loose:
    """A movie that a title means in all likelihood; `why` says what differs, None where nothing does."""

    movie: int
    why: str | None = None


@dataclass(frozen=True)
class Missing:
    """A title that means no movie.

    kind    "newer" than the data, "another year" in the data, "several" movies, or "unknown"
    reason  the same, with what the data has
    """

    kind: str
    reason: str


class TitleMatcher:
    """Finds the movies of one catalogue by title.

    counts  (n_movies,) ratings of each movie; of two with one title and year the one with more is taken. Without
            counts they are several.
    """

    def __init__(self, catalog: Catalog, counts: NDArray[np.integer] | None = None) -> None:
        self._catalog, self._counts = catalog, counts
        self._keys: TitleKeys = title_keys(catalog)
        self._years: list[int] = catalog.years.tolist()
        self._newest = max(self._years, default=0)

    def match(self, titles: Sequence[str], year: int | None, is_other: Callable[[int], bool]) -> Loose | Missing:
        """Return the movie that a line's titles mean, the first of them that means one.

        is_other    whether a movie is known to be another one than the line's, by its IMDb or TMDB id
        """
        for candidates, why in self._rounds(titles, year):
            found = [movie for movie in dict.fromkeys(candidates) if not is_other(movie)]
            if found and why is None:
                return Loose(found[0]) if len(found) == 1 else self._most_rated(found)
            if found and year is not None:
                rivals = self._rivals(titles, year, why)
                found = [movie for movie in dict.fromkeys([*found, *rivals]) if not is_other(movie)]
            if len(found) == 1:
                return Loose(found[0], why)
            if found and why != NEARLY:
                return self._several(found)
        return self._missing(titles, year)

    def has(self, movie: int, titles: Sequence[str]) -> bool:
        """Return whether a movie has one of these titles, but for articles, numerals and spelling."""
        return any(movie in self._plain(title) for title in titles)

    def _rounds(self, titles: Sequence[str], year: int | None) -> Iterator[tuple[list[int], str | None]]:
        """Yield the movies that titles may mean, the likeliest first, and what is loose about them."""
        same = [movie for title in titles for movie in self._keys.same[spellings.same(title)]]
        if year is None:
            yield same, WITHOUT_YEAR
            yield [movie for title in titles for movie in self._plain(title)], f"{OTHERWISE}, and {WITHOUT_YEAR}"
            return
        yield self._of_year(same, year), None
        yield from self._likely(titles, year)
        yield self._beside(titles, year), BESIDE
        yield from self._less_likely(titles, year)
        yield self._of_year(same, 0), YEAR_UNKNOWN
        yield (
            self._of_year([movie for title in titles for movie in self._plain(title)], 0),
            (f"{OTHERWISE}, and {YEAR_UNKNOWN}"),
        )

    def _rivals(self, titles: Sequence[str], year: int, why: str | None) -> list[int]:
        """Return the movies that the titles may mean as well: with another year, or of this year by another title."""
        if why == BESIDE:
            return [movie for title in titles for movie in self._with_parts(title, year)]
        return self._beside(titles, year) if why in (OTHERWISE, BY_PARTS) else []

    def _beside(self, titles: Sequence[str], year: int) -> list[int]:
        same = [movie for title in titles for movie in self._keys.same[spellings.same(title)]]
        return self._of_year(same, year - 1) + self._of_year(same, year + 1)

    def _likely(self, titles: Sequence[str], year: int) -> Iterator[tuple[list[int], str]]:
        for title in titles:
            yield self._of_year(self._plain(title), year), OTHERWISE

    def _less_likely(self, titles: Sequence[str], year: int) -> Iterator[tuple[list[int], str]]:
        for title in titles:
            yield self._of_year(self._presented(title), year), PRESENTED
        for title in titles:
            yield self._with_parts(title, year), BY_PARTS
        for title in titles:
            yield self._nearly(title, year), NEARLY
        for title in titles:
            yield self._beginning(title, year), BY_PARTS

    def _of_year(self, movies: Sequence[int], year: int) -> list[int]:
        return [movie for movie in movies if self._years[movie] == year]

    def _plain(self, title: str) -> list[int]:
        return self._keys.plain[spellings.plain(title)]

    def _presented(self, title: str) -> list[int]:
        shorter = [movie for key in spellings.shorter(title) for movie in self._keys.plain[key]]
        return shorter + self._keys.shorter[spellings.plain(title)]

    def _with_parts(self, title: str, year: int) -> list[int]:
        """Return the movies of a year that have all parts of a title."""
        asked = spellings.parts(title)
        found = self._keys.parts[in_year(max(asked, key=len), year)] if asked else []
        return [movie for movie in found if set(asked) <= self._parts(movie)]

    def _beginning(self, title: str, year: int) -> list[int]:
        """Return the movies of a year that are called as a title begins, where what follows only describes them."""
        for beginning, subtitle in spellings.beginnings(title):
            found = self._of_year(self._plain(beginning), year)
            same = [movie for movie in found if self._has_article(movie, spellings.article(beginning))]
            if same and spellings.describes(subtitle):
                return same
        return []

    def _has_article(self, movie: int, article: str) -> bool:
        return any(spellings.article(name) == article for name in titles_in(self._title(movie)))

    def _parts(self, movie: int) -> set[str]:
        return {part for name in titles_in(self._title(movie)) for part in spellings.parts(name)}

    def _nearly(self, title: str, year: int) -> list[int]:
        asked = spellings.plain(title)
        found = {movie for half in spellings.halves(asked) for movie in self._keys.halves[in_year(half, year)]}
        return [
            movie
            for movie in sorted(found)
            if any(spellings.nearly(asked, spellings.plain(name)) for name in titles_in(self._title(movie)))
        ]

    def _most_rated(self, movies: Sequence[int]) -> Loose | Missing:
        """Return the most rated of movies that have one title and year, or that there are several."""
        counts = [0 if self._counts is None else int(self._counts[movie]) for movie in movies]
        most = max(counts)
        if counts.count(most) > 1:
            return self._several(movies)
        why = f"of {len(movies)} movies with this title and year the one with the most ratings"
        return Loose(movies[counts.index(most)], why)

    def _several(self, movies: Sequence[int]) -> Missing:
        listed = "; ".join(f"{self._catalog.ids[movie]}: {self._catalog.title(movie)}" for movie in movies[:3])
        return Missing("several", f"several movies are called this, name one by its id: {listed}")

    def _missing(self, titles: Sequence[str], year: int | None) -> Missing:
        if year is not None and year > self._newest > 0:
            return Missing("newer", f"newer than the data, whose newest movie is of {self._newest}")
        others = [movie for title in titles for movie in self._keys.same[spellings.same(title)]]
        if others and year is not None:
            there = self._catalog.title(others[0])
            return Missing("another year", f"no movie here is {with_year(titles[0], year)}; there is {there}")
        return Missing("unknown", "no movie here has this title")

    def _title(self, movie: int) -> str:
        return str(self._catalog.table["title"][movie].as_py())
