"""Measuring: how far the stars that would be served miss held-out ratings, all on the cluster.

(user, movie, rating)  --parts-->  train, held out
train  --counted-->  means of the movies  --Bias-->  stars of people with short histories  --errors-->  RMSE, MAE
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.errors import ModelError
from matinee.models.baselines import Bias, BiasModel
from matinee.ratings import Scale
from matinee.spark.engine.histories import counted

FRACTIONS = 1 << 30


@dataclass(frozen=True)
class Errors:
    """Of the held-out pairs whose user and movie were in training; `cold` counts the others."""

    rmse: float
    mae: float
    pairs: int
    cold: int

    def described(self, model: str) -> dict[str, Any]:
        """Return them as a manifest holds them."""
        return {"model": model, **asdict(self)}


def parts(ratings: Any, shares: tuple[float, ...], rng: int) -> list[Any]:
    """Return a frame of ratings for each share; which rating goes where depends on the seed and the rating alone."""
    from pyspark.sql import functions as F

    drawn = F.pmod(F.xxhash64(F.lit(rng), "user", "movie"), F.lit(FRACTIONS))
    ends = (np.cumsum([0.0, *shares]) * FRACTIONS).round().astype(int).tolist()
    return [ratings.where((drawn >= start) & (drawn < end)) for start, end in pairwise(ends)]


def errors(config: Any, model: Any, train: Any, held_out: Any, n_movies: int, scale: Scale) -> Errors:
    """Return how far what is served of Spark's model of `train` misses held-out ratings.

    Raises ModelError where it knows none of them.
    """
    from pyspark.sql import functions as F

    stars = F.coalesce("by_baseline", "prediction")
    clipped = F.least(F.greatest(stars, F.lit(scale.low)), F.lit(scale.high))
    miss = F.when(~F.isnan("prediction"), clipped - F.col("rating"))
    row = _answered(config, model, train, held_out, Bias().around(*counted(train, n_movies), scale)).agg(
        F.avg(miss * miss), F.avg(F.abs(miss)), F.count(miss)
    )
    squares, absolutes, pairs = row.first()
    if not pairs:
        raise ModelError("no held-out rating has a user and a movie of the training part; take more data")
    return Errors(float(squares) ** 0.5, float(absolutes), int(pairs), held_out.count() - int(pairs))


def _answered(config: Any, model: Any, train: Any, held_out: Any, bias: BiasModel) -> Any:
    """Return the held-out ratings with Spark's prediction, and `by_baseline` where the history is too short for it."""
    from pyspark.sql import functions as F

    offsets = F.broadcast(train.sparkSession.createDataFrame(_offsets(bias)))
    deviation = F.col("rating") - F.col("offset") - F.lit(bias.mean)
    people = train.join(offsets, "movie").groupBy("user").agg(F.count("*").alias("n"), F.sum(deviation).alias("sum"))
    short = people.where(F.col("n") < config.min_history).select(
        "user", (F.col("sum") / (F.col("n") + bias.config.user_damping)).alias("own")
    )
    answered = model.transform(held_out).join(short, "user", "left").join(offsets, "movie")
    return answered.withColumn("by_baseline", F.lit(bias.mean) + F.col("offset") + F.col("own"))


def _offsets(bias: BiasModel) -> pa.Table:
    movies = np.arange(len(bias.offsets), dtype=np.int32)
    return pa.table({"movie": movies, "offset": bias.offsets.astype(np.float64)})
