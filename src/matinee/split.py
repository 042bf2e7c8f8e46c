"""Splits: which ratings a model may see, and which it is asked about. Every draw takes `rng`.

random          ratings drawn at random, as in the tutorial: 6:2:2, 7:3; or in turn, in folds
leave_last_k    everyone's last k ratings
by_time         everything after one moment
new_visitors    whole users, of whom the model sees a few ratings only when it is asked
given           two files that somebody else has split
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.errors import DataError, UsageError
from matinee.ids import Ids, Positions
from matinee.kernels import Csr
from matinee.ratings import Ratings, Scale, Stars

Marks = NDArray[np.bool_]
PROTOCOLS = "7:3, 6:2:2, folds:5, by-time, by-time:8:2, leave-last:1, new-visitors, new-visitors:20"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Held-out ratings: users (n,) and movies (n,) as positions, stars (n,)."""

    users: Positions
    movies: Positions
    stars: Stars

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Split:
    """What a model is fitted on and what it is asked.

    train        the ratings a model may see; same users and movies (positions) as the data set
    histories    (n_users, n_movies) what is folded in for each user when asked: the training ratings, or
                 for visitors who are held out of training the few ratings they reveal
    validation   pairs to choose by, or None
    test         pairs to measure on
    protocol     one line that says how the split was made, printed with every result
    """

    train: Ratings
    histories: Csr
    test: Pairs
    validation: Pairs | None
    protocol: str


def generator(rng: int | np.random.Generator) -> np.random.Generator:
    """Return the generator of a seed, or the generator itself."""
    return np.random.default_rng(rng)


def random(ratings: Ratings, proportions: str = "7:3", rng: int | np.random.Generator = 0) -> Split:
    """Draw every rating into train, validation and test ("6:2:2"), or train and test ("7:3").

    Raises UsageError where the proportions are invalid, DataError where a part would be empty.
    """
    shares = read_proportions(proportions)
    cuts = [_cut(ratings.n, shares, part) for part in range(1, len(shares))]
    part = np.searchsorted(cuts, generator(rng).permutation(ratings.n), side="right")
    return _from_parts(ratings, part, len(shares), f"random split {proportions} of the ratings{_seed(rng)}")


def folds(ratings: Ratings, k: int = 5, rng: int | np.random.Generator = 0) -> tuple[Split, ...]:
    """Return k splits: each rating is in the test part of exactly one.

    Raises UsageError where k is not from 2 to the number of ratings.
    """
    if not 2 <= k <= ratings.n:
        raise UsageError(f"folds:{k} must be from 2 to {ratings.n}, the number of ratings")
    fold = generator(rng).permutation(ratings.n) % k
    protocol = f"each of {k} random folds of the ratings in turn{_seed(rng)}"
    return tuple(_from_parts(ratings, fold == f, 2, protocol) for f in range(k))


def leave_last_k(ratings: Ratings, k: int = 1) -> Split:
    """Ask about everyone's last k ratings; people with k or fewer keep all of them in training.

    Ratings of the same second are ordered by movie. Raises DataError where the ratings have no timestamps, UsageError
    where k is not positive.
    """
    if k < 1:
        raise UsageError(f"leave-last:{k} needs at least 1 rating to leave out")
    user = ratings.by_user.row_of_each()
    order = np.lexsort((_timestamps(ratings), user))
    last_first = np.empty(ratings.n, np.int64)
    last_first[order] = ratings.by_user.indptr[user.astype(np.int64) + 1] - 1 - np.arange(ratings.n)
    held_out = (last_first < k) & (ratings.by_user.counts[user] > k)
    return _from_parts(ratings, held_out, 2, f"everyone's last {k} rating{'s' * (k > 1)}")


def by_time(ratings: Ratings, proportions: str = "8:2") -> Split:
    """Train on what was rated before one moment and ask about what came after; ratings of one second stay together.

    People and movies that only came later are cold. Raises DataError where the ratings have no timestamps.
    """
    shares = read_proportions(proportions)
    times = _timestamps(ratings)
    in_order = np.sort(times)
    moments = [in_order[_cut(ratings.n, shares, part)] for part in range(1, len(shares))]
    said = " and ".join(f"{np.datetime64(int(moment), 's')} UTC" for moment in moments)
    part = np.searchsorted(moments, times, side="right")
    return _from_parts(ratings, part, len(shares), f"by time {proportions}, cut at {said}")


def new_visitors(
    ratings: Ratings, reveal: int = 20, *, share: float = 0.1, rng: int | np.random.Generator = 0
) -> Split:
    """Hold whole users out of training, reveal `reveal` random ratings of each, and ask about their others.

    `share` of the users who have more than `reveal` ratings are held out, at least one.
    Raises DataError where nobody has so many.
    """
    draw = generator(rng)
    able = np.flatnonzero(ratings.by_user.counts > reveal)
    if reveal < 0 or not len(able):
        raise DataError(f"no user has more than {reveal} ratings, so no new visitor can reveal {reveal} of them")
    visitors = np.sort(draw.choice(able, max(1, round(share * len(able))), replace=False))
    user = ratings.by_user.row_of_each()
    visiting = np.isin(user, visitors)
    place = _places_in_random_order(ratings.by_user, draw)
    shown = visiting & (place < reveal)
    protocol = f"{len(visitors):,} new visitors held out of training, {reveal} ratings of each revealed{_seed(rng)}"
    histories = ratings.select(~visiting | shown).by_user
    return Split(ratings.select(~visiting), histories, _pairs(ratings, visiting & ~shown), None, protocol)


def given(train: Ratings, test: Ratings) -> Split:
    """Join two sets of ratings that were split elsewhere, over the users and movies of both.

    Raises DataError where a pair is in both, for a model would have seen the answer.
    """
    users, movies = _joined(train.users, test.users), _joined(train.movies, test.movies)
    scale = Scale(min(train.scale.low, test.scale.low), max(train.scale.high, test.scale.high), train.scale.step)
    seen, asked = (_over(ratings, users, movies, scale) for ratings in (train, test))
    both = np.isin(_keys(asked), _keys(seen))
    if both.any():
        where = int(np.argmax(both))
        user, movie = users[asked.by_user.row_of_each()[where]], movies[asked.by_user.indices[where]]
        raise DataError(
            f"{both.sum():,} ratings are in the training and in the test data, such as user {user} movie {movie}; "
            "remove them from one"
        )
    protocol = f"given training and test data, {train.n:,} and {test.n:,} ratings"
    return Split(seen, seen.by_user, _pairs(asked, np.ones(asked.n, bool)), None, protocol)


def parse(text: str, ratings: Ratings, rng: int | np.random.Generator = 0) -> tuple[Split, ...]:
    """Make the split that a line of text asks for; several where it asks for folds.

    "7:3", "6:2:2", "folds:5", "by-time", "by-time:8:2", "leave-last:1", "new-visitors", "new-visitors:20" (20 ratings
    are revealed). Raises UsageError where it is none of these.
    """
    kind, _, rest = text.partition(":")
    try:
        match kind:
            case "by-time":
                return (by_time(ratings, rest or "8:2"),)
            case "leave-last":
                return (leave_last_k(ratings, int(rest or 1)),)
            case "folds":
                return folds(ratings, int(rest or 5), rng)
            case "new-visitors":
                return (new_visitors(ratings, int(rest or 20), rng=rng),)
            case _:
                return (random(ratings, text, rng),)
    except ValueError:
        raise UsageError(f"unknown split {text!r}; write one of {PROTOCOLS}") from None


def read_proportions(text: str) -> tuple[float, ...]:
    """Return the shares of train, (validation and) test, which sum to one.

    >>> read_proportions("6:2:2")
    (0.6, 0.2, 0.2)
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or not all(0 < part < np.inf for part in parts):
        raise UsageError(f"unknown split {text!r}; write one of {PROTOCOLS}")
    return tuple(part / sum(parts) for part in parts)


def _cut(n: int, shares: tuple[float, ...], part: int) -> int:
    """Return the place where a part begins among n things in order."""
    return min(round(n * sum(shares[:part])), max(n - 1, 0))


def _from_parts(ratings: Ratings, part: NDArray[np.int64] | Marks, n_parts: int, protocol: str) -> Split:
    """Return the split of parts 0 (train), 1 (validation, where there are three) and the last (test)."""
    counts = np.bincount(np.asarray(part, np.int64), minlength=n_parts)
    if not counts.all():
        raise DataError(f"{protocol}: {ratings.n} ratings leave a part empty; take other proportions or more data")
    train = ratings.select(np.asarray(part == 0))
    validation = _pairs(ratings, np.asarray(part == 1)) if n_parts == 3 else None
    return Split(train, train.by_user, _pairs(ratings, np.asarray(part == n_parts - 1)), validation, protocol)


def _pairs(ratings: Ratings, keep: Marks) -> Pairs:
    matrix = ratings.by_user
    return Pairs(matrix.row_of_each()[keep], matrix.indices[keep], matrix.values[keep])


def _timestamps(ratings: Ratings) -> NDArray[np.int64]:
    if not ratings.n:
        raise DataError("there are no ratings to split by time")
    if ratings.timestamps is None:
        raise DataError("a split by time needs timestamps, and the ratings have none; use a random split such as 7:3")
    return ratings.timestamps


def _places_in_random_order(matrix: Csr, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return for each rating its place, from 0, in a random order of its user's ratings."""
    user = matrix.row_of_each()
    order = np.lexsort((draw.random(matrix.n), user))
    place = np.empty(matrix.n, np.int64)
    place[order] = np.arange(matrix.n) - matrix.indptr[user[order]]
    return place


def _joined(one: Ids, other: Ids) -> Ids:
    return Ids(pa.chunked_array([one.array, other.array]).combine_chunks())


def _over(ratings: Ratings, users: Ids, movies: Ids, scale: Scale) -> Ratings:
    """Return the same ratings over more users and movies."""
    user = users.positions(ratings.users.array)[ratings.by_user.row_of_each()]
    movie = movies.positions(ratings.movies.array)[ratings.by_user.indices]
    return Ratings.from_pairs(users, movies, user, movie, ratings.by_user.values, scale, ratings.timestamps)


def _keys(ratings: Ratings) -> NDArray[np.int64]:
    """Return one number per (user, movie)."""
    return ratings.by_user.row_of_each().astype(np.int64) * len(ratings.movies) + ratings.by_user.indices


def _seed(rng: int | np.random.Generator) -> str:
    return f", seed {rng}" if isinstance(rng, int) else ""
