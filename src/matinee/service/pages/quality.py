"""Quality: how good the present snapshot is, as it was measured before it was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, make_response, render_template

from matinee.refit import state
from matinee.service.auth import access
from matinee.service.data_facts import data_facts
from matinee.service.pages.blueprint import routes, texts
from matinee.service.serving import live, recommender, serving_of

CURVES = {"curve_recall@": "recall", "curve_precision@": "precision"}
WIDTH, HEIGHT = 600, 240
"""Of a plot, in its own units."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """One model's curve: the points of an SVG polyline, and where it ends."""

    model: str
    points: str
    end: float


@dataclass(frozen=True)
class Chart:
    """A plot: its lines, the lengths of lists below it (position, n), and the value at its top."""

    name: str
    lines: Sequence[Curve]
    ticks: Sequence[tuple[float, int]]
    top: float


@routes.get("/status")
@access("public")
def status() -> Response:
    """Show what the service answers from and how good that is."""
    found = recommender()
    rows = found.metrics.get("models", [])
    answer = render_template(
        "status.html",
        facts_of_data=data_facts(found.dataset),
        models=[model.config.name for model in (found.rater, found.ranker) if model is not None],
        trouble=serving_of(current_app).trouble,
        refit=state(live()),
        stored=live().count(),
        protocol=found.metrics.get("protocol", "").splitlines(),
        rows=rows,
        columns=[one for one in texts()["status"]["columns"] if any(one["name"] in row for row in rows)],
        plots=[plot for start in CURVES if (plot := plotted(rows, start)) is not None],
    )
    return make_response(answer)


def plotted(rows: Sequence[Row], start: str) -> Chart | None:
    """Return the curves of all models over the length of the list, None where none was measured.

    >>> plotted([{"model": "als", "curve_recall@1": 0.1, "curve_recall@20": 0.2}], "curve_recall@").lines[0].points
    '0.0,120.0 600.0,0.0'
    """
    curves = {row["model"]: {int(key[len(start) :]): row[key] for key in row if key.startswith(start)} for row in rows}
    curves = {model: curve for model, curve in curves.items() if curve}
    lengths = sorted({n for curve in curves.values() for n in curve})
    if len(lengths) < 2:
        return None
    top = max(value for curve in curves.values() for value in curve.values()) or 1.0
    across = {n: WIDTH * place / (len(lengths) - 1) for place, n in enumerate(lengths)}
    lines = [
        Curve(model, " ".join(f"{across[n]:.1f},{HEIGHT * (1 - curve[n] / top):.1f}" for n in sorted(curve)), end)
        for model, curve, end in ((model, curve, curve[max(curve)]) for model, curve in curves.items())
    ]
    return Chart(CURVES[start], lines, [(x, n) for n, x in across.items()], top)
