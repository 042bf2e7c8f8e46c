"""Items that score items: the fused product, scaling and selection of an item-to-item model.

Symbols: M items that are scored, named by their numbers among N; B rows; n length of a list.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import matinee.kernels._native as native
from matinee.kernels import check
from matinee.kernels.csr import Csr
from matinee.kernels.select import excluded, lists

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


class Items:
    """Item-to-item weights W, checked once. Item j scores (x W)_j scale_j + base_j base_weight / (n + damping).

    x is a row of X (B, M), and n the number of its values.

    W             (M, M) float32
    scale, base   (M,) float32
    names         (M,) int32, ascending: the items' numbers among `n_names`

    Raises ValueError for an array of another dtype or shape, or a name out of range.
    """

    def __init__(
        self,
        W: Float32,
        scale: Float32,
        base: Float32,
        names: Int32,
        n_names: int,
        *,
        base_weight: float = 0,
        damping: float = 1,
    ) -> None:
        self.n, self.n_names = len(names), n_names
        self._made_of = W, scale, base, names, n_names, base_weight, damping
        M = self.n
        names = check.positions("names", names, n_names, None)
        vectors = (check.array(name, value, np.float32, M) for name, value in (("scale", scale), ("base", base)))
        self._native = native.Items(check.array("W", W, np.float32, M, M), *vectors, names, base_weight, damping)

    def __reduce__(self) -> tuple[Any, ...]:
        *arrays, base_weight, damping = self._made_of  # checked anew in the other process
        return partial(Items, base_weight=base_weight, damping=damping), tuple(arrays)

    def scores(self, X: Csr, *, threads: int | None = None) -> Float32:
        """Return the scores (B, M) of all items for each row of X. Raises ValueError where a column is out of range."""
        check.columns("X", X, self.n)
        out = np.empty((X.n_rows, self.n), np.float32)
        native.item_scores(self._native, *check.csr("X", X), out, check.thread_count(threads))
        return out

    def top_n(
        self, X: Csr, n: int, *, allowed: Bool | None = None, exclude: Csr | None = None, threads: int | None = None
    ) -> tuple[Int32, Float32]:
        """Return the names (B, n) and scores (B, n) of the best items of each row, as `select_top_n` does.

        allowed (N,) and exclude (B, N) go by the items' names. No array of all scores is made.
        """
        check.columns("X", X, self.n)
        positions, scores = lists(X.n_rows, n)
        native.item_top_n(
            self._native,
            *check.csr("X", X),
            check.optional("allowed", allowed, np.bool_, self.n_names),
            *excluded(exclude, X.n_rows, self.n_names),
            positions,
            scores,
            check.thread_count(threads),
        )
        return positions, scores
