"""The models, behind one interface, so that callers need not know which one they use.

A *config* is a frozen dataclass with a docstring under each field; it stores and computes nothing. `config.fit(...)`
learns and returns a *model*. A model is a pure function from histories to scores: it keeps no row per user.

    config.fit(ratings, catalog, threads=None, progress=None) -> Model
    model.fold_in(histories)                    -> profiles   (opaque to callers; a batch of B people)
    model.scores(profiles, movies=None)         -> (B, n_movies) or (B, m) float32, unclipped
    model.top_n(profiles, n, allowed, exclude)  -> positions (B, n), scores (B, n); -1 and -inf where fewer
    model.explain(history, movies)              -> Explanation
    model.similar(movie)                        -> (n_movies,) float32
    model.arrays() / Config.load(arrays)        -> into and out of a snapshot, as views on its map

A *rater* scores in stars and also predicts with an interval; a *ranker* scores in its own units ("match").

On one instruction set `scores`, `top_n` and `predict` return the same number for the same person and movie, for any
batch and any set of movies, so that a list is in the order of the numbers that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.progress import Progress
from matinee.ratings import History, Ratings, Stars

Scores = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
SearchSpace = Mapping[str, tuple[float, float]]
"""{setting: (lowest, highest)} that tuning searches, on a logarithmic scale; empty: nothing to tune."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Stars (B, m) on the data's scale, clipped, with the 90 % interval low..high (NaN where the model has none)."""

    stars: Stars
    low: Stars
    high: Stars


@dataclass(frozen=True, eq=False)
class Explanation:
    """The parts of a score: base (m,) + contributions (m, n) summed over the n rated movies = score, to 1e-4."""

    base: NDArray[np.float64]
    contributions: NDArray[np.float64]


class Config(Protocol):
    """A model's hyper-parameters: a frozen dataclass."""

    name: ClassVar[str]
    space: ClassVar[SearchSpace]

    def fit(
        self,
        ratings: Ratings,
        catalog: Catalog,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Model:
        """Learn from the ratings. Raises ModelError where this model cannot learn from this data."""

    def load(self, arrays: Arrays) -> Model:
        """Return the model whose `arrays()` these are, without copying them."""


class Model(Protocol):
    """A pure function from histories to a score for every movie."""

    @property
    def config(self) -> Config:
        """The config it was fitted with."""

    def fold_in(self, histories: Csr) -> Any:
        """Return the profiles of B people from their ratings (B, n_movies)."""

    def scores(self, profiles: Any, movies: Positions | None = None) -> Scores:
        """Return unclipped scores of all movies, or of these (m,)."""

    def top_n(
        self,
        profiles: Any,
        n: int,
        allowed: NDArray[np.bool_] | None = None,
        exclude: Csr | None = None,
    ) -> tuple[Positions, Scores]:
        """Return the n best allowed movies of each profile, best first, ties by position."""

    def explain(self, history: History, movies: Positions) -> Explanation:
        """Return what each rating of one person adds to the unclipped scores of these movies."""

    def similar(self, movie: int) -> Scores:
        """Return how close every movie is to this one, higher is closer; the movie itself is -inf."""

    def arrays(self) -> Arrays:
        """Return everything learned, as named arrays of at most two dimensions."""


class Rater(Model, Protocol):
    """A model whose scores are stars."""

    def falls_back(self, profiles: Any) -> NDArray[np.bool_]:
        """Return (B,) which people's histories are too short for this model; their stars are those of a baseline."""

    def predict(self, profiles: Any, movies: Positions) -> Prediction:
        """Return clipped scores with intervals for movies (m,) shared by all profiles, or (B, m) each its own."""
