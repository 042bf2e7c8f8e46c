"""On a cluster: a candidate whose ratings are in Parquet that Spark wrote; Spark does all that grows with them.

Both measuring fits run on Spark. The test users, at most 10,000, come to the driver with their ratings, where both
models fold them in from the same histories.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee import kernels
from matinee.catalog import Catalog
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.live import LiveContents
from matinee.live.forgotten import hashed
from matinee.models import Rater
from matinee.models.als import ALS, AlsModel
from matinee.progress import Progress
from matinee.refit import gate, holdout
from matinee.refit.gate import Verdict
from matinee.refit.holdout import predicted
from matinee.refit.overlay import usable, with_added
from matinee.snapshot import Snapshot, Store
from matinee.snapshot.histories import HistoryFiles, StoredRatings
from matinee.spark.engine import Cluster, TrainingData, als, phase, refitting, spark_session
from matinee.spark.engine.histories import open_histories, write_histories
from matinee.spark.engine.reading import Opened, Survey
from matinee.spark.engine.training_data import folder
from matinee.split import Pairs

DATED = re.compile(r"-\d{14}$")


@contextmanager
def on_cluster(
    store: Store,
    present: Snapshot,
    said: LiveContents,
    threads: int | None,
    settings: Mapping[str, Any] | None,
    progress: Progress | None,
) -> Iterator[OnCluster]:
    """Give the next snapshot of a store, where Spark trained the present one, or with other settings of `Cluster`.

    The people's ratings go where those of the present snapshot are: into the store, or into a new folder beside them.
    """
    cluster = Cluster.of(present.manifest.engine, **(settings or {}))
    histories = cast(StoredRatings, present.dataset.ratings).histories
    with spark_session(cluster, progress) as spark, folder(spark, store.path, beside(histories)) as place:
        yield OnCluster(spark, cluster, store, present, said, threads, place)


def beside(histories: HistoryFiles) -> str | None:
    """Return where the next histories go when these are elsewhere: a new folder beside them, named by the time."""
    if not histories.is_elsewhere:
        return None
    return f"{DATED.sub('', histories.folder.rstrip('/'))}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"


@dataclass(frozen=True, eq=False)
class OnCluster:
    """The next snapshot of a store, fitted on a cluster; `folder` is where its ratings go."""

    spark: Any
    cluster: Cluster
    store: Store
    present: Snapshot
    said: LiveContents
    threads: int | None
    folder: str

    @property
    def left_out(self) -> int:
        """Live ratings of unknown movies, or outside the data's scale."""
        return int(self.said.ratings.num_rows - self._live.num_rows)

    def is_same(self) -> bool:
        """Return whether a model would learn the same from it as from the served snapshot."""
        phase(self.spark, "reading live ratings")
        people = {*self.said.forgotten.numbers, *map(hashed, pc.unique(self._live["user"]).to_pylist())}
        return self._catalog.table.equals(self.present.dataset.catalog.table) and refitting.same(
            self.spark, self._before.kept, self._rows.rows, people
        )

    def compared(self) -> Verdict | None:
        """Measure it and return the comparison with the served snapshot, None if there is nothing to compare."""
        if self._measured is None:
            return None
        before = measured(self._before, self._config, self.threads, "measuring the served snapshot")
        phase(self.spark, "comparing both")
        rows = refitting.asked(before.ratings, self._measured.ratings)
        return _compared(_Asked.of(rows, self._catalog.ids.positions(self._movies)), before.rater, self._measured.rater)

    def published(self, as_of: int) -> str:
        """Fit on everything, publish, and return the snapshot's id."""
        rater, ranker = (
            None if model is None else self._after.model(model.config, self.threads)
            for model in (self.present.rater, self.present.ranker)
        )
        phase(self.spark, "publishing")
        return self.store.publish(
            self._after.dataset,
            cast(Rater, rater),
            ranker,
            metrics=self._measured.metrics() if self._measured else {},
            parent=self.present.id,
            as_of=as_of,
            forgets=self.said.forgotten.mark,
            engine=self.cluster.described(),
        ).id

    def without_forgotten(self) -> str:
        """Publish the served models over their data without forgotten users."""
        phase(self.spark, "removing forgotten users")
        present, forgotten = self.present, self.said.forgotten
        dataset, kept = present.dataset, self._before.kept
        rows = refitting.overlaid(self.spark, kept, self._live.slice(0, 0), forgotten.numbers)
        survey = Survey(dataset.ratings.n, 0, dataset.catalog.ids.array)
        with folder(self.spark, self.store.path, beside(kept.ratings.histories)) as place:
            left = write_histories(self.spark, rows, survey, dataset.catalog.ids, dataset.ratings.scale, place)
            return self.store.publish(
                replace(dataset, ratings=left.ratings),
                present.rater,
                present.ranker,
                metrics=present.manifest.metrics,
                parent=present.id,
                as_of=present.manifest.as_of,
                forgets=forgotten.mark,
                engine=present.manifest.engine,
            ).id

    @property
    def _config(self) -> Any:
        return self.present.rater.config

    @property
    def _movies(self) -> Any:
        return self.present.dataset.catalog.ids.array

    @cached_property
    def _catalog(self) -> Catalog:
        return with_added(self.present.dataset.catalog, self.said.movies)

    @cached_property
    def _live(self) -> pa.Table:
        scale = self.present.dataset.ratings.scale
        return self.said.ratings.filter(pa.array(usable(self.said.ratings, self._catalog.ids, scale)))

    @cached_property
    def _before(self) -> TrainingData:
        dataset = self.present.dataset
        kept = open_histories(self.spark, cast(StoredRatings, dataset.ratings))
        return TrainingData(self.spark, self.cluster, kept, dataset)

    @cached_property
    def _rows(self) -> Opened:
        return refitting.overlaid(self.spark, self._before.kept, self._live, self.said.forgotten.numbers)

    @cached_property
    def _after(self) -> TrainingData:
        phase(self.spark, "writing all histories")
        dataset = self.present.dataset
        survey = Survey(dataset.ratings.n + self._live.num_rows, 0, self._catalog.ids.array)
        kept = write_histories(self.spark, self._rows, survey, self._catalog.ids, dataset.ratings.scale, self.folder)
        return TrainingData(
            self.spark, self.cluster, kept, replace(dataset, ratings=kept.ratings, catalog=self._catalog)
        )

    @cached_property
    def _measured(self) -> _Measured | None:
        """The candidate without its held-out ratings; None for a model that is not measured on Spark."""
        if self._config.name != "als":
            return None
        return measured(self._after, self._config, self.threads, "measuring als")


@dataclass(frozen=True, eq=False)
class _Measured:
    """A fit without the held-out ratings; `ratings` are all, marked."""

    config: ALS
    data: TrainingData
    ratings: Any
    fitted: Any
    rater: AlsModel

    def metrics(self) -> dict[str, Any]:
        """Return how it misses all held-out ratings, as a manifest holds it."""
        train, held_out = self.ratings.where("not held"), self.ratings.where("held")
        found = self.data.misses(self.config, self.fitted, train, held_out)
        protocol = f"{self.data.dataset.facts.name}: {holdout.PROTOCOL}, all pairs, on Spark"
        return {"protocol": protocol, "models": [found.described(self.config.name)]}


def measured(data: TrainingData, config: ALS, threads: int | None, doing: str) -> _Measured:
    """Fit without the held-out ratings."""
    phase(data.spark, doing)
    ratings, catalog = refitting.marked(data.spark, data.kept).persist(), data.dataset.catalog
    fitted = als.fitted(config, ratings.where("not held"), data.cluster)
    factors = als.movie_factors(fitted, len(catalog))
    stars = replace(config, intervals=False)
    return _Measured(config, data, ratings, fitted, als.as_als(stars, factors, data.kept.ratings, catalog, threads))


@dataclass(frozen=True, eq=False)
class _Asked:
    """People with their histories (P, n_movies) without the held-out ratings, which are the pairs, ordered by user.

    is_left     (n,) which pairs the candidate's data has
    columns     (n_movies,) the movies' positions in the candidate
    """

    histories: Csr
    pairs: Pairs
    is_left: NDArray[np.bool_]
    columns: Positions

    @classmethod
    def of(cls, rows: pa.Table, columns: Positions) -> _Asked:
        """Return what `refitting.asked` gave."""
        people = rows["name"].combine_chunks().dictionary_encode()
        users, movies = np.asarray(people.indices, np.int32), np.asarray(rows["movie"], np.int32)
        stars, held, left = (np.asarray(rows[name]) for name in ("rating", "held", "left"))
        known, _ = kernels.build_csr(
            users[~held], movies[~held], stars[~held], len(people.dictionary), len(columns), None
        )
        order = np.flatnonzero(held)[np.argsort(users[held], kind="stable")]
        return cls(known, Pairs(users[order], movies[order], stars[order]), left[order], columns)

    def moved(self, n_movies: int) -> Csr:
        """Return the histories over the candidate's movies."""
        known = self.histories
        return Csr(known.indptr, self.columns[known.indices], known.values, n_movies)


def _compared(asked: _Asked, before: AlsModel, after: AlsModel) -> Verdict | None:
    """Return how two raters do on the pairs that are left and whose movies both learned."""
    old, new = asked.pairs.movies, asked.columns[asked.pairs.movies]
    chosen = asked.is_left & before.movie_factors[old].any(axis=1) & after.movie_factors[new].any(axis=1)
    if not chosen.any():
        return None
    users, stars = asked.pairs.users[chosen], asked.pairs.stars[chosen]
    pairs, moved = (Pairs(users, movies[chosen], stars) for movies in (old, new))
    first = predicted(before, asked.histories, pairs)
    second = predicted(after, asked.moved(len(after.movie_factors)), moved)
    return gate.verdict(pairs, first, second, gate.ClusterVerdict)
