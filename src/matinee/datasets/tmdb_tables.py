"""TMDB tables: tables of movies whose `id` is TMDB's, such as Kaggle's movies_metadata.csv, beside MovieLens ratings.

movies by TMDB id --links.csv--> movies by the ratings' ids; without links.csv a finding says that titles may be wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from matinee.catalog import SCHEMA
from matinee.dataset import Finding
from matinee.datasets import headers
from matinee.datasets.movielens import links_beside
from matinee.datasets.movies import Links, MovieRows
from matinee.datasets.rows import OnBadRows

MARKS = frozenset({"originallanguage", "belongstocollection", "spokenlanguages", "productioncompanies", "posterpath"})
"""Columns that TMDB's tables have beside `id`."""
REMEDY = "if the ratings have TMDB ids, say so with `movie_columns='movie=id'`"


def is_one(header: Sequence[str], named: Mapping[str, str] | None) -> bool:
    """Return whether the ids of a table are likely to be TMDB's, and nobody named the column of ids.

    >>> is_one(["id", "imdb_id", "original_language", "title"], None), is_one(["movieId", "title"], None)
    (True, False)
    """
    plain = {headers.plain(name) for name in header}
    return "movie" not in (named or {}) and "id" in plain and "movieid" not in plain and not MARKS.isdisjoint(plain)


def for_ratings(found: MovieRows, given: Any, rated: str, on_bad_rows: OnBadRows) -> MovieRows:
    """Return movies by the ids of ratings, whose column of movies is called `rated`; `given` is the movies' file."""
    if not found.by_tmdb or headers.plain(rated) in headers.COLUMNS["tmdb"]:
        return found
    path = Path(given) if isinstance(given, str | Path) else None
    links = links_beside(path, on_bad_rows) if path is not None and path.is_file() else {}
    if not links:
        sentence = f"the movie table has TMDB ids, and {rated or 'the ratings'} may have others: titles may be wrong"
        remedy = f"put the links.csv of the ratings (movieId, tmdbId) beside the movie table; {REMEDY}"
        return replace(found, findings=(Finding("movies-by-tmdb-id", sentence, remedy),))
    table = _linked(found.table, links)
    sentence = (
        f"the movie table has TMDB ids, which links.csv turns into those of {rated or 'the ratings'}; of its "
        f"{len(found.table):,} movies {len(table):,} are in both"
    )
    numbers = {"linked": len(table), "movies": len(found.table)}
    return replace(found, table=table, findings=(Finding("movies-by-tmdb-id", sentence, REMEDY, numbers),))


def _linked(movies: pa.Table, links: Links) -> pa.Table:
    """Return the movies that links name, by the ids that these give them."""
    by_tmdb = {row["movie"]: row for row in movies.to_pylist()}
    rows = [
        by_tmdb[tmdb] | {"movie": movie, "tmdb": tmdb, "imdb": by_tmdb[tmdb]["imdb"] or imdb}
        for movie, (imdb, tmdb) in links.items()
        if tmdb in by_tmdb
    ]
    return pa.Table.from_pylist(rows, SCHEMA)
