"""`bayes`: Bayesian matrix factorization with side information, the default rater.

Sources: Salakhutdinov & Mnih 2008 (Bayesian probabilistic matrix factorization by Gibbs sampling); Simm et al. 2017
(Macau: prior means that depend on features). docs/models.md has the formulas.

`fit` runs the chain (matinee.models.gibbs) over users and movies and keeps the movies' side of some of its sweeps;
matinee.models.posterior serves them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee import kernels
from matinee.catalog import Catalog
from matinee.errors import ModelError
from matinee.kernels import Csr
from matinee.kernels.posterior import Factors
from matinee.models import Arrays, Progress
from matinee.models.features import Components, components, movie_facts, scaled, who_rated
from matinee.models.gibbs import Gibbs, Side
from matinee.models.posterior import BayesModel, Samples, Units
from matinee.ratings import Ratings

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bayes:
    """Bayesian factorization by Gibbs sampling; the defaults need no tuning.

    Plain Bayesian PMF is `Bayes(bias=False, movie_features=False, user_features=False, noise_per_row=False)`.
    """

    name: ClassVar[str] = "bayes"

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
                f"bayes keeps samples from the sweeps after burn_in: samples={self.samples} does not fit "
                f"sweeps={self.sweeps} with burn_in={self.burn_in}"
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

        `progress` is told the training RMSE of each sweep's draw, in stars.
        Raises ModelError where there are no ratings.
        """
        if not ratings.n:
            raise ModelError("bayes cannot be fitted without ratings; read a file that has some")
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
    kept = 2 * 4 * config.samples * movies * (k + 2)
    return orientations + chain + kept


def _fit(
    config: Bayes, ratings: Ratings, catalog: Catalog, threads: int | None, progress: Progress | None
) -> BayesModel:
    units = Units.of(ratings)
    by_user, by_movie, rated = _rated_only(ratings, units)
    who = _components(config, by_user, by_movie, threads)
    person_parts = scaled(who.movies, by_user)
    user_features = who_rated(by_user, person_parts) if config.user_features else None
    movie_features = _movie_features(config, ratings, catalog, by_movie, who, rated)
    k, rng = config.rank + config.bias, np.random.default_rng((config.rng, 0))
    users = Side.start(by_user, k, user_features, config.bias, rng)
    movies = Side.start(by_movie, k, movie_features[rated], config.bias, rng)
    chain = Gibbs(users, movies, config.rng, noise_per_row=config.noise_per_row, threads=threads)
    keep = set(np.linspace(config.burn_in, config.sweeps - 1, config.samples).astype(int).tolist())
    kept, spreads = [], []
    for sweep in range(config.sweeps):
        chain.sweep()
        if sweep in keep:
            sample, spread = _sample(chain, movie_features, rated)
            kept.append(sample)
            spreads.append(spread)
        if progress:
            progress(sweep + 1, config.sweeps, chain.rmse() * units.deviation)
    served = np.zeros((len(ratings.movies), person_parts.shape[1] if config.user_features else 0), np.float32)
    served[rated] = person_parts[:, : served.shape[1]]
    samples = _with_spread(
        Samples.joined(kept), np.tile(np.mean(spreads, axis=0), len(kept)), np.tile(rated, len(kept))
    )
    return BayesModel(config, config.rank, units, samples, served)


def _rated_only(ratings: Ratings, units: Units) -> tuple[Csr, Csr, NDArray[np.bool_]]:
    """Return the ratings inside, by user and by movie, without empty rows and columns; and which movies stayed."""
    rated = ratings.movie_counts > 0
    indptr = np.unique(ratings.by_user.indptr)
    column = np.cumsum(rated, dtype=np.int32) - 1
    values = units.inside(ratings.by_user.values)
    by_user = Csr(indptr, column[ratings.by_user.indices].astype(np.int32), values, int(rated.sum()))
    return by_user, kernels.transpose(by_user), rated


def _components(config: Bayes, by_user: Csr, by_movie: Csr, threads: int | None) -> Components:
    m = min(config.who_rated, by_user.n_rows // 8, by_movie.n_rows // 8)
    return components(by_user, by_movie, m, np.random.default_rng((config.rng, 2)), threads=threads)


def _movie_features(
    config: Bayes, ratings: Ratings, catalog: Catalog, by_movie: Csr, who: Components, rated: NDArray[np.bool_]
) -> Float32:
    """(M, D) of all movies: facts, and who rated them (zeros where nobody did)."""
    if not config.movie_features:
        return np.empty((len(rated), 0), np.float32)
    audience = who_rated(by_movie, scaled(who.users, by_movie))
    everywhere = np.zeros((len(rated), audience.shape[1]), np.float32)
    everywhere[rated] = audience
    return np.hstack([movie_facts(ratings.movie_counts, catalog), everywhere])


def _sample(chain: Gibbs, features: Float32, rated: NDArray[np.bool_]) -> tuple[Samples, Float64]:
    """Return what serving needs of the present draw, and each movie's `_spread` around its mean."""
    users, movies, prior = chain.users, chain.movies, chain.users.prior
    expected = movies.expected_rows(users, chain.tau, chain.threads)
    precisions = np.full(len(rated), chain.tau, np.float32)
    precisions[rated] *= movies.weights
    by_features = (features @ movies.prior.regression + movies.prior.mean).astype(np.float32)
    as_drawn, as_expected = (_factors(by_features, rated, rows, movies.has_bias) for rows in (movies.X, expected))
    sample = Samples(
        Factors(*as_drawn, precisions),
        Factors(*as_expected, precisions),
        prior.mean[None].astype(np.float32),
        prior.precision,
        prior.regression.astype(np.float32),
    )
    return sample, _spread(chain, expected, rated)


def _factors(by_features: Float32, rated: NDArray[np.bool_], rows: Float32, has_bias: bool) -> tuple[Float32, Float32]:
    """Return y~ and b of all movies: these rows where they are rated, elsewhere where features put them."""
    Y = by_features.copy()
    Y[rated] = rows
    if not has_bias:
        return Y, np.zeros(len(Y), np.float32)
    biases = Y[:, -1].copy()
    Y[:, -1] = 1
    return Y, biases


def _spread(chain: Gibbs, expected: Float32, rated: NDArray[np.bool_]) -> Float64:
    """(M,) mean over users of the variance that a movie's own uncertainty adds: its draw around its mean.

    Of a movie without ratings it is known, being that of the prior.
    """
    design = chain.users.design.astype(np.float64)
    second_moment = design.T @ design / len(design)
    off = (chain.movies.X - expected).astype(np.float64)
    spread = np.full(len(rated), np.sum(np.linalg.inv(chain.movies.prior.precision) * second_moment))
    spread[rated] = np.sum((off @ second_moment) * off, axis=1)
    return spread


def _with_spread(samples: Samples, spread: Float64, rated: NDArray[np.bool_]) -> Samples:
    """Return samples where the spread (S M,) of means adds to the noise of ratings around them."""
    precisions = samples.asked.precisions / (1 + samples.asked.precisions * spread.astype(np.float32))
    return replace(
        samples,
        rated=samples.rated._replace(precisions=np.where(rated, samples.rated.precisions, precisions)),
        asked=samples.asked._replace(precisions=precisions),
    )
