"""Explicit ALS-WR (Zhou et al. 2008), the same as Spark's: no biases, no centring.

    x = (sum_p y_p y_p^T + reg n I)^-1 sum_p r_p y_p        score = x . y        (or the best x >= 0)

It starts at the movies and ends with the users, so a folded-in user of the data equals the trained one. The `bias`
baseline answers for histories with fewer than `min_history` ratings of known movies, and for movies without ratings.
Ratings of such movies are not counted.

Symbols: X (n_users, k), Y (n_movies, k) float32 factors; B people; m movies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.catalog import Catalog
from matinee.errors import ModelError
from matinee.ids import Ids, Positions
from matinee.kernels import Csr
from matinee.models import Arrays, Explanation, Prediction, Scores, SearchSpace
from matinee.models.baselines import Bias, BiasModel
from matinee.models.intervals import Calibration, calibrate
from matinee.models.nonnegative import shares, solve_nonnegative
from matinee.models.start import drawn
from matinee.progress import Progress
from matinee.ratings import History, Ratings

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ALS:
    """Config of explicit ALS-WR."""

    name: ClassVar[str] = "als"
    space: ClassVar[SearchSpace] = {"rank": (2, 64), "reg": (0.01, 1.0)}

    rank: int = 8
    """Number of factors."""
    iterations: int = 10
    """Times both sides are solved."""
    reg: float = 0.1
    """Lambda, multiplied by the row's number of ratings."""
    min_history: int = 10
    """The `bias` baseline answers for shorter histories, and always for an empty one; it is better there."""
    nonnegative: bool = False
    """Whether factors are held at 0 or above, as by Spark's `nonnegative`."""
    intervals: bool = True
    """Whether to fit once more without some people, to measure the errors of their predictions."""
    rng: int = 0
    """Seed of the start."""

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> AlsModel:
        """Learn the movies' factors; `catalog` is not used.

        `progress` receives the training RMSE after each iteration.
        Raises ModelError where there are no ratings, or reg is not positive.
        """
        if not ratings.n:
            raise ModelError("als needs ratings, but the data has none; read a file with ratings")
        if not (self.reg > 0 and 1 <= self.rank <= 512 and self.iterations >= 1):
            raise ModelError(
                f"als needs reg > 0, a rank from 1 to 512 and at least one iteration, not reg={self.reg:g}, "
                f"rank={self.rank}, iterations={self.iterations}"
            )
        factors, sigma = self._factors(ratings, threads, progress)
        return self._model(factors, ratings.movie_counts > 0, sigma, ratings, catalog, threads)

    def around(
        self, factors: Float32, rated: NDArray[np.bool_], ratings: Ratings, catalog: Catalog, threads: int | None = None
    ) -> AlsModel:
        """Return the model of movies' factors (n_movies, k) that were learned elsewhere by this config's equation.

        rated       (n_movies,) which movies have factors
        ratings     the training data; without it the baseline knows nothing, and there are no intervals
        """
        known = ratings.by_user.where(rated[ratings.by_user.indices])
        X = _solve(self, known, factors, threads)
        return self._model(factors, rated, _rmse(known, X, factors, threads), ratings, catalog, threads)

    def _model(
        self,
        factors: Float32,
        rated: NDArray[np.bool_],
        sigma: float,
        ratings: Ratings,
        catalog: Catalog,
        threads: int | None,
    ) -> AlsModel:
        measured = calibrate(self, ratings, catalog, threads) if self.intervals else Calibration.unknown()
        return AlsModel(self, factors, Bias().fit(ratings, catalog), sigma, measured, rated)

    def _factors(self, ratings: Ratings, threads: int | None, progress: Progress | None) -> tuple[Float32, float]:
        """Return Y (n_movies, k) and the standard deviation of the training errors."""
        by_user, by_movie = ratings.by_user, ratings.by_movie
        X = _solve(self, by_user, _start(self, ratings.movies), threads)
        for iteration in range(self.iterations):
            Y = _solve(self, by_movie, X, threads)
            X = _solve(self, by_user, Y, threads)
            if progress:
                progress(self.name, iteration + 1, self.iterations, _rmse(by_user, X, Y, threads))
        return Y, _rmse(by_user, X, Y, threads)

    def load(self, arrays: Arrays) -> AlsModel:
        """Return the model whose `arrays()` these are."""
        calibration = Calibration(arrays["interval_edges"], arrays["interval_widths"])
        factors, sigma = arrays["movie_factors"], float(arrays["sigma"][0])
        rated = arrays["rated"].view(bool) if "rated" in arrays else np.asarray(factors.any(axis=1))
        return AlsModel(self, factors, Bias().load(arrays), sigma, calibration, rated)


def _start(config: ALS, movies: Ids) -> Float32:
    """Return unit vectors in random directions, nonnegative ones where factors are."""
    Y = drawn(movies, config.rank, config.rng)
    Y = np.abs(Y) if config.nonnegative else Y
    return np.asarray(Y / np.linalg.norm(Y, axis=1, keepdims=True))


def _ridge(config: ALS, rows: Csr) -> Float64:
    return np.asarray(config.reg * rows.counts, np.float64)


def _solve(config: ALS, rows: Csr, Y: Float32, threads: int | None) -> Float32:
    """Solve every row of one side against the other."""
    solver = solve_nonnegative if config.nonnegative else kernels.solve_side
    return solver(rows, Y, _ridge(config, rows), threads=threads)


def _rmse(by_user: Csr, X: Float32, Y: Float32, threads: int | None) -> float:
    return float(np.sqrt(kernels.residual_sums(by_user, X, Y, threads=threads).sum() / max(by_user.n, 1)))


@dataclass(frozen=True, eq=False)
class AlsProfiles:
    """B people: factors X (B, k), the baseline's b_u (B,), known ratings (B, n_movies), and who has too few of them."""

    factors: Float32
    biases: Float64
    histories: Csr
    short: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AlsModel:
    """The movies' factors Y (n_movies, k), the baseline, and what turns a variance into an interval.

    rated   (n_movies,) which movies had ratings: those of a movie that everyone gave 0 stars are zeros too
    """

    config: ALS
    movie_factors: Float32
    bias: BiasModel
    sigma: float
    calibration: Calibration
    rated: NDArray[np.bool_]

    def _too_short(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        return counts < max(self.config.min_history, 1)

    def fold_in(self, histories: Csr) -> AlsProfiles:
        """Return the people's factors, each as if trained."""
        known = histories.where(self.rated[histories.indices])
        factors = _solve(self.config, known, self.movie_factors, threads=1)
        return AlsProfiles(factors, self.bias.fold_in(histories), known, self._too_short(known.counts))

    def falls_back(self, profiles: AlsProfiles) -> NDArray[np.bool_]:
        """Return (B,) whose stars are those of the `bias` baseline."""
        return profiles.short

    def scores(self, profiles: AlsProfiles, movies: Positions | None = None) -> Scores:
        """Return x . y, or the baseline's score for short histories and movies without ratings.

        movies    (m,) for all, (B, m) everyone's own, or None for all movies
        """
        scores = kernels.products(profiles.factors, self.movie_factors, movies)
        by_baseline = profiles.short[:, None] | ~(self.rated if movies is None else self.rated[movies])
        return np.where(by_baseline, self.bias.scores(profiles.biases, movies), scores)

    def top_n(
        self, profiles: AlsProfiles, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile."""
        unknown = ~self.rated if allowed is None else allowed & ~self.rated
        if profiles.short.any() or unknown.any():
            return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)
        return kernels.top_n(profiles.factors, self.movie_factors, n, allowed=allowed, exclude=exclude)

    def predict(self, profiles: AlsProfiles, movies: Positions) -> Prediction:
        """Return clipped stars with the 90 % interval, calibrated on held-out people."""
        movies = np.broadcast_to(movies, (len(profiles.factors), np.shape(movies)[-1]))
        clip = self.bias.scale.clip
        stars = clip(self.scores(profiles, movies))
        reach = self._reach(profiles, movies)
        return Prediction(stars, clip(stars - reach), clip(stars + reach))

    def _reach(self, profiles: AlsProfiles, movies: Positions) -> Scores:
        """Return half the length (B, m) of the intervals, NaN where they were not calibrated."""
        widths = self.calibration.widths_for(profiles.histories.counts)
        reach = np.full(movies.shape, np.nan)
        known = ~np.isnan(widths)
        reach[known] = self.sigma * widths[known, None]
        folded = np.flatnonzero(known & ~profiles.short)
        if len(folded):
            reach[folded] *= np.sqrt(1 + self._variances(profiles.histories.take(folded), movies[folded]))
        return reach.astype(np.float32)

    def _variances(self, known: Csr, movies: Positions) -> Float64:
        """Return y^T A^-1 y of everyone's own movies (B, m)."""
        C = kernels.covariances(known, self.movie_factors, _ridge(self.config, known), threads=1)
        Y = self.movie_factors[movies].astype(np.float64)
        return np.asarray(np.einsum("bmk,bmk->bm", Y @ C, Y))

    def spread(self, profiles: AlsProfiles, row: int, movies: Positions) -> Float64:
        """Return s = sigma (1 + y^T A^-1 y)^1/2 of each movie (m,); sigma alone where the baseline answers."""
        columns, _ = profiles.histories.row(row)
        if profiles.short[row]:
            return np.full(len(movies), self.sigma)
        A = self._normal_matrix(columns)
        Y = self.movie_factors[movies].astype(np.float64)
        return np.asarray(self.sigma * np.sqrt(1 + np.einsum("mk,km->m", Y, np.linalg.solve(A, Y.T))))

    def _normal_matrix(self, columns: Positions) -> Float64:
        Y = self.movie_factors[columns].astype(np.float64)
        return np.asarray(Y.T @ Y + self.config.reg * len(columns) * np.eye(Y.shape[1]))

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return r_p y_i^T A^-1 y_p for each asked movie i and rated movie p, base 0; or the baseline's explanation."""
        baseline = self.bias.explain(history, movies)
        known = history.movies[self.rated[history.movies]]
        if self._too_short(np.array(len(known))):
            return baseline
        cold = ~self.rated[movies]
        asked, rated = (self.movie_factors[some].astype(np.float64) for some in (movies, history.movies))
        solver = shares if self.config.nonnegative else np.linalg.solve
        part = asked @ solver(self._normal_matrix(known), rated.T * history.stars)
        return Explanation(np.where(cold, baseline.base, 0.0), np.where(cold[:, None], baseline.contributions, part))

    @cached_property
    def _unit_factors(self) -> Float32:
        norms = np.linalg.norm(self.movie_factors, axis=1, keepdims=True)
        return np.asarray(self.movie_factors / np.where(norms > 0, norms, 1), np.float32)

    def similar(self, movie: int) -> Scores:
        """Return the cosine between this movie's factors and every other's."""
        scores: Scores = self._unit_factors @ self._unit_factors[movie]
        scores[movie] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """Return everything learned."""
        return {
            "movie_factors": self.movie_factors,
            "sigma": np.array([self.sigma]),
            "interval_edges": self.calibration.edges,
            "interval_widths": self.calibration.widths,
            "rated": self.rated.view(np.uint8),
            **self.bias.arrays(),
        }
