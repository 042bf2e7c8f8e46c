"""What an imported model becomes: its data set, and the models that answer from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.dataset import Dataset, Facts
from matinee.datasets.rows import no_movies
from matinee.datasets.tabular import movie_table
from matinee.errors import DataError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models import Model, Rater
from matinee.models.als import ALS, AlsModel
from matinee.models.baselines import Bias, BiasModel
from matinee.models.ials import IALS
from matinee.ratings import Ratings, Scale
from matinee.spark.interop.model import SparkModel
from matinee.spark.interop.objective import Objective

USUAL_SCALE = Scale(0.5, 5.0, 0.5)
"""MovieLens' own, taken where neither ratings nor a person say another."""


def dataset_of(model: SparkModel, movies: Any, ratings: Dataset | None, scale: Scale | None, facts: Facts) -> Dataset:
    """Return the movies that are in the model or rated, and the ratings; without ratings no users either.

    movies    titles and genres, a file or data frame; ids are matched as strings; wins over the ratings' own catalogue

    Raises DataError where the ids of movies or ratings have nothing in common with the model's.
    """
    titles = None if movies is None else movie_table(movies)
    if titles is not None:
        _check_common("the movies file", titles["movie"], model.movies.ids)
    if ratings is None:
        ids = model.movies.ids
        known = no_movies() if titles is None else titles
        return Dataset(_no_ratings(ids, scale or USUAL_SCALE), Catalog.of(ids, known), facts)
    rated = ratings.ratings.movies.array.filter(pa.array(ratings.ratings.movie_counts > 0))
    _check_common("the ratings", rated, model.movies.ids)
    ids = Ids(pa.concat_arrays([rated, model.movies.ids.array]))
    tables = [ratings.catalog.table, *([] if titles is None else [titles])]
    facts = replace(ratings.facts, source=facts.source)
    return Dataset(_with_movies(ratings.ratings, ids), Catalog.of(ids, pa.concat_tables(tables)), facts)


def _check_common(what: str, given: Any, ids: Ids) -> None:
    if not (ids.positions(given) >= 0).any():
        example, own = (given[0].as_py() if len(given) else "nothing"), ids[0]
        raise DataError(
            f"{what} and the model have no movie in common: ids such as {example!r} and {own!r}; if a StringIndexer "
            "made the model's ids, import the PipelineModel that has its labels"
        )


def _no_ratings(movies: Ids, scale: Scale) -> Ratings:
    nothing = Csr(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), len(movies))
    return Ratings(Ids([]), movies, nothing, scale)


def _with_movies(ratings: Ratings, movies: Ids) -> Ratings:
    """Return the ratings over other movies, which hold all that are rated; the order of ids and so of columns stays."""
    matrix = ratings.by_user
    columns = movies.positions(ratings.movies.array)[matrix.indices]
    moved = Csr(matrix.indptr, columns, matrix.values, len(movies))
    return Ratings(ratings.users, movies, moved, ratings.scale, ratings.timestamps)


def movie_factors(model: SparkModel, movies: Ids) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return factors (n_movies, k), zeros for movies that the model lacks, and which it has (n_movies,)."""
    places = model.movies.ids.positions(movies.array)
    has = places >= 0
    factors = np.zeros((len(movies), model.rank), np.float32)
    factors[has] = model.movies.factors[places[has]]
    return factors, has


def witnesses(model: SparkModel, ratings: Ratings, most: int) -> tuple[NDArray[np.float32], Csr]:
    """Return users who are in both: their stored factors X (B, k) and their ratings (B, n_movies), at most so many.

    Drawn at random, always the same.
    """
    places = model.users.ids.positions(ratings.users.array)
    both = np.flatnonzero((places >= 0) & (ratings.by_user.counts > 0))
    if len(both) > most:
        both = np.sort(np.random.default_rng(0).choice(both, most, replace=False))
    return model.users.factors[places[both]], ratings.by_user.take(both)


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
