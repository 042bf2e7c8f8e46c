"""Told: what one person has said, over what the data says, and the facts of its movies, known to the data or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matinee.errors import UnknownMovieError
from matinee.live import NewMovie
from matinee.service.api.rows import DECIMALS, HINT, movie_rows
from matinee.service.serving import live, recommender


@dataclass(frozen=True)
class Told:
    """All that is kept of one person, by movie id, in the order of the ids."""

    revision: int
    stars: Mapping[str, float]
    marks: Mapping[str, str]


def told(user: str) -> Told:
    """Return one person's ratings and marks: those of the data, unless forgotten, with live ones over them."""
    said, ratings = live().read(user), recommender().dataset.ratings
    imported = None if said.forgotten else ratings.get(user)
    stars: dict[str, float | None] = {}
    if imported is not None:
        stars.update(zip(ratings.movies.take(imported.movies), imported.stars.tolist(), strict=True))
    stars.update(said.stars)
    given = {movie: round(value, DECIMALS) for movie, value in sorted(stars.items()) if value is not None}
    return Told(said.revision, given, dict(sorted(said.marks.items())))


def known_movie(movie: str) -> str:
    """Return the id of a movie that the data knows, or that was added since. Raises UnknownMovieError for another."""
    if movie not in recommender().dataset.catalog.ids and movie not in added():
        raise UnknownMovieError(movie, hint=HINT)
    return movie


def added() -> dict[str, NewMovie]:
    """Return the movies that the data does not know yet, by id."""
    return {movie.movie: movie for movie in live().movies()}


def facts(movies: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known of these movies: of the catalogue's, of those added since, and the bare id of others."""
    positions = recommender().dataset.catalog.ids.positions(movies)
    known = iter(movie_rows().of(positions[positions >= 0]))
    others = added() if (positions < 0).any() else {}
    return [
        next(known) if position >= 0 else _facts_of_new(others.get(movie) or NewMovie(movie, f"Movie {movie}"))
        for movie, position in zip(movies, positions.tolist(), strict=True)
    ]


def _facts_of_new(movie: NewMovie) -> dict[str, Any]:
    return {**vars(movie), "genres": list(movie.genres), "ratings": 0, "mean": None}
