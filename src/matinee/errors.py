"""Every error Matinee raises on purpose.

    MatineeError                 one clear line: the value, the rule, the next step      exit code 1
    +-- UsageError               an invalid option or argument              exit code 2
    +-- DataError                a file or table that breaks a rule; names file and line
    +-- FetchError               a download that failed or does not match its checksum
    +-- UnknownUserError         a user id without ratings
    +-- UnknownMovieError        a movie id or title the catalogue does not hold
    |   +-- AmbiguousTitleError  a title that several movies share; lists them
    +-- ModelError               a model that does not fit this data
    +-- StoreError               a store or snapshot that is missing, damaged or foreign
    +-- EngineError              Spark does not start, or lost its cluster
    +-- LiveError                the database of live ratings is away or unreadable
        +-- BusyError            another process holds the lock
    +-- MissingError             a rating, mark or room that is not there
    +-- FullRoomError            a room without a free place

The command line turns these into exit codes and the service into problem details, each in one place.
"""

from __future__ import annotations

from collections.abc import Sequence


class MatineeError(Exception):
    """Something a person can act on: the message is one clear line with the next step."""


class UsageError(MatineeError):
    """An invalid option or argument."""


class DataError(MatineeError):
    """A file or table that breaks a rule; the message names the place, the value and the rule."""


class PlausibilityWarning(UserWarning):
    """Something about data that is probably not meant; the message names what settles it."""


class FetchError(MatineeError):
    """A download that failed, was refused, or does not match its checksum."""


class UnknownUserError(MatineeError):
    """A user id that neither the data nor the live ratings know."""

    def __init__(self, user: str) -> None:
        super().__init__(f"unknown user {user!r}: no ratings with this id")
        self.user = user


class UnknownMovieError(MatineeError):
    """A movie id or title that the catalogue does not hold."""

    def __init__(self, movie: str, *, hint: str = "search with `ds.catalog.search(QUERY)`") -> None:
        super().__init__(f"unknown movie {movie!r}; {hint}")
        self.movie = movie


class AmbiguousTitleError(UnknownMovieError):
    """A title that several movies share.

    `candidates` holds (movie id, title with year), most rated first.
    """

    def __init__(self, movie: str, candidates: Sequence[tuple[str, str]]) -> None:
        listed = "; ".join(f"{movie_id}: {title}" for movie_id, title in candidates)
        MatineeError.__init__(self, f"several movies are called {movie!r}; name one by its id: {listed}")
        self.movie = movie
        self.candidates = tuple(candidates)


class ModelError(MatineeError):
    """A model that does not fit this data."""


class StoreError(MatineeError):
    """A store or snapshot that is missing, damaged or not ours."""


class EngineError(MatineeError):
    """Spark, or the Java under it, is missing, does not start or answer, or failed on the way."""


class LiveError(MatineeError):
    """The database of live ratings is away or unreadable."""


class BusyError(LiveError):
    """Another process holds the lock."""


class MissingError(MatineeError):
    """A rating, mark or room that is not there."""


class FullRoomError(MatineeError):
    """A room without a free place."""
