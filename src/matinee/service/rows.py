"""Rows of answers: facts of movies, by their positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import orjson
import pyarrow as pa
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
AT_ONCE = 1_000  # movies that are objects of Python while they are written
FACTS = ("movie", "title", "year", "genres", "imdb", "tmdb")
HINT = "search with GET /api/v1/movies?query="

_ROWS: WeakKeyDictionary[Recommender, MovieRows] = WeakKeyDictionary()


class MovieRows:
    """Facts of the movies of one data set as JSON, once for each worker: 27,300 movies are some 5 MB.

    As objects of Python they were twice as large, and a list touched each of its two hundred wherever it lay.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        ratings = dataset.ratings
        table = dataset.catalog.table.select(FACTS)
        for name, values in (("ratings", ratings.movie_counts), ("mean", rounded(ratings.movie_means))):
            table = table.append_column(name, pa.array(values))
        text, starts = bytearray(), [0]
        for part in table.to_batches(max_chunksize=AT_ONCE):
            for row in part.to_pylist():
                text += orjson.dumps(row)  # one at a time: each has kilobytes in reserve
                starts.append(len(text))
        self._text, self._starts = bytes(text), np.array(starts)

    def of(self, positions: Positions) -> list[dict[str, Any]]:
        """Return the facts of the movies at these positions, a new dictionary for each."""
        return [*map(orjson.loads, self._facts(positions))]

    def with_more(self, positions: Positions, more: Iterable[Mapping[str, Any]]) -> list[orjson.Fragment]:
        """Return the same as JSON, with more fields."""
        return [
            orjson.Fragment(facts[:-1] + b"," + orjson.dumps(one)[1:])
            for facts, one in zip(self._facts(positions), more, strict=True)
        ]

    def ids(self, positions: Positions) -> list[str]:
        """Return the ids of the movies at these positions."""
        return self._dataset.catalog.ids.take(positions)

    def _facts(self, positions: Positions) -> list[bytes]:
        starts, ends = self._starts[positions].tolist(), self._starts[positions + 1].tolist()
        return [self._text[start:end] for start, end in zip(starts, ends, strict=True)]

    @cached_property
    def most_rated(self) -> Positions:
        """(n_movies,) all positions, most rated first."""
        return np.argsort(-self._dataset.ratings.movie_counts, kind="stable").astype(np.int32)


def movie_rows() -> MovieRows:
    """Return the rows of this request's data set."""
    return rows_of(recommender())


def rows_of(found: Recommender) -> MovieRows:
    """Return the rows of a recommender's data set, made once."""
    try:
        return _ROWS[found]
    except KeyError:
        return _ROWS.setdefault(found, MovieRows(found.dataset))


def position_of(movie: str) -> int:
    """Return the position of a movie by its id. Raises UnknownMovieError, MissingError where it was added since."""
    position = recommender().dataset.catalog.ids.position(movie)
    if position is None:
        if any(movie == new.movie for new in live().movies()):
            raise MissingError(f"movie {movie!r} is new: it can be rated now, and has answers after the next refit")
        raise UnknownMovieError(movie, hint=HINT)
    return position


def with_columns(rows: list[dict[str, Any]], **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the rows with more fields; a value for every row."""
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
    return [{**facts, **more} for facts, more in zip(movie_rows().of(found.positions), _stars(found), strict=True)]


def listed(found: Answer) -> list[dict[str, Any]]:
    """Return the same for a list, with the match, and with why where that was asked for."""
    rows = movie_rows().of(found.positions)
    return [{**facts, **more} for facts, more in zip(rows, _expected(found), strict=True)]


def told_list(found: Answer) -> dict[str, Any]:
    """Return a list as the interface tells it: what orders it, its note, and the rows as JSON."""
    rows = movie_rows().with_more(found.positions, _expected(found))
    return {"order": "match" if "match" in found.values else "stars", "note": found.note, "items": rows}


def matches(found: Answer) -> list[float | None]:
    """Return the ranker's score of each row, None for an unranked movie."""
    if "match" not in found.values:
        return [None] * len(found.positions)
    return [None if score == -np.inf else score for score in rounded(found.values["match"], FINE)]


def _stars(found: Answer) -> list[dict[str, Any]]:
    stars, low, high = rounded(np.array([found.values[name] for name in ("stars", "low", "high")]))
    return [{"stars": row[0], "low": row[1], "high": row[2]} for row in zip(stars, low, high, strict=True)]


def _expected(found: Answer) -> list[dict[str, Any]]:
    rows = with_columns(_stars(found), match=matches(found))
    return rows if found.reasons is None else with_columns(rows, why=[*map(_why, found.reasons)])


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
    return values.astype(np.float64).round(decimals).tolist()  # type: ignore[no-any-return]
