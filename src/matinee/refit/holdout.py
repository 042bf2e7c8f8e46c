"""The test set of a refit: a tenth of all ratings that no measuring fit sees, the same tenth in every snapshot.

Whether a rating is held out is decided by a hash of its user and movie alone. So what the present snapshot's measuring
fit did not see is also unseen by the candidate's, and both can be tested on it.

    held out    hash(user, movie) in the lowest tenth
    tested      the 10,000 users with the lowest hashes, of those with ratings on both sides
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import ModelError
from matinee.evaluation import Report
from matinee.evaluation.exam import Exam
from matinee.evaluation.measure import Result, answer_ms, measure
from matinee.ids import Ids, Positions, mixed
from matinee.kernels import Csr
from matinee.models import Config, Rater
from matinee.progress import Progress
from matinee.ratings import Ratings, Stars
from matinee.split import Pairs, Split
from matinee.training import metrics_of

HELD_OUT = 0.1
PROTOCOL = f"the {HELD_OUT:.0%} of the ratings with the lowest hash of user and movie held out"
MOST_ASKED = 10_000
AT_ONCE = 256  # people
TESTED = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("movie", pa.string(), nullable=False),
        pa.field("stars", pa.float32(), nullable=False),
        pa.field("predicted", pa.float32(), nullable=False),
    ]
)

Marks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measured:
    """A data set's models, fitted without the held-out ratings.

    rater      knows none of the held-out ratings
    metrics    of all models, as a manifest holds them
    tested     the held-out ratings of the test users and the rater's predictions, columns of TESTED
    """

    rater: Rater
    metrics: dict[str, Any]
    tested: pa.Table


def split_of(ratings: Ratings) -> Split | None:
    """Return the split by hash, None where it leaves no training ratings or no test users."""
    out = held_out(ratings)
    train = ratings.select(~out)
    matrix = ratings.by_user
    asked = out & _asked(ratings, train.by_user.counts, out)[matrix.row_of_each()]
    if not asked.any():
        return None
    test = Pairs(matrix.row_of_each()[asked], matrix.indices[asked], matrix.values[asked])
    return Split(train, train.by_user, test, None, PROTOCOL)


def held_out(ratings: Ratings) -> Marks:
    """(n,) which ratings are held out, aligned with `by_user`."""
    users, movies = ratings.users.hashes(), mixed(ratings.movies.hashes())
    pairs = mixed(users[ratings.by_user.row_of_each()] ^ movies[ratings.by_user.indices])
    return np.asarray(pairs < np.uint64(HELD_OUT * 2**64))


def _asked(ratings: Ratings, known: NDArray[np.int64], out: Marks) -> Marks:
    """(n_users,) which are test users."""
    able = np.flatnonzero((known > 0) & (ratings.by_user.where(out).counts > 0))
    chosen = able[np.argsort(ratings.users.hashes()[able], kind="stable")[:MOST_ASKED]]
    asked = np.zeros(len(ratings.users), bool)
    asked[chosen] = True
    return asked


def measured(
    dataset: Dataset, configs: Sequence[Config], split: Split, threads: int | None, progress: Progress | None = None
) -> Measured:
    """Fit the configs, the rater first, on the training part of the split and measure them."""
    people = np.unique(split.test.users).astype(np.int64)
    exam = Exam.of(split, people, DEFAULT_MIN_RATINGS, dataset.ratings.scale.liked)
    results, raters = [], []
    for place, config in enumerate(configs):
        start = time.perf_counter()
        try:
            model = config.fit(split.train, dataset.catalog, threads=threads, progress=progress)
        except ModelError:
            if place == 0:
                raise
            continue  # a ranker that needs more ratings per movie than are left is not measured
        seconds = time.perf_counter() - start
        results.append(Result(config.name, config, *measure(model, exam), {}, seconds, answer_ms(model, exam)))
        raters.append(model)
    rater = cast(Rater, raters[0])
    tested = _table(dataset.ratings, split.test, predicted(rater, split.histories, split.test))
    note = f"{dataset.facts.name}: {split.protocol}; tested on {len(split.test):,} of them, of {len(people):,} users."
    return Measured(rater, metrics_of(Report.measured(results, exam.histories.counts, note, 0)), tested)


def predicted(rater: Rater, histories: Csr, pairs: Pairs) -> Stars:
    """(n,) clipped stars of pairs, ordered by user, from the histories (n_users, n_movies)."""
    people, starts = np.unique(pairs.users, return_index=True)
    ends = np.append(starts[1:], len(pairs))
    stars = np.empty(len(pairs), np.float32)
    for first in range(0, len(people), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        movies, asked = _padded(pairs.movies, starts[some], ends[some])
        profiles = rater.fold_in(histories.take(people[some]))
        stars[starts[some][0] : ends[some][-1]] = rater.predict(profiles, movies).stars[asked]
    return stars


def _padded(movies: Positions, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[Positions, Marks]:
    """Return each person's movies (B, m), padded, and which of them count."""
    places = np.arange((ends - starts).max())
    asked = places < (ends - starts)[:, None]
    padded = np.zeros(asked.shape, np.int32)
    padded[asked] = movies[starts[0] : ends[-1]]
    return padded, asked


def _table(ratings: Ratings, pairs: Pairs, stars: Stars) -> pa.Table:
    ids = (_taken(ratings.users, pairs.users), _taken(ratings.movies, pairs.movies))
    return pa.table([*ids, pairs.stars, stars], schema=TESTED)


def _taken(ids: Ids, positions: Positions) -> pa.StringArray:
    return ids.array.take(pa.array(positions))
