from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee import split
from matinee.errors import DataError, UsageError
from matinee.ids import Ids
from matinee.ratings import Ratings, Scale

SCALE = Scale(0.5, 5.0, 0.5)


def make_ratings(seed: int = 0, n_users: int = 30, n_movies: int = 40, *, dated: bool = True) -> Ratings:
    rng = np.random.default_rng(seed)
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(rng.random((n_users, n_movies)) < 0.4))
    stars = (rng.integers(1, 11, len(user)) / 2).astype(np.float32)
    times = rng.integers(0, 300, len(user)) if dated else None
    users, movies = (Ids([f"{i:03}" for i in range(n)]) for n in (n_users, n_movies))
    return Ratings.from_pairs(users, movies, user, movie, stars, SCALE, times)


def triples(matrix) -> set[tuple[int, int, float]]:
    return set(zip(matrix.row_of_each().tolist(), matrix.indices.tolist(), matrix.values.tolist(), strict=True))


def pairs(part: split.Pairs) -> set[tuple[int, int, float]]:
    return set(zip(part.users.tolist(), part.movies.tolist(), part.stars.tolist(), strict=True))


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["7:3", "6:2:2", "1:1", "0.5:0.25:0.25"]))
@settings(max_examples=30, deadline=None)
def test_random__puts_every_rating_in_exactly_one_part(data: int, seed: int, proportions: str) -> None:
    ratings = make_ratings(data)
    made = split.random(ratings, proportions, seed)
    parts = [triples(made.train.by_user), pairs(made.test)] + ([pairs(made.validation)] if made.validation else [])
    assert sum(map(len, parts)) == ratings.n
    assert set().union(*parts) == triples(ratings.by_user)
    for share, part in zip(split.read_proportions(proportions), [parts[0], *parts[2:], parts[1]], strict=True):
        assert abs(len(part) - share * ratings.n) <= 1


def test_random__depends_on_its_seed_alone() -> None:
    one, same, other = (split.random(make_ratings(), "7:3", seed) for seed in (1, 1, 2))
    assert pairs(one.test) == pairs(same.test) != pairs(other.test)
    assert "random split 7:3" in one.protocol
    assert "seed 1" in one.protocol


def test_folds__test_every_rating_once() -> None:
    ratings = make_ratings()
    made = split.folds(ratings, 4)
    assert sum(len(fold.test) for fold in made) == ratings.n
    assert set().union(*(pairs(fold.test) for fold in made)) == triples(ratings.by_user)
    assert all(fold.train.n + len(fold.test) == ratings.n for fold in made)


def test_leave_last__takes_the_latest_of_everyone_who_has_more() -> None:
    ratings = make_ratings()
    made = split.leave_last_k(ratings, 12)
    held = np.bincount(made.test.users, minlength=30)
    assert set(held) == {0, 12}
    np.testing.assert_array_equal(held == 12, ratings.by_user.counts > 12)
    for user in np.flatnonzero(held):
        kept = made.train.timestamps[slice(*made.train.by_user.indptr[user : user + 2])]
        times = ratings.timestamps[slice(*ratings.by_user.indptr[user : user + 2])]
        assert sorted(kept) == sorted(times)[:-12]


@given(st.integers(0, 20), st.sampled_from(["8:2", "6:2:2"]))
@settings(max_examples=20, deadline=None)
def test_by_time__nothing_in_training_is_later_than_what_is_asked(data: int, proportions: str) -> None:
    ratings = make_ratings(data)
    made = split.by_time(ratings, proportions)
    when = dict(zip(triples_in_order(ratings), ratings.timestamps.tolist(), strict=True))
    parts = [triples(made.train.by_user), pairs(made.validation) if made.validation else set(), pairs(made.test)]
    times = [[when[key] for key in part] for part in parts if part]
    assert all(max(before) < min(after) for before, after in pairwise(times))
    assert sum(map(len, times)) == ratings.n


def triples_in_order(ratings: Ratings) -> list[tuple[int, int, float]]:
    matrix = ratings.by_user
    return list(zip(matrix.row_of_each().tolist(), matrix.indices.tolist(), matrix.values.tolist(), strict=True))


def test_new_visitors__are_never_trained_on_and_reveal_what_was_said() -> None:
    ratings = make_ratings()
    made = split.new_visitors(ratings, 5, share=0.2, rng=3)
    visitors = np.unique(made.test.users)
    assert len(visitors) == round(0.2 * (ratings.by_user.counts > 5).sum())
    assert (made.train.by_user.counts[visitors] == 0).all()
    assert (made.histories.counts[visitors] == 5).all()
    others = np.setdiff1d(np.arange(30), visitors)
    np.testing.assert_array_equal(made.histories.counts[others], ratings.by_user.counts[others])
    assert triples(made.histories) | pairs(made.test) == triples(ratings.by_user)


def test_given__joins_the_ids_of_both_files() -> None:
    train = Ratings.from_pairs(Ids(["a", "c"]), Ids(["1", "3"]), *columns([0, 1], [0, 1], [1, 2]), Scale(1, 3))
    test = Ratings.from_pairs(Ids(["b", "c"]), Ids(["2", "3"]), *columns([0, 1], [1, 0], [4, 5]), Scale(1, 5))
    made = split.given(train, test)
    assert (list(made.train.users), list(made.train.movies)) == (["a", "b", "c"], ["1", "2", "3"])
    assert triples(made.train.by_user) == {(0, 0, 1.0), (2, 2, 2.0)}
    assert pairs(made.test) == {(1, 2, 4.0), (2, 1, 5.0)}
    assert made.train.scale == Scale(1, 5)


def columns(user: list[int], movie: list[int], stars: list[float]):
    return np.array(user, np.int32), np.array(movie, np.int32), np.array(stars, np.float32)


def test_given__refuses_data_that_holds_the_answers() -> None:
    ratings = make_ratings()
    with pytest.raises(DataError, match=r"ratings are in the training and in the test data, such as user 000 movie"):
        split.given(ratings, ratings)


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("7:3", "random split 7:3"),
        ("6:2:2", "random split 6:2:2"),
        ("folds:3", "each of 3 random folds"),
        ("by-time", "by time 8:2, cut at 1970-01-01T00:0"),
        ("by-time:7:3", "by time 7:3"),
        ("leave-last:2", "everyone's last 2 ratings"),
        ("new-visitors:5", "new visitors held out of training, 5 ratings of each revealed"),
    ],
)
def test_parse__reads_every_protocol(text: str, protocol: str) -> None:
    assert protocol in split.parse(text, make_ratings())[0].protocol


@pytest.mark.parametrize(
    "text", ["", "7", "7:0", "7:3:1:1", "by-tme", "leave-last:x", "leave-last:0", "folds:1", "-1:3"]
)
def test_parse__says_what_can_be_written(text: str) -> None:
    with pytest.raises(UsageError, match=r"write one of 7:3|at least 1 rating|from 2 to"):
        split.parse(text, make_ratings())


def test_time_splits__need_timestamps() -> None:
    for text in ("by-time", "leave-last:1"):
        with pytest.raises(DataError, match="the ratings have none"):
            split.parse(text, make_ratings(dated=False))


def test_splits__refuse_an_empty_part() -> None:
    with pytest.raises(DataError, match="leave a part empty"):
        split.random(make_ratings(n_users=1, n_movies=1), "7:3")
    nothing = make_ratings().select(np.zeros(make_ratings().n, bool))
    for text in ("7:3", "by-time", "leave-last:1", "new-visitors"):
        with pytest.raises(DataError):
            split.parse(text, nothing)
    with pytest.raises(DataError, match="no user has more than 99 ratings"):
        split.new_visitors(make_ratings(), 99)
