"""Blend: EASE and implicit ALS added up, their scores matched in standard deviation over the movies EASE ranks.

    score = s_ease + weight * (sd(s_ease) / sd(s_ials)) * s_ials      deviations per person over the eligible movies

Symbols: B people; M eligible movies; scores float32, -inf for movies that EASE does not rank.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.catalog import Catalog
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Arrays, Explanation, Scores, SearchSpace
from matinee.models.ease import Ease, EaseModel
from matinee.models.ials import IALS, IalsModel
from matinee.progress import Progress
from matinee.ratings import History, Ratings, batch

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Blend:
    """Config of the two rankers together."""

    name: ClassVar[str] = "blend"
    space: ClassVar[SearchSpace] = {"weight": (0.05, 2.0)}

    ease: Ease = field(default_factory=Ease)
    """The first ranker, whose scale the blend has."""
    ials: IALS = field(default_factory=IALS)
    """The second ranker."""
    weight: float = 0.5
    """How much the second counts beside the first."""

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> BlendModel:
        """Fit both. Raises ModelError where either fails."""
        ease = self.ease.fit(ratings, catalog, threads=threads)
        return BlendModel(self, ease, self.ials.fit(ratings, catalog, threads=threads, progress=progress))

    def load(self, arrays: Arrays) -> BlendModel:
        """Return the model whose `arrays()` these are."""
        ease, ials = (
            {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
            for part in ("ease_", "ials_")
        )
        return BlendModel(self, self.ease.load(ease), self.ials.load(ials))


@dataclass(frozen=True, eq=False)
class BlendProfiles:
    """Both rankers' profiles, and the factor (B, 1) that matches the second's scores to the first's."""

    ease: Csr
    ials: Float32
    factor: Float32


@dataclass(frozen=True, eq=False)
class BlendModel:
    """Both fitted rankers."""

    config: Blend
    ease: EaseModel
    ials: IalsModel

    def fold_in(self, histories: Csr) -> BlendProfiles:
        """Return both profiles of B people."""
        ease, ials = self.ease.fold_in(histories), self.ials.fold_in(histories)
        eligible = self.ease.inputs.eligible
        spread, other = _deviations(self.ease.scores(ease, eligible)), _deviations(self.ials.scores(ials, eligible))
        factor = self.config.weight * np.divide(spread, other, out=np.zeros_like(spread), where=other > 0)
        return BlendProfiles(ease, ials, factor.astype(np.float32))

    def scores(self, profiles: BlendProfiles, movies: Positions | None = None) -> Scores:
        """Return (B, n_movies) or (B, m)."""
        first = self.ease.scores(profiles.ease, movies)
        return first + profiles.factor * self.ials.scores(profiles.ials, movies)

    def top_n(
        self, profiles: BlendProfiles, n: int, allowed: NDArray[np.bool_] | None = None, exclude: Csr | None = None
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile."""
        return kernels.select_top_n(self.scores(profiles), n, allowed=allowed, exclude=exclude)

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return both rankers' contributions, added up with the person's factor."""
        factor = float(self.fold_in(batch([history], self.ease.inputs.n_movies)).factor[0, 0])
        first, second = self.ease.explain(history, movies), self.ials.explain(history, movies)
        return Explanation(first.base + factor * second.base, first.contributions + factor * second.contributions)

    def similar(self, movie: int) -> Scores:
        """Return EASE's similarity."""
        return self.ease.similar(movie)

    def arrays(self) -> Arrays:
        """Return everything both learned."""
        return {f"ease_{name}": array for name, array in self.ease.arrays().items()} | {
            f"ials_{name}": array for name, array in self.ials.arrays().items()
        }


def _deviations(scores: Scores) -> Scores:
    """Return the standard deviation (B, 1) of each row; rows that lie in one piece are added in one order."""
    return np.asarray(np.ascontiguousarray(scores).std(axis=1, keepdims=True), np.float32)
