"""The Gibbs sampler of `bayes`: two sides that look alike, drawn in turn given each other.

    rating = x_u . y_i + b_u + b_i + e_ui          e_ui ~ N(0, 1 / (tau g_u h_i))
    [x_u, b_u] ~ N(mu + B^T f_u, Lambda^-1)        the same for movies, with their own mu, B, Lambda

    Normal-Wishart prior over mu, Lambda           Salakhutdinov & Mnih 2008, equations 13-16
    B, kappa: a prior mean that depends on features   Simm et al. 2017 (Macau), equations 6-8
    g, h: one precision per user and per movie     Gamma(15, 15) a priori, so Student-t noise with 30 degrees of freedom

Symbols: n rows of a side; k columns of X, the last one the bias where there is one; D features.
Ratings come centred, with standard deviation one. X float32; hyper-parameters float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.kernels import Csr

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

NOISE_DEGREES = 30.0
MEAN_PSEUDO_ROWS = 2.0  # beta0
FIRST_KAPPA = 5.0
FIRST_TAU = 1.5
FIRST_DEVIATION = 0.1


class SidePrior:
    """The prior of the rows of one side: N(mean + B^T f, precision^-1).

    Features are turned onto the principal axes of F^T F, where drawing B needs no solve. `shift` is B^T f: (n, k), or
    (1, k) zeros without features.
    """

    def __init__(self, n_rows: int, k: int, features: Float32 | None) -> None:
        F = np.empty((n_rows, 0), np.float32) if features is None else features
        self.axes: Float64
        eigenvalues, self.axes = np.linalg.eigh((F.T @ F).astype(np.float64))
        self.spread = np.maximum(eigenvalues, 0)
        self.features = F @ self.axes.astype(np.float32)
        self.mean, self.precision = np.zeros(k), np.eye(k)
        self.weights = np.zeros((F.shape[1], k))
        self.shift = np.zeros((n_rows if F.shape[1] else 1, k), np.float32)
        self.kappa = FIRST_KAPPA

    @property
    def regression(self) -> Float64:
        """B (D, k), for the features as they were given."""
        return self.axes @ self.weights

    def linear_term(self) -> Float64:
        """Return precision times the prior mean: (1, k) shared, or (n, k) where rows have features."""
        means = self.shift + self.mean.astype(np.float32)
        return (means @ self.precision.astype(np.float32)).astype(np.float64)

    def draw(self, X: Float32, rng: np.random.Generator, threads: int | None = None) -> None:
        """Draw B, kappa, mean and precision given the rows X (n, k)."""
        if len(self.weights):
            self._draw_regression(X, rng)
            self.shift = self.features @ self.weights.astype(np.float32)
        rest = X - self.shift
        self._draw_normal_wishart(kernels.gram(rest, threads=threads), rest.sum(axis=0, dtype=np.float64), len(X), rng)

    def _draw_regression(self, X: Float32, rng: np.random.Generator) -> None:
        """B | X ~ N((F^T F + kappa I)^-1 F^T (X - mean), (F^T F + kappa I)^-1 (x) precision^-1)."""
        half_covariance = np.linalg.inv(np.linalg.cholesky(self.precision))
        ridge = (self.spread + self.kappa)[:, None]
        target = self.features.T @ (X - self.mean.astype(np.float32))
        noise = rng.standard_normal(self.weights.shape) @ half_covariance
        self.weights = target / ridge + noise / np.sqrt(ridge)
        size = np.sum((self.weights @ self.precision) * self.weights)
        self.kappa = rng.gamma(self.weights.size / 2 + 1e-3, 1 / (size / 2 + 1e-3))

    def _draw_normal_wishart(self, squares: Float64, total: Float64, n: int, rng: np.random.Generator) -> None:
        """Mean and precision given X^T X (k, k) and the sum (k,) of n rows, less the features' part."""
        k, beta = len(total), MEAN_PSEUDO_ROWS + n
        scale = np.eye(k) + squares - np.outer(total, total) / beta + self.kappa * self.weights.T @ self.weights
        self.precision = draw_wishart(k + n + len(self.weights), scale, rng)
        half_covariance = np.linalg.inv(np.linalg.cholesky(self.precision))
        self.mean = total / beta + rng.standard_normal(k) @ half_covariance / np.sqrt(beta)


def draw_wishart(degrees: float, inverse_scale: Float64, rng: np.random.Generator) -> Float64:
    """Return one draw of Wishart(degrees, inverse_scale^-1), mean degrees * inverse_scale^-1 (Bartlett 1933)."""
    k = len(inverse_scale)
    triangle = np.tril(rng.standard_normal((k, k)), -1) + np.diag(np.sqrt(rng.chisquare(degrees - np.arange(k))))
    half = np.linalg.solve(np.linalg.cholesky(inverse_scale).T, triangle)
    return half @ half.T


@dataclass(eq=False)
class Side:
    """Users or movies: their ratings by row, the present draw X (n, k) and their noise weights (n,)."""

    rows: Csr
    prior: SidePrior
    X: Float32
    weights: Float32
    has_bias: bool

    @classmethod
    def start(cls, rows: Csr, k: int, features: Float32 | None, has_bias: bool, rng: np.random.Generator) -> Side:
        """Return a side whose factors are small and random, and whose biases are zero."""
        X = rng.standard_normal((rows.n_rows, k), np.float32) * np.float32(FIRST_DEVIATION)
        if has_bias:
            X[:, -1] = 0
        return cls(rows, SidePrior(rows.n_rows, k, features), X, np.ones(rows.n_rows, np.float32), has_bias)

    @property
    def design(self) -> Float32:
        """[y; 1] (n, k): what the other side's rows, bias last, are multiplied with."""
        if not self.has_bias:
            return self.X
        design = self.X.copy()
        design[:, -1] = 1
        return design

    @property
    def bias(self) -> Float32 | None:
        """(n,), or None for a model without biases."""
        return np.ascontiguousarray(self.X[:, -1]) if self.has_bias else None

    def draw_rows(self, other: Side, tau: float, noise: tuple[int, int], threads: int | None) -> None:
        """Draw every row given its ratings and the other side."""
        self._solve(other, tau, noise, self.X, threads)

    def expected_rows(self, other: Side, tau: float, threads: int | None) -> Float32:
        """Return (n, k) the mean that every row would be drawn around, given its ratings and the other side."""
        return self._solve(other, tau, None, np.empty_like(self.X), threads)

    def _solve(
        self, other: Side, tau: float, noise: tuple[int, int] | None, out: Float32, threads: int | None
    ) -> Float32:
        return kernels.solve_side(
            self.rows,
            other.design,
            np.zeros(self.rows.n_rows),
            A0=self.prior.precision,
            b0=self.prior.linear_term(),
            row_weight=self.weights,
            other_weight=np.float32(tau) * other.weights,
            other_offset=other.bias,
            noise=noise,
            out=out,
            threads=threads,
        )

    def squared_errors(self, other: Side, threads: int | None, *, weighted: bool = True) -> Float64:
        """Return (n,) the sum of each row's squared errors, weighted by the other side's noise weights."""
        return kernels.residual_sums(
            self.rows,
            self.X,
            other.design,
            other_offset=other.bias,
            other_weight=other.weights if weighted else None,
            threads=threads,
        )

    def draw_weights(self, errors: Float64, tau: float, rng: np.random.Generator) -> None:
        """Draw each row's noise weight given its squared errors (n,)."""
        shape, rate = (NOISE_DEGREES + self.rows.counts) / 2, (NOISE_DEGREES + tau * errors) / 2
        self.weights = (rng.standard_gamma(shape) / rate).astype(np.float32)


class Gibbs:
    """The chain: `users`, `movies` and the precision `tau` of a rating."""

    def __init__(
        self, users: Side, movies: Side, seed: int, *, noise_per_row: bool = True, threads: int | None = None
    ) -> None:
        self.users, self.movies = users, movies
        self.seed, self.noise_per_row, self.threads = seed, noise_per_row, threads
        self.rng = np.random.default_rng((seed, 1))
        self.tau = FIRST_TAU
        self.sweeps = 0

    def sweep(self) -> None:
        """Draw everything once."""
        self._draw_side(self.users, self.movies, 0)
        self._draw_side(self.movies, self.users, 1)
        self._draw_noise()
        self.sweeps += 1

    def rmse(self) -> float:
        """Return the present draw's root mean squared error over the training ratings."""
        errors = self.users.squared_errors(self.movies, self.threads, weighted=False)
        return float(np.sqrt(errors.sum() / self.users.rows.n))

    def _draw_side(self, side: Side, other: Side, which: int) -> None:
        side.prior.draw(side.X, self.rng, self.threads)
        side.draw_rows(other, self.tau, (self.seed, 2 * self.sweeps + which), self.threads)

    def _draw_noise(self) -> None:
        errors = self.users.squared_errors(self.movies, self.threads)
        if self.noise_per_row:
            self.users.draw_weights(errors, self.tau, self.rng)
        total = float(self.users.weights @ errors)
        self.tau = self.rng.gamma(1 + self.users.rows.n / 2, 1 / (1 + total / 2))
        if self.noise_per_row:
            self.movies.draw_weights(self.movies.squared_errors(self.users, self.threads), self.tau, self.rng)
