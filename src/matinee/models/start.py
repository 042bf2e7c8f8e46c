"""Where alternating fits start: at the movies, each by its id.

A fit of nearly the same data therefore starts at the same place and ends nearly at the same: one more person or movie
changes all stars by a hundredth, where another start changes them by a quarter (docs/log.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.ids import Bits, Ids, mixed

AT_ONCE = 1 << 20  # draws, which bounds the memory that they take meanwhile


def drawn(ids: Ids, rank: int, seed: int) -> NDArray[np.float32]:
    """Return (n, rank) draws from N(0, 1), of which each depends on its id, its column and the seed alone.

    >>> few, more = drawn(Ids(["1", "3"]), 4, seed=0), drawn(Ids(["1", "2", "3"]), 4, seed=0)
    >>> bool((few == more[[0, 2]]).all())
    True
    """
    hashes, columns = ids.hashes(), mixed(np.arange(2 * rank, dtype=np.uint64) + mixed(np.array([seed], np.uint64)))
    normal = np.empty((len(ids), rank), np.float32)
    step = max(AT_ONCE // rank, 1)
    for first in range(0, len(ids), step):
        some = slice(first, first + step)
        normal[some] = _normal(mixed(hashes[some, None] ^ columns))
    return normal


def _normal(bits: Bits) -> NDArray[np.float64]:
    """Return (n, k) normal draws from (n, 2 k) random bits (Box and Muller 1958)."""
    radius, angle = np.split((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53, 2, axis=1)
    return np.asarray(np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle))
