from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee import metrics
from matinee.ratings import History, batch

# Person 0 has 3 relevant movies (1, 4, 7) and is shown 4, 0, 1; person 1 has 1 and is shown 2 and nothing more;
# person 2 has none.
RELEVANT = batch([History.of({1: 5.0, 4: 5.0, 7: 5.0}), History.of({2: 5.0}), History.of({})], 8)
LISTS = np.array([[4, 0, 1], [2, -1, -1], [3, 5, 6]], np.int32)


@pytest.fixture
def hits() -> np.ndarray:
    return metrics.hits_in(LISTS, RELEVANT)


def test_hits__are_the_relevant_places(hits: np.ndarray) -> None:
    assert hits.tolist() == [[True, False, True], [True, False, False], [False, False, False]]


def test_recall__is_over_all_relevant_movies(hits: np.ndarray) -> None:
    np.testing.assert_allclose(metrics.recall(hits, RELEVANT.counts, 3), [2 / 3, 1, np.nan])
    np.testing.assert_allclose(metrics.recall(hits, RELEVANT.counts, 1), [1 / 3, 1, np.nan])


def test_precision__counts_empty_places_as_misses(hits: np.ndarray) -> None:
    np.testing.assert_allclose(metrics.precision(hits, 3), [2 / 3, 1 / 3, 0])


def test_ndcg__cuts_the_ideal_list_at_the_number_of_relevant_movies(hits: np.ndarray) -> None:
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    np.testing.assert_allclose(metrics.ndcg(hits, RELEVANT.counts, 3), [(1 + 1 / math.log2(4)) / ideal, 1, np.nan])
    ideal_of_two = 1 + 1 / math.log2(3)
    np.testing.assert_allclose(metrics.ndcg(hits, RELEVANT.counts, 2), [1 / ideal_of_two, 1, np.nan])


def test_average_precision__is_the_mean_of_the_precision_at_each_hit(hits: np.ndarray) -> None:
    np.testing.assert_allclose(metrics.average_precision(hits, RELEVANT.counts, 3), [(1 + 2 / 3) / 3, 1, np.nan])


def test_novelty__is_the_surprise_in_bits() -> None:
    counts = np.array([8, 4, 2, 1, 0, 8, 8, 8])
    lists = np.array([[0, 1], [2, -1], [4, 3], [-1, -1]], np.int32)
    np.testing.assert_allclose(metrics.novelty(lists, counts, 8), [0.5, 2, 3, np.nan])


def test_coverage_and_gini__of_what_is_shown() -> None:
    assert metrics.coverage(np.array([3, 0, 1, 0])) == 0.5
    assert metrics.gini(np.array([1, 1, 1, 1])) == 0
    assert metrics.gini(np.array([0, 0, 0, 7])) == pytest.approx(0.75)
    assert metrics.gini(np.array([1, 3])) == pytest.approx(0.25)


def test_errors__by_hand() -> None:
    predicted, stars = np.array([3.0, 4.0, 1.0]), np.array([4.0, 4.0, 3.0])
    assert metrics.rmse(predicted, stars) == pytest.approx(math.sqrt(5 / 3))
    assert metrics.mae(predicted, stars) == 1
    assert math.isnan(metrics.rmse(predicted[:0], stars[:0]))


def test_log_density__is_that_of_the_normal_distribution() -> None:
    found = metrics.log_density(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(found, [-0.9189385, -0.9189385 - math.log(2) - 0.5])


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 20), st.integers(1, 30))
def test_ranking_metrics__lie_between_zero_and_one(places: list[bool], missed: int, k: int) -> None:
    found = np.array([places])
    relevant = np.array([sum(places) + missed])
    for metric in (metrics.recall, metrics.ndcg, metrics.average_precision):
        value = metric(found, relevant, k)[0]
        assert (0 <= value <= 1 + 1e-12) if relevant[0] else math.isnan(value)


@given(st.permutations([True, True, False, False, False]))
def test_ranking_metrics__are_best_with_the_hits_first(places: list[bool]) -> None:
    best, found = np.array([sorted(places, reverse=True)]), np.array([places])
    for metric in (metrics.ndcg, metrics.average_precision):
        assert metric(found, np.array([2]), 5)[0] <= metric(best, np.array([2]), 5)[0] == pytest.approx(1)
