"""Metrics: pure functions from predictions or lists to numbers; lists are over the whole catalogue, never sampled.

Symbols: B people; n pairs; K length of the lists, best first, -1 where a list is shorter. `hits` (B, K) says which
places of a list hold a relevant movie, `relevant` (B,) how many relevant movies there are, listed or not. What has no
meaning is NaN: a person without relevant movies has no recall.

Recall is hits / relevant, without a cut at k; the ideal list of NDCG (Järvelin & Kekäläinen 2002) is cut at
min(k, relevant).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.ids import Positions
from matinee.kernels import Csr

Float = NDArray[np.float64]
Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]


def rmse(predicted: NDArray[np.floating], stars: NDArray[np.floating]) -> float:
    """Return the root of the mean squared error of n pairs.

    >>> rmse(np.array([3.0, 5.0]), np.array([4.0, 4.0]))
    1.0
    """
    errors = np.asarray(predicted, np.float64) - stars
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")


def mae(predicted: NDArray[np.floating], stars: NDArray[np.floating]) -> float:
    """Return the mean absolute error of n pairs."""
    errors = np.asarray(predicted, np.float64) - stars
    return float(np.mean(np.abs(errors))) if len(errors) else float("nan")


def log_density(errors: Float, deviations: Float) -> Float:
    """Return (n,) the log density, in nats, of each error under a normal distribution with this deviation."""
    return np.asarray(-0.5 * (errors / deviations) ** 2 - np.log(deviations) - 0.5 * np.log(2 * np.pi))


def hits_in(lists: Positions, relevant: Csr) -> Hits:
    """Return hits (B, K) of the lists (B, K) among each person's relevant movies (B, M)."""
    is_relevant = np.zeros((relevant.n_rows, relevant.n_columns + 1), bool)
    is_relevant[relevant.row_of_each(), relevant.indices] = True
    return np.take_along_axis(is_relevant, lists.astype(np.int64), axis=1)


def precision(hits: Hits, k: int) -> Float:
    """Return (B,) the share of the first k places that hold a relevant movie; empty places count as misses."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def recall(hits: Hits, relevant: Counts, k: int) -> Float:
    """Return (B,) the share of the relevant movies that are among the first k.

    >>> recall(np.array([[True, False, True]]), np.array([4]), 3)
    array([0.5])
    """
    return _over(hits[:, :k].sum(axis=1), relevant)


def ndcg(hits: Hits, relevant: Counts, k: int) -> Float:
    """Return (B,) the discounted gain of the first k, over that of the ideal list of min(k, relevant) hits.

    >>> ndcg(np.array([[True, True, False]]), np.array([2]), 3)
    array([1.])
    """
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([np.zeros(1), np.cumsum(gains)])[np.minimum(relevant, k)]
    shown = hits[:, :k]
    return _over(shown @ gains[: shown.shape[1]], ideal)


def average_precision(hits: Hits, relevant: Counts, k: int) -> Float:
    """Return (B,) the mean, over min(k, relevant), of the precision at each hit among the first k."""
    shown = hits[:, :k]
    precisions = np.cumsum(shown, axis=1) / np.arange(1, shown.shape[1] + 1)
    return _over((precisions * shown).sum(axis=1), np.minimum(relevant, k))


def novelty(lists: Positions, movie_counts: Counts, n_users: int) -> Float:
    """Return (B,) the mean surprise of the listed movies, -log2(share of users who rated it), in bits.

    A movie nobody has rated counts as one rating. (Vargas & Castells 2011)
    """
    surprise = np.append(-np.log2(np.maximum(movie_counts, 1) / max(n_users, 1)), 0.0)
    return _over(surprise[lists].sum(axis=1), (lists >= 0).sum(axis=1))


def coverage(shown: Counts) -> float:
    """Return the share of the M movies that anybody is shown, from how often each is shown (M,)."""
    return float(np.mean(shown > 0)) if len(shown) else float("nan")


def gini(shown: Counts) -> float:
    """Return how unequally often movies are shown: 0 all alike, towards 1 one movie only.

    >>> gini(np.array([3, 3, 3])), gini(np.array([0, 0, 0, 4]))
    (0.0, 0.75)
    """
    total, n = shown.sum(), len(shown)
    if not total:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(shown) / (n * total))


def _over(parts: NDArray[Any], wholes: NDArray[Any]) -> Float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(wholes > 0, parts / wholes, np.nan)
