"""Tuning: try candidates, choose one by the validation part, test that one once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from matinee.dataset import Dataset
from matinee.models import Config
from matinee.models.registry import to_json
from matinee.split import Split, parse
from matinee.table import Table
from matinee.tuning.course import Course, is_better
from matinee.tuning.result import Tuning, load_config
from matinee.tuning.search import grid_candidates

__all__ = ["Tuning", "load_config", "tune"]

Told = Callable[[int, int, float | None], None]
"""Called after each candidate with (done, total, its score)."""


def tune(
    dataset: Dataset,
    config: Config,
    split: str | Split = "6:2:2",
    *,
    rng: int = 0,
    min_ratings: int = 25,
    threads: int | None = None,
    progress: Told | None = None,
    **grid: Sequence[Any],
) -> Tuning:
    """Try every combination of the settings in the grid, and test the best.

    `tune(dataset, ALS(reg=0.1), rank=[4, 8, 12])` is the tutorial's search. Raters are chosen by RMSE over warm pairs
    of the validation part, rankers by NDCG@20 of its liked films. The test comes once, after the choice, and the best
    is not refitted for it: its two scores are of the same model.

    Raises UsageError where the split has no validation part, or the config no such setting or value.
    """
    parts = parse(split, dataset.ratings, rng)[0] if isinstance(split, str) else split
    candidates = grid_candidates(config, grid)
    course = Course.of(dataset, parts, min_ratings, rng, threads)
    rows: list[dict[str, Any]] = []
    for candidate in candidates:
        start = time.perf_counter()
        metric, score = course.score(candidate, course.validation)
        rows.append(
            {**{name: getattr(candidate, name) for name in grid}, metric: score, "seconds": time.perf_counter() - start}
        )
        if progress:
            progress(len(rows), len(candidates), score)
    return _conclusion(course, candidates, rows, metric)


def _conclusion(course: Course, candidates: Sequence[Config], rows: Sequence[dict[str, Any]], metric: str) -> Tuning:
    """Test the best candidate and return the table."""
    place = 0
    for other, row in enumerate(rows):
        if is_better(metric, row[metric], rows[place][metric]):
            place = other
    best = candidates[place]
    _, test = course.score(best, course.test)
    chosen = ", ".join(f"{name}={value}" for name, value in to_json(best).items() if name != "model")
    note = (
        f"{course.dataset.facts.name}: {course.split.protocol}; {metric} on the validation part.\n"
        f"Best: {best.name} with {chosen}.\n"
        f"Test {metric} {test:.4f}, measured once, fitted on the training part alone."
    )
    table = Table.of({name: [row[name] for row in rows] for name in rows[0]}, note)
    return Tuning(table.arrow, note, best=best, metric=metric, test=test)
