"""Catalog: what is known of each movie besides its ratings, and the search by title."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.ids import Ids

SCHEMA = pa.schema(
    [
        pa.field("movie", pa.string(), nullable=False),  # external id, sorted: the row is the movie's position
        pa.field("title", pa.string(), nullable=False),  # as shown: "The Matrix"
        pa.field("year", pa.int16()),  # null where unknown
        pa.field("genres", pa.list_(pa.string()), nullable=False),  # sorted, empty where unknown
        pa.field("tags", pa.list_(pa.string()), nullable=False),  # most used first, at most MAX_TAGS
        pa.field("imdb", pa.string()),  # "tt0114709"
        pa.field("tmdb", pa.string()),  # "862"
    ]
)
MAX_TAGS = 10


@dataclass(frozen=True, eq=False)
class Catalog:
    """One row per movie in the order of their ids; `table` has the columns of SCHEMA, in one chunk."""

    table: pa.Table

    @cached_property
    def ids(self) -> Ids:
        return Ids(self.table["movie"].chunk(0), is_sorted=True)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def title(self, movie: int) -> str:
        """Return the title with its year, as shown to people: "The Matrix (1999)"."""
        raise NotImplementedError

    @cached_property
    def years(self) -> NDArray[np.int16]:
        """(n_movies,) year of release, 0 where unknown."""
        return np.asarray(pc.fill_null(self.table["year"], 0), np.int16)

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """All genres, sorted."""
        return tuple(pc.unique(pc.list_flatten(self.table["genres"])).sort().to_pylist())

    @cached_property
    def genre_flags(self) -> NDArray[np.bool_]:
        """(n_movies, n_genres) in the order of `genre_names`."""
        flags = np.zeros((len(self), len(self.genre_names)), bool)
        genre = pc.index_in(pc.list_flatten(self.table["genres"]), pa.array(self.genre_names, pa.string()))
        flags[np.asarray(pc.list_parent_indices(self.table["genres"])), np.asarray(genre)] = True
        return flags

    def resolve(self, movie: str | int) -> int:
        """Return the position of a movie given by id or title, as people write it.

        An id wins over a title. A title matches without regard to case, accents, punctuation or a moved article;
        with "(1995)" behind it only that year matches.
        Raises UnknownMovieError (with the closest titles), or AmbiguousTitleError where several movies share it.
        """
        raise NotImplementedError

    def search(self, query: str, limit: int = 20) -> NDArray[np.int32]:
        """Return positions of movies whose titles contain every word of the query as a prefix, best match first."""
        raise NotImplementedError
