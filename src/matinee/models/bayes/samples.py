"""The samples of the chain: of some sweeps the movies, as they were drawn and as they were expected.

Symbols: M movies; k columns. Movies without ratings are where their features put them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.posterior import Factors
from matinee.models.bayes.gibbs import Gibbs
from matinee.models.bayes.posterior import Samples

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Marks = NDArray[np.bool_]


class SampleAndSpread(NamedTuple):
    """One sample, and for every movie the `spread` (M,) of its draw around what was expected."""

    sample: Samples
    spread: Float64


def draw_kept(chain: Gibbs, features: Float32, rated: Marks) -> SampleAndSpread:
    """Return the part of the chain's present draw that is served; features (M, E) are of all movies."""
    users, movies, prior = chain.users, chain.movies, chain.users.prior
    expected = movies.expected_rows(users, chain.tau, chain.threads)
    precisions = np.full((len(rated), 1), chain.tau, np.float32)
    precisions[rated, 0] *= movies.weights
    by_features = (features @ movies.prior.regression + movies.prior.mean).astype(np.float32)
    as_drawn, as_expected = (_factors(by_features, rated, rows, movies.has_bias) for rows in (movies.X, expected))
    sample = Samples(
        Factors(*as_drawn, precisions),
        Factors(*as_expected, precisions),
        prior.mean[None].astype(np.float32),
        prior.precision,
        prior.regression.astype(np.float32),
    )
    return SampleAndSpread(sample, _spread(chain, expected, rated))


def joined(kept: Sequence[SampleAndSpread], rated: Marks) -> Samples:
    """Return samples one after the other, where the mean spread of movies adds to the noise of ratings around them.

    As they are rated, that is for movies without ratings only: others were drawn.
    """
    samples = Samples.joined([one.sample for one in kept])
    spread = np.mean([one.spread for one in kept], axis=0).astype(np.float32)[:, None]
    precisions = samples.asked.precisions / (1 + samples.asked.precisions * spread)
    as_rated = np.where(rated[:, None], samples.rated.precisions, precisions)
    return replace(
        samples,
        rated=samples.rated._replace(precisions=as_rated),
        asked=samples.asked._replace(precisions=precisions),
    )


def _factors(by_features: Float32, rated: Marks, rows: Float32, has_bias: bool) -> tuple[Float32, Float32]:
    """Return y~ and b of all movies: these rows where they are rated, elsewhere where features put them."""
    Y = by_features.copy()
    Y[rated] = rows
    if not has_bias:
        return Y, np.zeros((len(Y), 1), np.float32)
    biases = Y[:, -1:].copy()
    Y[:, -1] = 1
    return Y, biases


def _spread(chain: Gibbs, expected: Float32, rated: Marks) -> Float64:
    """(M,) mean over users of the variance that a movie's own uncertainty adds: its draw around its mean.

    Of a movie without ratings it is known, being that of the prior.
    """
    design = chain.users.design.astype(np.float64)
    second_moment = design.T @ design / len(design)
    off = (chain.movies.X - expected).astype(np.float64)
    spread = np.full(len(rated), np.sum(np.linalg.inv(chain.movies.prior.precision) * second_moment))
    spread[rated] = np.sum((off @ second_moment) * off, axis=1)
    return spread
