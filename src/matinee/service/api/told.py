"""Told: what one person has said, over what the data says, and the facts of its movies, known to the data or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matinee.dataset import Dataset
from matinee.errors import UnknownMovieError
from matinee.ids import Positions
from matinee.live import NewMovie
from matinee.service.serving import live, recommender

COLUMNS = ["movie", "title", "year", "genres", "imdb", "tmdb"]
DECIMALS = 4


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
    given = {movie: round(stars, DECIMALS) for movie, stars in sorted(stars.items()) if stars is not None}
    return Told(said.revision, given, dict(sorted(said.marks.items())))


def known_movie(movie: str) -> str:
    """Return the id of a movie that the data knows, or that was added since. Raises UnknownMovieError for another."""
    if movie not in recommender().dataset.catalog.ids and movie not in added():
        raise UnknownMovieError(movie, hint="search with GET /api/v1/movies?query=")
    return movie


def added() -> dict[str, NewMovie]:
    """Return the movies that the data does not know yet, by id."""
    return {movie.movie: movie for movie in live().movies()}


def facts(movies: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known of these movies: of the catalogue's, of those added since, and the bare id of others."""
    dataset = recommender().dataset
    positions = dataset.catalog.ids.positions(movies)
    known = iter(facts_at(dataset, positions[positions >= 0]))
    others = added() if (positions < 0).any() else {}
    return [
        next(known) if position >= 0 else _facts_of_new(movie, others.get(movie))
        for movie, position in zip(movies, positions.tolist(), strict=True)
    ]


def facts_at(dataset: Dataset, positions: Positions) -> list[dict[str, Any]]:
    """Return what the catalogue says of the movies at these positions (m,), and how many rated them, how well."""
    rows: list[dict[str, Any]] = dataset.catalog.table.select(COLUMNS).take(pa.array(positions)).to_pylist()
    counts, means = dataset.ratings.movie_counts[positions], dataset.ratings.movie_means[positions]
    for row, count, mean in zip(rows, counts.tolist(), means.tolist(), strict=True):
        row |= {"ratings": count, "mean": round(mean, DECIMALS) if count else None}
    return rows


def _facts_of_new(movie: str, found: NewMovie | None) -> dict[str, Any]:
    if found is None:
        found = NewMovie(movie, f"Movie {movie}")
    known = {column: getattr(found, column) for column in COLUMNS}
    return {**known, "genres": list(found.genres), "ratings": 0, "mean": None}
