"""Learning: Spark ML's ALS on a frame of ratings, and its models as ours.

(user, movie, rating)  --fitted-->  ALSModel  --movie_factors-->  AlsModel, IalsModel
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.errors import UsageError
from matinee.kernels import Csr
from matinee.kernels.check import MAX_RANK
from matinee.models.als import ALS, AlsModel
from matinee.models.baselines import Bias
from matinee.ratings import Ratings
from matinee.snapshot.histories import StoredRatings, UncountedIds
from matinee.spark.engine.cluster import Cluster

Float32 = NDArray[np.float32]
MOST_SAMPLED = 20_000
"""People from whom the driver learns how far predictions miss."""


def check(config: Any) -> None:
    """Raise UsageError where Spark has no such model."""
    if config.name not in ("als", "ials", "bias"):
        raise UsageError(f"Spark trains als and ials, not {config.name}; choose one of them, or the engine local")
    if config.name == "ials" and config.alpha is None:
        raise UsageError("Spark knows ials only with a confidence per star; say which with `IALS(alpha=1)`")
    if config.name != "bias" and not (config.reg > 0 and 1 <= config.rank <= MAX_RANK and config.iterations >= 1):
        raise UsageError(
            f"{config.name} needs reg > 0, a rank from 1 to {MAX_RANK} and at least one iteration, "
            f"not reg={config.reg:g}, rank={config.rank}, iterations={config.iterations}"
        )


def fitted(config: Any, ratings: Any, cluster: Cluster) -> Any:
    """Return Spark's model of ratings (user, movie, rating)."""
    from pyspark.ml.recommendation import ALS as SparkALS
    from pyspark.sql import functions as F

    implicit = config.name == "ials"
    if implicit and config.positive_from is not None:
        ratings = ratings.where(F.col("rating") >= config.positive_from)
    return SparkALS(
        rank=config.rank,
        maxIter=config.iterations,
        regParam=config.reg,
        implicitPrefs=implicit,
        alpha=config.alpha if implicit else 1.0,
        nonnegative=config.nonnegative,
        seed=config.rng,
        userCol="user",
        itemCol="movie",
        ratingCol="rating",
        numUserBlocks=cluster.user_blocks,
        numItemBlocks=cluster.item_blocks,
        blockSize=cluster.block_size,
        checkpointInterval=cluster.checkpoint_interval,
        coldStartStrategy=cluster.cold_start,
    ).fit(ratings)


def movie_factors(model: Any, n_movies: int) -> Float32:
    """Return Y (n_movies, k), zero for movies without ratings."""
    table = model.itemFactors.toArrow()
    factors = np.zeros((n_movies, model.rank), np.float32)
    ids = table["id"].to_numpy()
    factors[ids] = table["features"].combine_chunks().flatten().to_numpy().reshape(len(ids), model.rank)
    return factors


def as_als(config: ALS, factors: Float32, ratings: StoredRatings, catalog: Catalog, threads: int | None) -> AlsModel:
    """Return the rater with these factors.

    How far its predictions miss is learned on the driver from a sample of at most MOST_SAMPLED people.
    """
    model = config.around(factors, ratings.movie_counts > 0, sampled(ratings), catalog, threads)
    return replace(model, bias=Bias().fit(ratings, catalog))


def sampled(ratings: StoredRatings) -> Ratings:
    """Return the ratings of at most MOST_SAMPLED people: of the first parts, over which crc32 spreads people."""
    blocks: list[Csr] = []
    left = MOST_SAMPLED
    for block in ratings.histories.blocks(len(ratings.movies), MOST_SAMPLED):
        blocks.append(block.rows.rows(0, min(left, block.rows.n_rows)))
        left -= blocks[-1].n_rows
        if not left:
            break
    indptr = np.concatenate([[0], *(one.counts for one in blocks)]).cumsum()
    indices, values = (np.concatenate([getattr(one, what) for one in blocks]) for what in ("indices", "values"))
    return Ratings(
        UncountedIds(len(indptr) - 1), ratings.movies, Csr(indptr, indices, values, len(ratings.movies)), ratings.scale
    )
