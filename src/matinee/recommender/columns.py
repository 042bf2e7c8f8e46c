"""Columns: from positions to titles, stars on the asked scale, and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.ids import Positions
from matinee.models import Model, Prediction, Rater
from matinee.ratings import History, Scale
from matinee.recommender.people import People

MOST_REASONS = 3
FACTS = ("movie", "title", "year", "genres")


class Reason(NamedTuple):
    """A rated movie, by position, and what it adds to a score."""

    movie: int
    adds: float


class Columns:
    """Makes columns about the movies of one data set."""

    def __init__(self, dataset: Dataset, rater: Rater) -> None:
        self._catalog, self._rater = dataset.catalog, rater
        self._counts, self._scale = dataset.ratings.movie_counts, dataset.ratings.scale
        self._facts = dataset.catalog.table.select(FACTS)

    def facts(self, positions: Positions) -> dict[str, Any]:
        """Return the catalogue's columns of the movies at these positions."""
        return dict(zip(FACTS, self._facts.take(positions).columns, strict=True))

    def counts(self, positions: Positions) -> NDArray[np.int64]:
        """Return how many ratings they have."""
        return self._counts[positions]

    def stars(
        self, people: People, positions: Positions, listed: NDArray[np.bool_], scale: Scale | None
    ) -> dict[str, Any]:
        """Return predictions for the positions (B, n) where `listed` (B, n) is true, one person after another."""
        taken = np.count_nonzero(listed)
        if not taken:
            nothing = np.empty(0, np.float32)
            return self.predicted(positions[listed], Prediction(nothing, nothing, nothing), scale)
        if taken == listed.size:
            found = self._rater.predict(people.profiles, positions)
            flat = Prediction(found.stars.ravel(), found.low.ravel(), found.high.ravel())
        else:
            found = self._rater.predict(people.profiles, np.maximum(positions, 0))
            flat = Prediction(found.stars[listed], found.low[listed], found.high[listed])
        return self.predicted(positions[listed], flat, scale)

    def predicted(self, positions: Positions, found: Prediction, scale: Scale | None) -> dict[str, Any]:
        """Return stars and counts of the movies at these positions (m,), on `scale` (None: the data's)."""
        stars = {"stars": found.stars, "low": found.low, "high": found.high}
        if scale is not None:
            stars = {name: self._scale.to(scale, values) for name, values in stars.items()}
        return {**stars, "ratings": self.counts(positions)}

    def reasons(self, people: People, positions: Positions, model: Model) -> list[list[Reason]]:
        """Return for each listed movie the rated ones that add most to its score by this model."""
        reasons = []
        for person, row in zip(people.people, positions, strict=True):
            found = model.explain(person.history, row[row >= 0])
            reasons += self.reasons_of(person.history, found.contributions)
        return reasons

    def reasons_of(self, history: History, contributions: NDArray[np.float64]) -> list[list[Reason]]:
        """Return the same for each movie (m,), by what each rated movie adds to it (m, p)."""
        best = np.argsort(-contributions, axis=1, kind="stable")[:, :MOST_REASONS]
        adds = np.take_along_axis(contributions, best, axis=1)
        return [
            [Reason(movie, add) for movie, add in zip(*row, strict=True) if add > 0]
            for row in zip(history.movies[best].tolist(), adds.tolist(), strict=True)
        ]

    def titles(self, reasons: Sequence[Sequence[Reason]]) -> list[list[str]]:
        """Return the titles of the movies that are reasons."""
        named = sorted({reason.movie for one in reasons for reason in one})
        titles = dict(zip(named, self._catalog.titles(np.array(named, np.int32)), strict=True))
        return [[titles[reason.movie] for reason in one] for one in reasons]
