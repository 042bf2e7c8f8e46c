"""The engine Spark: everything that grows with the ratings happens on a cluster, and an ordinary snapshot comes back.

    cluster     where Spark runs
    session     Spark started and reached; failures: its errors in one line
    reading     rows of any file that Spark reads, and what is wrong with them
    histories   ratings by person in Parquet: what all after is computed from, and what the snapshot keeps
    als         Spark ML's ALS; its movies' factors as our models
    measuring   how far what is served misses ratings held out, on the cluster
    training_data  a data set on the cluster, ready to be fitted, measured and published

    Source  --reading-->  rows  --histories-->  histories  --als-->  factors of the movies  -->  snapshot

Through the driver pass the factors of the movies, the catalogue, and the ratings of at most 20,000 people, from whom
the intervals are learned.
"""

from __future__ import annotations

import os

from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.als import ALS
from matinee.models.registry import RATERS
from matinee.progress import Progress
from matinee.snapshot import Snapshot, Store
from matinee.spark.engine import als
from matinee.spark.engine.cluster import Cluster
from matinee.spark.engine.reading import Source
from matinee.spark.engine.session import phase, spark_session
from matinee.spark.engine.training_data import TrainingData, prepare
from matinee.split import read_proportions

__all__ = ["Cluster", "Source", "TrainingData", "phase", "prepare", "spark_session", "train"]


def train(
    source: Source,
    store: str | os.PathLike[str] | None = None,
    *,
    cluster: Cluster | None = None,
    rater: Config | None = None,
    ranker: Config | None = None,
    split: str = "7:3",
    measure: bool = True,
    rng: int = 0,
    histories: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Measure on a split, fit on everything, both on the cluster, and publish a snapshot that is served from then on.

    rater       `als`, the default, or `bias`, which is not measured
    ranker      None: stars order; or `ials` with an alpha
    split       shares of train and test, drawn at random
    histories   new folder on the cluster's storage for the users' ratings; by default they go into the snapshot

    Raises EngineError where Spark cannot run, DataError where the data cannot be read, UsageError for a model that
    Spark does not have.
    """
    cluster, rater = cluster or Cluster(), rater or ALS()
    if rater.name not in RATERS:
        raise UsageError(f"{rater.name} does not predict stars; choose als or bias as the rater")
    for config in (rater, ranker):
        if config is not None:
            als.check(config)
    shares = read_proportions(split)
    with spark_session(cluster, progress) as spark, prepare(spark, source, cluster, store, histories) as data:
        metrics = data.metrics(rater, split, shares, rng) if measure and rater.name == "als" else {}
        rating = data.model(rater, threads)
        ordering = data.model(ranker, threads) if ranker else None
        phase(spark, "publishing")
        return Store(store).publish(data.dataset, rating, ordering, metrics=metrics, engine=cluster.described())  # type: ignore[arg-type]
