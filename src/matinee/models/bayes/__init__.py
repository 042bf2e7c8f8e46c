"""`bayes`: Bayesian matrix factorization with side information, the default rater.

Sources: Salakhutdinov & Mnih 2008 (Bayesian probabilistic matrix factorization by Gibbs sampling); Simm et al. 2017
(Macau: prior means that depend on features). docs/models.md has the formulas.

    ratings, catalogue  --features-->  ChainInput  --gibbs-->  chain  --samples-->  Samples  --posterior-->  stars
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee import kernels
from matinee.catalog import Catalog
from matinee.errors import ModelError
from matinee.kernels import Csr
from matinee.models import Arrays, SearchSpace
from matinee.models.bayes.features import Components, components, movie_facts, scaled, who_rated
from matinee.models.bayes.gibbs import Gibbs, Side
from matinee.models.bayes.posterior import BayesModel, Units
from matinee.models.bayes.samples import draw_kept, joined
from matinee.progress import Progress
from matinee.ratings import Ratings

Float32 = NDArray[np.float32]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bayes:
    """Bayesian factorization by Gibbs sampling; the defaults need no tuning.

    Plain Bayesian PMF is `Bayes(bias=False, movie_features=False, user_features=False, noise_per_row=False)`.
    """

    name: ClassVar[str] = "bayes"
    space: ClassVar[SearchSpace] = {"rank": (7, 63), "who_rated": (8, 128)}

    rank: int = 31
    """Number of factors, without the bias; 31 and the bias fill 32 columns."""

    sweeps: int = 140
    """How often everything is drawn."""

    burn_in: int = 30
    """How many of the first sweeps are not used."""

    samples: int = 16
    """How many of the other sweeps are kept for serving, evenly spaced."""

    rng: int = 0
    """Seed: the same seed gives the same bits, for any number of threads."""

    bias: bool = True
    """Whether users and movies have a bias, drawn together with their factors."""

    movie_features: bool = True
    """Whether a movie's prior mean depends on its genres, year, number of ratings and on who rated it."""

    user_features: bool = True
    """Whether a person's prior mean depends on what they rated."""

    noise_per_row: bool = True
    """Whether each user and each movie has a noise of its own."""

    who_rated: int = 64
    """Most columns of features that say who rated what; at most an eighth of the users and of the movies."""

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= 511:
            raise ModelError(f"bayes needs a rank from 1 to 511, not {self.rank}")
        if self.who_rated < 0:
            raise ModelError(f"bayes needs who_rated columns of 0 or more, not {self.who_rated}")
        if not 1 <= self.samples <= self.sweeps - self.burn_in or self.burn_in < 0:
            raise ModelError(
                f"bayes takes samples from the sweeps after burn_in: samples must be 1 to sweeps - burn_in, not "
                f"{self.samples} with sweeps={self.sweeps} and burn_in={self.burn_in}"
            )

    def fit(
        self,
        ratings: Ratings,
        catalog: Catalog,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> BayesModel:
        """Run the chain and keep its samples.

        `progress` receives the training RMSE of each sweep's draw, in stars.
        Raises ModelError where there are no ratings.
        """
        if not ratings.n:
            raise ModelError("bayes needs ratings, but the data has none; read a file with ratings")
        log.info("bayes needs about %.0f MB of memory", memory_needed(self, ratings) / 1e6)
        with threadpool_limits(1, "blas"):
            return _fit(self, ratings, catalog, threads, progress)

    def load(self, arrays: Arrays) -> BayesModel:
        """Return the model whose `arrays()` these are, without copying them."""
        return BayesModel.of_arrays(self, self.rank, arrays)


def memory_needed(config: Bayes, ratings: Ratings) -> int:
    """Return about how many bytes `fit` takes at its peak, besides the ratings themselves."""
    users, movies = len(ratings.users), len(ratings.movies)
    k, columns = config.rank + config.bias, config.who_rated
    orientations = 2 * 12 * ratings.n
    chain = 4 * (users + movies) * (4 * k + 4 * columns) + 8 * (users + movies) * 2 * k
    kept = 2 * 2 * 4 * config.samples * movies * (k + 2)  # twice each, and once more while they are joined
    return orientations + chain + kept


@dataclass(frozen=True, eq=False)
class ChainInput:
    """What the chain runs on: ratings inside, without empty rows and columns, and features.

    rated       (M,) which movies have ratings, and so a column here
    components  (rated movies, D) what rating each movie says of a person
    features    (M, E) of all movies
    """

    units: Units
    by_user: Csr
    by_movie: Csr
    rated: NDArray[np.bool_]
    components: Float32
    features: Float32


def _fit(
    config: Bayes, ratings: Ratings, catalog: Catalog, threads: int | None, progress: Progress | None
) -> BayesModel:
    prepared = _prepare(config, ratings, catalog, threads)
    chain = _chain(config, prepared, threads)
    keep = set(np.linspace(config.burn_in, config.sweeps - 1, config.samples).astype(int).tolist())
    kept = []
    for sweep in range(config.sweeps):
        chain.sweep()
        if sweep in keep:
            kept.append(draw_kept(chain, prepared.features, prepared.rated))
        if progress:
            progress(config.name, sweep + 1, config.sweeps, chain.rmse() * prepared.units.deviation)
    components = _everywhere(prepared.rated, prepared.components)
    return BayesModel(config, config.rank, prepared.units, joined(kept, prepared.rated), components)


def _prepare(config: Bayes, ratings: Ratings, catalog: Catalog, threads: int | None) -> ChainInput:
    units = Units.of(ratings)
    by_user, by_movie, rated = _rated_only(ratings, units)
    who = _components(config, by_user, by_movie, threads)
    of_people = scaled(who.movies[:, : config.who_rated if config.user_features else 0], by_user)
    features = np.empty((len(rated), 0), np.float32)
    if config.movie_features:
        audience = who_rated(by_movie, scaled(who.users, by_movie))
        features = np.hstack([movie_facts(ratings.movie_counts, catalog), _everywhere(rated, audience)])
    return ChainInput(units, by_user, by_movie, rated, of_people, features)


def _chain(config: Bayes, prepared: ChainInput, threads: int | None) -> Gibbs:
    k, rng = config.rank + config.bias, np.random.default_rng((config.rng, 0))
    by_user, by_movie = prepared.by_user, prepared.by_movie
    users = Side.start(by_user, k, who_rated(by_user, prepared.components), config.bias, rng)
    movies = Side.start(by_movie, k, prepared.features[prepared.rated], config.bias, rng)
    return Gibbs(users, movies, config.rng, noise_per_row=config.noise_per_row, threads=threads)


def _rated_only(ratings: Ratings, units: Units) -> tuple[Csr, Csr, NDArray[np.bool_]]:
    """Return the ratings inside, by user and by movie, without empty rows and columns; and which movies stayed."""
    rated = ratings.movie_counts > 0
    indptr = np.unique(ratings.by_user.indptr)
    column = np.cumsum(rated, dtype=np.int32) - np.int32(1)
    values = units.inside(ratings.by_user.values)
    by_user = Csr(indptr, column[ratings.by_user.indices], values, int(rated.sum()))
    return by_user, kernels.transpose(by_user), rated


def _components(config: Bayes, by_user: Csr, by_movie: Csr, threads: int | None) -> Components:
    m = min(config.who_rated, by_user.n_rows // 8, by_movie.n_rows // 8)
    return components(by_user, by_movie, m, np.random.default_rng((config.rng, 2)), threads=threads)


def _everywhere(rated: NDArray[np.bool_], rows: Float32) -> Float32:
    """Return rows for all movies: zeros for movies without ratings."""
    everywhere = np.zeros((len(rated), rows.shape[1]), np.float32)
    everywhere[rated] = rows
    return everywhere
