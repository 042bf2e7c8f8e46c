from __future__ import annotations

import numpy as np
import pytest

from matinee.dataset import Finding
from matinee.datasets import plausibility


def findings(stars: dict[float, int]) -> list[Finding]:
    values = sorted(stars)
    return plausibility.of_stars(np.array(values, float), np.array([stars[value] for value in values], int))


@pytest.mark.parametrize(
    ("stars", "value"),
    [
        ({-1: 2, 8: 1, 10: 1}, -1),  # watched, not rated
        ({-1: 5, 0: 1, 1: 3, 5: 9}, -1),
        ({0: 2, 5: 1}, 0),  # implicit feedback beside explicit
        ({0: 60, 1: 1, 2: 2, 5: 30, 10: 9}, 0),
        ({0: 1, 3: 2, 4: 2, 5: 9}, 0),
        ({-9: 1, 1: 5, 5: 5}, -9),
        ({-10: 4, 0.5: 2, 10: 5, 99: 50}, 99),
        ({1: 3, 2: 3, 5: 3, 999: 1}, 999),
    ],
)
def test_a_number_that_often_means_not_rated__is_named_with_both_ways_out(stars: dict[float, int], value: int) -> None:
    [found] = findings(stars)
    assert (found.kind, found.numbers["value"], found.numbers["rows"]) == ("not-rated", value, stars[value])
    assert f"`not_rated={value}`" in found.remedy
    assert f"`scale='{min(stars):g}:{max(stars):g}'`" in found.remedy


@pytest.mark.parametrize(
    "stars",
    [
        {1: 1, 2: 1, 3: 5, 4: 5, 5: 9},
        {0.5: 1, 1: 1, 5: 9},
        {0: 1, 1: 2, 2: 2, 3: 9, 5: 9},  # a scale that has 0
        {0: 9, 40: 9, 100: 9},
        {-10: 3, -1: 4, 0: 4, 10: 9},
        {3: 1, 5: 1},
        {4: 1},
        {},
    ],
)
def test_stars_on_a_scale__are_not_suspected(stars: dict[float, int]) -> None:
    assert findings(stars) == []


@pytest.mark.parametrize("stars", [{1: 50}, {5: 3}, {0: 2, 1: 1}, {-1: 9, 1: 9}, {-1: 1, 0: 1, 1: 1}, {4: 10, 5: 10}])
def test_one_value_or_two__look_like_likes(stars: dict[float, int]) -> None:
    [found] = findings(stars)
    assert found.kind == "likes"
    assert "`scale=" in found.remedy


@pytest.mark.parametrize(
    ("users", "movies", "rows", "kinds"),
    [
        (100, 20, 100, ["as-many-users-as-rows"]),
        (95, 20, 100, ["as-many-users-as-rows"]),
        (20, 100, 100, ["as-many-movies-as-rows"]),
        (80, 80, 100, []),
        (1, 100, 100, []),  # one person's ratings
        (5, 3, 5, []),  # too few to tell
    ],
)
def test_another_id_in_every_row__is_named(users: int, movies: int, rows: int, kinds: list[str]) -> None:
    assert [found.kind for found in plausibility.of_ids(users, movies, rows)] == kinds


def test_movies_without_titles__are_counted() -> None:
    [found] = plausibility.of_titles(1, 3, ["tt1", "tt2"])
    assert str(found).startswith("1 of 3 rated movies have a title: the movie table has other ids, such as 'tt1', 'tt2';")
    assert plausibility.of_titles(2, 3, ["1"]) == []


def test_rows_left_out__are_a_share() -> None:
    [found] = plausibility.of_rows(3, 120, "a.csv line 7: rating 'x' is not a number; use it")
    assert "3 of 120 rows (2.5%) are left out; the first: a.csv line 7: rating 'x' is not a number" in str(found)
    assert plausibility.of_rows(0, 120, "") == []
