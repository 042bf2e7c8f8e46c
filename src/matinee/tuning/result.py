"""Tuning: the candidates' scores as a table, the best of them, and a file that remembers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matinee.errors import UsageError
from matinee.evaluation.drawing import Plot, new_figure
from matinee.models import Config
from matinee.models.registry import from_json, to_json
from matinee.table import Table


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Tuning(Table):
    """One row per candidate: its settings, its score on the validation part and the seconds it took.

    best     the config with the best score
    metric   "rmse" for a rater, "liked_ndcg@20" for a ranker
    test     the best one's metric on the test part, fitted on the training part
    """

    best: Config
    metric: str
    test: float

    def save(self, path: str | Path) -> None:
        """Write the best config and how it was chosen as JSON, which `load_config` reads."""
        chosen = {"metric": self.metric, "test": self.test, "protocol": self.note, "candidates": list(self)}
        Path(path).write_text(json.dumps({"config": to_json(self.best), **chosen}, indent=2) + "\n", encoding="utf-8")

    def plot(self, path: str | Path | None = None) -> Plot:
        """Return a picture of the score against each setting; with a path it is saved (PNG, SVG or PDF).

        Raises UsageError where matplotlib is not installed or the path has another ending.
        """
        settings = [name for name in self.columns if name not in (self.metric, "seconds")]
        figure = new_figure((5 * max(len(settings), 1), 4))
        for axes, name in zip(figure.subplots(1, max(len(settings), 1), squeeze=False).flat, settings, strict=False):
            axes.plot(
                [str(value) if isinstance(value, bool) else value for value in self[name]], self[self.metric], "o"
            )
            axes.set(title=self.best.name, xlabel=name, ylabel=self.metric)
            axes.grid(alpha=0.3)
        picture = Plot(figure)
        if path is not None:
            picture.save(path)
        return picture


def load_config(path: str | Path) -> Config:
    """Return the config in a JSON file: one that `Tuning.save` wrote, or {"model": "als", "rank": 8, ...}.

    Raises UsageError where the file is missing, is not JSON, or describes no model.
    """
    try:
        said = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read the config {path}: {error.strerror}; `mt.tune(ds, ALS()).save(FILE)` writes one"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}; `mt.tune(ds, ALS()).save(FILE)` writes one") from None
    try:
        return from_json(said.get("config", said) if isinstance(said, Mapping) else said)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
