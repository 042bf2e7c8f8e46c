"""Histories: rows of ratings become histories in Parquet, which everything after is computed from.

    rows  --one shuffle by part of the user-->  one row per person  -->  FOLDER/part=K/*.parquet
                                                                              |
                    counts and means of the movies, (user, movie, rating) for ALS, the snapshot's histories

A person's number for Spark is the first of their part plus their row in it: known without a table of all users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.datasets.scales import infer_scale
from matinee.errors import DataError, EngineError
from matinee.ids import Ids
from matinee.ratings import Scale, Totals
from matinee.snapshot.histories import HistoryFiles, StoredRatings
from matinee.spark.engine.reading import Opened, Survey

RATINGS_PER_PART = 1_000_000
MOST_PARTS = 4_096
MOST_USERS = 2**31 - 1
ROW_GROUP = 1 << 20
"""Bytes of Parquet that are decoded for one person."""
MOST_STARS = 1_000
SCHEMA = "user string, row int, movies array<int>, stars array<float>, times array<bigint>, part int"


@dataclass(frozen=True, eq=False)
class ClusterHistories:
    """Histories on the cluster's storage: their frame, and what the driver knows of them.

    people      a frame of SCHEMA
    firsts      (parts,) the number of the first person of each part
    """

    people: Any
    firsts: NDArray[np.int64]
    ratings: StoredRatings

    def long(self) -> Any:
        """Return all ratings as a frame: user and movie as numbers, rating."""
        return _pairs(self.numbered(), "number").withColumnRenamed("number", "user")

    def numbered(self) -> Any:
        """Return the people with their numbers in a column."""
        from pyspark.sql import functions as F

        firsts = pa.table({"part": pa.array(range(len(self.firsts)), pa.int32()), "first": self.firsts})
        joined = self.people.join(F.broadcast(self.people.sparkSession.createDataFrame(firsts)), "part")
        return joined.withColumn("number", (F.col("first") + F.col("row")).cast("int"))


def write_histories(
    spark: Any, found: Opened, survey: Survey, movies: Ids, scale: Scale | None, folder: str
) -> ClusterHistories:
    """Write the histories into a folder and count them.

    Of ratings of one movie by one user the latest is kept.
    Raises EngineError where the folder is not one that the executors and this process share.
    """
    parts = min(-(-survey.rows // RATINGS_PER_PART), MOST_PARTS)
    people = _people(spark, found, movies, parts)
    columns = people if found.has_times else people.drop("times")
    columns.write.mode("append").partitionBy("part").option("parquet.block.size", ROW_GROUP).parquet(folder)
    return opened(spark, folder, parts, movies, scale, found.has_times)


def _people(spark: Any, found: Opened, movies: Ids, parts: int) -> Any:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    positions = pa.table({"movie": movies.array, "position": np.arange(len(movies), dtype=np.int32)})
    good = found.rows.where(~F.col("bad")).join(F.broadcast(spark.createDataFrame(positions)), "movie")
    placed = good.select("user", _part(parts).alias("part"), "position", "stars", "time", "order").repartition(
        parts, "part"
    )
    last = F.max_by(F.struct("stars", "time"), "order").alias("last")
    latest = placed.groupBy("part", "user", "position").agg(last)
    rated = F.struct(F.col("position"), F.col("last.stars"), F.col("last.time"))
    person = latest.groupBy("part", "user").agg(F.array_sort(F.collect_list(rated)).alias("rated"))
    rows = F.row_number().over(Window.partitionBy("part").orderBy("user")) - 1
    return person.select(
        "user",
        rows.cast("int").alias("row"),
        F.col("rated.position").alias("movies"),
        F.col("rated.stars").alias("stars"),
        F.col("rated.time").alias("times"),
        "part",
    ).sortWithinPartitions("part", "user")


def opened(spark: Any, folder: str, parts: int, movies: Ids, scale: Scale | None, has_times: bool) -> ClusterHistories:
    """Count the histories in a folder. Raises DataError where there are more users than Spark's ALS can number."""
    schema = SCHEMA if has_times else SCHEMA.replace("times array<bigint>, ", "")
    people = spark.read.schema(schema).parquet(folder)
    per_part = _per_part(people, parts)
    if per_part.sum() > MOST_USERS:
        raise DataError(f"{per_part.sum():,} users are more than the {MOST_USERS:,} that Spark's ALS can number")
    pairs = _pairs(people)
    counts, sums, mean = counted(pairs, len(movies))
    files = _files(people, folder)
    histories = HistoryFiles(_local(folder), parts, files, int(per_part.sum()), has_times)
    _check_shared(histories)
    with np.errstate(invalid="ignore"):
        means = (sums / counts).astype(np.float32)
    totals = Totals(mean, counts, means, sums)
    known = StoredRatings.of(histories, movies, scale or _scale(pairs), totals)
    return ClusterHistories(people, _firsts(per_part), known)


def open_histories(spark: Any, ratings: StoredRatings) -> ClusterHistories:
    """Return the histories of a snapshot."""
    histories = ratings.histories
    people = spark.read.parquet(*histories.addresses()).withColumn("part", _part(histories.parts))
    return ClusterHistories(people, _firsts(_per_part(people, histories.parts)), ratings)


def counted(ratings: Any, n_movies: int) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Return the movies' numbers of ratings (n_movies,) and sums of stars (n_movies,), and the mean of all stars."""
    from pyspark.sql import functions as F

    found = ratings.groupBy("movie").agg(F.count("*").alias("n"), F.sum(F.col("rating").cast("double")).alias("sum"))
    counts, sums = np.zeros(n_movies, np.int64), np.zeros(n_movies)
    for row in found.collect():
        counts[row["movie"]], sums[row["movie"]] = row["n"], row["sum"]
    return counts, sums, float(sums.sum() / max(counts.sum(), 1))


def _pairs(people: Any, *columns: str) -> Any:
    """Return one row for each rating: movie, rating, after some of the people's columns."""
    from pyspark.sql import functions as F

    one = people.select(*columns, F.explode(F.arrays_zip("movies", "stars")).alias("one"))
    return one.select(*columns, F.col("one.movies").alias("movie"), F.col("one.stars").alias("rating"))


def _part(parts: int) -> Any:
    """Return the column of everybody's part."""
    from pyspark.sql import functions as F

    return F.pmod(F.crc32(F.col("user").cast("binary")), F.lit(parts)).cast("int")


def _per_part(people: Any, parts: int) -> NDArray[np.int64]:
    """(parts,) how many people there are in each."""
    found = np.zeros(parts, np.int64)
    for row in people.groupBy("part").count().collect():
        found[row["part"]] = row["count"]
    return found


def _firsts(per_part: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.concatenate([[0], np.cumsum(per_part)])[:-1])


def _scale(pairs: Any) -> Scale:
    """Return the scale that the stars seem to have."""
    values = [row["rating"] for row in pairs.select("rating").distinct().limit(MOST_STARS).collect()]
    return infer_scale(np.array(values, np.float32))


def _files(people: Any, folder: str) -> dict[int, str]:
    """Return {part: its file's name in the folder}."""
    found = {}
    for address in people.inputFiles():
        name = unquote(address).rpartition("/part=")[2]
        found[int(name.partition("/")[0])] = f"part={name}"
    return found


def _local(folder: str) -> str:
    return folder.removeprefix("file://")


def _check_shared(histories: HistoryFiles) -> None:
    try:
        next(histories.blocks_of(next(iter(histories.files)), 1))
    except Exception as problem:
        raise EngineError(
            f"the driver cannot read what the executors wrote into {histories.folder}: put the store on storage that "
            "they share with this machine, or name such storage with `histories=ADDRESS`"
        ) from problem
