"""What `bayes` serves: the movies' side of the chain in some samples, and people folded into them.

In each sample a person is one row of the one equation, and what is shown is the mean over the samples:

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
from matinee.kernels import posterior as kernel
from matinee.kernels.posterior import Factors, posterior_scores
from matinee.models import Arrays, Config, Explanation, Prediction, Scores
from matinee.models.features import PSEUDO_RATINGS, who_rated
from matinee.models.gibbs import NOISE_DEGREES
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
    """What is kept of the chain, S samples one after the other: the movies twice, and the prior of a person.

    rated             y~, b and tau h as they were drawn: what people are folded into
    asked             their means given the users of the sample: less noise in what is shown (Rao-Blackwell); the
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

    @cached_property
    def kernel(self) -> kernel.Samples:
        """What solves for people."""
        return kernel.Samples(self.rated, self.asked, self.prior_precisions)

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Return samples one after the other."""
        columns = zip(*(part.arrays().values() for part in parts), strict=True)
        return cls.of_arrays(dict(zip(parts[0].arrays(), map(np.concatenate, columns), strict=True)))

    def at(self, s: int) -> Samples:
        """Return one sample, as views."""
        parts = {name: array.reshape(self.n, -1, *array.shape[1:])[s] for name, array in self.arrays().items()}
        return self.of_arrays(parts)

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> Samples:
        """Return the samples whose `arrays()` these are."""
        rated, asked = (Factors(*(arrays[f"{kind}_{name}"] for name in FACTORS)) for kind in ("rated", "asked"))
        return cls(rated, asked, *(arrays[name] for name in PRIOR))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays."""
        rated, asked = (
            {f"{kind}_{name}": array for name, array in zip(FACTORS, factors, strict=True)}
            for kind, factors in (("rated", self.rated), ("asked", self.asked))
        )
        return {**rated, **asked, **{name: getattr(self, name) for name in PRIOR}}


@dataclass(frozen=True, eq=False)
class Profiles:
    """B people folded into S samples: their ratings inside (B, M), features (B, D), and Lambda m (S, B, k)."""

    samples: Samples
    histories: Csr
    features: Float32
    b0: Float64

    @cached_property
    def means(self) -> Float32:
        """(S, B, k) x, solved when it is asked for: predictions solve for it in passing."""
        return self.samples.kernel.means(self.histories, self.b0)


@dataclass(frozen=True, eq=False)
class BayesModel:
    """The movies' side of the chain in some samples.

    rank        how many columns are factors; the one behind them, if any, belongs to the biases
    components  (M, D) what rating each movie says of a person: `who_rated` of them are the features
    """

    config: Config
    rank: int
    units: Units
    samples: Samples
    components: Float32

    def fold_in(self, histories: Csr) -> Profiles:
        """Return the profiles of B people from their ratings (B, M); nobody's are kept."""
        inside = Csr(histories.indptr, histories.indices, self.units.inside(histories.values), histories.n_columns)
        features = who_rated(inside, self.components)
        return Profiles(self.samples, inside, features, self._linear_terms(features))

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
        """Return (B,) false: also a stranger has a prior mean."""
        return np.zeros(profiles.histories.n_rows, bool)

    def predict(self, profiles: Profiles, movies: Positions) -> Prediction:
        """Return clipped stars with 90 % intervals for movies (m,) shared by all profiles, or (B, m) each its own."""
        asked = np.asarray(movies, np.int32)
        mean, variance = self.samples.kernel.moments(profiles.histories, profiles.b0, asked, NOISE_DEGREES)
        stars, reach = self.units.stars(mean), np.float32(INTERVAL * self.units.deviation) * np.sqrt(variance)
        return Prediction(*self.units.scale.clip(np.stack([stars, stars - reach, stars + reach])))

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return the stranger's stars of these movies, and what each rating of one person adds to them.

        A rating adds by how it differs from what was expected, and by which movie was rated at all.
        """
        profile = self.fold_in(batch([history], len(self.components)))
        said = self.components[history.movies] / np.sqrt(len(history) + PSEUDO_RATINGS)
        base, contributions = np.zeros(len(movies)), np.zeros((len(movies), len(history)))
        for s in range(self.samples.n):
            sample = self.samples.at(s)
            asked = sample.asked.Y[movies].astype(np.float64)
            base += asked @ sample.prior_means[0] + sample.asked.offsets[movies]
            per_rating = self._shift_per_rating(sample, profile, history.movies) + said @ sample.regressions
            contributions += asked @ per_rating.T
        unit = self.units.deviation / self.samples.n
        return Explanation(self.units.mean + base * unit, contributions * unit)

    def similar(self, movie: int) -> Scores:
        """Return the correlation, over the people there could be, of what is liked in every movie and in this one."""
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

    def _linear_terms(self, features: Float32) -> Float64:
        """(S, B, k) Lambda m: where people's features put them, as the equation's b0."""
        S, k = self.samples.prior_means.shape
        base, per_feature = self._linear
        return (base + features @ per_feature).reshape(-1, S, k).swapaxes(0, 1)

    @cached_property
    def _linear(self) -> tuple[Float64, Float64]:
        """Lambda mu (S k,) of all samples side by side, and (D, S k) what each feature adds to it."""
        (S, k), samples = self.samples.prior_means.shape, self.samples
        precisions = samples.prior_precisions.reshape(S, k, k)
        base = samples.prior_means[:, None] @ precisions
        per_feature = samples.regressions.reshape(S, -1, k) @ precisions
        return base.ravel(), np.ascontiguousarray(per_feature.swapaxes(0, 1)).reshape(-1, S * k)

    def _shift_per_rating(self, sample: Samples, profile: Profiles, movies: Positions) -> Float64:
        """(n, k) what each rating of one person adds to x, given their prior mean."""
        rated, weights = sample.rated.Y[movies].astype(np.float64), sample.rated.precisions[movies]
        prior_mean = sample.prior_means[0] + profile.features[0] @ sample.regressions
        surprise = profile.histories.values - sample.rated.offsets[movies] - rated @ prior_mean
        A = sample.prior_precisions + (rated.T * weights) @ rated
        return np.linalg.solve(A, rated.T * (weights * surprise)).T

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
