"""What answers as a Spark model does: `als` as the rater, or `ials` as the ranker with a baseline for stars."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.kernels import Csr
from matinee.models import Model, Rater
from matinee.models.als import ALS, AlsModel
from matinee.models.baselines import Bias, BiasModel
from matinee.models.ials import IALS
from matinee.spark.interop.objective import Objective

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Learned:
    """What Spark learned, over the data set's movies.

    Y, rated    the movies' factors (n_movies, k), and which movies have some
    average     (k,) the mean user: speaks for people without ratings, where there are no ratings to take means of
    """

    dataset: Dataset
    Y: Float32
    rated: NDArray[np.bool_]
    average: Float32


def models(
    learned: Learned, objective: Objective, *, intervals: bool, threads: int | None
) -> tuple[Rater, Model | None]:
    """Return the rater and the ranker that answer as Spark's explicit or implicit model."""
    dataset, rank = learned.dataset, learned.Y.shape[1]
    if objective.alpha is not None:
        implicit = IALS(rank=rank, reg=objective.reg, alpha=objective.alpha, nonnegative=objective.nonnegative)
        return Bias().fit(dataset.ratings, dataset.catalog), implicit.around(learned.Y, threads)
    config = ALS(
        rank=rank,
        reg=objective.reg,
        min_history=1,
        nonnegative=objective.nonnegative,
        intervals=intervals and dataset.ratings.n > 0,
    )
    rater = config.around(learned.Y, learned.rated, dataset.ratings, dataset.catalog, threads)
    return (rater if dataset.ratings.n else replace(rater, bias=stranger(learned))), None


def stranger(learned: Learned) -> BiasModel:
    """Return the baseline of a model without ratings: the mean of what its users would give each movie."""
    stars = learned.Y.astype(np.float64) @ learned.average
    mean = float(stars[learned.rated].mean())
    offsets = np.where(learned.rated, stars - mean, 0).astype(np.float32)
    return BiasModel(Bias(), offsets, mean, learned.dataset.ratings.scale)


def folded(rater: Rater, ranker: Model | None, histories: Csr) -> Float32:
    """Return people's factors (B, k), as they are served."""
    if isinstance(rater, AlsModel):
        return rater.fold_in(histories).factors
    assert ranker is not None
    factors: Float32 = ranker.fold_in(histories)
    return factors
