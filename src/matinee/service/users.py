"""A user's ratings and marks: those of the data with live ones over them, and how they change.

The interface and the pages both ask here; neither calls the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matinee.errors import MissingError, UsageError
from matinee.service.movies import known_movie
from matinee.service.rows import DECIMALS
from matinee.service.serving import live, recommender


@dataclass(frozen=True)
class UserState:
    """All that is stored of one user, by movie id, in the order of the ids."""

    revision: int
    stars: Mapping[str, float]
    marks: Mapping[str, str]


def user_state(user: str) -> UserState:
    """Return a user's ratings and marks: those of the data, unless forgotten, with live ones over them."""
    since, ratings = live().read(user), recommender().dataset.ratings
    imported = None if since.forgotten else ratings.get(user)
    stars: dict[str, float | None] = {}
    if imported is not None:
        stars.update(zip(ratings.movies.take(imported.movies), imported.stars.tolist(), strict=True))
    stars.update(since.stars)
    given = {movie: round(value, DECIMALS) for movie, value in sorted(stars.items()) if value is not None}
    return UserState(since.revision, given, dict(sorted(since.marks.items())))


def stars_of(user: str, movie: str) -> tuple[int, float]:
    """Return the user's revision and stars for a movie. Raises MissingError where the user has not rated it."""
    state = user_state(user)
    if movie not in state.stars:
        raise MissingError(f"user {user!r} has not rated movie {known_movie(movie)!r}")
    return state.revision, state.stars[movie]


def rate(user: str, movie: str, stars: float) -> int:
    """Store a rating and return the revision.

    Raises UsageError for stars off the data's scale, UnknownMovieError for an unknown movie.
    """
    if rule := recommender().dataset.ratings.scale.check(stars):
        raise UsageError(rule)
    return live().rate(user, {known_movie(movie): stars})


def delete_rating(user: str, movie: str) -> int:
    """Delete a rating, live or of the data, and return the revision. Raises UnknownMovieError."""
    return live().delete(user, known_movie(movie))


def mark(user: str, movie: str, value: str) -> int:
    """Mark a movie, instead of any mark it has, and return the revision. Raises UnknownMovieError."""
    return live().mark(user, known_movie(movie), value)


def delete_mark(user: str, movie: str) -> int:
    """Delete a movie's mark and return the revision. Raises UnknownMovieError."""
    return live().unmark(user, known_movie(movie))


def forget(user: str) -> None:
    """Forget a user at once: ratings, marks, links and rooms go, and ratings of the data no longer count."""
    live().forget(user)
