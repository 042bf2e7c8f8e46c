"""EASE with stars: the default ranker (Steck 2019, "Embarrassingly shallow autoencoders", with stars in and out).

A history becomes a sparse row x, a little above 1 for a film liked more than usual and below for one liked less:

    x_j = 1 + star_weight * (r_j - m) / s      m own mean, shrunk by 5 ratings at the mean of all; s deviation of all
    G = X^T W X                                W = diag(n_u^-user_exponent), scaled so that sum w n = sum n
    P = (G + diag(Lambda))^-1                  Lambda_j = reg * d_j^reg_exponent, d the diagonal of G for x = 1
    B_ij = -P_ij / P_jj,  B_jj = 0             score_j = n_j^-count_exponent ((x + stranger / (n + 20) a) B)_j

Symbols: B (M, M) float32 over the M *eligible* movies, those with at least min_ratings ratings; other movies score -inf
and are ignored in a history. n_j is a movie's rating count, n a person's, and a the average row of X: one rating says
little about taste, and without a its list was worse than the popular films up to some ten ratings. Published results:
star_weight=0, stranger=0.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matinee import kernels, system
from matinee.catalog import Catalog
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import ModelError
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Arrays, Explanation, Scores, SearchSpace
from matinee.models.registry import MAX_EASE_MOVIES
from matinee.progress import Progress
from matinee.ratings import History, Ratings

log = logging.getLogger(__name__)

PSEUDO_RATINGS = 5.0
STRANGER_DAMPING = 20
FEW_MOVIES = 2_000
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Ease:
    """Config of EASE with stars."""

    name: ClassVar[str] = "ease"
    space: ClassVar[SearchSpace] = {
        "reg": (5.0, 500.0),
        "star_weight": (0.01, 1.0),
        "count_exponent": (0.01, 0.5),
    }

    reg: float = 35.0
    """Ridge added to the diagonal, times the movie's weighted count to the power `reg_exponent`."""
    reg_exponent: float = 0.5
    """How the ridge grows with the count; 0 is the same for every movie, as published."""
    star_weight: float = 0.2
    """What one standard deviation of stars adds to the input; 0 sees only who rated what."""
    user_exponent: float = 0.5
    """People count n^-user_exponent in the Gram matrix, n their number of ratings; 0 counts every rating alike."""
    count_exponent: float = 0.1
    """Scores are multiplied by n^-count_exponent, n the movie's number of ratings; 0 leaves them as they are."""
    stranger: float = 5.0
    """What the average history counts beside a person's own, over their number of ratings plus 20; 0 leaves it out."""
    min_ratings: int = DEFAULT_MIN_RATINGS
    """Movies with fewer ratings are not ranked."""

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> EaseModel:
        """Learn B from the ratings; `catalog` is not used.

        Raises ModelError where no movie has enough ratings, or more than 20,000 have: B would not fit.
        """
        eligible = np.flatnonzero(ratings.movie_counts >= self.min_ratings).astype(np.int32)
        check_size(len(eligible), self.min_ratings)
        counts = ratings.movie_counts[eligible]
        inputs = Inputs(eligible, len(ratings.movies), ratings.mean, deviation(ratings), self.star_weight)
        X = inputs.of(ratings.by_user)
        weights = person_weights(X.counts, self.user_exponent)
        G = kernels.weighted_gram(X, weights, threads=threads)
        support = np.bincount(X.indices, weights=np.repeat(weights, X.counts), minlength=len(eligible))
        G[np.diag_indices(len(eligible))] += (self.reg * support**self.reg_exponent).astype(np.float32)
        # BLAS threads spin while they wait: on a busy machine a small matrix takes longer with many than with one.
        with threadpool_limits(1 if len(eligible) < FEW_MOVIES else threads, "blas"):
            weights_out = item_weights(G)
        if progress:
            progress(self.name, 1, 1, None)
        discount = (counts**-self.count_exponent).astype(np.float32)
        return EaseModel(self, inputs, weights_out, discount, (average_row(X) @ weights_out) * discount)

    def load(self, arrays: Arrays) -> EaseModel:
        """Return the model whose `arrays()` these are."""
        n_movies, mean, spread = arrays["facts"]
        eligible = arrays["eligible"]
        if len(eligible) and (eligible[0] < 0 or eligible[-1] >= n_movies or np.any(eligible[1:] <= eligible[:-1])):
            raise ValueError("ease: eligible is not ascending, or outside the catalogue")
        inputs = Inputs(eligible, int(n_movies), float(mean), float(spread), self.star_weight)
        return EaseModel(self, inputs, arrays["weights"], arrays["discount"], arrays["stranger"])


@dataclass(frozen=True, eq=False)
class Inputs:
    """How a history becomes a row of X over the eligible movies.

    eligible (M,) positions in the catalogue, ascending; mean and spread of all stars.
    """

    eligible: Positions
    n_movies: int
    mean: float
    spread: float
    star_weight: float

    @cached_property
    def place(self) -> Positions:
        """(n_movies,) place of each movie among the eligible, -1 where it is not."""
        place = np.full(self.n_movies, -1, np.int32)
        place[self.eligible] = np.arange(len(self.eligible), dtype=np.int32)
        return place

    def of(self, histories: Csr) -> Csr:
        """Return X (B, M)."""
        weight = self.star_weight / self.spread if self.spread else 0.0
        return kernels.relative_rows(
            histories, self.place, len(self.eligible), mean=self.mean, pseudo=PSEUDO_RATINGS, weight=weight
        )


@dataclass(frozen=True, eq=False)
class EaseModel:
    """B (M, M) with the inputs' facts; discount (M,) is n_j^-count_exponent, stranger (M,) the average row's score."""

    config: Ease
    inputs: Inputs
    weights: Float32
    discount: Float32
    stranger: Float32

    def fold_in(self, histories: Csr) -> Csr:
        """Return X (B, M), the profiles."""
        return self.inputs.of(histories)

    @cached_property
    def _items(self) -> kernels.Items:
        return kernels.Items(
            self.weights,
            self.discount,
            self.stranger,
            self.inputs.eligible,
            self.inputs.n_movies,
            base_weight=self.config.stranger,
            damping=STRANGER_DAMPING,
        )

    def scores(self, profiles: Csr, movies: Positions | None = None) -> Scores:
        """Return (B, n_movies) or (B, m); -inf for movies that are not ranked."""
        scores: Scores = np.full((profiles.n_rows, self.inputs.n_movies), -np.inf, np.float32)
        scores[:, self.inputs.eligible] = self._items.scores(profiles)
        return scores if movies is None else scores[:, movies]

    def top_n(
        self, profiles: Csr, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile."""
        return self._items.top_n(profiles, n, allowed=allowed, exclude=exclude)

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return x_p B_pi n_i^-count_exponent for each rated movie p and asked movie i; 0 where p is not ranked.

        The base is the average history's part, -inf for asked movies that are not ranked.
        """
        places = self.inputs.place[movies]
        rated = self.inputs.place[history.movies]
        x = np.zeros(len(history))
        row = Csr(np.array([0, len(history)]), history.movies, history.stars, self.inputs.n_movies)
        x[rated >= 0] = self.inputs.of(row).values
        part = self.weights[np.ix_(rated, places)].T * self.discount[places][:, None] * x
        part[places < 0] = 0
        share = self.config.stranger / (np.count_nonzero(rated >= 0) + STRANGER_DAMPING)
        base = share * self.stranger[places].astype(np.float64)
        return Explanation(np.where(places >= 0, base, -np.inf), part)

    def similar(self, movie: int) -> Scores:
        """Return what having seen this movie adds to the score of each; -inf where either is not ranked."""
        scores = np.full(self.inputs.n_movies, -np.inf, np.float32)
        place = self.inputs.place[movie]
        if place >= 0:
            scores[self.inputs.eligible] = self.weights[place] * self.discount
            scores[movie] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """Return everything learned."""
        facts = np.array([self.inputs.n_movies, self.inputs.mean, self.inputs.spread])
        return {
            "eligible": self.inputs.eligible,
            "facts": facts,
            "weights": self.weights,
            "discount": self.discount,
            "stranger": self.stranger,
        }


def deviation(ratings: Ratings) -> float:
    """Return the standard deviation of all stars."""
    return float(ratings.by_user.values.std(dtype=np.float64)) if ratings.n else 0.0


def average_row(X: Csr) -> Float32:
    """Return the mean (M,) of the rows of X that are not empty."""
    sums = np.bincount(X.indices, weights=X.values, minlength=X.n_columns)
    return np.asarray(sums / np.count_nonzero(X.counts), np.float32)


def person_weights(counts: NDArray[np.int64], exponent: float) -> Float32:
    """Return w (n_users,) = n^-exponent, scaled so that sum w n = sum n; 0 for a person without ratings."""
    rated = counts > 0
    weights = np.zeros(len(counts))
    weights[rated] = counts[rated] ** -exponent
    scale = counts.sum() / max((weights * counts).sum(), 1e-300)
    return np.asarray(weights * scale, np.float32)


def memory_needed(n_eligible: int) -> int:
    """Return the bytes that fitting takes at its peak: the Gram matrix and its inverse, float32."""
    return 2 * 4 * n_eligible**2


def check_size(n_eligible: int, min_ratings: int) -> None:
    """Log the memory that fitting needs, and refuse what does not fit."""
    if n_eligible == 0:
        raise ModelError(f"ease: no movie has {min_ratings} ratings; use a smaller `Ease(min_ratings=N)`")
    needed = memory_needed(n_eligible)
    available = system.memory()
    log.info("ease needs about %.0f MB of memory", needed / 1e6)
    if n_eligible > MAX_EASE_MOVIES or needed > 0.8 * available:
        raise ModelError(
            f"ease: {n_eligible:,} movies have at least {min_ratings} ratings and need {needed / 1e9:.1f} GB of "
            f"{available / 1e9:.0f} GB (limit {MAX_EASE_MOVIES:,} movies); use `ranker=IALS()`, or a larger "
            "`Ease(min_ratings=N)`"
        )


def item_weights(A: Float32) -> Float32:
    """Return B (M, M) from A = G + diag(Lambda), in A's own memory: -P_ij / P_jj off the diagonal, P = A^-1."""
    from scipy.linalg import lapack  # here, as answering does without and should start at once

    factor, failed = lapack.spotrf(A.T, lower=1, overwrite_a=1, clean=0)
    if failed:
        raise ModelError("ease: the Gram matrix is not positive definite; use a larger `Ease(reg=X)`")
    P, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ModelError("ease: the Gram matrix is singular; use a larger `Ease(reg=X)`")
    return normalise(P)


def normalise(P: Float32, block: int = 512) -> Float32:
    """Return -P_ij / P_jj with a zero diagonal, from P's lower triangle (Fortran order), block by block in place."""
    upper = P.T
    diagonal = np.ascontiguousarray(P.diagonal())
    for start in range(0, len(P), block):
        stop = min(start + block, len(P))
        corner = np.triu(upper[start:stop, start:stop])
        upper[start:stop, start:stop] = corner + np.triu(corner, 1).T
        upper[stop:, start:stop] = upper[start:stop, stop:].T
    upper /= -diagonal
    upper[np.diag_indices(len(P))] = 0
    return upper
