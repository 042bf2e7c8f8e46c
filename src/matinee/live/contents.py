"""All live ratings and added movies, as of one moment: what a refit adds to a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, select

from matinee.errors import UsageError
from matinee.live.checks import checked_id, is_line
from matinee.live.forgotten import Forgotten
from matinee.live.schema import MOVIES, RATINGS

RATINGS_SCHEMA = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("movie", pa.string(), nullable=False),
        pa.field("stars", pa.float64()),  # null: deleted
        pa.field("at", pa.int64(), nullable=False),  # seconds since 1970
    ]
)
_ROWS = 50_000  # at a time
_RATINGS = select(*(RATINGS.c[name] for name in RATINGS_SCHEMA.names)).order_by(RATINGS.c.user, RATINGS.c.movie)


@dataclass(frozen=True)
class NewMovie:
    """A movie that is not in the data yet.

    genres   no genre has a | in its name
    imdb     as "tt0114709", None where unknown
    tmdb     as "862", None where unknown
    """

    movie: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    imdb: str | None = None
    tmdb: str | None = None

    def row(self, at: int) -> dict[str, Any]:
        """Return the movie as it is stored. Raises UsageError for an invalid field."""
        checked_id(self.movie, "movie")
        if not self.title.strip() or any(not genre or "|" in genre for genre in self.genres):
            raise UsageError(f"movie {self.movie!r} needs a title; its genres must not be empty or contain |")
        for text in (self.title, *self.genres, self.imdb, self.tmdb):
            if text is not None and not is_line(text):
                raise UsageError(f"movie {self.movie!r}: {text[:40]!r} has a control character; remove it")
        return {**vars(self), "genres": "|".join(sorted(self.genres)), "at": at}

    @classmethod
    def of(cls, row: Any) -> NewMovie:
        """Return the movie of a row of the table."""
        genres = tuple(row.genres.split("|")) if row.genres else ()
        return cls(row.movie, row.title, row.year, genres, row.imdb, row.tmdb)


@dataclass(frozen=True, eq=False)
class LiveContents:
    """All live ratings, and what else the next snapshot needs.

    ratings     table of user, movie, stars (null where the rating was deleted) and at (seconds since 1970)
    movies      added movies: not in the data when they were added
    forgotten   users whose earlier ratings no longer count
    """

    ratings: pa.Table
    movies: tuple[NewMovie, ...]
    forgotten: Forgotten

    @classmethod
    def of(cls, connection: Connection) -> LiveContents:
        """Read everything in this transaction."""
        rows = connection.execution_options(yield_per=_ROWS).execute(_RATINGS)
        ratings = pa.Table.from_batches(map(_batch, rows.partitions()), RATINGS_SCHEMA)
        return cls(ratings, new_movies(connection), Forgotten.of(connection))


def new_movies(connection: Connection) -> tuple[NewMovie, ...]:
    """Return the added movies by their ids."""
    return tuple(NewMovie.of(row) for row in connection.execute(select(MOVIES).order_by(MOVIES.c.movie)))


def _batch(rows: Iterable[Any]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, RATINGS_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RATINGS_SCHEMA)
