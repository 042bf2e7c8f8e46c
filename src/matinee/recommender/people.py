"""People: given by their ratings or by their id, with live ratings over the snapshot's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.errors import DataError, UnknownUserError, UsageError
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Rater
from matinee.ratings import History, Scale, batch

T = TypeVar("T")
UNLISTED = ("seen", "hidden")
Given = Any
"""One person's ratings: {movie id or title: stars}, pairs of the two, a History, or a table with columns movie (or
movieId, title) and stars (or rating). A list of such, but for pairs, is several people."""


class LiveHistory(Protocol):
    """One user's ratings and marks added after the snapshot.

    revision    counts their writes
    stars       {movie id: stars, None if deleted}
    marks       {movie id: "seen", "hidden" or "watchlist"}
    forgotten   whether the user was forgotten: the snapshot's ratings of them do not count
    """

    @property
    def revision(self) -> int: ...

    @property
    def stars(self) -> Mapping[str, float | None]: ...

    @property
    def marks(self) -> Mapping[str, str]: ...

    @property
    def forgotten(self) -> bool: ...


class Live(Protocol):
    """A source of live ratings."""

    def read(self, user: str) -> LiveHistory: ...


@dataclass(frozen=True, eq=False)
class Person:
    """One person as of one moment.

    history     their ratings on the data's scale
    revision    of the live ratings that these include, 0 for none
    marks       {movie position: "seen", "hidden" or "watchlist"}
    """

    history: History
    revision: int = 0
    marks: Mapping[int, str] = field(default_factory=dict)

    def marked(self, *marks: str) -> Positions:
        """Return the movies with one of these marks, ascending."""
        return np.array(sorted(movie for movie, mark in self.marks.items() if mark in marks), np.int32)

    @property
    def unlisted(self) -> Positions:
        """The movies that are never listed for this person, ascending: rated, seen or hidden."""
        return np.union1d(self.history.movies, self.marked(*UNLISTED)) if self.marks else self.history.movies


@dataclass(frozen=True, eq=False)
class People:
    """B people of one call, folded into the rater once.

    names       (B,) values of the column that identifies them in an answer, {} for one person: {"user": ["1", "2"]}
    people      their ratings
    histories   (B, n_movies) the same as a matrix
    unlisted    (B, n_movies) the movies that are never listed for them
    profiles    the rater's
    """

    names: Mapping[str, Sequence[str | int]]
    people: Sequence[Person]
    histories: Csr
    unlisted: Csr
    profiles: Any

    @classmethod
    def of(cls, people: Sequence[Person], rater: Rater, n_movies: int, **names: Sequence[str | int]) -> People:
        """Fold people in."""
        histories = batch([person.history for person in people], n_movies)
        unlisted = _rows([person.unlisted for person in people], n_movies) if _any_marks(people) else histories
        return cls(names, people, histories, unlisted, rater.fold_in(histories))

    def __len__(self) -> int:
        return len(self.people)

    def repeated(self, listed: NDArray[np.bool_]) -> dict[str, list[str | int]]:
        """Return the column that identifies people, each as often as `listed` (B, n) is true for them."""
        return {
            column: [name for name, row in zip(names, listed, strict=True) for _ in range(np.count_nonzero(row))]
            for column, names in self.names.items()
        }


def _any_marks(people: Sequence[Person]) -> bool:
    return any(person.marks for person in people)


def _rows(movies: Sequence[Positions], n_movies: int) -> Csr:
    return batch([History(row, np.zeros(len(row), np.float32)) for row in movies], n_movies)


def several(given: Given) -> bool:
    """Return whether these are the ratings of several people.

    >>> several([{"1": 5}, {"2": 4}]), several([("1", 5), ("2", 4)]), several({"1": 5})
    (True, False, False)
    """
    return isinstance(given, list | tuple) and bool(given) and all(map(_is_history, given))


def _is_history(given: Given) -> bool:
    return isinstance(given, Mapping | History) or hasattr(given, "__arrow_c_stream__")


def by_id(dataset: Dataset, live: Live | None, user: str) -> Person:
    """Return a user's ratings: the data's, with the live ones over them.

    A live rating replaces the data's rating of the same movie, a deletion removes it, and a forgotten user has no
    ratings in the data. Ratings of movies that are not in the data are left out until the next refit. With live ratings
    an unknown user is a person without ratings; without them UnknownUserError is raised.
    """
    if live is not None:
        return merged(dataset, user, live.read(user))
    imported = dataset.ratings.get(user)
    if imported is None:
        raise UnknownUserError(user)
    return Person(imported)


def merged(dataset: Dataset, user: str, said: LiveHistory) -> Person:
    """Return a user's ratings and marks: the data's, with the live ones over them."""
    imported = dataset.ratings.get(user)
    known = History.of({}) if imported is None or said.forgotten else imported
    history = _overlaid(known, _by_position(dataset, said.stars)) if said.stars else known
    return Person(history, said.revision, _by_position(dataset, said.marks))


def _by_position(dataset: Dataset, said: Mapping[str, T]) -> dict[int, T]:
    positions = ((dataset.catalog.ids.position(movie), what) for movie, what in said.items())
    return {position: what for position, what in positions if position is not None}


def _overlaid(imported: History, said: Mapping[int, float | None]) -> History:
    stars: dict[int, float | None] = dict(zip(imported.movies.tolist(), imported.stars.tolist(), strict=True))
    stars.update(said)
    return History.of({movie: given for movie, given in stars.items() if given is not None})


def given_by_hand(dataset: Dataset, given: Given, scale: Scale | None) -> Person:
    """Return the history of ratings in any accepted form, on `scale` (None: the data's).

    Raises UnknownMovieError or AmbiguousTitleError naming the movie, DataError where stars are not on the scale or a
    movie is rated twice.
    """
    if isinstance(given, Person):
        return given
    if isinstance(given, History):
        return Person(given)
    own = dataset.ratings.scale
    written = scale or own
    stars: dict[int, float] = {}
    for movie, value in _pairs(given):
        position = dataset.catalog.resolve(movie)
        if rule := _broken_rule(value, written):
            named = dataset.catalog.title(position)
            raise DataError(f"{named}: {rule}; use `scale='1:10'` if they are on another scale")
        if position in stars:
            raise DataError(f"{dataset.catalog.title(position)} is rated twice; leave one of the ratings out")
        stars[position] = written.convert(float(value), own)
    return Person(History.of(stars))


def _broken_rule(value: object, scale: Scale) -> str | None:
    """Return why this is not a rating of a scale, or None."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return f"{value!r} is not a number of stars"
    return scale.check(float(value))


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
            "ratings must be {movie id or title: stars}, pairs of the two, or a table with columns movie "
            f"and stars, not as {str(given)[:60]!r}"
        ) from None


def _column(table: pa.Table, names: tuple[str, ...]) -> list[Any]:
    found = next((name for name in names if name in table.column_names), None)
    if found is None:
        raise UsageError(f"the table has no column {' or '.join(names)}; it has {', '.join(table.column_names)}")
    return list(table[found].to_pylist())
