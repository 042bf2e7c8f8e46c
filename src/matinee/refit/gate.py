"""The gate: the candidate's rater against the present one, on held-out ratings that neither has seen.

Both fold in the same histories, those of the present snapshot without its held-out ratings, and predict the same
ratings, which the candidate's data must still have. A candidate is worse if the whole 95 % interval of the paired
difference of RMSE is above 0 (bootstrap over users, as in matinee.evaluation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.evaluation.resampling import RESAMPLES, interval
from matinee.kernels import Csr
from matinee.models import Rater
from matinee.ratings import Ratings
from matinee.refit.holdout import held_out, predicted
from matinee.split import Pairs

Float = NDArray[np.float64]
AT_ONCE = 50  # resamples


@dataclass(frozen=True)
class Verdict:
    """The comparison of the candidate with the present snapshot.

    before, after    RMSE of the present and of the candidate on the same held-out ratings
    low, high        95 % interval of after - before
    ratings, people  the number of ratings and of test users
    """

    by_chance: ClassVar[float] = 0.0
    """The share of an RMSE that another start of the same fit can change: docs/adr/0060-a-refits-gate.md"""

    before: float
    after: float
    low: float
    high: float
    ratings: int
    people: int

    @property
    def worse(self) -> bool:
        """Whether the candidate is worse by more than other people or another start could explain."""
        return self.low > self.by_chance * self.before

    def __str__(self) -> str:
        by_chance = f"; up to {self.by_chance:.0%} may be chance" if self.low > 0 and not self.worse else ""
        return (
            f"RMSE {self.after:.4f}, served {self.before:.4f}, on {self.ratings:,} held-out ratings of "
            f"{self.people:,} users, difference {self.low:+.4f} to {self.high:+.4f}{by_chance}"
        )


class ClusterVerdict(Verdict):
    """A verdict of fits on Spark, whose ALS starts elsewhere each time."""

    by_chance = 0.01


def compare(present: Ratings, tested: pa.Table, candidate: Dataset, rater: Rater) -> Verdict | None:
    """Return the comparison of a rater fitted on the candidate's training part with the present one's predictions.

    tested   the predictions of the present snapshot's measuring fit

    Returns None where no held-out rating is in both data sets.
    """
    common = tested.filter(pa.array(_still_there(tested, candidate.ratings)))
    if not common.num_rows:
        return None
    users = present.users.positions(common["user"])
    movies = candidate.ratings.movies.positions(common["movie"])
    order = np.argsort(users, kind="stable")
    stars, before = (np.asarray(common[name], np.float32)[order] for name in ("stars", "predicted"))
    pairs = Pairs(users[order], movies[order], stars)
    after = predicted(rater, _histories(present, candidate.ratings), pairs)
    return verdict(pairs, before, after)


def _still_there(tested: pa.Table, ratings: Ratings) -> NDArray[np.bool_]:
    """(n,) which pairs the candidate's data has."""
    users, movies = ratings.users.positions(tested["user"]), ratings.movies.positions(tested["movie"])
    wide = len(ratings.movies)
    chosen = np.unique(users[users >= 0])
    rows = ratings.by_user.take(chosen)
    have = chosen[rows.row_of_each()].astype(np.int64) * wide + rows.indices
    return (users >= 0) & (movies >= 0) & np.isin(users.astype(np.int64) * wide + movies, have)


def _histories(present: Ratings, candidate: Ratings) -> Csr:
    """Return the present training part over the candidate's movies."""
    train = present.by_user.where(~held_out(present))
    columns = candidate.movies.positions(present.movies.array)
    return Csr(train.indptr, columns[train.indices], train.values, len(candidate.movies))


def verdict(
    pairs: Pairs, before: NDArray[np.float32], after: NDArray[np.float32], kind: type[Verdict] = Verdict
) -> Verdict:
    """Return how two predictions (n,) of the same ratings compare."""
    people, person = np.unique(pairs.users, return_inverse=True)
    squares = np.stack([_squares(pairs, stars) for stars in (before, after)])
    sums = np.stack([np.bincount(person, one) for one in squares]).astype(np.float64)
    counts = np.bincount(person)
    low, high = interval(_resampled_differences(sums, counts))
    first, second = np.sqrt(squares.mean(axis=1)).tolist()
    return kind(first, second, low, high, len(pairs), len(people))


def _squares(pairs: Pairs, stars: NDArray[np.float32]) -> Float:
    return np.asarray((stars.astype(np.float64) - pairs.stars) ** 2)


def _resampled_differences(sums: Float, counts: NDArray[np.signedinteger]) -> Float:
    """(RESAMPLES,) after - before with people drawn with replacement; sums (2, P) of squares, counts (P,)."""
    rng, n = np.random.default_rng(0), len(counts)
    found = []
    for _ in range(0, RESAMPLES, AT_ONCE):
        draws = rng.multinomial(n, np.full(n, 1 / n), AT_ONCE).astype(np.float64)
        before, after = np.sqrt(draws @ sums.T / (draws @ counts)[:, None]).T
        found.append(after - before)
    return np.concatenate(found)
