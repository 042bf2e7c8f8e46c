"""Refitting: a snapshot's histories with the live ratings, and the tenth of them that no measuring fit sees.

    histories in Parquet + live ratings  --overlaid-->  rows  --histories-->  the next histories
    histories  --marked-->  (user, number, movie, rating, held)  --asked-->  at most 10,000 people, on the driver

A rating is held out by a hash of its user's and its movie's id, so it is the same tenth in every snapshot.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.ids import Ids
from matinee.spark.engine.histories import ClusterHistories
from matinee.spark.engine.measuring import FRACTIONS
from matinee.spark.engine.reading import Opened

HELD_OUT = 0.1
MOST_ASKED = 10_000


def overlaid(spark: Any, kept: ClusterHistories, live: pa.Table, forgotten: Collection[str]) -> Opened:
    """Return the rows of histories with live ratings over them.

    live        user, movie, stars (null: deleted) and at; wins by user and movie
    forgotten   SHA-256 of the ids of people of whom only what is in `live` is left
    """
    from pyspark.sql import functions as F

    has_times = kept.ratings.histories.has_times
    gone = spark.createDataFrame(_users(forgotten))
    said = spark.createDataFrame(live)
    old = _with_ids(spark, _rated(kept.people, has_times), kept.ratings.movies)
    left = old.join(F.broadcast(gone), _hash(old) == gone["user"], "left_anti").join(
        said, ["user", "movie"], "left_anti"
    )
    stars = F.col("stars").cast("float").alias("stars")
    new = said.where(F.col("stars").isNotNull()).select("user", "movie", stars, F.col("at").alias("time"))
    rows = left.select("user", "movie", "stars", "time").unionByName(new)
    return Opened(rows.withColumns({"order": F.lit(0), "bad": F.lit(False)}), has_times, None)


def same(spark: Any, kept: ClusterHistories, rows: Any, people: Collection[str]) -> bool:
    """Return whether the rows of people, by the SHA-256 of their ids, are what the histories have."""
    from pyspark.sql import functions as F

    asked = F.broadcast(spark.createDataFrame(_users(people)))
    old, new = (
        frame.join(asked, _hash(frame) == asked["user"], "left_semi").select("user", "movie", "stars")
        for frame in (_with_ids(spark, _rated(kept.people, False), kept.ratings.movies), rows)
    )
    return bool(old.exceptAll(new).isEmpty() and new.exceptAll(old).isEmpty())


def _hash(people: Any) -> Any:
    """Return the ids of users as the live database has those of the forgotten."""
    from pyspark.sql import functions as F

    return F.sha2(people["user"].cast("binary"), 256)


def marked(spark: Any, kept: ClusterHistories) -> Any:
    """Return all ratings as a frame.

    user and movie as numbers, rating, name and id (the user's and the movie's), held (is it held out)
    """
    from pyspark.sql import functions as F

    ratings = _with_ids(spark, _rated(kept.numbered(), False, "number"), kept.ratings.movies)
    drawn = F.pmod(F.xxhash64("user", "movie"), F.lit(FRACTIONS))
    return ratings.select(
        F.col("number").alias("user"),
        F.col("position").alias("movie"),
        F.col("stars").alias("rating"),
        F.col("user").alias("name"),
        F.col("movie").alias("id"),
        (drawn < int(HELD_OUT * FRACTIONS)).alias("held"),
    )


def asked(ratings: Any, candidate: Any) -> pa.Table:
    """Return marked ratings of the people with the lowest hashes, of those with ratings on both sides.

    name, movie, rating, held, left (whether the candidate's marked ratings have it, of whatever stars)
    """
    from pyspark.sql import functions as F

    people = ratings.groupBy("name").agg(F.count_if("held").alias("out"), F.count("*").alias("n"))
    able = people.where((F.col("out") > 0) & (F.col("out") < F.col("n")))
    some = able.orderBy(F.xxhash64("name")).limit(MOST_ASKED).select("name")
    theirs = candidate.join(F.broadcast(some), "name", "left_semi").select("name", "id", F.lit(True).alias("there"))
    rows = ratings.join(F.broadcast(some), "name").join(theirs, ["name", "id"], "left")
    left = F.coalesce("there", F.lit(False)).alias("left")
    return rows.select("name", "movie", "rating", "held", left).toArrow()


def _users(ids: Collection[str]) -> pa.Table:
    return pa.table({"user": pa.array(sorted(ids), pa.string())})


def _rated(people: Any, has_times: bool, *columns: str) -> Any:
    """Return one row for each rating: user, position, stars, time (0 where it is unknown)."""
    from pyspark.sql import functions as F

    lists = ["movies", "stars", *(["times"] if has_times else [])]
    one = people.select("user", *columns, F.explode(F.arrays_zip(*lists)).alias("one"))
    time = F.col("one.times") if has_times else F.lit(0).cast("bigint")
    position, stars = F.col("one.movies").alias("position"), F.col("one.stars").alias("stars")
    return one.select("user", *columns, position, stars, time.alias("time"))


def _with_ids(spark: Any, rated: Any, movies: Ids) -> Any:
    """Return the rows with the movies' ids."""
    from pyspark.sql import functions as F

    ids = pa.table({"position": np.arange(len(movies), dtype=np.int32), "movie": movies.array})
    return rated.join(F.broadcast(spark.createDataFrame(ids)), "position")
