"""Catalog: each movie's title, year, genres, tags and ids, and the search by title."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.errors import AmbiguousTitleError, UnknownMovieError
from matinee.ids import Ids, Positions
from matinee.search import NOT_FOUND, TitleIndex
from matinee.titles import fold, split_title, titles_in, with_year, without_article

# A snapshot of an older version lacks the columns added since: they must be nullable, and are null in it.
SCHEMA = pa.schema(
    [
        pa.field("movie", pa.string(), nullable=False),  # external id, sorted: the row is the movie's position
        pa.field("title", pa.string(), nullable=False),  # for display: "The Matrix"
        pa.field("year", pa.int16()),  # null where unknown
        pa.field("genres", pa.list_(pa.string()), nullable=False),  # sorted, empty where unknown
        pa.field("tags", pa.list_(pa.string()), nullable=False),  # most used first, at most MAX_TAGS
        pa.field("imdb", pa.string()),  # "tt0114709"
        pa.field("tmdb", pa.string()),  # "862"
    ]
)
MAX_TAGS = 10
MAX_CANDIDATES = 8


@dataclass(frozen=True, eq=False)
class Catalog:
    """One row per movie in the order of their ids; `table` has the columns of SCHEMA, in one chunk.

    stored_index    the title index, if a snapshot has it; otherwise it is built on first use
    """

    table: pa.Table
    stored_index: TitleIndex | None = None

    @classmethod
    def of(cls, ids: Ids, movies: pa.Table) -> Catalog:
        """Return the catalogue of these ids, in their order, from rows with the columns of SCHEMA.

        An id without a row is shown as "Movie ID"; of rows with the same id the last wins.
        """
        rows = np.full(len(ids), movies.num_rows, np.int64)
        positions = ids.positions(movies["movie"])
        known = positions >= 0
        rows[positions[known]] = np.flatnonzero(known)
        bare = pa.table({"movie": pa.array([""]), "title": [""], "genres": [[]], "tags": [[]]})
        padded = pa.concat_tables([movies.cast(SCHEMA), bare], promote_options="permissive").combine_chunks()
        table = padded.take(pa.array(rows))
        titles = pc.if_else(
            pc.equal(table["title"], ""), pc.binary_join_element_wise("Movie", ids.array, " "), table["title"]
        )
        table = table.set_column(0, "movie", ids.array).set_column(1, "title", titles)
        return cls(table.select(SCHEMA.names).cast(SCHEMA).combine_chunks())

    @cached_property
    def ids(self) -> Ids:
        """The movies' external ids."""
        return Ids(self.table["movie"].chunk(0) if len(self) else pa.array([], pa.string()), is_sorted=True)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def title(self, movie: int) -> str:
        """Return the title with its year for display: "The Matrix (1999)"."""
        return self.titles(np.array([movie]))[0]

    def titles(self, movies: NDArray[np.integer]) -> list[str]:
        """Return the titles with their years of the movies at these positions."""
        rows = self._shown_columns.take(pa.array(movies))
        return [with_year(*row) for row in zip(rows["title"].to_pylist(), rows["year"].to_pylist(), strict=True)]

    @cached_property
    def _shown_columns(self) -> pa.Table:
        return self.table.select(["title", "year"])

    @cached_property
    def years(self) -> NDArray[np.int16]:
        """(n_movies,) year of release, 0 where unknown."""
        return np.asarray(pc.fill_null(self.table["year"], 0), dtype=np.int16)

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """All genres, sorted."""
        return tuple(sorted(pc.unique(pc.list_flatten(self.table["genres"])).to_pylist()))

    @cached_property
    def genre_counts(self) -> dict[str, int]:
        """How many movies have each genre."""
        return dict(zip(self.genre_names, self.genre_flags.sum(axis=0).tolist(), strict=True))

    @cached_property
    def genre_flags(self) -> NDArray[np.bool_]:
        """(n_movies, n_genres) in the order of `genre_names`."""
        flags = np.zeros((len(self), len(self.genre_names)), bool)
        genres = pc.list_flatten(self.table["genres"])
        columns = pc.index_in(genres, value_set=pa.array(self.genre_names, pa.string()))
        flags[np.asarray(pc.list_parent_indices(self.table["genres"])), np.asarray(columns)] = True
        return flags

    @cached_property
    def index(self) -> TitleIndex:
        """The title index."""
        if self.stored_index is not None:
            return self.stored_index
        return TitleIndex.of(self.table["title"].to_pylist(), self.years)

    def resolve(self, movie: str | int) -> int:
        """Return the position of a movie given by id or title, as people write it.

        An id wins over a title. A title matches without regard to case, accents, punctuation or a moved article;
        with "(1995)" after it only that year matches.
        Raises UnknownMovieError (with the closest titles), or AmbiguousTitleError where several movies share it.
        """
        text = str(movie)
        position = self.ids.position(text)
        if position is not None:
            return position
        title, year = split_title(text)
        found = self.index.named(title).tolist()
        found = self._exactly(title, found) or found
        if year is not None:
            found = [candidate for candidate in found if self.years[candidate] == year]
        if len(found) == 1:
            return int(found[0])
        if found:
            raise AmbiguousTitleError(text, self._listed(found))
        raise UnknownMovieError(text, hint=self._closest(title))

    def _exactly(self, title: str, movies: list[int]) -> list[int]:
        """Return the movies of which one title is this one with its article."""
        return [movie for movie in movies if fold(title) in map(fold, titles_in(self._shown(movie)))]

    def _shown(self, movie: int) -> str:
        return str(self.table["title"][movie].as_py())

    def _listed(self, movies: Iterable[int]) -> list[tuple[str, str]]:
        return [(self.ids[movie], self.title(movie)) for movie in list(movies)[:MAX_CANDIDATES]]

    def _closest(self, title: str) -> str:
        near = [int(movie) for movie in self.search(title, limit=3)]
        names = difflib.get_close_matches(without_article(fold(title)), self.index.names, n=3, cutoff=0.7)
        near += [int(self.index.named(name)[0]) for name in names]
        if not near:
            return "search with `ds.catalog.search(QUERY)`"
        listed = "; ".join(f"{movie_id}: {shown}" for movie_id, shown in self._listed(dict.fromkeys(near)))
        return f"did you mean {listed}?"

    def search(self, query: str, limit: int | None = 20, counts: NDArray[np.int64] | None = None) -> Positions:
        """Return positions of movies whose titles and years contain every word of the query as a prefix.

        Best first: the same title, then titles that begin with the query, then the others, and, where these are few,
        those with similar words; most rated first among them by `counts` (n_movies,) where given, shortest title first
        where not.
        """
        return self.graded(query, counts)[0][:limit]

    def graded(self, query: str, counts: NDArray[np.int64] | None = None) -> tuple[Positions, NDArray[np.int8]]:
        """Return all results of `search` and their grades, which matinee.search defines."""
        grades = self.index.grades(query)
        found = np.flatnonzero(grades < NOT_FOUND)
        first = -counts if counts is not None else self.index.lengths
        found = found[np.lexsort((found, first[found], grades[found]))]
        return found.astype(np.int32), grades[found]
