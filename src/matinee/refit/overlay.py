"""Overlay: the data of a snapshot with the live ratings.

Live ratings replace the data's by user and movie, deleted ones remove them, of forgotten users only later ratings
stay, and added movies come in and may replace a description. Nothing else changes, so the same overlay again changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset
from matinee.ids import Ids, Positions
from matinee.live import Forgotten, LiveContents, NewMovie
from matinee.ratings import Ratings, Scale, Stars, Times

Marks = NDArray[np.bool_]


class _Rows(NamedTuple):
    """Ratings (n,), users and movies as positions."""

    users: Positions
    movies: Positions
    stars: Stars
    times: Times | None

    def at(self, which: NDArray[Any]) -> _Rows:
        times = None if self.times is None else self.times[which]
        return _Rows(self.users[which], self.movies[which], self.stars[which], times)


def overlay(dataset: Dataset, said: LiveContents) -> tuple[Dataset, int]:
    """Return the data with live ratings over it, and how many live ratings were left out.

    Ratings of unknown movies and outside the data's scale are left out, as in answers. Only users with ratings stay.
    """
    catalog = with_added(dataset.catalog, said.movies)
    kept = usable(said.ratings, catalog.ids, dataset.ratings.scale)
    live = said.ratings.filter(pa.array(kept))
    users = Ids(pc.unique(pa.chunked_array([dataset.ratings.users.array, *live["user"].chunks], pa.string())))
    rows = _joined(_remembered(dataset.ratings, said.forgotten, users, catalog.ids), _of(live, users, catalog.ids))
    users, rows = _rating_users(users, rows)
    merged = Ratings.from_pairs(users, catalog.ids, *rows[:3], dataset.ratings.scale, rows.times)
    return replace(dataset, ratings=merged, catalog=catalog), int(len(kept) - kept.sum())


def same(one: Dataset, other: Dataset) -> bool:
    """Return whether a model would learn the same from both."""
    first, second = one.ratings, other.ratings
    return (
        one.catalog.table.equals(other.catalog.table)
        and first.users.array.equals(second.users.array)
        and np.array_equal(first.by_user.indptr, second.by_user.indptr)
        and np.array_equal(first.by_user.indices, second.by_user.indices)
        and np.array_equal(first.by_user.values, second.by_user.values)
    )


def with_added(catalog: Catalog, added: Sequence[NewMovie]) -> Catalog:
    """Return the catalogue with movies that were added, which may replace a description."""
    if not added:
        return catalog
    rows = pa.Table.from_pylist([{**vars(movie), "tags": []} for movie in added], SCHEMA)
    ids = Ids(pa.concat_arrays([catalog.ids.array, rows["movie"].combine_chunks()]))
    return Catalog.of(ids, pa.concat_tables([catalog.table, rows]))


def usable(live: pa.Table, movies: Ids, scale: Scale) -> Marks:
    """(n,) which live ratings can be used: of a known movie, and on the scale or deleted."""
    stars = _stars(live)
    on_scale = np.isnan(stars) | ((stars >= scale.low) & (stars <= scale.high))
    return (movies.positions(live["movie"]) >= 0) & on_scale


def _stars(live: pa.Table) -> NDArray[np.float64]:
    """(n,) stars, NaN where the rating was deleted."""
    return np.asarray(pc.fill_null(live["stars"], float("nan")), np.float64)


def _of(live: pa.Table, users: Ids, movies: Ids) -> _Rows:
    stars = _stars(live).astype(np.float32)
    times = np.asarray(live["at"], np.int64)
    return _Rows(users.positions(live["user"]), movies.positions(live["movie"]), stars, times)


def _remembered(ratings: Ratings, forgotten: Forgotten, users: Ids, movies: Ids) -> _Rows:
    """Return the ratings of everyone who was not forgotten."""
    row = ratings.by_user.row_of_each()
    user = users.positions(ratings.users.array)[row]
    movie = movies.positions(ratings.movies.array)[ratings.by_user.indices]
    rows = _Rows(user, movie, ratings.by_user.values, ratings.timestamps)
    return rows.at(~forgotten.among(ratings.users)[row]) if forgotten else rows


def _joined(old: _Rows, live: _Rows) -> _Rows:
    """Return the live ratings that were not deleted, and the old ones without a live rating."""
    spoke = np.zeros(max(old.users.max(initial=-1), live.users.max(initial=-1)) + 1, bool)
    spoke[live.users] = True
    maybe = np.flatnonzero(spoke[old.users])
    wide = max(old.movies.max(initial=-1), live.movies.max(initial=-1)) + 1
    keys = [rows.users.astype(np.int64) * wide + rows.movies for rows in (old.at(maybe), live)]
    keep = np.ones(len(old.users), bool)
    keep[maybe[np.isin(*keys)]] = False
    old, live = old.at(keep), live.at(~np.isnan(live.stars))
    times = None if old.times is None else np.concatenate([old.times, live.times])
    users, movies, stars = (np.concatenate(pair) for pair in zip(old[:3], live[:3], strict=True))
    return _Rows(users, movies, stars, times)


def _rating_users(users: Ids, rows: _Rows) -> tuple[Ids, _Rows]:
    """Return the users who have ratings, and the rows by their positions."""
    rating = np.zeros(len(users), bool)
    rating[rows.users] = True
    position = np.cumsum(rating, dtype=np.int32) - np.int32(1)
    return Ids(users.array.filter(pa.array(rating)), is_sorted=True), rows._replace(users=position[rows.users])
