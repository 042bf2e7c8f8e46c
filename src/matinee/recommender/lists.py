"""Lists: the inner path, in positions. Histories and a mask of movies go in, the best movies come out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Model, Rater, Scores
from matinee.models.baselines import Popular
from matinee.ratings import Ratings
from matinee.recommender.filters import Filters, since

Order = Literal["match", "stars"]
MOST_MASKS = 256
MOST_DAYS = 16


class Lists:
    """Orders movies for people by the models of one data set; safe for any number of threads.

    allowed(filters)    (n_movies,) which movies pass, read-only; cached for the last filters
    """

    def __init__(self, dataset: Dataset, rater: Rater, ranker: Model | None) -> None:
        self.rater, self.ranker, self.scale = rater, ranker, dataset.ratings.scale
        self._popular = Popular().fit(dataset.ratings, dataset.catalog)
        # Not methods: a cache of those would refer to this object, and keep it and its maps until the next collection.
        counts = lru_cache(MOST_DAYS)(partial(_counts, dataset.ratings))
        self.allowed = lru_cache(MOST_MASKS)(lambda filters: _allowed(dataset, counts(filters.rated_since), filters))

    def orders(self, order: Order) -> Model:
        """Return the model whose scores order the list: the rater with order="stars" or without a ranker."""
        return self.rater if order == "stars" or self.ranker is None else self.ranker

    def top(
        self,
        histories: Csr,
        allowed: NDArray[np.bool_],
        n: int,
        order: Order = "match",
        profiles: Any = None,
        unlisted: Csr | None = None,
    ) -> tuple[Positions, Scores]:
        """Return positions (B, n) and the scores that order them; -1 and -inf where fewer movies pass.

        profiles    the rater's, if the histories are already folded in
        unlisted    (B, n_movies) the movies left out of each person's list; by default those they rated

        People without ratings get the most rated movies, unless stars order. Movies that the ranker does not rank
        follow those it does, by stars, with a score of -inf.
        """
        n = min(n, len(allowed))
        model, unlisted = self.orders(order), histories if unlisted is None else unlisted
        if model is self.rater:
            folded = self.rater.fold_in(histories) if profiles is None else profiles
            return self.rater.top_n(folded, n, allowed, unlisted)
        empty = histories.counts == 0
        if np.count_nonzero(empty):
            return self._top_with_newcomers(histories, allowed, n, empty, unlisted)
        positions, scores = model.top_n(model.fold_in(histories), n, allowed, unlisted)
        for row in np.flatnonzero(positions[:, -1] < 0).tolist():
            self._fill_by_stars(histories.rows(row, row + 1), unlisted.rows(row, row + 1), allowed, positions[row])
        return positions, scores

    def _top_with_newcomers(
        self, histories: Csr, allowed: NDArray[np.bool_], n: int, empty: NDArray[np.bool_], unlisted: Csr
    ) -> tuple[Positions, Scores]:
        positions, scores = np.empty((len(empty), n), np.int32), np.empty((len(empty), n), np.float32)
        newcomers, others = np.flatnonzero(empty), np.flatnonzero(~empty)
        positions[empty], scores[empty] = self._popular.top_n(len(newcomers), n, allowed, unlisted.take(newcomers))
        if len(others):
            found = self.top(histories.take(others), allowed, n, unlisted=unlisted.take(others))
            positions[others], scores[others] = found
        return positions, scores

    def _fill_by_stars(self, history: Csr, unlisted: Csr, allowed: NDArray[np.bool_], positions: Positions) -> None:
        """Put movies that the ranker does not rank behind those it does, in one person's list."""
        found = int((positions >= 0).sum())
        rest = allowed.copy()
        rest[positions[:found]] = False
        more, _ = self.rater.top_n(self.rater.fold_in(history), len(positions) - found, rest, unlisted)
        positions[found:] = more[0]


def _counts(ratings: Ratings, day: date | None) -> NDArray[np.int64]:
    return ratings.movie_counts if day is None else ratings.movie_counts_since(since(day))


def _allowed(dataset: Dataset, counts: NDArray[np.int64], filters: Filters) -> NDArray[np.bool_]:
    """Drop min_ratings for a model that came without ratings, which has no counts."""
    if not dataset.ratings.n:
        filters = replace(filters, min_ratings=0)
    allowed = filters.allowed(dataset.catalog, counts)
    allowed.setflags(write=False)
    return allowed
