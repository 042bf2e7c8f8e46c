"""Assembly: rows of ratings and of movies become a data set, with what was found about them.

Rows --times in seconds--> Ratings --+
movies --------------------> Catalog --+--> Dataset, its facts and findings
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matinee.catalog import Catalog
from matinee.dataset import Dataset, Facts
from matinee.datasets import licences, plausibility, times
from matinee.datasets.rows import Rows, taken
from matinee.datasets.scales import infer_scale
from matinee.errors import DataError
from matinee.ids import Ids, Positions
from matinee.ratings import Ratings, Scale

EXAMPLES = 2


def assemble(
    rows: Rows,
    movies: pa.Table,
    scale: Scale | None,
    facts: Facts,
    *,
    own: Scale | None = None,
    has_times: bool = False,
) -> Dataset:
    """Return the data set of these rows and movies (columns of SCHEMA); rated movies without a row are included.

    scale       the possible stars, from the caller; without it `own`, the data's, or an estimate from its stars
    has_times   whether the caller named the column of times, which is checked otherwise

    Raises DataError where there are no rows, or their times are none.
    """
    if not len(rows.stars):
        others = f" but bad rows, such as {rows.bad}" if rows.bad else " that are rated" if rows.unrated else ""
        raise DataError(f"{facts.source} holds no ratings{others}")
    timed, written = _in_seconds(rows, facts.source, has_times)
    users, user = _sorted_ids(timed.users)
    rated, movie = _sorted_ids(timed.movies)
    ids = Ids(pa.concat_arrays([rated.array, *movies["movie"].cast(pa.string()).chunks]))
    movie = ids.positions(rated.array)[movie] if len(rated) else movie
    known = scale or own or infer_scale(timed.stars)
    ratings = Ratings.from_pairs(users, ids, user, movie, timed.stars, known, timed.times)
    catalog = Catalog.of(ids, movies)
    titled = int(pc.sum(pc.is_in(rated.array, value_set=movies["movie"].cast(pa.string()))).as_py() or 0)
    found = [
        *(plausibility.of_stars(*_stars(rows)) if scale is None and own is None else ()),
        *plausibility.of_ids(len(users), len(rated), len(rows.stars)),
        *(plausibility.of_titles(titled, len(rated), _examples(movies)) if len(movies) else ()),
        *plausibility.of_movies(len(movies), pc.count_distinct(movies["movie"]).as_py()),
        *plausibility.of_times(rows.columns.get("timestamp"), *_bounds(rows), written),
        *plausibility.of_rows(rows.skipped, len(rows.stars) + rows.skipped + rows.unrated, rows.bad),
    ]
    facts = replace(
        facts,
        licence=licences.of(catalog),
        duplicates=len(user) - ratings.n,
        skipped=rows.skipped,
        unrated=rows.unrated,
        titled=titled,
        columns=dict(rows.columns),
        times=written,
        findings=(*facts.findings, *found),
    )
    return Dataset(ratings, catalog, facts)


def _in_seconds(rows: Rows, source: str, has_times: bool) -> tuple[Rows, str]:
    """Return rows with times in seconds, or without where they are none, and what these were written in."""
    if rows.times is None or rows.dated:
        return rows, "date" if rows.dated else ""
    try:
        seconds, unit = times.in_seconds(rows.times, named=has_times)
    except ValueError as problem:
        raise DataError(f"{source}: {problem}; or leave the times out with `timestamp='-'`") from None
    converted = replace(rows, times=seconds)
    if unit not in times.FINER:
        return converted, unit
    return taken(converted, np.argsort(rows.times, kind="stable")), unit  # of two in one second the later counts


def _stars(rows: Rows) -> tuple[Any, Any]:
    counted = pc.value_counts(pa.array(rows.stars))
    values, counts = np.asarray(counted.field("values")), np.asarray(counted.field("counts"))
    order = np.argsort(values)
    return values[order], counts[order]


def _bounds(rows: Rows) -> tuple[int, int]:
    times = rows.times
    return (0, 0) if times is None or not len(times) else (int(times.min()), int(times.max()))


def _examples(movies: pa.Table) -> list[str]:
    return list(map(str, movies["movie"].slice(0, EXAMPLES).to_pylist()))


def _sorted_ids(column: pa.ChunkedArray) -> tuple[Ids, Positions]:
    """Return the sorted ids that occur in a dictionary-encoded column and each row's position among them."""
    if not column.num_chunks:
        return Ids([]), np.empty(0, np.int32)
    dictionary = column.chunk(0).dictionary
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in column.chunks])
    occurs = np.zeros(len(dictionary), bool)
    occurs[codes] = True
    ids = Ids(dictionary.filter(pa.array(occurs)))
    place = ids.positions(dictionary)
    return ids, place[codes]
