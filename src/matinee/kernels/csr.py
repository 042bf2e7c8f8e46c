"""Csr: a sparse matrix by rows, the one form in which ratings enter a kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Csr:
    """A sparse matrix (n_rows, n_columns) by rows.

    indptr    (n_rows + 1,) int64    row r is the slice indptr[r]:indptr[r + 1]
    indices   (n,) int32             columns, ascending and distinct within a row
    values    (n,) float32
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    n_columns: int

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def n(self) -> int:
        """The number of stored values."""
        return len(self.indices)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_rows,) number of stored values per row."""
        counts: NDArray[np.int64] = self.indptr[1:] - self.indptr[:-1]  # np.diff takes three times as long
        return counts

    def row(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return one row's columns and values, as views."""
        part = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.indices[part], self.values[part]

    def rows(self, start: int, stop: int) -> Csr:
        """Return rows start:stop as a matrix of their own (views)."""
        part = slice(int(self.indptr[start]), int(self.indptr[stop]))
        indptr = self.indptr[start : stop + 1] - self.indptr[start]
        return Csr(indptr, self.indices[part], self.values[part], self.n_columns)

    def take(self, rows: NDArray[np.integer]) -> Csr:
        """Return the named rows, in that order, as a matrix of their own."""
        counts = self.counts[rows]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1][rows] - indptr[:-1], counts)
        return Csr(indptr, self.indices[places], self.values[places], self.n_columns)

    def where(self, keep: NDArray[np.bool_]) -> Csr:
        """Return the matrix of the stored values for which `keep` (n,) is true; itself where that is all of them."""
        if keep.all():
            return self
        kept_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])
        return Csr(kept_before[self.indptr], self.indices[keep], self.values[keep], self.n_columns)

    def row_of_each(self) -> NDArray[np.int32]:
        """(n,) the row of each stored value."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int32), self.counts)
