"""Readers: any release or table of ratings in, a Dataset out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.dataset import Dataset
from matinee.datasets import movielens, sample, tabular
from matinee.datasets.rows import OnBadRows
from matinee.errors import DataError, PlausibilityWarning
from matinee.ratings import Scale

MOST_SKIPPED = 0.05
FEW_SKIPPED = 3
"""Bad rows that are few in any file, however small."""
RELEASES = ("ml-latest-small", "ml-latest", "ml-32m", "ml-25m", "ml-20m", "ml-10m", "ml-1m", "ml-100k")


def load(
    data: Any,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    columns: str | Sequence[str] | None = None,
    movies: Any = None,
    movie_columns: Mapping[str, str] | str | None = None,
    scale: Scale | str | None = None,
    not_rated: float | None = None,
    on_bad_rows: OnBadRows = "error",
    skip_at_most: float = MOST_SKIPPED,
) -> Dataset:
    """Read a data set.

    data      folder or zip of any MovieLens release; CSV, TSV, JSON or Parquet file, or a folder of these; name of a
              release that lies here (fetch it first), or "sample" (./sample is a folder); or a data frame that offers
              Arrow data
    user, movie, rating, timestamp      for tables: which column is which
    columns         names of the columns of a text file without header: "user,movie,rating,-", - is not read
    movies          the movies of a table: a file or data frame
    movie_columns   which of its columns is which: {"movie": "id", "title": "name"}, or "movie=id,title=name"
    scale           what stars can be; without, a release's own, and of a table the one that its stars seem to be on
    not_rated       a number of stars that means "not rated", such as -1: these rows are left out
    on_bad_rows     "error" stops at the first bad row, "skip" leaves bad rows out and counts them in `facts.skipped`
    skip_at_most    the share of all rows that "skip" may leave out

    `timestamp="-"` reads no times. What is probably not meant is a PlausibilityWarning, and in `facts.findings`.
    Raises DataError naming the place, the value and the rule.
    """
    dataset = read(
        data,
        user=user,
        movie=movie,
        rating=rating,
        timestamp=timestamp,
        columns=columns,
        movies=movies,
        movie_columns=movie_columns,
        scale=scale,
        not_rated=not_rated,
        on_bad_rows=on_bad_rows,
        skip_at_most=skip_at_most,
    )
    for finding in dataset.facts.findings:
        warnings.warn(str(finding), PlausibilityWarning, stacklevel=2)
    return dataset


def read(data: Any, *, on_bad_rows: OnBadRows = "error", skip_at_most: float = MOST_SKIPPED, **how: Any) -> Dataset:
    """Read a data set as `load` does, without a warning: what is probably not meant is in `facts.findings`."""
    if not 0 <= skip_at_most <= 1:
        raise DataError(f"skip_at_most is a share from 0 to 1, not {skip_at_most}")
    dataset = _read(data, on_bad_rows=on_bad_rows, **how)
    skipped = next((found for found in dataset.facts.findings if found.kind == "skipped-rows"), None)
    if skipped is not None and is_much(dataset.facts.skipped, skipped.numbers["rows"], skip_at_most):
        raise DataError(f"{dataset.facts.source}: {skipped.sentence}; if that is right, allow it with `skip_at_most=1`")
    return dataset


def is_much(skipped: int, rows: float, share: float) -> bool:
    """Return whether more rows were skipped than a share of all, and more than a few."""
    return skipped > FEW_SKIPPED and skipped > share * rows


def _read(
    data: Any,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    columns: str | Sequence[str] | None = None,
    movies: Any = None,
    movie_columns: Mapping[str, str] | str | None = None,
    scale: Scale | str | None = None,
    not_rated: float | None = None,
    on_bad_rows: OnBadRows = "error",
) -> Dataset:
    scale = Scale.parse(scale) if isinstance(scale, str) else scale
    options: dict[str, Any] = {
        "user": user,
        "movie": movie,
        "rating": rating,
        "timestamp": timestamp,
        "movies": movies,
        "movie_columns": _pairs(movie_columns) if isinstance(movie_columns, str) else movie_columns,
        "scale": scale,
        "not_rated": not_rated,
    }
    if not isinstance(data, str | Path):
        _refuse("a data frame", {"columns": columns})
        return tabular.read_frame(data, on_bad_rows=on_bad_rows, **options)
    options["columns"] = _names(columns)
    if data == "sample":
        _refuse("the sample", options)
        return sample.load()
    path = find(data)
    if (path.is_dir() or path.suffix.lower() == ".zip") and movielens.is_release(path):
        _refuse(f"{path}, a MovieLens release,", options | {"scale": None, "not_rated": None})
        return movielens.read(path, on_bad_rows, scale, not_rated)
    return tabular.read_file(path, on_bad_rows=on_bad_rows, **options)


def _names(columns: str | Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    return [name.strip() for name in columns.split(",")] if isinstance(columns, str) else list(columns)


def _pairs(text: str) -> dict[str, str]:
    """Read "movie=id,title=name"."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and column.strip() for name, _, column in pairs):
        raise DataError(f"the columns of a movie table are named as in movie=id,title=name, not {text!r}")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _refuse(named: str, options: dict[str, Any]) -> None:
    """Raise DataError where an option says how to read a table, which this data set is not."""
    for name, value in options.items():
        if value is not None:
            raise DataError(f"{name} says how to read a table; {named} is read without it")


def find(data: str | Path) -> Path:
    """Return the path that is meant. Raises DataError, with what to do, where there is nothing."""
    path = Path(data).expanduser()
    for candidate in (path, path.with_name(path.name + ".zip")):
        if candidate.exists():
            return candidate
    if str(data) in RELEASES:
        raise DataError(f"{data} is not here yet; get it with `mt.fetch('{data}')`")
    raise DataError(f"there is no file or folder {path}; DATA is a path, or one of {', '.join(RELEASES)}, sample")
