"""Tuning: try candidates, choose one by the validation part, test that one once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from matinee.dataset import Dataset
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.registry import to_json
from matinee.progress import Progress, silent
from matinee.split import Split, parse
from matinee.table import Table
from matinee.tuning.course import Course
from matinee.tuning.result import Tuning, load_config
from matinee.tuning.search import Tried, grid_candidates, ranges
from matinee.tuning.study import Study

__all__ = ["Tuning", "load_config", "tune"]


def tune(
    dataset: Dataset,
    config: Config,
    split: str | Split = "6:2:2",
    *,
    trials: int | None = None,
    study: str | Path | None = None,
    rng: int = 0,
    min_ratings: int = DEFAULT_MIN_RATINGS,
    threads: int | None = None,
    progress: Progress | None = None,
    **grid: Sequence[Any],
) -> Tuning:
    """Try settings on the training part, choose by the validation part, and test the best.

    `tune(dataset, ALS(reg=0.1), rank=[4, 8, 12])` is the tutorial's search. Raters are chosen by RMSE over warm pairs
    of the validation part, rankers by NDCG@20 of its liked films. The test comes once, after the choice, and the best
    is not refitted for it: its two scores are of the same model.

    grid      {setting: values}; every combination is tried
    trials    instead, Optuna proposes so many candidates in all, from the grid's values or, without a grid, from the
              ranges in matinee.tuning.search
    study     file that keeps the trials; the same call goes on where it was stopped

    Raises UsageError where the split has no validation part, or the config no such setting or value.
    """
    if trials is not None and trials < 1:
        raise UsageError(f"tuning needs at least one trial, not {trials}")
    parts = parse(split, dataset.ratings, rng)[0] if isinstance(split, str) else split
    course = Course.of(dataset, parts, config, min_ratings, rng, threads)
    report = progress or silent
    if trials is None:
        names, tried = list(grid), try_all(course, grid_candidates(config, grid), report)
    else:
        names = list(grid or ranges(config))
        tried = Study(config, grid, course, file=study, rng=rng).run(trials, report)
    return conclude(course, names, tried)


class Scored(Protocol):
    """What candidates are scored on: see `matinee.tuning.course.Course`."""

    @property
    def dataset(self) -> Dataset: ...
    @property
    def validation(self) -> Any: ...
    @property
    def test(self) -> Any: ...
    @property
    def metric(self) -> str: ...
    @property
    def lower_is_better(self) -> bool: ...
    @property
    def purpose(self) -> str: ...
    def score(self, config: Config, exam: Any, /) -> float: ...


def try_all(course: Scored, candidates: Sequence[Config], report: Progress) -> list[Tried]:
    """Score every candidate on the validation part."""
    tried = []
    for candidate in candidates:
        start = time.perf_counter()
        score = course.score(candidate, course.validation)
        tried.append(Tried(candidate, score, time.perf_counter() - start))
        report(candidate.name, len(tried), len(candidates), score)
    return tried


def conclude(course: Scored, names: Sequence[str], tried: Sequence[Tried]) -> Tuning:
    """Test the best candidate and return the table."""
    best = min(tried, key=lambda one: one.score if course.lower_is_better else -one.score).config
    test = course.score(best, course.test)
    settings = ", ".join(f"{name}={value}" for name, value in to_json(best).items() if name != "model")
    note = (
        f"{course.purpose}\n"
        f"Best: {best.name} with {settings}.\n"
        f"Test {course.metric} {test:.4f}, measured once, fitted on the training part alone."
        + ("\nsimulated ratings" if course.dataset.facts.simulated else "")
    )
    columns = {name: [getattr(one.config, name) for one in tried] for name in names}
    scores = {course.metric: [one.score for one in tried], "seconds": [one.seconds for one in tried]}
    return Tuning(Table.of({**columns, **scores}).arrow, note, best=best, metric=course.metric, test=test)
