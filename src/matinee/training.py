"""Training: Dataset + configs -> measured, published snapshot."""

from __future__ import annotations

import os
from typing import Any, Literal

from matinee.dataset import Dataset
from matinee.datasets import frames
from matinee.errors import ModelError, UsageError
from matinee.evaluation import Report, evaluate
from matinee.models import Config, Model
from matinee.models.registry import RATERS, default_ranker, default_rater
from matinee.progress import Progress
from matinee.snapshot import Snapshot, Store


def train(
    dataset: Dataset,
    store: str | os.PathLike[str] | None = None,
    *,
    rater: Config | None = None,
    ranker: Config | Literal["default"] | None = "default",
    split: str = "7:3",
    measure: bool = True,
    rng: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Measure the models on a split, fit them on everything, and publish a snapshot that is served from then on.

    rater, ranker   by default `bayes`, and `ease` (`ials` above 20,000 movies to rank); a ranker of None: stars order
    split, rng      how ratings are held out for measuring, and the seed of the draw
    measure         False publishes without measuring

    The metrics go into the snapshot's manifest. Until the snapshot is published nothing in the store changes.
    Raises ModelError where this data cannot carry a model, StoreError where the store cannot be written.
    """
    _check(dataset)
    rater = rater or default_rater()
    if rater.name not in RATERS:
        raise ModelError(f"{rater.name} does not predict stars; choose a rater: {', '.join(RATERS)}")
    if ranker == "default":
        ranker = default_ranker(dataset.ratings)
    metrics = {}
    if measure:
        configs = [rater] if ranker is None else [rater, ranker]
        metrics = metrics_of(evaluate(dataset, configs, split, rng=rng, threads=threads, progress=progress))

    def fitted(config: Config) -> Any:
        return config.fit(dataset.ratings, dataset.catalog, threads=threads, progress=progress)

    ordering: Model | None = None if ranker is None else fitted(ranker)
    return Store(store).publish(dataset, fitted(rater), ordering, metrics=metrics)


def _check(dataset: Any) -> None:
    """Raise UsageError where this is no data set, DataError where it is in Spark."""
    if not isinstance(dataset, Dataset):
        frames.refuse_spark(dataset, "the data set")
        raise UsageError(f"dataset is a {type(dataset).__name__}; load it first with `mt.load(data)`")


def metrics_of(report: Report) -> dict[str, Any]:
    """Return a report as a manifest holds it: the protocol, and one row per model."""
    rows = ({name: value for name, value in row.items() if value is not None} for row in report)
    return {"protocol": report.note, "models": list(rows)}
