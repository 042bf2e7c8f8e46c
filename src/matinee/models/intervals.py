"""Calibrated intervals: a model's own spread, widened by its errors for held-out people.

A least-squares spread s is too narrow (it promises 90 % and covers 73 % on MovieLens). So some people are left out of
a fit, a few of their ratings are folded in, and the quantile of |error| / s on the others becomes the width of the
interval, for each size of history: split conformal prediction (Vovk et al. 2005; Lei et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Scores
from matinee.progress import Progress
from matinee.ratings import History, Ratings, Scale, batch

Float64 = NDArray[np.float64]

LEVEL = 0.9
SIZES = (0, 5, 10, 20, 50, 100, 200)
"""Lower edges of the buckets of history sizes."""
REVEALED = (0, 2, 7, 14, 32, 70, 140, 280)
"""How many ratings are folded in to fill the buckets."""
MOST_PEOPLE, MOST_HELD_OUT, FEWEST_PEOPLE = 20_000, 1_000, 100
FOLDS = 5
FEWEST_ERRORS = 50


@dataclass(frozen=True, eq=False)
class Calibration:
    """widths (b,) in units of s for histories of at least edges (b,) ratings; NaN where nothing was learned."""

    edges: NDArray[np.int64]
    widths: Float64

    @classmethod
    def unknown(cls) -> Calibration:
        """Return the calibration of a model that was not calibrated."""
        return cls(np.array(SIZES), np.full(len(SIZES), np.nan))

    def widths_for(self, counts: NDArray[np.int64]) -> Float64:
        """Return the width of each history's intervals (B,) by its number of ratings (B,)."""
        return self.widths[np.searchsorted(self.edges, counts, side="right") - 1]


class SpreadModel(Protocol):
    """A model that knows its own spread."""

    def fold_in(self, histories: Csr) -> Any: ...

    def scores(self, profiles: Any, movies: Positions | None = None) -> Scores: ...

    def spread(self, profiles: Any, row: int, movies: Positions) -> Float64:
        """Return s (m,) of one of the profiles."""


class SpreadConfig(Protocol):
    """A config whose model knows its own spread."""

    @property
    def intervals(self) -> bool: ...

    @property
    def rng(self) -> int: ...

    def fit(
        self, ratings: Ratings, catalog: Catalog, *, threads: int | None = None, progress: Progress | None = None
    ) -> SpreadModel: ...


def calibrate(config: SpreadConfig, ratings: Ratings, catalog: Catalog, threads: int | None) -> Calibration:
    """Fit without some people, and return how many spreads their ratings were off.

    At most 20,000 people take part and 1,000 of them are held out; with few people everyone is held out once, in five
    folds. With fewer than 100 people nothing is learned.
    """
    rng = np.random.default_rng((config.rng, 1))
    people = rng.permutation(np.flatnonzero(ratings.by_user.counts > 0))[:MOST_PEOPLE]
    if len(people) < FEWEST_PEOPLE:
        return Calibration.unknown()
    folds = np.array_split(people, FOLDS) if len(people) <= MOST_HELD_OUT * FOLDS else [people[:MOST_HELD_OUT]]
    errors = [pair for fold in folds for pair in _errors_of(config, ratings, catalog, threads, people, fold, rng)]
    sizes = np.concatenate([np.full(len(ratios), size) for size, ratios in errors])
    return _quantiles(sizes, np.concatenate([ratios for _, ratios in errors]))


def _errors_of(
    config: SpreadConfig,
    ratings: Ratings,
    catalog: Catalog,
    threads: int | None,
    people: NDArray[np.int64],
    held_out: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[tuple[int, Float64]]:
    """Fit on the other people and return (ratings folded in, |error| / s) of those held out."""
    fitted_on = np.zeros(len(ratings.users), bool)
    fitted_on[people] = True
    fitted_on[held_out] = False
    train = ratings.select(np.repeat(fitted_on, ratings.by_user.counts))
    model = replace(config, intervals=False).fit(train, catalog, threads=threads)  # type: ignore[type-var]
    warm = train.movie_counts > 0
    return [
        pair for person in held_out for pair in _ratios(model, ratings.history(int(person)), warm, ratings.scale, rng)
    ]


def _ratios(
    model: SpreadModel, history: History, warm: NDArray[np.bool_], scale: Scale, rng: np.random.Generator
) -> Iterator[tuple[int, Float64]]:
    """Yield (ratings folded in, |error| / s on the person's other ratings)."""
    order = rng.permutation(len(history))
    for size in REVEALED:
        if size >= len(history):
            return
        shown, hidden = np.sort(order[:size]), order[size:]
        hidden = hidden[warm[history.movies[hidden]]]
        profiles = model.fold_in(batch([History(history.movies[shown], history.stars[shown])], len(warm)))
        asked = history.movies[hidden]
        errors = np.abs(scale.clip(model.scores(profiles, asked)[0]) - history.stars[hidden])
        yield size, np.asarray(errors / model.spread(profiles, 0, asked), np.float64)


def _quantiles(sizes: NDArray[np.int64], ratios: Float64) -> Calibration:
    """Return the LEVEL quantile per bucket, over all errors where a bucket has fewer than 50."""
    buckets = np.searchsorted(SIZES, sizes, side="right") - 1
    widths = []
    for bucket in range(len(SIZES)):
        own = ratios[buckets == bucket]
        widths.append(_quantile(own if len(own) >= FEWEST_ERRORS else ratios))
    return Calibration(np.array(SIZES), np.array(widths))


def _quantile(ratios: Float64) -> float:
    """Return the conformal quantile: that of the (n + 1) LEVEL-th smallest."""
    if not len(ratios):
        return float("nan")
    return float(np.quantile(ratios, min(1.0, LEVEL * (len(ratios) + 1) / len(ratios)), method="higher"))
