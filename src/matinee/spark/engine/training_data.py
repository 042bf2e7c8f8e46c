"""Training data: a data set whose ratings are on the cluster, ready to be fitted, measured and published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from matinee.catalog import Catalog
from matinee.dataset import Dataset, Facts
from matinee.datasets import plausibility
from matinee.datasets.rows import no_movies
from matinee.datasets.tabular import movie_table
from matinee.ids import Ids
from matinee.models import Config, Model
from matinee.snapshot import Store
from matinee.spark.engine import als, measuring, reading
from matinee.spark.engine.cluster import Cluster
from matinee.spark.engine.histories import ClusterHistories, write_histories
from matinee.spark.engine.measuring import Errors
from matinee.spark.engine.reading import Source
from matinee.spark.engine.session import phase


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Ratings on the cluster, and the driver's side of them: the catalogue, counts and facts."""

    spark: Any
    cluster: Cluster
    kept: ClusterHistories
    dataset: Dataset

    @cached_property
    def ratings(self) -> Any:
        """All ratings as a frame: user and movie as numbers, rating."""
        return self.kept.long()

    def model(self, config: Config, threads: int | None = None) -> Model:
        """Fit on everything and return our model of it."""
        phase(self.spark, f"training {config.name}")
        learned: Any = config
        ratings, catalog = self.kept.ratings, self.dataset.catalog
        if config.name == "bias":
            return config.fit(ratings, catalog)
        factors = als.movie_factors(als.fitted(config, self.ratings, self.cluster), len(catalog))
        if config.name == "ials":
            return learned.around(factors, threads)  # type: ignore[no-any-return]
        phase(self.spark, "learning how far predictions miss")
        return als.as_als(learned, factors, ratings, catalog, threads)

    def errors(self, config: Config, train: Any, held_out: Any) -> Errors:
        """Fit on one part and return how far that misses another."""
        return self.misses(config, als.fitted(config, train, self.cluster), train, held_out)

    def misses(self, config: Any, fitted: Any, train: Any, held_out: Any) -> Errors:
        """Return how far Spark's model of one part, as it is served, misses another."""
        return measuring.errors(config, fitted, train, held_out, len(self.dataset.catalog), self.kept.ratings.scale)

    def metrics(self, config: Config, split: str, shares: tuple[float, ...], rng: int) -> dict[str, Any]:
        """Measure one model on a random split, as a manifest holds it."""
        phase(self.spark, f"measuring {config.name}")
        train, *_, test = measuring.parts(self.ratings, shares, rng)
        found = self.errors(config, train, test)
        protocol = f"{self.dataset.facts.name}: random split {split}, seed {rng}, all pairs, on Spark"
        return {"protocol": protocol, "models": [found.described(config.name)]}


@contextmanager
def prepare(
    spark: Any, source: Source, cluster: Cluster, store: str | os.PathLike[str] | None, histories: str | None = None
) -> Iterator[TrainingData]:
    """Read a source and write its histories: into a folder that is removed in the end, or into `histories`."""
    phase(spark, "looking at every row")
    found = reading.opened(spark, source)
    movies = _movies(spark, found.movies)
    with ExitStack() as places:
        elsewhere = histories and places.enter_context(folder(spark, store, histories))  # refused before reading
        survey = reading.surveyed(found, source)
        ids = Ids(pa.concat_arrays([survey.movies, *movies["movie"].cast(pa.string()).chunks]))
        place = elsewhere or places.enter_context(folder(spark, store, None))
        phase(spark, "writing everybody's history")
        kept = write_histories(spark, found, survey, ids, source.scale, place)
        dropped = survey.rows - survey.bad - kept.ratings.n
        findings = tuple(plausibility.of_rows(survey.bad, survey.rows, survey.first_bad))
        facts = Facts(source.name, source.data, "", False, dropped, survey.bad, findings=findings)
        yield TrainingData(spark, cluster, kept, Dataset(kept.ratings, Catalog.of(ids, movies), facts))


def _movies(spark: Any, path: str | None) -> pa.Table:
    """Return the table of movies, read here where it lies here, else by Spark."""
    if path is None:
        return no_movies()
    if "://" not in path and Path(path).exists():
        return movie_table(path)
    reading.located(spark, path)
    read = (
        spark.read.parquet(path)
        if path.endswith((".parquet", ".pq"))
        else spark.read.csv(path, header=True, escape='"')
    )
    return movie_table(read.toArrow())


@contextmanager
def folder(spark: Any, store: str | os.PathLike[str] | None, histories: str | None) -> Iterator[str]:
    """Give the address to write histories to: in the store until the block ends, or `histories`.

    The latter must be new, and is removed again where the block fails.
    """
    if histories is None:
        with Store(store).scratch() as scratch:
            yield f"file://{scratch.resolve()}"
        return
    address = histories if "://" in histories else f"file://{Path(histories).resolve()}"
    with reading.new_folder(spark, f"histories {histories}", address) as place:
        yield place
