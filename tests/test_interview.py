from __future__ import annotations

import numpy as np
import pytest

from matinee.datasets.synthetic import synthetic
from matinee.errors import DataError
from matinee.evaluation import interview
from matinee.models.bayes import Bayes

QUICK = Bayes(rank=7, sweeps=30, burn_in=14, samples=8)


@pytest.fixture(scope="module")
def table():
    return interview(synthetic(500, 150, 15_000, rng=2), QUICK, (2, 6), share=0.2, threads=1)


def rows(table, **wanted):
    return [row for row in table if all(row[name] == value for name, value in wanted.items())]


def test_every_way_of_asking__is_measured_among_known_and_among_all_movies(table):
    assert len(table) == 2 * 3 * 2
    assert {row["asked by"] for row in table} == {"next_to_rate", "popular", "random"}


def test_known_movies__are_always_answered(table):
    assert all(row["answers"] == row["questions"] for row in rows(table, among="known"))


def test_unknown_movies__are_questions_spent(table):
    asked = {row["asked by"]: row["answers"] for row in rows(table, among="all", questions=6)}
    assert asked["random"] < asked["next_to_rate"] < 6
    assert asked["random"] < asked["popular"] < 6


def test_answers__lower_the_error(table):
    for way in ("next_to_rate", "popular"):
        few, many = (rows(table, among="known", questions=n, **{"asked by": way})[0]["rmse"] for n in (2, 6))
        assert many < few


def test_questions_worth_asking__tell_more_than_random_ones(table):
    mean = {
        way: np.mean([row["rmse"] for row in rows(table, among="known", **{"asked by": way})])
        for way in ("next_to_rate", "random")
    }
    assert mean["next_to_rate"] < mean["random"]


def test_an_interview__needs_visitors_with_more_ratings_than_questions():
    with pytest.raises(DataError, match="no user has more than"):
        interview(synthetic(50, 40, 800, rng=2), QUICK, (1000,))
