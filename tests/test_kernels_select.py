from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee import kernels
from matinee.kernels import Csr


def sparse(mask: np.ndarray) -> Csr:
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    columns = np.nonzero(mask)[1].astype(np.int32)
    return Csr(indptr, columns, np.ones(len(columns), np.float32), mask.shape[1])


def sorted_top(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    scores = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    best = np.take_along_axis(scores, order, axis=1)
    missing = n - order.shape[1]
    order = np.pad(np.where(best == -np.inf, -1, order), ((0, 0), (0, max(missing, 0))), constant_values=-1)
    return order, np.pad(best, ((0, 0), (0, max(missing, 0))), constant_values=-np.inf)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_top_n__equals_sorting_all_scores(data):
    B, M, k = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 150)), data.draw(st.integers(1, 40))
    n = data.draw(st.integers(0, 160))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    X, Y = (rng.integers(-2, 3, (size, k)).astype(np.float32) for size in (B, M))  # whole numbers: many ties
    bias = rng.integers(-3, 4, M).astype(np.float32) if data.draw(st.booleans()) else None
    allowed = rng.random(M) < 0.5 if data.draw(st.booleans()) else None
    out = rng.random((B, M)) < 0.3 if data.draw(st.booleans()) else None
    scores = X @ Y.T + (0 if bias is None else bias)
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    exclude = None
    if out is not None:
        scores[out], exclude = -np.inf, sparse(out)
    positions, best = kernels.top_n(X, Y, n, bias=bias, allowed=allowed, exclude=exclude, threads=2)
    want_positions, want_best = sorted_top(scores, n)
    np.testing.assert_array_equal(positions, want_positions)
    np.testing.assert_array_equal(best, want_best)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_select_top_n__equals_sorting_all_scores(data):
    B, M, n = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 150)), data.draw(st.integers(0, 160))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scores = rng.choice(np.array([-np.inf, np.nan, np.inf, -1, 0, 1, 2, 3], np.float32), (B, M))
    masked, allowed, exclude = scores.copy(), None, None
    if data.draw(st.booleans()):
        allowed = rng.random(M) < 0.5
        masked[:, ~allowed] = -np.inf
    if data.draw(st.booleans()):
        out = rng.random((B, M)) < 0.3
        masked[out], exclude = -np.inf, sparse(out)
    positions, best = kernels.select_top_n(scores, n, allowed=allowed, exclude=exclude, threads=3)
    want_positions, want_best = sorted_top(masked, n)
    np.testing.assert_array_equal(positions, want_positions)
    np.testing.assert_array_equal(best, want_best)


@pytest.mark.parametrize("k", [1, 7, 8, 16, 33, 100])
def test_one_row__gets_the_same_bits_as_among_many(k):
    rng = np.random.default_rng(k)
    X, Y = rng.normal(size=(300, k)).astype(np.float32), rng.normal(size=(1000, k)).astype(np.float32)
    positions, scores = kernels.top_n(X, Y, 20, threads=3)
    np.testing.assert_allclose(scores, np.sort(X @ Y.T, axis=1)[:, ::-1][:, :20], rtol=1e-4, atol=1e-5)
    for row in (0, 7, 130, 299):
        alone = kernels.top_n(X[row : row + 1], Y, 20)
        np.testing.assert_array_equal(positions[row : row + 1], alone[0])
        np.testing.assert_array_equal(scores[row : row + 1], alone[1])


@pytest.mark.parametrize("k", [1, 7, 8, 16, 33, 100])
@pytest.mark.parametrize("m", [0, 1, 25, 48, 131])
def test_products__equal_numpy_and_have_the_bits_by_which_top_n_orders(k, m):
    rng = np.random.default_rng(k)
    X, Y = rng.normal(size=(21, k)).astype(np.float32), rng.normal(size=(131, k)).astype(np.float32)
    every = kernels.products(X, Y, threads=3)
    np.testing.assert_allclose(every, X.astype(float) @ Y.T, atol=1e-4)
    positions, scores = kernels.top_n(X, Y, m)
    np.testing.assert_array_equal(kernels.products(X, Y, positions), scores)
    np.testing.assert_array_equal(np.take_along_axis(every, positions, axis=1), scores)
    some = rng.permutation(131)[:m].astype(np.int32)
    np.testing.assert_array_equal(kernels.products(X, Y, some), every[:, some])
    np.testing.assert_array_equal(kernels.products(X[4:5], Y, some), every[4:5, some])


def test_products__refuse_positions_that_do_not_fit():
    X, Y = np.ones((3, 2), np.float32), np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match="columns must be positions from 0 to 3, not 4 to 4"):
        kernels.products(X, Y, np.full(1, 4, np.int32))
    with pytest.raises(ValueError, match="columns must be the same for all, or have 3 rows, not 2"):
        kernels.products(X, Y, np.zeros((2, 1), np.int32))
    with pytest.raises(ValueError, match=r"X must have shape \(any, 2\)"):
        kernels.products(X[:, :1], Y)


def test_equal_scores__come_by_lower_position():
    positions, scores = kernels.top_n(np.ones((1, 1), np.float32), np.ones((1000, 1), np.float32), 5)
    assert positions.tolist() == [[0, 1, 2, 3, 4]]
    assert scores.tolist() == [[1.0] * 5]


def test_a_movie_whose_factors_are_not_finite__does_not_touch_its_neighbours():
    Y = np.ones((40, 3), np.float32)
    Y[17] = np.nan
    positions, _ = kernels.top_n(np.ones((1, 3), np.float32), Y, 40)
    assert sorted(positions[0].tolist()) == sorted({*range(40), -1} - {17})


def test_a_wrong_shape__is_an_error_that_names_the_array():
    X, Y = np.ones((2, 3), np.float32), np.ones((5, 3), np.float32)
    with pytest.raises(ValueError, match=r"X must have shape \(any, 3\)"):
        kernels.top_n(X[:, :2], Y, 1)
    with pytest.raises(ValueError, match=r"allowed must have shape \(5\), not \(4,\)"):
        kernels.top_n(X, Y, 1, allowed=np.ones(4, bool))
    with pytest.raises(ValueError, match="exclude has 1 rows but 2 rows are asked about"):
        kernels.top_n(X, Y, 1, exclude=sparse(np.ones((1, 5), bool)))
    with pytest.raises(ValueError, match="n is -1"):
        kernels.select_top_n(X, -1)
