"""Readers: any release or table of ratings in, a Dataset out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matinee.dataset import Dataset
from matinee.datasets import movielens, sample, tabular
from matinee.datasets.rows import OnBadRows
from matinee.errors import DataError
from matinee.ratings import Scale

RELEASES = ("ml-latest-small", "ml-latest", "ml-32m", "ml-25m", "ml-20m", "ml-10m", "ml-1m", "ml-100k")


def load(
    data: Any,
    *,
    user: str | None = None,
    movie: str | None = None,
    rating: str | None = None,
    timestamp: str | None = None,
    movies: Any = None,
    scale: Scale | str | None = None,
    on_bad_rows: OnBadRows = "error",
) -> Dataset:
    """Read a data set.

    data      folder or zip of any MovieLens release; CSV, TSV or Parquet file; name of a release that lies here (fetch
              it first), or "sample" (./sample is a folder); or a data frame that offers Arrow data
    user, movie, rating, timestamp, movies      for tables: columns, and the movies
    scale           what stars can be; without, a release's own, and of a table the one that its stars seem to be on
    on_bad_rows     "error" stops at the first bad row, "skip" leaves bad rows out and counts them in `facts.skipped`

    Raises DataError naming the place, the value and the rule.
    """
    scale = Scale.parse(scale) if isinstance(scale, str) else scale
    columns: dict[str, Any] = {
        "user": user,
        "movie": movie,
        "rating": rating,
        "timestamp": timestamp,
        "movies": movies,
        "scale": scale,
    }
    if not isinstance(data, str | Path):
        return tabular.read_frame(data, **columns)
    if data == "sample":
        _refuse("the sample", columns)
        return sample.load()
    path = find(data)
    if path.is_dir() or path.suffix.lower() == ".zip":
        _refuse(f"{path}, a MovieLens release,", columns | {"scale": None})
        return movielens.read(path, on_bad_rows, scale)
    return tabular.read_file(path, on_bad_rows=on_bad_rows, **columns)


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
