"""`bayes`: Bayesian matrix factorization with side information, the default rater.

Sources: Salakhutdinov & Mnih 2008 (Bayesian probabilistic matrix factorization by Gibbs sampling); Simm et al. 2017
(Macau: prior means that depend on features). docs/models.md has the formulas.

The chain (matinee.models.gibbs) runs over users and movies; of it only the movies' side is kept, in some samples. A
person is folded into each sample by the one equation, and what is shown is the mean over the samples:

    A = Lambda + sum_p tau h_p y~_p y~_p^T       b = Lambda m + sum_p tau h_p y~_p (r_p - b_p)       x = A^-1 b
    m = mu + B^T f    f = the person's who-rated features    y~ = [y; 1]

Symbols: S samples; B people; M movies; k = rank + 1 with a bias; D features of a person. Inside, ratings are centred
on the mean and divided by their standard deviation.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee import kernels
from matinee.catalog import Catalog
from matinee.errors import ModelError
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Arrays, Explanation, Prediction, Progress, Scores
from matinee.models.features import Components, components, movie_facts, scaled, who_rated
from matinee.models.gibbs import NOISE_DEGREES, Gibbs, Side
from matinee.ratings import History, Ratings, Scale, batch

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

INTERVAL = 1.6448536269514722  # standard deviations on either side that hold 90 % of a normal distribution
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bayes:
    """Bayesian factorization by Gibbs sampling; the defaults need no tuning.

    Plain Bayesian PMF is `Bayes(bias=False, movie_features=False, user_features=False, noise_per_row=False)`.
    """

    name: ClassVar[str] = "bayes"

    rank: int = 31
    """Number of factors, without the bias; 31 and the bias fill 32 columns."""

    sweeps: int = 80
    """How often everything is drawn."""

    burn_in: int = 25
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
        mean, deviation, low, high = arrays["units"].tolist()
        parts = {field: arrays[field] for field in Samples._fields}
        return BayesModel(self, Units(mean, deviation, Scale(low, high)), Samples(**parts), arrays["components"])


def memory_needed(config: Bayes, ratings: Ratings) -> int:
    """Return about how many bytes `fit` takes at its peak, besides the ratings themselves."""
    users, movies = len(ratings.users), len(ratings.movies)
    k, columns = config.rank + config.bias, config.who_rated
    orientations = 2 * 12 * ratings.n
    chain = 4 * (users + movies) * (4 * k + 4 * columns) + 8 * (users + movies) * 2 * k
    kept = 4 * config.samples * movies * (k + 2)
    return orientations + chain + kept


class Units(NamedTuple):
    """How the numbers inside are turned into stars: times `deviation`, plus `mean`, clipped to `scale`."""

    mean: float
    deviation: float
    scale: Scale

    @classmethod
    def of(cls, ratings: Ratings) -> Units:
        deviation = float(ratings.by_user.values.std(dtype=np.float64))
        return cls(ratings.mean, deviation or 1.0, ratings.scale)

    def inside(self, stars: Float32) -> Float32:
        return ((stars - np.float32(self.mean)) / np.float32(self.deviation)).astype(np.float32)


class Samples(NamedTuple):
    """What is kept of the chain, S samples one after the other.

    movies          (S M, k) y~, the last column one where there is a bias
    biases          (S M,) b
    precisions      (S M,) tau h; for a movie without ratings also as unsure as its factors are
    prior_means     (S, k) mu
    prior_precisions (S k, k) Lambda
    regressions     (S D, k) B
    """

    movies: Float32
    biases: Float32
    precisions: Float32
    prior_means: Float32
    prior_precisions: Float32
    regressions: Float32


def _fit(
    config: Bayes, ratings: Ratings, catalog: Catalog, threads: int | None, progress: Progress | None
) -> BayesModel:
    units = Units.of(ratings)
    by_user, by_movie, rated = _rated_only(ratings, units)
    who = _components(config, by_user, by_movie)
    person_parts = scaled(who.movies, by_user)
    user_features = who_rated(by_user, person_parts) if config.user_features else None
    movie_features = _movie_features(config, ratings, catalog, by_movie, who, rated)
    k, rng = config.rank + config.bias, np.random.default_rng((config.rng, 0))
    users = Side.start(by_user, k, user_features, config.bias, rng)
    movies = Side.start(by_movie, k, movie_features[rated], config.bias, rng)
    chain = Gibbs(users, movies, config.rng, noise_per_row=config.noise_per_row, threads=threads)
    keep = set(np.linspace(config.burn_in, config.sweeps - 1, config.samples).astype(int).tolist())
    kept = []
    for sweep in range(config.sweeps):
        chain.sweep()
        if sweep in keep:
            kept.append(_sample(chain, movie_features, rated))
        if progress:
            progress(sweep + 1, config.sweeps, chain.rmse() * units.deviation)
    served = np.zeros((len(ratings.movies), person_parts.shape[1] if config.user_features else 0), np.float32)
    served[rated] = person_parts[:, : served.shape[1]]
    samples = Samples(*(np.concatenate(part) for part in zip(*kept, strict=True)))
    return BayesModel(config, units, samples, served)


def _rated_only(ratings: Ratings, units: Units) -> tuple[Csr, Csr, NDArray[np.bool_]]:
    """Return the ratings inside, by user and by movie, without empty rows and columns; and which movies stayed."""
    rated = ratings.movie_counts > 0
    indptr = np.unique(ratings.by_user.indptr)
    column = np.cumsum(rated, dtype=np.int32) - 1
    values = units.inside(ratings.by_user.values)
    by_user = Csr(indptr, column[ratings.by_user.indices].astype(np.int32), values, int(rated.sum()))
    return by_user, kernels.transpose(by_user), rated


def _components(config: Bayes, by_user: Csr, by_movie: Csr) -> Components:
    m = min(config.who_rated, by_user.n_rows // 8, by_movie.n_rows // 8)
    return components(by_user, by_movie, m, np.random.default_rng((config.rng, 2)))


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


def _sample(chain: Gibbs, features: Float32, rated: NDArray[np.bool_]) -> Samples:
    """Return what serving needs of the present draw; movies without ratings are where their features put them."""
    users, movies = chain.users, chain.movies
    rows = (features @ movies.prior.regression + movies.prior.mean).astype(np.float32)
    rows[rated] = movies.X
    weights = np.full(len(rated), _weight_of_unrated(chain), np.float32)
    weights[rated] = movies.weights
    biases = rows[:, -1].copy() if movies.has_bias else np.zeros(len(rows), np.float32)
    if movies.has_bias:
        rows[:, -1] = 1
    prior = users.prior
    return Samples(
        rows,
        biases,
        np.float32(chain.tau) * weights,
        prior.mean[None].astype(np.float32),
        prior.precision.astype(np.float32),
        prior.regression.astype(np.float32),
    )


def _weight_of_unrated(chain: Gibbs) -> float:
    """h of a movie without ratings: the variance of its row, over all users, adds to the noise of a rating."""
    design = chain.users.design
    second_moment = kernels.gram(design) / len(design)
    covariance = np.linalg.inv(chain.movies.prior.precision)
    return float(1 / (1 + chain.tau * np.sum(covariance * second_moment)))


@dataclass(frozen=True, eq=False)
class Profiles:
    """B people folded into S samples: their ratings inside (B, M), features (B, D), and X (S, B, k)."""

    histories: Csr
    features: Float32
    X: Float32


@dataclass(frozen=True, eq=False)
class BayesModel:
    """The movies' side of the chain, in some samples.

    components (M, D) is what each rated movie adds to a person's features.
    """

    config: Bayes
    units: Units
    samples: Samples
    components: Float32

    def fold_in(self, histories: Csr) -> Profiles:
        """Return the profiles of B people from their ratings (B, M); nobody's are kept."""
        inside = Csr(histories.indptr, histories.indices, self.units.inside(histories.values), histories.n_columns)
        features = who_rated(inside, self.components)
        X = np.empty((self.config.samples, inside.n_rows, self.samples.movies.shape[1]), np.float32)
        for s in range(self.config.samples):
            part = self._sample(s)
            precision = part.prior_precisions.astype(np.float64)
            kernels.solve_side(
                inside,
                part.movies,
                np.zeros(inside.n_rows),
                A0=precision,
                b0=(part.prior_means + features @ part.regressions) @ precision,
                other_weight=part.precisions,
                other_offset=part.biases,
                out=X[s],
            )
        return Profiles(inside, features, X)

    def scores(self, profiles: Profiles, movies: Positions | None = None) -> Scores:
        """Return unclipped stars of all movies, or of these (m,): the mean over the samples."""
        chosen = slice(None) if movies is None else movies
        total = np.zeros((profiles.X.shape[1], self.components[chosen].shape[0]), np.float32)
        for s in range(self.config.samples):
            part = self._sample(s)
            total += profiles.X[s] @ part.movies[chosen].T + part.biases[chosen]
        return (total * np.float32(self.units.deviation / self.config.samples) + np.float32(self.units.mean)).astype(
            np.float32
        )

    def top_n(
        self, profiles: Profiles, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile, best first, ties by position."""
        return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)

    def predict(self, profiles: Profiles, movies: Positions) -> Prediction:
        """Return clipped stars with 90 % intervals for movies (m,) shared by all profiles, or (B, m) each its own."""
        people = profiles.histories.n_rows
        centre, variance = self._moments(profiles, np.broadcast_to(movies, (people, np.shape(movies)[-1])))
        stars = self.units.mean + self.units.deviation * centre
        reach = INTERVAL * self.units.deviation * np.sqrt(variance)
        clip = self.units.scale.clip
        return Prediction(*(clip(part.astype(np.float32)) for part in (stars, stars - reach, stars + reach)))

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return the stranger's stars of these movies, and what each rating of one person adds to them."""
        profile = self.fold_in(batch([history], len(self.components)))
        base = np.zeros(len(movies))
        contributions = np.zeros((len(movies), len(history)))
        for s in range(self.config.samples):
            part = self._sample(s)
            rated, asked = part.movies[history.movies], part.movies[movies].astype(np.float64)
            prior_mean = part.prior_means[0] + profile.features[0] @ part.regressions
            surprise = profile.histories.values - part.biases[history.movies] - rated @ prior_mean
            weight = part.precisions[history.movies] * surprise
            towards = np.linalg.solve(self._normal_matrix(part, history.movies), rated.T * weight)
            per_rating = self.components[history.movies] @ part.regressions * (len(history) + 10) ** -0.5
            contributions += asked @ (towards + per_rating.T)
            base += asked @ part.prior_means[0] + part.biases[movies]
        unit = self.units.deviation / self.config.samples
        return Explanation(self.units.mean + base * unit, contributions * unit)

    def arrays(self) -> Arrays:
        """Return everything learned, as named arrays of at most two dimensions."""
        scale = self.units.scale
        units = np.array([self.units.mean, self.units.deviation, scale.low, scale.high])
        return {**self.samples._asdict(), "components": self.components, "units": units}

    def _sample(self, s: int) -> Samples:
        """One sample, as views."""
        return Samples(
            *(part[s * (size := len(part) // self.config.samples) : (s + 1) * size] for part in self.samples)
        )

    @staticmethod
    def _normal_matrix(part: Samples, movies: Positions) -> Float64:
        rated = part.movies[movies].astype(np.float64)
        return part.prior_precisions + (rated.T * part.precisions[movies]) @ rated

    def _moments(self, profiles: Profiles, movies: Positions) -> tuple[Float64, Float64]:
        """Return mean and variance (B, m), inside, of what each person would give their movies (B, m)."""
        means = np.empty((self.config.samples, *movies.shape))
        variances = np.empty_like(means)
        for s in range(self.config.samples):
            part = self._sample(s)
            for person in range(len(movies)):
                rated, values = profiles.histories.row(person)
                x, asked = profiles.X[s, person], part.movies[movies[person]]
                errors = values - part.biases[rated] - part.movies[rated] @ x
                weight = (NOISE_DEGREES + len(rated)) / (NOISE_DEGREES + np.sum(part.precisions[rated] * errors**2))
                spread = asked @ np.linalg.inv(self._normal_matrix(part, rated))
                means[s, person] = part.biases[movies[person]] + asked @ x
                variances[s, person] = 1 / (weight * part.precisions[movies[person]]) + np.sum(spread * asked, axis=1)
        return means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)
