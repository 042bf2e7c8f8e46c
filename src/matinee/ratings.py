"""Ratings: users, movies, stars and times. All dtypes are defined here.

    row, column positions   int32      (position of an id among the sorted ids)
    CSR row pointers        int64
    stars                   float32    (on the data's own scale)
    timestamps              int64      (seconds since 1970, UTC)

A `Csr` is the matrix, a `History` is one row of it (one person), `Ratings` is both orientations with their ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.errors import DataError
from matinee.ids import Ids, Positions
from matinee.kernels import Csr

DEFAULT_LEVELS = 10
PIECE = 1 << 20  # ratings counted at a time

Stars = NDArray[np.float32]
Times = NDArray[np.int64]
LIKED = 0.8  # of the scale's highest stars
STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Scale:
    """The possible stars: lowest, highest and the step between neighbours (None: any number)."""

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise DataError(f"a scale needs finite low < high, not {self.low:g}:{self.high:g}")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise DataError(
                f"scale {self.low:g}:{self.high:g}: the step must be above 0 and at most high - low, not {self.step:g}"
            )

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Read "1:10" or "0.5:5:0.5".

        >>> Scale.parse("1:10")
        Scale(low=1.0, high=10.0, step=None)
        """
        try:
            low, high, *step = (float(part) for part in text.split(":"))
            scale = cls(low, high, *step)
        except (ValueError, TypeError):
            raise DataError(f"a scale is LOW:HIGH or LOW:HIGH:STEP, such as 1:10 or 0.5:5:0.5, not {text!r}") from None
        steps = (scale.high - scale.low) / (scale.step or scale.high - scale.low)
        if abs(steps - round(steps)) > 1e-6:
            raise DataError(f"scale {text!r}: high - low must be a multiple of the step {scale.step:g}")
        return scale

    def to(self, other: Scale, stars: Stars) -> Stars:
        """Map stars linearly from this scale onto another.

        >>> Scale(1, 10).to(Scale(0.5, 5), np.array([1, 10], np.float32)).tolist()
        [0.5, 5.0]
        """
        factor = (other.high - other.low) / (self.high - self.low)
        return ((np.asarray(stars, np.float64) - self.low) * factor + other.low).astype(np.float32)

    def nearest(self, stars: float) -> float:
        """Return the rating of this scale that is nearest to a number, the higher one of two.

        >>> Scale(0.5, 5, 0.5).nearest(3.75), Scale(1, 5, 1).nearest(9), Scale(0, 1, 0.1).nearest(0.29)
        (4.0, 5.0, 0.3)
        """
        inside = min(max(stars, self.low), self.high)
        if self.step is None:
            return float(inside)
        low, high, step = (Decimal(repr(float(part))) for part in (self.low, self.high, self.step))
        steps = math.floor((inside - self.low) / self.step + 0.5 + STEP_TOLERANCE)
        return float(low + min(Decimal(steps), (high - low) // step) * step)

    def convert(self, stars: float, to: Scale) -> float:
        """Return stars of this scale as a rating of another: mapped linearly, inside it, and on a step.

        A scale without steps over the same range changes nothing.

        >>> Scale(1, 10, 1).convert(7, Scale(0.5, 5, 0.5)), Scale(0.5, 5, 0.5).convert(3.5, Scale(1, 5, 1))
        (3.5, 4.0)
        """
        if (self.low, self.high) == (to.low, to.high) and (self.step is None or self == to):
            return float(stars)
        return to.nearest((stars - self.low) * (to.high - to.low) / (self.high - self.low) + to.low)

    def check(self, stars: float) -> str | None:
        """Return why a number is not a rating of the scale, or None if it is one: inside and on a step.

        >>> Scale(1, 5, 1).check(3.5)
        '3.5 stars are not on the scale from 1 to 5 in steps of 1'
        """
        if self.has(stars):
            return None
        steps = f" in steps of {self.step:g}" if self.step else ""
        return f"{stars:.7g} stars are not on the scale from {self.low:g} to {self.high:g}{steps}"

    def has(self, stars: float) -> bool:
        """Return whether this is a rating of the scale, as closely as float32 holds one."""
        with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, which is on no scale
            return bool(self.holds(np.array([stars], np.float32))[0])

    def holds(self, stars: Stars) -> NDArray[np.bool_]:
        """Return (n,) whether each number is a rating of the scale.

        >>> Scale(0, 1, 0.1).holds(np.array([0.3, 0.35, 1.1], np.float32)).tolist()
        [True, False, False]
        """
        inside: NDArray[np.bool_] = (stars >= np.float32(self.low)) & (stars <= np.float32(self.high))
        if self.step is None:
            return inside
        steps = np.rint((np.where(inside, stars, self.low).astype(np.float64) - self.low) / self.step)
        on_step: NDArray[np.bool_] = (self.low + steps * self.step).astype(np.float32) == stars
        return inside & on_step

    def __str__(self) -> str:
        """The scale as `parse` reads it.

        >>> str(Scale(0.5, 5, 0.5)), str(Scale(1, 10))
        ('0.5:5:0.5', '1:10')
        """
        return ":".join(f"{part:g}" for part in (self.low, self.high, self.step) if part is not None)

    @property
    def liked(self) -> float:
        """The least stars of a liked movie: 4 of 5, 8 of 10."""
        return LIKED * self.high

    def clip(self, stars: Stars) -> Stars:
        """Return the stars, clipped to the scale."""
        return np.minimum(np.maximum(stars, np.float32(self.low)), np.float32(self.high))

    @property
    def levels(self) -> Stars:
        """(L,) the bins of a histogram: every step, or ten values from low to high on a scale without steps.

        >>> Scale(0.5, 2, 0.5).levels.tolist(), len(Scale(0, 1).levels)
        ([0.5, 1.0, 1.5, 2.0], 10)
        """
        count = DEFAULT_LEVELS if self.step is None else round((self.high - self.low) / self.step) + 1
        return np.linspace(self.low, self.high, count, dtype=np.float32)

    def __contains__(self, stars: object) -> bool:
        return isinstance(stars, Real) and self.low <= float(stars) <= self.high


@dataclass(frozen=True, eq=False)
class History:
    """One person's ratings: `movies` (n,) distinct positions, ascending, and `stars` (n,)."""

    movies: Positions
    stars: Stars

    def __post_init__(self) -> None:
        if self.movies.shape != self.stars.shape or np.count_nonzero(self.movies[1:] <= self.movies[:-1]):
            raise ValueError("a history needs as many stars as movies, and its movies ascending and distinct")

    @classmethod
    def of(cls, stars_by_movie: dict[int, float]) -> History:
        """Make a history from {movie position: stars}."""
        order = sorted(stars_by_movie)
        return cls(np.array(order, np.int32), np.array([stars_by_movie[movie] for movie in order], np.float32))

    def __len__(self) -> int:
        return len(self.movies)


class Histories(Protocol):
    """A source of users' ratings: the snapshot's map, a cluster's storage, a database."""

    def get(self, user: str) -> History | None:
        """Return one person's ratings by external id, or None where the id is unknown."""


def batch(histories: Sequence[History], n_movies: int) -> Csr:
    """Return histories as the rows of one matrix, the form in which every model folds them in."""
    if len(histories) == 1:  # a request's: not copied
        [one] = histories
        return Csr(np.array([0, len(one)]), one.movies, one.stars, n_movies)
    indptr = np.zeros(len(histories) + 1, np.int64)
    np.cumsum([len(history) for history in histories], out=indptr[1:])
    return Csr(
        indptr,
        np.concatenate([np.empty(0, np.int32), *(history.movies for history in histories)]),
        np.concatenate([np.empty(0, np.float32), *(history.stars for history in histories)]),
        n_movies,
    )


@dataclass(frozen=True, eq=False)
class Totals:
    """Totals of all ratings: their mean, and each movie's (n_movies,) number of ratings and mean.

    movie_sums      their sums before rounding to the float32 of `movie_means`, if known
    """

    mean: float
    movie_counts: NDArray[np.int64]
    movie_means: Stars
    movie_sums: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Ratings:
    """All ratings of a data set, by user and by movie.

    users, movies   the external ids of the rows and columns of `by_user`; a movie or user may have no ratings
    by_user         (n_users, n_movies), columns ascending within a row, no (user, movie) twice
    timestamps      (n,) aligned with `by_user`, or None where the data has none
    scale           the possible stars
    totals          if already known, as in a snapshot; otherwise counted on first use
    """

    users: Ids
    movies: Ids
    by_user: Csr
    scale: Scale
    timestamps: Times | None = None
    totals: Totals | None = None

    @classmethod
    def from_pairs(
        cls,
        users: Ids,
        movies: Ids,
        user: Positions,
        movie: Positions,
        stars: Stars,
        scale: Scale,
        timestamps: Times | None = None,
    ) -> Ratings:
        """Build from one entry per rating, in any order.

        Of entries for the same (user, movie) the latest timestamp wins, and without timestamps the last entry;
        `len(user) - result.n` is how many were dropped.
        """
        by_user, ordered_times = kernels.build_csr(user, movie, stars, len(users), len(movies), timestamps)
        return cls(users, movies, by_user, scale, ordered_times)

    @cached_property
    def by_movie(self) -> Csr:
        """(n_movies, n_users), columns ascending within a row."""
        return kernels.transpose(self.by_user)

    @property
    def n(self) -> int:
        """The number of ratings."""
        return self.by_user.n

    @property
    def n_raters(self) -> int:
        """The number of users with ratings."""
        return int(np.count_nonzero(self.by_user.counts))

    @cached_property
    def mean(self) -> float:
        """The mean of all stars; the middle of the scale without ratings."""
        if self.totals is not None:
            return self.totals.mean
        values = self.by_user.values
        return float(values.mean(dtype=np.float64)) if self.n else (self.scale.low + self.scale.high) / 2

    @cached_property
    def movie_counts(self) -> NDArray[np.int64]:
        """(n_movies,) number of ratings."""
        if self.totals is not None:
            return self.totals.movie_counts
        return np.bincount(self.by_user.indices, minlength=len(self.movies))

    @cached_property
    def movie_sums(self) -> NDArray[np.float64]:
        """(n_movies,) sum of the stars."""
        sums, rated = np.zeros(len(self.movies)), self.by_movie.counts > 0
        starts = self.by_movie.indptr[:-1][rated]
        sums[rated] = np.add.reduceat(self.by_movie.values, starts, dtype=np.float64) if len(starts) else 0
        return sums

    @cached_property
    def movie_means(self) -> Stars:
        """(n_movies,) mean stars, NaN for a movie without ratings."""
        if self.totals is not None:
            return self.totals.movie_means
        with np.errstate(invalid="ignore"):
            return (self.movie_sums / self.movie_counts).astype(np.float32)

    @cached_property
    def movie_histograms(self) -> NDArray[np.int32]:
        """(n_movies, L) how many ratings are nearest to each of the scale's levels."""
        movies, stars = self.by_user.indices, self.by_user.values
        pieces = ((movies[at : at + PIECE], stars[at : at + PIECE]) for at in range(0, self.n, PIECE))
        return histograms(pieces, len(self.movies), self.scale)

    def stars_given(self) -> tuple[Stars, NDArray[np.int64]]:
        """Return the numbers of stars that were given, ascending, and how often each was."""
        return np.unique(self.by_user.values, return_counts=True)

    def movie_counts_since(self, timestamp: int) -> NDArray[np.int64]:
        """(n_movies,) number of ratings at or after a time, in seconds since 1970, UTC.

        Raises DataError where the ratings have no timestamps.
        """
        if self.timestamps is None:
            raise DataError("the ratings have no timestamps; leave out rated_since")
        return np.bincount(self.by_user.indices[self.timestamps >= timestamp], minlength=len(self.movies))

    def history(self, user: int) -> History:
        """Return the ratings of the user at this position."""
        columns, stars = self.by_user.row(user)
        return History(columns, stars)

    def get(self, user: str) -> History | None:
        """Return the ratings of the user with this external id, or None if it is unknown."""
        position = self.users.position(user)
        return None if position is None else self.history(position)

    def select(self, keep: NDArray[np.bool_]) -> Ratings:
        """Return the ratings where `keep` (n,), aligned with `by_user`, is true; same users and movies."""
        times = None if self.timestamps is None else self.timestamps[keep]
        return Ratings(self.users, self.movies, self.by_user.where(keep), self.scale, times)


def histograms(pieces: Iterable[tuple[Positions, Stars]], n_movies: int, scale: Scale) -> NDArray[np.int32]:
    """Return (n_movies, L) how many ratings, piece by piece their movies and stars, are nearest to each level."""
    levels = len(scale.levels)
    step = (scale.high - scale.low) / (levels - 1)
    counts = np.zeros(n_movies * levels, np.int32)
    for movies, stars in pieces:
        nearest = np.rint((stars - np.float32(scale.low)) / np.float32(step)).astype(np.int64)
        counts += np.bincount(movies * np.int64(levels) + nearest, minlength=len(counts)).astype(np.int32)
    return counts.reshape(n_movies, levels)
