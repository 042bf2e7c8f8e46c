"""Plots of a report: errors by history, calibration, precision and recall, coverage, time against accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from matinee.evaluation.drawing import Plot, new_figure
from matinee.evaluation.measure import CURVE, LEVELS
from matinee.evaluation.report import Report
from matinee.table import Table


def overview(report: Report) -> Plot:
    """Return all plots of a report in one picture.

    Raises UsageError where matplotlib is not installed.
    """
    panels: list[Callable[[Report, Any], None]] = [
        _errors_by_size,
        _errors_by_revealed,
        _calibration,
        _precision_recall,
        _coverage,
        _time,
    ]
    figure = new_figure((15, 9))
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        panel(report, axes)
    return Plot(figure)


def _colour(report: Report, label: str) -> str:
    return f"C{report['model'].index(label)}"


def _lines_of(report: Report, table: Table, axes: Any) -> None:
    """Draw one line per model, over equal steps for the rows."""
    steps, _, *labels = table.columns or ("", "")
    for label in labels:
        axes.plot(np.array(table[label], float), marker="o", label=label, color=_colour(report, label))
    axes.set_xticks(range(len(table)), [str(step) for step in table[steps]] if labels else [], rotation=30)
    _finish(axes, bool(labels))


def _errors_by_size(report: Report, axes: Any) -> None:
    axes.set(title="Error by size of history", xlabel="ratings in the history", ylabel="RMSE")
    _lines_of(report, report.by_size(), axes)


def _errors_by_revealed(report: Report, axes: Any) -> None:
    axes.set(title="Error by number of ratings revealed", xlabel="ratings folded in", ylabel="RMSE")
    _lines_of(report, report.by_revealed(), axes)


def _calibration(report: Report, axes: Any) -> None:
    axes.set(title="Calibration of intervals", xlabel="promised coverage", ylabel="measured coverage")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    drawn = [row for row in report if row.get(f"covered@{LEVELS[0]:g}") is not None]
    for row in drawn:
        axes.plot(
            LEVELS,
            [row[f"covered@{level:g}"] for level in LEVELS],
            "o-",
            label=row["model"],
            color=_colour(report, row["model"]),
        )
    _finish(axes, bool(drawn))


def _precision_recall(report: Report, axes: Any) -> None:
    axes.set(title="Liked films in lists of 1 to 100", xlabel="recall", ylabel="precision")
    for row in report:
        recall, precision = ([row[f"liked_curve_{part}@{k}"] for k in CURVE] for part in ("recall", "precision"))
        axes.plot(np.array(recall, float), np.array(precision, float), ".-", label=row["model"])
    _finish(axes, len(report) > 0)


def _coverage(report: Report, axes: Any) -> None:
    axes.set(title="Catalogue covered by lists of 20", xlabel="share of all movies")
    axes.barh(report["model"], report["coverage"], color=[_colour(report, label) for label in report["model"]])
    axes.invert_yaxis()


def _time(report: Report, axes: Any) -> None:
    axes.set(title="Time against accuracy", xlabel="ms per answer", ylabel="NDCG@20, liked", xscale="log")
    for row in report:
        if row["liked_ndcg@20"] is not None:
            place = row["answer_ms"], row["liked_ndcg@20"]
            axes.scatter(*place, color=_colour(report, row["model"]))
            axes.annotate(row["model"], place, (4, 4), textcoords="offset points")
    axes.margins(0.2)
    axes.grid(alpha=0.3)


def _finish(axes: Any, anything: bool) -> None:
    axes.grid(alpha=0.3)
    if anything:
        axes.legend(fontsize="small")
    else:
        axes.text(0.5, 0.5, "no model here has this", ha="center", va="center", transform=axes.transAxes)
