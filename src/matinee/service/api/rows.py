"""Rows of answers: what is said of movies, from their positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.errors import MissingError, UnknownMovieError
from matinee.ids import Positions
from matinee.recommender import Answer, Recommender
from matinee.recommender.columns import Reason
from matinee.service.serving import live, recommender
from matinee.titles import with_year

DECIMALS = 4  # of stars
FINE = 6  # of scores and shares, which may be small
HINT = "search with GET /api/v1/movies?query="

_ROWS: WeakKeyDictionary[Recommender, MovieRows] = WeakKeyDictionary()


class MovieRows:
    """Facts of the movies of one data set as Python holds them, once for each worker: 27,300 movies are some 10 MB."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        table, ratings = dataset.catalog.table, dataset.ratings
        self._ids, self._titles, self._imdb, self._tmdb = (
            table[name].to_pylist() for name in ("movie", "title", "imdb", "tmdb")
        )
        self._years = table["year"].to_pylist()
        self._genres = _shared(table["genres"].to_pylist())
        self._counts = ratings.movie_counts.tolist()
        self._means = [None if mean != mean else mean for mean in rounded(ratings.movie_means)]

    def of(self, positions: Positions) -> list[dict[str, Any]]:
        """Return the facts of the movies at these positions, a new dictionary for each."""
        return [
            {
                "movie": self._ids[at],
                "title": self._titles[at],
                "year": self._years[at],
                "genres": self._genres[at],
                "imdb": self._imdb[at],
                "tmdb": self._tmdb[at],
                "ratings": self._counts[at],
                "mean": self._means[at],
            }
            for at in positions.tolist()
        ]

    def ids(self, positions: Positions) -> list[str]:
        """Return the ids of the movies at these positions."""
        return [self._ids[at] for at in positions.tolist()]

    @cached_property
    def most_rated(self) -> Positions:
        """(n_movies,) all positions, most rated first."""
        return np.argsort(-self._dataset.ratings.movie_counts, kind="stable").astype(np.int32)


def movie_rows() -> MovieRows:
    """Return the rows of this request's data set."""
    return rows_of(recommender())


def rows_of(found: Recommender) -> MovieRows:
    """Return the rows of a recommender's data set, made once."""
    if found not in _ROWS:
        _ROWS[found] = MovieRows(found.dataset)
    return _ROWS[found]


def position_of(movie: str) -> int:
    """Return the position of a movie by its id. Raises UnknownMovieError, MissingError where it was added since."""
    position = recommender().dataset.catalog.ids.position(movie)
    if position is None:
        if any(movie == new.movie for new in live().movies()):
            raise MissingError(f"movie {movie!r} is new: it can be rated now, and has answers after the next refit")
        raise UnknownMovieError(movie, hint=HINT)
    return position


def with_columns(rows: list[dict[str, Any]], **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the rows with more said of each; a value for every row."""
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def about(user: str, found: Answer) -> dict[str, Any]:
    """Return whom an answer is about, as of which revision."""
    [revision] = found.revisions
    return {"user": user, "revision": revision}


def predicted(found: Answer) -> list[dict[str, Any]]:
    """Return rows of movies with the stars they would get."""
    names = ("stars", "low", "high")
    columns = rounded(np.stack([found.values[name] for name in names]))
    return with_columns(movie_rows().of(found.positions), **dict(zip(names, columns, strict=True)))


def listed(found: Answer) -> dict[str, Any]:
    """Return a list: what orders it, its note, and its rows with match, and with why where that was asked for."""
    rows = predicted(found)
    with_columns(rows, match=matches(found))
    if found.reasons is not None:
        with_columns(rows, why=[*map(_why, found.reasons)])
    return {"order": "match" if "match" in found.values else "stars", "note": found.note, "items": rows}


def matches(found: Answer) -> list[float | None]:
    """Return the ranker's score of each row, None where there is none."""
    if "match" not in found.values:
        return [None] * len(found.positions)
    return [None if score == -np.inf else score for score in rounded(found.values["match"], FINE)]


def _why(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    movies = movie_rows().of(np.array([reason.movie for reason in reasons], np.int32))
    return [
        {
            "movie": movie["movie"],
            "title": with_year(movie["title"], movie["year"]),
            "contribution": round(reason.adds, FINE),
        }
        for movie, reason in zip(movies, reasons, strict=True)
    ]


def rounded(values: NDArray[np.floating], decimals: int = DECIMALS) -> list[Any]:
    """Return values as JSON shows them; NaN becomes null."""
    return np.round(values.astype(np.float64), decimals).tolist()  # type: ignore[no-any-return]


def _shared(lists: Iterable[list[str]]) -> list[list[str]]:
    """Return the same lists, equal ones only once in memory."""
    known: dict[tuple[str, ...], list[str]] = {}
    return [known.setdefault(tuple(one), one) for one in lists]
