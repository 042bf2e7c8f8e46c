"""Import: a saved Spark model, movies and ratings -> an ordinary snapshot that answers as Spark's model would.

    explicit   `als` is the rater, and orders
    implicit   `ials` is the ranker; `bias` shows stars, since this model knows none

The histories are those of the ratings. Without ratings there are no histories, and only visitors get answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset, Facts
from matinee.errors import DataError, UsageError
from matinee.kernels import Csr
from matinee.ratings import Scale
from matinee.snapshot import Snapshot, Store
from matinee.spark.interop.dataset import Learned, dataset_of, folded, models, movie_factors, witnesses
from matinee.spark.interop.model import SparkModel, read_model
from matinee.spark.interop.objective import (
    Estimate,
    Objective,
    estimate_explicit,
    estimate_implicit,
    looks_nonnegative,
)

WITNESSES = 1_000
"""Users who are folded in and compared with their stored factors."""
AGREES = 1e-3
"""Largest median difference, norm-wise, at which parameters explain the users."""
TUNED = {"reg": "regParam", "implicit": "implicitPrefs", "alpha": "alpha", "nonnegative": "nonnegative"}


@dataclass(frozen=True)
class SparkSettings:
    """What is known of the training, by the person who imports or by the tuning that Spark saved around the model."""

    reg: float | None = None
    implicit: bool | None = None
    alpha: float | None = None
    nonnegative: bool | None = None

    def __post_init__(self) -> None:
        for name, value in (("reg", self.reg), ("alpha", self.alpha)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} is a number above 0, not {value:g}")

    def completed(self, params: dict[str, Any]) -> SparkSettings:
        """Return this, and what the model's tuning says where a person does not."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return SparkSettings(
            **{name: params.get(TUNED[name]) if value is None else value for name, value in own.items()}
        )


@dataclass(frozen=True, eq=False)
class Imported:
    """The published snapshot, and how its model was trained.

    objective     what it minimised
    within        how far a parameter that was found may be from the true one, by its name: {"reg": 7e-07}; nothing of
                  those that were given
    differences   (B,), norm-wise, between users folded in and Spark's own factors of them; None where there were no
                  ratings to fold in
    """

    snapshot: Snapshot
    objective: Objective
    within: Mapping[str, float]
    differences: NDArray[np.float64] | None

    @property
    def difference(self) -> float | None:
        """The median of the differences."""
        return None if self.differences is None else float(np.median(self.differences))

    @property
    def differing(self) -> float | None:
        """The share of the users who differ by more than AGREES."""
        return None if self.differences is None else float(np.mean(self.differences > AGREES))

    @property
    def disagrees(self) -> bool:
        """Whether the ratings contradict the parameters that the caller gave."""
        return self.difference is not None and self.difference > AGREES


def import_model(
    path: str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    *,
    movies: Any = None,
    ratings: Dataset | None = None,
    said: SparkSettings | None = None,
    scale: Scale | None = None,
    threads: int | None = None,
) -> Imported:
    """Publish what Spark saved at `path` as a snapshot that is served from then on.

    movies     titles and genres, a file or data frame; ids are matched as strings
    ratings    what the model was trained on: the users' histories, from which missing parameters are estimated
    scale      what stars can be where there are no ratings: MovieLens' own unless given

    Raises DataError where a file is missing, damaged or does not fit the others, UsageError for a setting that
    neither the caller, the model nor the ratings give.
    """
    model = read_model(path)
    facts = Facts(Path(path).name, f"{model.origin} in {path}")
    dataset = dataset_of(model, movies, ratings, scale, facts)
    Y, rated = movie_factors(model, dataset.catalog.ids)
    learned = Learned(dataset, Y, rated, model.users.factors.mean(axis=0, dtype=np.float64).astype(np.float32))
    X, histories = witnesses(model, dataset.ratings, WITNESSES)
    objective, within, differences = _objective(
        learned, model, (said or SparkSettings()).completed(dict(model.params)), X, histories
    )
    if objective.alpha is None:
        _check_scale(model, dataset.ratings.scale)
    rater, ranker = models(learned, objective, intervals=True, threads=threads)
    return Imported(Store(store).publish(dataset, rater, ranker), objective, within, differences)


def _objective(
    learned: Learned, model: SparkModel, said: SparkSettings, X: NDArray[np.float32], histories: Csr
) -> tuple[Objective, Mapping[str, float], NDArray[np.float64] | None]:
    """Return the first parameters that explain the users, how exactly they were found, and how far each user is off."""
    said = replace(said, nonnegative=_is_nonnegative(model, said))
    if not len(X):
        return _without_users(said, bool(learned.dataset.ratings.n)), {}, None
    tried = []
    for objective, within in _candidates(said, X, histories, learned.Y):
        served = models(learned, objective, intervals=False, threads=None)
        tried.append((objective, within, _differences(folded(*served, histories), X)))
        if np.median(tried[-1][2]) <= AGREES:
            return tried[-1]
    if said.reg is not None and tried:
        return tried[0]
    seen = "; ".join(
        f"{objective}: users differ by {np.median(differences):.1%}" for objective, _, differences in tried
    )
    raise DataError(
        f"the ratings do not tell how this model was trained ({seen or 'no reg above 0 explains its users'}); "
        "give the ratings it was trained on, or `reg=X`, and `implicit=True, alpha=X` if it is implicit"
    )


def _candidates(
    said: SparkSettings, X: NDArray[np.float32], histories: Csr, Y: NDArray[np.float32]
) -> Iterator[tuple[Objective, Mapping[str, float]]]:
    users, items, nonnegative = X.astype(np.float64), Y.astype(np.float64), bool(said.nonnegative)
    if not said.implicit:
        found = {"reg": None if said.reg else estimate_explicit(users, histories, items)}
        if reg := _value(said.reg, found["reg"]):
            yield Objective(reg, None, nonnegative), _within(found)
    if said.implicit is not False:
        pair = estimate_implicit(users, histories, items, said.alpha) or (None, None)
        found = {"reg": None if said.reg else pair[0], "alpha": None if said.alpha else pair[1]}
        reg, alpha = _value(said.reg, found["reg"]), _value(said.alpha, found["alpha"])
        if reg and alpha:
            yield Objective(reg, alpha, nonnegative), _within(found)


def _value(said: float | None, found: Estimate | None) -> float | None:
    return said if found is None else found.value


def _within(found: Mapping[str, Estimate | None]) -> dict[str, float]:
    return {name: one.within for name, one in found.items() if one is not None}


def _without_users(said: SparkSettings, has_ratings: bool) -> Objective:
    """Return the given parameters where no user can confirm them. Raises UsageError naming what is missing."""
    why = "none of the ratings' users is in the model" if has_ratings else "a saved model does not tell"
    if said.reg is None:
        raise UsageError(f"{why} its regParam; give it as `reg=X`, or its ratings as `ratings=DATA` to find it out")
    if said.implicit and said.alpha is None:
        raise UsageError(f"{why} its alpha; give it as `alpha=X`, or its ratings as `ratings=DATA` to find it out")
    return Objective(said.reg, said.alpha if said.implicit else None, bool(said.nonnegative))


def _is_nonnegative(model: SparkModel, said: SparkSettings) -> bool:
    """Return whether users are folded in as nonnegative: as given, or where the factors show it."""
    sides = model.users.factors, model.movies.factors
    if said.nonnegative and min(side.min() for side in sides) < 0:
        raise UsageError("some factors are negative, so the model was not trained as nonnegative; leave it out")
    return looks_nonnegative(*sides) if said.nonnegative is None else said.nonnegative


def _check_scale(model: SparkModel, scale: Scale) -> None:
    """Raise where most of what an explicit model predicts is not on the scale: it would all be clipped."""
    rng = np.random.default_rng(0)
    users, movies = (side.factors[rng.integers(len(side.ids), size=10_000)] for side in (model.users, model.movies))
    low, middle, high = np.quantile(np.einsum("nk,nk->n", users, movies), [0.05, 0.5, 0.95])
    if not scale.low <= middle <= scale.high:
        raise UsageError(
            f"this model predicts from {low:.3g} to {high:.3g}, off the scale {scale.low:g}:{scale.high:g}; "
            "give `scale='LOW:HIGH'`, or `implicit=True` if it was trained with implicitPrefs"
        )


def _differences(found: NDArray[np.float32], stored: NDArray[np.float32]) -> NDArray[np.float64]:
    norms = np.linalg.norm(stored, axis=1)
    return np.asarray(np.linalg.norm(found - stored, axis=1) / np.where(norms > 0, norms, 1), np.float64)
