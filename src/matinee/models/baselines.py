"""The baselines, always reported beside the others: `popular` orders by count, `bias` predicts damped means.

    bias:  b_i = sum_u (r_ui - mean) / (n_i + movie_damping)       score = mean + b_i + b_u
           b_u = sum_i (r_ui - mean - b_i) / (n_u + user_damping)

Symbols: B people, M movies; offsets b_i (M,) float32; b_u (B,) float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.catalog import Catalog
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Arrays, Explanation, Prediction, Scores, SearchSpace
from matinee.progress import Progress
from matinee.ratings import History, Ratings, Scale

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Popular:
    """Config of the ranking by number of ratings."""

    name: ClassVar[str] = "popular"
    space: ClassVar[SearchSpace] = {}

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> PopularModel:
        """Count."""
        return PopularModel(self, ratings.movie_counts.astype(np.float32))

    def load(self, arrays: Arrays) -> PopularModel:
        """Return the model whose `arrays()` these are."""
        return PopularModel(self, arrays["counts"])


@dataclass(frozen=True, eq=False)
class PopularModel:
    """counts (M,): the same order for everyone."""

    config: Popular
    counts: Float32

    def fold_in(self, histories: Csr) -> int:
        """Return the number of people, which is all that matters."""
        return histories.n_rows

    def scores(self, profiles: int, movies: Positions | None = None) -> Scores:
        """Return the counts."""
        counts = self.counts if movies is None else self.counts[movies]
        return np.repeat(counts[None], profiles, axis=0)

    def top_n(
        self, profiles: int, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n most rated allowed movies."""
        return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return the counts as base: no rating adds anything."""
        return Explanation(self.counts[movies].astype(np.float64), np.zeros((len(movies), len(history))))

    def similar(self, movie: int) -> Scores:
        """Return the counts: this model has no measure of similarity."""
        scores = self.counts.copy()
        scores[movie] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """Return everything learned."""
        return {"counts": self.counts}


@dataclass(frozen=True)
class Bias:
    """Config of damped movie and user means."""

    name: ClassVar[str] = "bias"
    space: ClassVar[SearchSpace] = {"movie_damping": (0.5, 50.0), "user_damping": (0.5, 50.0)}

    movie_damping: float = 5.0
    """Ratings at the mean of all that every movie is given besides its own."""
    user_damping: float = 5.0
    """Ratings without deviation that every person is given besides their own."""

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> BiasModel:
        """Take the means."""
        return self.around(ratings.movie_counts, ratings.movie_sums, ratings.mean, ratings.scale)

    def around(self, counts: NDArray[np.int64], sums: Float64, mean: float, scale: Scale) -> BiasModel:
        """Return the model of movies' numbers of ratings (M,), their sums (M,) and the mean of all."""
        offsets = ((sums - mean * counts) / np.maximum(counts + self.movie_damping, 1e-12)).astype(np.float32)
        return BiasModel(self, offsets, mean, scale)

    def load(self, arrays: Arrays) -> BiasModel:
        """Return the model whose `arrays()` these are."""
        mean, low, high = arrays["bias_facts"].tolist()
        return BiasModel(self, arrays["bias_offsets"], mean, Scale(low, high))


@dataclass(frozen=True, eq=False)
class BiasModel:
    """offsets b_i (M,), the mean of all ratings, and their scale."""

    config: Bias
    offsets: Float32
    mean: float
    scale: Scale

    def fold_in(self, histories: Csr) -> Float64:
        """Return b_u (B,)."""
        deviations = histories.values - self.offsets[histories.indices] - self.mean
        sums = np.bincount(histories.row_of_each(), deviations, histories.n_rows)
        return np.asarray(sums / np.maximum(histories.counts + self.config.user_damping, 1e-12), np.float64)

    def scores(self, profiles: Float64, movies: Positions | None = None) -> Scores:
        """Return mean + b_i + b_u."""
        offsets = self.offsets if movies is None else self.offsets[movies]
        return ((self.mean + profiles)[:, None] + np.atleast_2d(offsets)).astype(np.float32)

    def top_n(
        self, profiles: Float64, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n allowed movies with the highest offsets."""
        return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)

    def falls_back(self, profiles: Float64) -> NDArray[np.bool_]:
        """Return (B,) false: this is the baseline."""
        return np.zeros(len(profiles), bool)

    def predict(self, profiles: Float64, movies: Positions) -> Prediction:
        """Return clipped stars, without an interval."""
        stars = self.scale.clip(self.scores(profiles, movies))
        unknown = np.full_like(stars, np.nan)
        return Prediction(stars, unknown, unknown)

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return mean + b_i as base, and what each rating adds to b_u."""
        base = self.mean + self.offsets[movies].astype(np.float64)
        deviations = history.stars - self.offsets[history.movies] - self.mean
        shares = deviations / max(len(history) + self.config.user_damping, 1e-12)
        return Explanation(base, np.repeat(shares[None].astype(np.float64), len(movies), axis=0))

    def similar(self, movie: int) -> Scores:
        """Return minus the distance between the movies' offsets, which are all that this model learns."""
        scores: Scores = -np.abs(self.offsets - self.offsets[movie])
        scores[movie] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """Return everything learned."""
        return {
            "bias_offsets": self.offsets,
            "bias_facts": np.array([self.mean, self.scale.low, self.scale.high]),
        }
