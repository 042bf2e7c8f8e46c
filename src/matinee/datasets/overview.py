"""What a data set holds: its counts, how its stars are given, and its movies."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.errors import UsageError
from matinee.ids import Positions
from matinee.table import Table

SORTS = ("count", "mean", "year")
SIMULATED = "simulated ratings"


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return the facts of a data set in the order in which they are shown.

    `sparsity` is the share of (user, movie) pairs without a rating; `first` and `last` are days, None without
    timestamps. `titled_movies` are the rated ones with a title, `columns` which column was taken for what, `times` the
    unit of times, and `findings` what is probably not meant.
    """
    ratings, facts = dataset.ratings, dataset.facts
    pairs = len(ratings.users) * len(ratings.movies)
    times = ratings.timestamps if ratings.n else None
    return {
        "name": facts.name,
        "source": facts.source,
        "simulated": facts.simulated,
        "users": len(ratings.users),
        "movies": len(ratings.movies),
        "rated_movies": int(np.count_nonzero(ratings.movie_counts)),
        "titled_movies": facts.titled,
        "ratings": ratings.n,
        "scale": f"{ratings.scale.low:g}:{ratings.scale.high:g}"
        + (f":{step:g}" if (step := ratings.scale.step) else ""),
        "mean": ratings.mean,
        "sparsity": 1 - ratings.n / pairs if pairs else 1.0,
        "first": None if times is None else _day(int(times.min())),
        "last": None if times is None else _day(int(times.max())),
        "times": facts.times,
        "duplicates": facts.duplicates,
        "skipped": facts.skipped,
        "skipped_share": facts.skipped / max(ratings.n + facts.duplicates + facts.unrated + facts.skipped, 1),
        "skipped_movies": facts.skipped_movies,
        "unrated": facts.unrated,
        "columns": dict(facts.columns),
        "genres": list(dataset.catalog.genre_names),
        "licence": facts.licence,
        "findings": [asdict(finding) for finding in facts.findings],
    }


def _day(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()


def stars(dataset: Dataset) -> Table:
    """Return how often each number of stars was given, and its share of all ratings."""
    values, counts = dataset.ratings.stars_given()
    share = counts / max(dataset.ratings.n, 1)
    return Table.of({"stars": values.astype(np.float64), "ratings": counts, "share": share}, _note(dataset))


def movies(
    dataset: Dataset,
    query: str | None = None,
    *,
    genre: str | None = None,
    sort: str | None = None,
    min_ratings: int = 0,
    n: int | None = None,
) -> Table:
    """Return movies with their number of ratings and mean stars.

    query         words of the title and the year, each as a prefix
    sort          "count", "mean" (both highest first) or "year" (newest first); without it the best match comes
                  first, and without a query the most rated
    min_ratings   leaves out movies with fewer ratings
    n             how many rows, None for all

    Raises UsageError for an unknown genre or order.
    """
    found = _matching(dataset, query)
    found = found[_has_genre(dataset, genre)[found] & (dataset.ratings.movie_counts[found] >= min_ratings)]
    ordered = found if sort is None and query is not None else _sorted(dataset, found, sort or "count")
    shown = ordered[:n]
    of = f"{len(shown)} of " if len(shown) < len(found) else ""
    more = f"{of}{len(found)} movie{'' if len(found) == 1 else 's'}"
    return _table(dataset, shown, "; ".join(filter(None, (more, _note(dataset)))))


def _matching(dataset: Dataset, query: str | None) -> Positions:
    if query is None:
        return np.arange(len(dataset.catalog), dtype=np.int32)
    return dataset.catalog.search(query, limit=None, counts=dataset.ratings.movie_counts)


def _has_genre(dataset: Dataset, genre: str | None) -> NDArray[np.bool_]:
    names = dataset.catalog.genre_names
    if genre is None:
        return np.ones(len(dataset.catalog), bool)
    column = next((at for at, name in enumerate(names) if name.casefold() == genre.casefold()), None)
    if column is None:
        raise UsageError(f"there is no genre {genre!r}; this data has {', '.join(names) or 'none'}")
    return dataset.catalog.genre_flags[:, column]


def _sorted(dataset: Dataset, found: Positions, sort: str) -> Positions:
    if sort not in SORTS:
        raise UsageError(f"movies are sorted by {', '.join(SORTS)}, not by {sort!r}")
    counts = dataset.ratings.movie_counts[found]
    means = np.nan_to_num(dataset.ratings.movie_means[found], nan=-np.inf)
    keys: dict[str, NDArray[Any]] = {"count": counts, "mean": means, "year": dataset.catalog.years[found]}
    return found[np.lexsort((found, -counts, -keys[sort].astype(np.float64)))]


def _table(dataset: Dataset, shown: Positions, note: str) -> Table:
    rows = dataset.catalog.table.select(["movie", "title", "year", "genres"]).take(shown)
    columns = {name: rows[name] for name in rows.column_names}
    means = dataset.ratings.movie_means[shown].astype(np.float64).round(4)
    return Table.of({**columns, "ratings": dataset.ratings.movie_counts[shown], "mean": means}, note)


def _note(dataset: Dataset) -> str:
    return SIMULATED if dataset.facts.simulated else ""
