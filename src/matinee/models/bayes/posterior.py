"""The served part of `bayes`: the movies' side of the chain in some samples, and people folded into them.

In each sample a person is one row of the one equation, and predictions are the mean over the samples:

    A = Lambda + sum_p tau h_p y~_p y~_p^T       b = Lambda m + sum_p tau h_p y~_p (r_p - b_p)       x = A^-1 b
    m = mu + B^T f     f = who_rated(history)    y~ = [y; 1]

    stars of movie i     mean_s[y~_i^T x + b_i]
    their variance       mean_s[1 / (tau g h_i) + y~_i^T A^-1 y~_i] + var_s[y~_i^T x + b_i]
                         g = (30 + n) / (30 + sum_p tau h_p ((r_p - b_p - y~_p^T x)^2 + y~_p^T A^-1 y~_p))

Symbols: S samples; B people; M movies; k = rank + 1 with a bias; D features of a person. Inside, ratings are centred
on the mean and divided by their standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.kernels.posterior import Factors, Posterior, Prior, posterior_scores
from matinee.models import Arrays, Config, Explanation, Prediction, Scores
from matinee.models.bayes.features import PSEUDO_RATINGS, who_rated
from matinee.models.bayes.gibbs import NOISE_DEGREES
from matinee.ratings import History, Ratings, Scale, batch

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

FACTORS = ("movies", "biases", "precisions")
PRIOR = ("prior_means", "prior_precisions", "regressions")
INTERVAL = 1.6448536269514722  # standard deviations on either side that hold 90 % of a normal distribution


class Units(NamedTuple):
    """How the numbers inside are turned into stars: times `deviation`, plus `mean`, clipped to `scale`."""

    mean: float
    deviation: float
    scale: Scale

    @classmethod
    def of(cls, ratings: Ratings) -> Units:
        """Return the units of these ratings; where all stars are equal the deviation counts as one."""
        deviation = float(ratings.by_user.values.std(dtype=np.float64))
        return cls(ratings.mean, deviation or 1.0, ratings.scale)

    def inside(self, stars: Float32) -> Float32:
        """Return stars as the numbers inside."""
        return (stars - np.float32(self.mean)) / np.float32(self.deviation)

    def stars(self, inside: Float32) -> Float32:
        """Return the numbers inside as stars, unclipped."""
        stars: Float32 = inside * np.float32(self.deviation) + np.float32(self.mean)
        return stars


@dataclass(frozen=True, eq=False)
class Samples:
    """The served part of the chain in S samples: the movies twice, movie by movie, and the prior of a person.

    rated             y~, b and tau h as they were drawn: people are folded into these
    asked             their means given the users of the sample: less noise in predictions (Rao-Blackwell); the
                      precisions are of a rating around these means
    prior_means       (S, k) mu
    prior_precisions  (S k, k) float64 Lambda
    regressions       (S D, k) B

    y~ has one in its last column where there is a bias. A movie without ratings is where its features put it, in both.
    """

    rated: Factors
    asked: Factors
    prior_means: Float32
    prior_precisions: Float64
    regressions: Float32

    @property
    def n(self) -> int:
        """S."""
        return len(self.prior_means)

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Return samples one beside the other."""
        columns = list(zip(*(part.arrays().values() for part in parts), strict=True))
        names = parts[0].arrays()
        axes = [0 if name in PRIOR else 1 for name in names]
        return cls.of_arrays(dict(zip(names, map(np.concatenate, columns, axes), strict=True)))

    def at(self, s: int) -> Samples:
        """Return one sample, as views."""
        k, D = self.prior_means.shape[1], len(self.regressions) // self.n

        def factors(of: Factors) -> Factors:
            return Factors(of.Y[:, s * k : (s + 1) * k], of.offsets[:, s : s + 1], of.precisions[:, s : s + 1])

        return Samples(
            factors(self.rated),
            factors(self.asked),
            self.prior_means[s : s + 1],
            self.prior_precisions[s * k : (s + 1) * k],
            self.regressions[s * D : (s + 1) * D],
        )

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> Samples:
        """Return the samples whose `arrays()` these are; those of format 1, sample by sample, are turned round."""
        rated, asked = (Factors(*(arrays[f"{kind}_{name}"] for name in FACTORS)) for kind in ("rated", "asked"))
        prior = tuple(arrays[name] for name in PRIOR)
        if rated.offsets.ndim == 1:
            rated, asked = (_movie_by_movie(factors, len(prior[0])) for factors in (rated, asked))
        return cls(rated, asked, *prior)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays."""
        rated, asked = (
            {f"{kind}_{name}": array for name, array in zip(FACTORS, factors, strict=True)}
            for kind, factors in (("rated", self.rated), ("asked", self.asked))
        )
        return {**rated, **asked, **{name: getattr(self, name) for name in PRIOR}}


def _movie_by_movie(factors: Factors, S: int) -> Factors:
    """Return factors that lie sample by sample, Y (S M, k) and so on, movie by movie."""
    M = len(factors.offsets) // S
    turned = (np.ascontiguousarray(part.reshape(S, M, -1).swapaxes(0, 1)).reshape(M, -1) for part in factors)
    return Factors(*turned)


@dataclass(frozen=True, eq=False)
class Profiles:
    """B people: their ratings inside (B, M), and what folds them in."""

    histories: Csr
    posterior: Posterior

    @cached_property
    def means(self) -> Float32:
        """(S, B, k) x, solved on first use: predictions solve for it in passing."""
        return self.posterior.means(self.histories)


@dataclass(frozen=True, eq=False)
class BayesModel:
    """The movies' side of the chain in some samples.

    rank        how many columns are factors; the one behind them, if any, belongs to the biases
    components  (M, D) what rating each movie adds to the features of a person, which `who_rated` computes
    """

    config: Config
    rank: int
    units: Units
    samples: Samples
    components: Float32

    def fold_in(self, histories: Csr) -> Profiles:
        """Return the profiles of B people from their ratings (B, M)."""
        inside = Csr(histories.indptr, histories.indices, self.units.inside(histories.values), histories.n_columns)
        return Profiles(inside, self._posterior)

    def scores(self, profiles: Profiles, movies: Positions | None = None) -> Scores:
        """Return unclipped stars of all movies, or of these (m,): the mean over the samples."""
        asked = self._everything if movies is None else np.asarray(movies, np.int32)
        return self.units.stars(posterior_scores(profiles.means, self.samples.asked, asked))

    def top_n(
        self, profiles: Profiles, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile, best first, ties by position."""
        return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)

    def falls_back(self, profiles: Profiles) -> NDArray[np.bool_]:
        """Return (B,) false: a person without ratings has a prior mean too."""
        return np.zeros(profiles.histories.n_rows, bool)

    def predict(self, profiles: Profiles, movies: Positions) -> Prediction:
        """Return clipped stars with 90 % intervals for movies (m,) shared by all profiles, or (B, m) each its own."""
        mean, variance = self._posterior.moments(profiles.histories, np.asarray(movies, np.int32))
        units, found = self.units, np.empty((3, *mean.shape), np.float32)
        found[0] = units.stars(mean)
        reach = np.sqrt(variance) * np.float32(INTERVAL * units.deviation)
        np.subtract(found[0], reach, out=found[1])
        np.add(found[0], reach, out=found[2])
        return Prediction(*units.scale.clip(found))

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return the stars of a person without ratings, and what each rating of one person adds to them.

        A rating adds by its difference from the expected one, and by the choice of the movie.
        """
        ratings = self.units.inside(history.stars)
        features = who_rated(batch([history], len(self.components)), self.components)[0]
        said = self.components[history.movies] / np.sqrt(len(history) + PSEUDO_RATINGS)
        base, contributions = np.zeros(len(movies)), np.zeros((len(movies), len(history)))
        for s in range(self.samples.n):
            sample = self.samples.at(s)
            asked = sample.asked.Y[movies].astype(np.float64)
            base += asked @ sample.prior_means[0] + sample.asked.offsets[movies, 0]
            prior_mean = sample.prior_means[0] + features @ sample.regressions
            per_rating = _shift_per_rating(sample, prior_mean, ratings, history.movies) + said @ sample.regressions
            contributions += asked @ per_rating.T
        unit = self.units.deviation / self.samples.n
        return Explanation(self.units.mean + base * unit, contributions * unit)

    def similar(self, movie: int) -> Scores:
        """Return the correlation, over all possible people, of the stars of every movie with this one's."""
        samples = (self.samples.at(s) for s in range(self.samples.n))
        towards = [self._taste(sample) @ sample.asked.Y[movie] for sample in samples]
        X = np.stack(towards)[:, None].astype(np.float32)
        unbiased = self.samples.asked._replace(offsets=np.zeros_like(self.samples.asked.offsets))
        shared = posterior_scores(X, unbiased, self._everything)[0]
        scores: Scores = shared / np.sqrt(self._taste_variances * self._taste_variances[movie])
        scores[movie] = -np.inf
        return scores

    @classmethod
    def of_arrays(cls, config: Config, rank: int, arrays: Arrays) -> BayesModel:
        """Return the model whose `arrays()` these are, as views on them."""
        mean, deviation, low, high = arrays["units"].tolist()
        units = Units(mean, deviation, Scale(low, high))
        return cls(config, rank, units, Samples.of_arrays(arrays), arrays["components"])

    def arrays(self) -> Arrays:
        """Return everything learned, as named arrays of at most two dimensions."""
        scale = self.units.scale
        units = np.array([self.units.mean, self.units.deviation, scale.low, scale.high])
        return {**self.samples.arrays(), "components": self.components, "units": units}

    @cached_property
    def _posterior(self) -> Posterior:
        """What folds people in: Lambda m is Lambda mu, and what each feature adds to it."""
        (S, k), samples = self.samples.prior_means.shape, self.samples
        precisions = samples.prior_precisions.reshape(S, k, k)
        base = (samples.prior_means[:, None] @ precisions).reshape(S, k)
        slopes = (samples.regressions.reshape(S, -1, k) @ precisions).reshape(-1, k)
        prior = Prior(samples.prior_precisions, base, slopes, self.components)
        return Posterior(samples.rated, samples.asked, prior, pseudo_ratings=PSEUDO_RATINGS, degrees=NOISE_DEGREES)

    def _taste(self, sample: Samples) -> Float64:
        """(k, k) covariance of x over people: of the prior mean, with features of variance one, and around it.

        Zero for the bias, which is the same for every movie.
        """
        whole = np.linalg.inv(sample.prior_precisions) + sample.regressions.T @ sample.regressions
        whole[self.rank :] = whole[:, self.rank :] = 0
        return whole

    @property
    def _everything(self) -> Positions:
        return np.arange(len(self.components), dtype=np.int32)

    @cached_property
    def _taste_variances(self) -> Float32:
        """(M,) variance of y^T x over people, mean over the samples."""
        samples = (self.samples.at(s) for s in range(self.samples.n))
        variances = np.mean(
            [kernels.quadratic_forms(self._taste(sample), sample.asked.Y) for sample in samples], axis=0
        )
        return np.asarray(np.maximum(variances, np.finfo(np.float32).tiny))


def _shift_per_rating(sample: Samples, prior_mean: Float64, ratings: Float32, movies: Positions) -> Float64:
    """(n, k) what each rating of one person, inside, adds to x, given their prior mean."""
    rated, weights = sample.rated.Y[movies].astype(np.float64), sample.rated.precisions[movies, 0]
    surprise = ratings - sample.rated.offsets[movies, 0] - rated @ prior_mean
    A = sample.prior_precisions + (rated.T * weights) @ rated
    return np.linalg.solve(A, rated.T * (weights * surprise)).T
