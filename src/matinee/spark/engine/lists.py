"""Lists: everybody's list made on the executors, by the very calls that answer one person.

    histories in Parquet  --mapInArrow: matinee.batch.lists_of-->  rows  -->  OUT

The recommender travels to the executors once; they need the same Matinee as the driver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa

from matinee.batch import SCHEMA, lists_of, new_folder
from matinee.defaults import DEFAULT_N
from matinee.errors import UsageError
from matinee.progress import Progress
from matinee.recommender import Filters, Order, Recommender
from matinee.snapshot.histories import StoredRatings, block_of
from matinee.spark.engine import reading
from matinee.spark.engine.cluster import Cluster
from matinee.spark.engine.session import phase, spark_session

PEOPLE = 2_048
"""People whose lists an executor makes by one call."""


def batch_recommend(
    recommender: Recommender,
    out: str | os.PathLike[str],
    *,
    n: int = DEFAULT_N,
    filters: Filters | None = None,
    order: Order = "match",
    cluster: Cluster | None = None,
    progress: Progress | None = None,
) -> int:
    """Write what `matinee.batch.batch_recommend` writes, made on a cluster; return how many rows.

    out     a new folder here, or an address that Spark writes to

    Raises UsageError where the snapshot's ratings were not stored by Spark, or `out` exists, EngineError where Spark
    fails.
    """
    ratings = recommender.dataset.ratings
    if not isinstance(ratings, StoredRatings):
        raise UsageError(
            "this snapshot was trained here and has no histories that a cluster reads; use the engine local"
        )
    allowed = recommender.allowed(filters or Filters())
    with ExitStack() as places:
        here = None if _is_elsewhere(out) else places.enter_context(new_folder(out))
        spark = places.enter_context(spark_session(cluster or Cluster(), progress))
        phase(spark, "recommending")
        address = (
            places.enter_context(reading.new_folder(spark, f"the output {out}", str(out)))
            if here is None
            else f"file://{here.resolve()}"
        )
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(PEOPLE))
        carried = spark.sparkContext.broadcast(
            ((recommender.dataset, recommender.rater, recommender.ranker), allowed, n, order)
        )
        people = spark.read.parquet(*ratings.histories.addresses()).select("user", "movies", "stars")
        schema = ", ".join(f"`{field.name}` {_sql(field.type)}" for field in SCHEMA)
        people.mapInArrow(_maker(carried), schema).write.mode("append").parquet(address)
        return int(spark.read.parquet(address).count())


def _is_elsewhere(out: str | os.PathLike[str]) -> bool:
    return "://" in str(out)


def _sql(kind: pa.DataType) -> str:
    return {pa.string(): "string", pa.int32(): "int", pa.float32(): "float"}[kind]


def _maker(carried: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what makes the lists of one task's people."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        os.environ["MATINEE_THREADS"] = "1"  # Spark runs one task per core
        parts, allowed, n, order = carried.value
        recommender = Recommender(*parts)
        for batch in batches:
            people = block_of(batch, len(allowed))
            yield lists_of(recommender, people.users, people.rows, allowed, n, order)

    return make
