"""Tuning on Spark: every candidate is fitted and scored on the cluster, on one random split."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from matinee.dataset import Dataset
from matinee.errors import UsageError
from matinee.models import Config
from matinee.progress import Progress, silent
from matinee.spark.engine import Cluster, Source, TrainingData, phase, prepare, spark_session
from matinee.spark.engine.als import check
from matinee.spark.engine.measuring import parts
from matinee.split import read_proportions
from matinee.tuning import Tuning, conclude, try_all
from matinee.tuning.search import grid_candidates


@dataclass(frozen=True, eq=False)
class ClusterCourse:
    """A random split of ratings on a cluster, with the parts to choose by and to end with; as matinee.tuning.Course."""

    data: TrainingData
    split: str
    train: Any
    validation: Any
    test: Any

    metric: ClassVar[str] = "rmse"
    lower_is_better: ClassVar[bool] = True

    @property
    def dataset(self) -> Dataset:
        return self.data.dataset

    @property
    def purpose(self) -> str:
        """What is looked for on which data, in one line."""
        return f"{self.dataset.facts.name}: {self.split}, on Spark; rmse on the validation part."

    def score(self, config: Config, asked: Any) -> float:
        """Fit on the training part and return the error on another."""
        return self.data.errors(config, self.train, asked).rmse


def tune_on_spark(
    source: Source,
    config: Config,
    split: str = "6:2:2",
    *,
    cluster: Cluster | None = None,
    rng: int = 0,
    histories: str | None = None,
    progress: Progress | None = None,
    **grid: Sequence[Any],
) -> Tuning:
    """Try every combination of the settings on the cluster, as `matinee.tuning.tune` does here, and test the best.

    histories   new folder on the cluster's storage to work in; by default a temporary one, which a cluster of other
                machines cannot reach

    Raises UsageError where this cannot be tuned on Spark, and what `matinee.spark.engine.train` raises.
    """
    if config.name != "als":
        raise UsageError(f"Spark tunes als, not {config.name}; tune it with the engine local")
    shares, candidates = read_proportions(split), grid_candidates(config, grid)
    if len(shares) != 3:
        raise UsageError(f"tuning needs a validation part to choose by, such as 6:2:2, not {split!r}")
    for candidate in candidates:
        check(candidate)
    cluster = cluster or Cluster()
    with (
        tempfile.TemporaryDirectory() as folder,
        spark_session(cluster, progress) as spark,
        prepare(spark, source, cluster, folder, histories) as data,
    ):
        phase(spark, "tuning als")
        frames = [part.persist() for part in parts(data.ratings, shares, rng)]
        course = ClusterCourse(data, f"random split {split}, seed {rng}", *frames)
        return conclude(course, list(grid), try_all(course, candidates, silent))
