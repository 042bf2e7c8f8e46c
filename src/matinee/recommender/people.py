"""People: whom a question is about, given by their ratings or by their id, with live ratings over the snapshot's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.errors import DataError, UnknownUserError, UsageError
from matinee.kernels import Csr
from matinee.models import Rater
from matinee.ratings import History, Scale, batch

Given = Any
"""One person's ratings: {movie id or title: stars}, pairs of the two, a History, or a table with columns movie (or
movieId, title) and stars (or rating). A list of such, but for pairs, is several people."""


class LiveHistory(Protocol):
    """What one person said since the snapshot: the count of their writes, and {movie id: stars, None if deleted}."""

    @property
    def revision(self) -> int: ...

    @property
    def stars(self) -> Mapping[str, float | None]: ...


class Live(Protocol):
    """Where live ratings are read from."""

    def read(self, user: str) -> LiveHistory: ...


@dataclass(frozen=True, eq=False)
class Person:
    """One person's ratings on the data's scale, and the revision of the live ratings they include (0: none)."""

    history: History
    revision: int = 0


@dataclass(frozen=True, eq=False)
class People:
    """B people whom one question is about, folded into the rater once.

    names       (B,) values of the column that tells them apart in an answer, {} for one person: {"user": ["1", "2"]}
    people      their ratings
    histories   (B, n_movies) the same as a matrix
    profiles    the rater's
    """

    names: Mapping[str, Sequence[str | int]]
    people: Sequence[Person]
    histories: Csr
    profiles: Any

    @classmethod
    def of(cls, people: Sequence[Person], rater: Rater, n_movies: int, **names: Sequence[str | int]) -> People:
        """Fold people in."""
        histories = batch([person.history for person in people], n_movies)
        return cls(names, people, histories, rater.fold_in(histories))

    def __len__(self) -> int:
        return len(self.people)

    def repeated(self, times: NDArray[np.int64]) -> dict[str, list[str | int]]:
        """Return the column that tells people apart, each as often as in `times` (B,)."""
        return {
            column: [name for name, count in zip(names, times.tolist(), strict=True) for _ in range(count)]
            for column, names in self.names.items()
        }


def several(given: Given) -> bool:
    """Return whether these are the ratings of several people.

    >>> several([{"1": 5}, {"2": 4}]), several([("1", 5), ("2", 4)]), several({"1": 5})
    (True, False, False)
    """
    return isinstance(given, list | tuple) and bool(given) and all(map(_is_history, given))


def _is_history(given: Given) -> bool:
    return isinstance(given, Mapping | History) or hasattr(given, "__arrow_c_stream__")


def by_id(dataset: Dataset, live: Live | None, user: str) -> Person:
    """Return a user's ratings: the data's, with live ones over them.

    Live wins over the data by movie, and a deletion removes. Live ratings of movies that the data does not know are
    left out until the next refit. With live ratings an unknown user is a person without ratings yet; without them
    UnknownUserError is raised.
    """
    imported = dataset.ratings.get(user)
    said = live.read(user) if live is not None else None
    if imported is None and said is None:
        raise UnknownUserError(user)
    if said is None or not said.stars:
        return Person(imported or History.of({}), said.revision if said else 0)
    stars = dict(zip(imported.movies.tolist(), imported.stars.tolist(), strict=True)) if imported is not None else {}
    for movie, given in said.stars.items():
        position = dataset.catalog.ids.position(movie)
        if position is not None and given is None:
            stars.pop(position, None)
        elif position is not None and given is not None:
            stars[position] = given
    return Person(History.of(stars), said.revision)


def given_by_hand(dataset: Dataset, given: Given, scale: Scale | None) -> Person:
    """Return the history that somebody wrote down, on `scale` (None: the data's).

    Raises UnknownMovieError or AmbiguousTitleError naming the movie, DataError where stars are outside the scale or a
    movie is rated twice.
    """
    if isinstance(given, History):
        return Person(given)
    own = dataset.ratings.scale
    written = scale or own
    stars: dict[int, float] = {}
    for movie, value in _pairs(given):
        position = dataset.catalog.resolve(movie)
        if not isinstance(value, int | float | np.number) or float(value) not in written:
            raise DataError(
                f"{value!r} stars for {dataset.catalog.title(position)} are outside {written.low:g} to "
                f"{written.high:g}; use scale 1:10 if they are on another scale"
            )
        if position in stars:
            raise DataError(f"{dataset.catalog.title(position)} is rated twice; leave one of the ratings out")
        stars[position] = float(written.to(own, np.array(value, np.float32)))
    return Person(History.of(stars))


def _pairs(given: Given) -> Iterable[tuple[str | int, float]]:
    if isinstance(given, Mapping):
        return given.items()
    if hasattr(given, "__arrow_c_stream__"):
        table = pa.table(given)
        movie, stars = (_column(table, names) for names in (("movie", "movieId", "title"), ("stars", "rating")))
        return zip(movie, stars, strict=True)
    try:
        return [(movie, stars) for movie, stars in given]
    except (TypeError, ValueError):
        raise UsageError(
            "ratings are given as {movie id or title: stars}, as pairs of the two, or as a table with columns movie "
            f"and stars, not as {str(given)[:60]!r}"
        ) from None


def _column(table: pa.Table, names: tuple[str, ...]) -> list[Any]:
    found = next((name for name in names if name in table.column_names), None)
    if found is None:
        raise UsageError(f"the table has no column {' or '.join(names)}; it has {', '.join(table.column_names)}")
    return list(table[found].to_pylist())
