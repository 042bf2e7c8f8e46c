from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.errors import DataError
from matinee.ids import Ids
from matinee.ratings import History, Ratings, Scale, batch

Entry = tuple[int, int, float, int]
USERS, MOVIES = ["a", "b", "c"], ["x", "y", "z", "unrated"]
ENTRIES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 5).map(float), st.integers(0, 9)))


def ratings_of(entries: list[Entry], *, timed: bool = True) -> Ratings:
    user, movie, stars, times = zip(*entries, strict=True) if entries else ((), (), (), ())
    return Ratings.from_pairs(
        Ids(USERS),
        Ids(MOVIES),
        Ids(USERS).positions(USERS)[np.array(user, np.int32)],
        Ids(MOVIES).positions(MOVIES)[np.array(movie, np.int32)],
        np.array(stars, np.float32),
        Scale(1, 5, 1),
        np.array(times, np.int64) if timed else None,
    )


def as_dict(ratings: Ratings) -> dict[tuple[str, str], float]:
    rows = ratings.by_user.row_of_each()
    triples = zip(rows, ratings.by_user.indices, ratings.by_user.values.tolist(), strict=True)
    return {(ratings.users[row], ratings.movies[column]): stars for row, column, stars in triples}


@given(ENTRIES, st.booleans())
def test_from_pairs__keeps_the_latest_of_each_pair(entries: list[Entry], timed: bool) -> None:
    latest: dict[tuple[str, str], tuple[float, int]] = {}
    for user, movie, stars, time in entries:
        pair = USERS[user], MOVIES[movie]
        if not timed or pair not in latest or time >= latest[pair][1]:
            latest[pair] = stars, time
    ratings = ratings_of(entries, timed=timed)
    assert as_dict(ratings) == {pair: stars for pair, (stars, _) in latest.items()}
    if timed:
        assert ratings.timestamps is not None
        assert sorted(ratings.timestamps.tolist()) == sorted(time for _, time in latest.values())


@given(ENTRIES)
def test_counts_and_means__are_those_of_the_entries_kept(entries: list[Entry]) -> None:
    ratings = ratings_of(entries)
    kept = as_dict(ratings)
    for movie, count, mean in zip(ratings.movies, ratings.movie_counts, ratings.movie_means, strict=True):
        stars = [value for (_, rated), value in kept.items() if rated == movie]
        assert count == len(stars)
        assert np.isnan(mean) if not stars else mean == pytest.approx(np.mean(stars))
    assert ratings.mean == pytest.approx(np.mean(list(kept.values())) if kept else 3.0)
    assert ratings.by_movie.counts.tolist() == ratings.movie_counts.tolist()


@given(ENTRIES, st.integers(0, 9))
def test_select_and_counts_since__agree(entries: list[Entry], since: int) -> None:
    ratings = ratings_of(entries)
    assert ratings.timestamps is not None
    later = ratings.select(ratings.timestamps >= since)
    assert later.movie_counts.tolist() == ratings.movie_counts_since(since).tolist()


def test_counts_since__need_timestamps() -> None:
    with pytest.raises(DataError, match="have no timestamps"):
        ratings_of([(0, 0, 3.0, 0)], timed=False).movie_counts_since(5)


def test_history__is_a_users_row_and_none_for_strangers() -> None:
    ratings = ratings_of([(1, 0, 3.0, 0), (1, 2, 5.0, 0)])
    history = ratings.get("b")
    assert history is not None
    assert {ratings.movies[movie]: stars for movie, stars in zip(history.movies, history.stars, strict=True)} == {
        "x": 3,
        "z": 5,
    }
    assert ratings.get("a") is not None
    assert ratings.get("nobody") is None


@given(st.lists(st.dictionaries(st.integers(0, 6), st.integers(1, 5).map(float))))
def test_batch__has_a_row_for_each_history(people: list[dict[int, float]]) -> None:
    matrix = batch([History.of(stars) for stars in people], 7)
    rows = [matrix.row(row) for row in range(matrix.n_rows)]
    assert [dict(zip(movies.tolist(), stars.tolist(), strict=True)) for movies, stars in rows] == people


def test_history__refuses_what_is_not_ascending() -> None:
    with pytest.raises(ValueError, match="ascending and distinct"):
        History(np.array([2, 1], np.int32), np.array([3, 4], np.float32))


@given(st.floats(0, 1))
def test_to__there_and_back_is_the_same(share: float) -> None:
    ten, half = Scale(1, 10), Scale(0.5, 5, 0.5)
    stars = np.array([1 + 9 * share], np.float32)
    assert half.to(ten, ten.to(half, stars)) == pytest.approx(stars, abs=1e-5)


@pytest.mark.parametrize("value", [1, 5.0, np.float32(3), np.float64(2.5), np.int64(4)])
def test_scale__holds_any_number_between_its_ends(value: object) -> None:
    assert value in Scale(1, 5)


@pytest.mark.parametrize("value", [0.5, np.float32(5.5), float("nan"), "3", None])
def test_scale__holds_nothing_else(value: object) -> None:
    assert value not in Scale(1, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5:1", "needs finite low < high, not 5:1"),
        ("1:inf", "needs finite low < high, not 1:inf"),
        ("nan:5", "needs finite low < high"),
        ("1:5:0", "the step must be above 0 and at most high - low, not 0"),
        ("1:5:-1", "at most high - low, not -1"),
        ("1:5:9", "at most high - low, not 9"),
        ("1:5:0.3", r"high - low must be a multiple of the step 0\.3"),
        ("1", "a scale is LOW:HIGH or LOW:HIGH:STEP, such as 1:10"),
        ("1:2:3:4", "a scale is LOW:HIGH"),
        ("a:b", "not 'a:b'"),
    ],
)
def test_parse__says_what_a_scale_is(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Scale.parse(text)


def test_parse__reads_steps() -> None:
    assert Scale.parse("0.5:5:0.5") == Scale(0.5, 5, 0.5)
    assert Scale.parse("0:1:0.1") == Scale(0, 1, 0.1)


def test_scale__has_no_number_that_float32_does_not_hold() -> None:
    assert not any(Scale(0.5, 5, 0.5).has(stars) for stars in (-7.8e272, 1e39, float("inf"), float("nan")))
