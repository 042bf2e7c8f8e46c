"""Movies as the interface and the pages describe them: of the catalogue, and added since the snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.errors import UnknownMovieError
from matinee.live import NewMovie
from matinee.service.rows import HINT, movie_rows
from matinee.service.serving import live, recommender


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


def described(movie: str) -> dict[str, Any]:
    """Return all that is known of a movie. Raises UnknownMovieError."""
    [row] = facts([known_movie(movie)])
    dataset = recommender().dataset
    levels, position = dataset.ratings.scale.levels.tolist(), dataset.catalog.ids.position(movie)
    if position is None:
        return {**row, "tags": [], "histogram": _bars(levels, [0] * len(levels))}
    counts = dataset.ratings.movie_histograms[position].tolist()
    return {**row, "tags": dataset.catalog.table["tags"][position].as_py(), "histogram": _bars(levels, counts)}


def _bars(levels: list[float], counts: list[int]) -> list[Mapping[str, float]]:
    return [{"stars": round(stars, 4), "count": count} for stars, count in zip(levels, counts, strict=True)]
