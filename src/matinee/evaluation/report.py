"""Report: the marks of all models as tables, with intervals from resampled people, as plots and as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee import metrics
from matinee.errors import UsageError
from matinee.evaluation.drawing import Plot
from matinee.evaluation.measure import Result
from matinee.evaluation.resampling import interval, resample
from matinee.table import Table

Float = NDArray[np.float64]

STARS = ("rmse", "rmse_low", "rmse_high", "cold", "rmse_all", "mae", "covered", "width", "log_likelihood")
LISTS = ("recall@20", "ndcg@20", "ndcg@20_low", "ndcg@20_high", "ndcg@100", "map@100")
BOUNDED = ("rmse", "ndcg@20", "liked_ndcg@20")
COMPARED = ("rmse", "mae", "recall@20", "ndcg@20", "liked_recall@20", "liked_ndcg@20")
SIZES = (0, 1, 5, 10, 20, 50, 100, 200, 500)
"""Lower edges of the buckets of history sizes."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Report(Table):
    """One row per model with everything measured; narrower tables for people.

    results     each model's sums per person
    sizes       (P,) how many ratings each person's history has
    resampled   {model: (R, K)} its metrics over resampled people, the same people for every model
    """

    results: tuple[Result, ...]
    sizes: NDArray[np.int64]
    resampled: dict[str, Float]

    @classmethod
    def measured(cls, results: Sequence[Result], sizes: NDArray[np.int64], note: str, rng: int) -> Report:
        """Make the report of these results."""
        resampled = resample(results, np.random.default_rng((rng, 3)))
        table = _table([_row(result, resampled[result.label]) for result in results], note)
        return cls(table.arrow, note, results=tuple(results), sizes=sizes, resampled=resampled)

    @property
    def stars(self) -> Table:
        """Errors and intervals of the raters' stars."""
        return self._of(STARS)

    @property
    def watched(self) -> Table:
        """How well the lists find what people went on to rate."""
        return self._of(LISTS)

    @property
    def liked(self) -> Table:
        """How well the lists find what people went on to like."""
        return self._of(LISTS, "liked_")

    @property
    def catalogue(self) -> Table:
        """What share of the catalogue is listed at all, how unequally, and how surprising it is (bits)."""
        return self._of(("coverage", "gini", "novelty"))

    @property
    def times(self) -> Table:
        """Seconds to learn, milliseconds to answer one person."""
        return self._of(("fit_seconds", "answer_ms"))

    def by_size(self, metric: str = "rmse") -> Table:
        """Return one metric by the number of ratings in the history, a column per model that has it."""
        edges = [*SIZES, np.iinfo(np.int64).max]
        rows = []
        for low, high in pairwise(edges):
            people = (self.sizes >= low) & (self.sizes < high)
            ratings = f"{low}" if high == low + 1 else f"{low}-{high - 1}" if high < edges[-1] else f"{low} or more"
            means = {result.label: result.sums.means(people).get(metric) for result in self.results}
            rows += [{"ratings": ratings, "people": int(people.sum()), **_known(means)}] if people.any() else []
        return _table(rows)

    def by_revealed(self, metric: str = "rmse") -> Table:
        """Return one metric by the number of ratings folded in, of the same people and questions."""
        rows = []
        for n, sums in self.results[0].revealed.items():
            means = {result.label: result.revealed[n].means().get(metric) for result in self.results}
            rows.append({"revealed": n, "people": sums.totals.shape[1], **_known(means)})
        return _table(rows)

    def compare(self, one: str, other: str) -> Table:
        """Return how much `one` differs from `other`, with the 95 % interval of the paired difference.

        Raises UsageError where a model was not measured.
        """
        first, second = self._result(one), self._result(other)
        rows = []
        for name in COMPARED:
            if name in first.sums.names and name in second.sums.names:
                a, b = (self.resampled[r.label][:, r.sums.names.index(name)] for r in (first, second))
                low, high = interval(a - b)
                values = {one: first.means[name], other: second.means[name]}
                difference = values[one] - values[other]
                rows.append({"metric": name, **values, "difference": difference, "low": low, "high": high})
        return _table(rows, f"{one} minus {other}, 95 % intervals over the same resampled users")

    @property
    def tables(self) -> dict[str, Table]:
        """The tables for people, under their headings; those without rows left out."""
        named = {
            "Stars": self.stars,
            "Lists, against what was watched": self.watched,
            "Lists, against what was liked": self.liked,
            "Catalogue": self.catalogue,
            "RMSE by size of history": self.by_size("rmse"),
            "RMSE by number of ratings revealed": self.by_revealed("rmse"),
            "NDCG@20 of liked films by size of history": self.by_size("liked_ndcg@20"),
            "NDCG@20 of liked films by number of ratings revealed": self.by_revealed("liked_ndcg@20"),
            "Time": self.times,
        }
        return {heading: table for heading, table in named.items() if len(table)}

    def plot(self, path: str | Path | None = None) -> Plot:
        """Return the plots as one picture, which shows itself in a notebook; with a path it is saved (PNG, SVG or PDF).

        Raises UsageError where matplotlib is not installed or the path has another ending.
        """
        from matinee.evaluation.plots import overview

        picture = overview(self)
        if path is not None:
            picture.save(path)
        return picture

    def html(self, path: str | Path) -> None:
        """Write one self-contained page with the tables and the plots.

        Raises UsageError where matplotlib is not installed.
        """
        from matinee.evaluation.page import page

        Path(path).write_text(page(self), encoding="utf-8")

    def __repr__(self) -> str:
        parts = [f"{heading}\n{table!r}" for heading, table in self.tables.items()]
        return "\n\n".join([*parts, self.note])

    def _repr_html_(self) -> str:
        parts = [f"<h3>{escape(heading)}</h3>\n{table._repr_html_()}" for heading, table in self.tables.items()]
        return "\n".join([*parts, *(f"<p>{escape(line)}</p>" for line in self.note.splitlines())])

    def _of(self, names: Sequence[str], prefix: str = "") -> Table:
        """Return some columns, without their prefix, of the models that have any of them."""
        kept = [name for name in names if prefix + name in self.columns]
        rows = [{"model": row["model"], **{name: row[prefix + name] for name in kept}} for row in self]
        return _table([row for row in rows if any(row[name] is not None for name in kept)])

    def _result(self, label: str) -> Result:
        for result in self.results:
            if result.label == label:
                return result
        raise UsageError(f"{label!r} was not measured; there are {', '.join(result.label for result in self.results)}")


def _row(result: Result, resampled: Float) -> dict[str, Any]:
    """Return everything measured of one model; None where it has no such metric."""
    means, names = result.means, result.sums.names
    row: dict[str, Any] = {"model": result.label}
    for name, value in means.items():
        row[name] = value
        if name in BOUNDED:
            row[f"{name}_low"], row[f"{name}_high"] = interval(resampled[:, names.index(name)])
    if "rmse" in names:
        row |= {
            "pairs": result.sums.count("rmse_all"),
            "cold": result.sums.count("rmse_all") - result.sums.count("rmse"),
        }
    row |= {"coverage": metrics.coverage(result.shown), "gini": metrics.gini(result.shown)}
    return row | {"fit_seconds": result.fit_seconds, "answer_ms": result.answer_ms}


def _known(means: dict[str, float | None]) -> dict[str, float]:
    return {label: value for label, value in means.items() if value is not None}


def _table(rows: Sequence[dict[str, Any]], note: str = "") -> Table:
    """Make a table of rows that may lack columns; NaN counts as lacking."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table.of({name: [_present(row.get(name)) for row in rows] for name in names}, note)


def _present(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
