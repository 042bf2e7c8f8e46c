"""Exam: what everybody is asked, prepared once and the same for all models.

Symbols: U users and M movies of the data set; P people asked, positions among the users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.kernels import Csr
from matinee.ratings import Scale
from matinee.split import Pairs, Split


@dataclass(frozen=True, eq=False)
class Exam:
    """The questions to P people; everything a model may know comes from the training ratings.

    histories   (P, M) what is folded in
    masked      (P, M) what is never listed: histories and validation pairs
    test        (P, M) the answers
    liked       (P, M) those of the answers that are liked
    eligible    (M,) movies that may be listed: with enough training ratings. Others in `test` count as misses
    known       (M,) movies with any training rating; pairs of others, and of empty histories, are cold
    counts      (M,) training ratings, of `n_users` users
    """

    histories: Csr
    masked: Csr
    test: Csr
    liked: Csr
    eligible: NDArray[np.bool_]
    counts: NDArray[np.int64]
    n_users: int
    scale: Scale

    @classmethod
    def of(cls, split: Split, people: NDArray[np.int64], min_ratings: int, liked_from: float) -> Exam:
        """Return the exam of a split for these people."""
        test = _matrix(split.test, split.train.by_user).take(people)
        masked = split.histories if split.validation is None else _union(split.histories, split.validation)
        counts = split.train.movie_counts
        return cls(
            split.histories.take(people),
            masked.take(people),
            test,
            test.where(test.values >= liked_from),
            counts >= max(min_ratings, 1),
            counts,
            int((split.train.by_user.counts > 0).sum()),
            split.train.scale,
        )

    @property
    def n_people(self) -> int:
        return self.test.n_rows

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.counts > 0

    def batches(self, size: int = 256) -> Iterator[NDArray[np.int64]]:
        """Yield rows with like numbers of questions together, those without any left out."""
        order = np.argsort(-self.test.counts, kind="stable")
        order = order[self.test.counts[order] > 0]
        yield from (order[start : start + size] for start in range(0, len(order), size))

    def take(self, rows: NDArray[np.int64]) -> Exam:
        """Return the exam of some of the people."""
        parts = {name: getattr(self, name).take(rows) for name in ("histories", "masked", "test", "liked")}
        return replace(self, **parts)

    def revealing(self, n: int, rng: np.random.Generator) -> Exam:
        """Return the same questions, with at most n ratings of each history folded in, drawn at random."""
        histories = self.histories
        order = np.lexsort((rng.random(histories.n), histories.row_of_each()))
        keep = np.zeros(histories.n, bool)
        keep[order] = np.arange(histories.n) - np.repeat(histories.indptr[:-1], histories.counts) < n
        return replace(self, histories=histories.where(keep))


def people_asked(splits: tuple[Split, ...], at_most: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the users who have test pairs, ascending; a random `at_most` of them where they are more."""
    people = np.unique(np.concatenate([split.test.users for split in splits])).astype(np.int64)
    if at_most is None or len(people) <= at_most:
        return people
    return np.sort(rng.choice(people, at_most, replace=False))


def _matrix(pairs: Pairs, like: Csr) -> Csr:
    return kernels.build_csr(pairs.users, pairs.movies, pairs.stars, like.n_rows, like.n_columns)[0]


def _union(histories: Csr, pairs: Pairs) -> Csr:
    users = np.concatenate([histories.row_of_each(), pairs.users])
    movies = np.concatenate([histories.indices, pairs.movies])
    values = np.concatenate([histories.values, pairs.stars])
    return kernels.build_csr(users, movies, values, histories.n_rows, histories.n_columns)[0]
