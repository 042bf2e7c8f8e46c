"""Implicit ALS: who rated what, not how much (Hu, Koren & Volinsky 2008; Rendle, Krichene, Zhang & Koren 2021).

Two objectives on the same equation (matinee.kernels.equation), chosen by `alpha`:

    tuned (alpha=None)   A0 = alpha0 Y^T Y    w = v = 1                                  reg (n + alpha0 n_other)^nu
    Spark's              A0 = Y^T Y           w = alpha |r|   v = 1 + alpha |r|, r > 0   reg n+

where n counts a row's positives and n_other the rows of the other side. The movies' side is what a fit ends with;
users are folded into it.

Symbols: X (n_users, k), Y (n_movies, k) float32.
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
from matinee.models import Arrays, Explanation, Scores, SearchSpace
from matinee.models.nonnegative import shares, solve_nonnegative
from matinee.models.start import drawn
from matinee.progress import Progress
from matinee.ratings import History, Ratings, batch

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class IALS:
    """Config of implicit ALS."""

    name: ClassVar[str] = "ials"
    space: ClassVar[SearchSpace] = {
        "rank": (16, 256),
        "reg": (0.0005, 0.1),
        "alpha0": (0.02, 1.0),
        "nu": (0.2, 1.0),
    }

    rank: int = 256
    """Number of factors."""
    iterations: int = 16
    """Times both sides are solved."""
    reg: float = 0.01
    """Lambda, multiplied by the row's count as the objective says."""
    alpha0: float = 0.2
    """Tuned objective: weight of every unrated pair, where a rated one weighs 1."""
    nu: float = 1.0
    """Tuned objective: how the regularisation grows with the row's count."""
    alpha: float | None = None
    """A number chooses Spark's objective (`implicitPrefs=True`) with this confidence per star."""
    nonnegative: bool = False
    """Whether factors are held at 0 or above, as by Spark's `nonnegative`."""
    positive_from: float | None = None
    """Ratings of at least so many stars are positive, the others are not seen; None: all are."""
    init_scale: float = 0.1
    """Factors start at N(0, init_scale / sqrt(rank))."""
    rng: int = 0
    """Seed of the start."""

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> IalsModel:
        """Learn the movies' factors; `catalog` is not used.

        Raises ModelError where no rating is positive.
        """
        by_user = positives(self, ratings.by_user)
        if by_user.n == 0:
            raise ModelError(f"ials: none of the {ratings.n:,} ratings is positive; lower `IALS(positive_from=X)`")
        by_movie = kernels.transpose(by_user, threads=threads)
        Y = _start(self, ratings.movies)
        for iteration in range(self.iterations):
            X = solve(self, by_user, Y, kernels.gram(Y, threads=threads), threads)
            Y = solve(self, by_movie, X, kernels.gram(X, threads=threads), threads)
            if progress:
                progress(self.name, iteration + 1, self.iterations, None)
        return IalsModel(self, Y, kernels.gram(Y, threads=threads))

    def around(self, factors: Float32, threads: int | None = None) -> IalsModel:
        """Return the model of movies' factors (n_movies, k) that were learned elsewhere by this config's equation."""
        return IalsModel(self, factors, kernels.gram(factors, threads=threads))

    def load(self, arrays: Arrays) -> IalsModel:
        """Return the model whose `arrays()` these are."""
        return IalsModel(self, arrays["movie_factors"], arrays["gram"])


def _start(config: IALS, movies: Ids) -> Float32:
    """Return small draws, nonnegative ones where factors are."""
    Y = drawn(movies, config.rank, config.rng) * np.float32(config.init_scale / np.sqrt(config.rank))
    return np.asarray(np.abs(Y) if config.nonnegative else Y)


def positives(config: IALS, matrix: Csr) -> Csr:
    """Return the entries the objective sees: stars kept under Spark's, ones under the tuned."""
    if config.positive_from is not None:
        matrix = matrix.where(matrix.values >= config.positive_from)
    if config.alpha is not None:
        return matrix
    return Csr(matrix.indptr, matrix.indices, np.ones(matrix.n, np.float32), matrix.n_columns)


def regularisation(config: IALS, matrix: Csr) -> Float64:
    """Return reg_row (B,) of rows that `positives` made."""
    if config.alpha is None:
        return np.asarray(config.reg * (matrix.counts + config.alpha0 * matrix.n_columns) ** config.nu, np.float64)
    above = np.concatenate([np.zeros(1, np.int64), np.cumsum(matrix.values > 0)])
    return np.asarray(config.reg * np.diff(above[matrix.indptr]), np.float64)


def solve(config: IALS, rows: Csr, Y: Float32, gram: Float64, threads: int | None) -> Float32:
    """Solve every row of one side against the other."""
    A0 = gram if config.alpha is not None else config.alpha0 * gram
    solver = solve_nonnegative if config.nonnegative else kernels.solve_side
    return solver(rows, Y, regularisation(config, rows), A0=A0, alpha=config.alpha, threads=threads)


@dataclass(frozen=True, eq=False)
class IalsModel:
    """The movies' factors Y (n_movies, k) and their Gram matrix Y^T Y (k, k)."""

    config: IALS
    movie_factors: Float32
    gram: Float64

    def fold_in(self, histories: Csr) -> Float32:
        """Return the people's factors X (B, k)."""
        return solve(self.config, positives(self.config, histories), self.movie_factors, self.gram, threads=1)

    def scores(self, profiles: Float32, movies: Positions | None = None) -> Scores:
        """Return x . y for all movies or for these."""
        return kernels.products(profiles, self.movie_factors, movies)

    def top_n(
        self, profiles: Float32, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile."""
        return kernels.top_n(profiles, self.movie_factors, n, allowed=allowed, exclude=exclude)

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return v_p y_i^T A^-1 y_p for each rated movie p and asked movie i; base 0."""
        row = positives(self.config, batch([history], len(self.movie_factors)))
        Y = self.movie_factors[row.indices].astype(np.float64)
        alpha = self.config.alpha
        w = np.ones(row.n) if alpha is None else alpha * np.abs(row.values.astype(np.float64))
        v = np.ones(row.n) if alpha is None else np.where(row.values > 0, 1 + w, 0)
        A0 = self.gram * (self.config.alpha0 if alpha is None else 1)
        A = A0 + regularisation(self.config, row)[0] * np.eye(len(A0)) + (Y.T * w) @ Y
        contributions = np.zeros((len(movies), len(history)))
        seen = np.isin(history.movies, row.indices)
        solver = shares if self.config.nonnegative else np.linalg.solve
        contributions[:, seen] = self.movie_factors[movies] @ solver(A, Y.T * v)
        return Explanation(np.zeros(len(movies)), contributions)

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
        return {"movie_factors": self.movie_factors, "gram": self.gram}
