from __future__ import annotations

import numpy as np
import pytest

from matinee.kernels import Csr, Items, relative_rows

WEIGHT, DAMPING = 5.0, 20.0


def drawn(M, B=6, N=None, seed=0):
    """Items of an item-to-item model, named by every other number of N, and rows of X (B, M); the first is empty."""
    rng = np.random.default_rng(seed)
    names = np.arange(1, 2 * M, 2, dtype=np.int32)
    W, scale, base = (rng.standard_normal(shape).astype(np.float32) for shape in ((M, M), M, M))
    items = Items(W, scale, base, names, N or 2 * M + 3, base_weight=WEIGHT, damping=DAMPING)
    given = rng.random((B, M)) < 0.2
    given[0] = False
    indptr = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    values = rng.standard_normal(int(given.sum())).astype(np.float32)
    X = Csr(indptr, np.nonzero(given)[1].astype(np.int32), values, M)
    dense = np.zeros((B, M))
    dense[given] = values
    share = WEIGHT / (given.sum(axis=1, keepdims=True) + DAMPING)
    return items, names, X, (dense @ W) * scale + share * base


@pytest.mark.parametrize("M", [1, 15, 16, 17, 40, 4096, 4097])
def test_scores__equal_the_plain_formula(M):
    items, _, X, expected = drawn(M, B=3)
    np.testing.assert_allclose(items.scores(X), expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("M", [1, 17, 40, 4100])
def test_top_n__are_the_best_allowed_names_that_are_not_excluded(M):
    items, names, X, _ = drawn(M, B=4)
    scores, rng = items.scores(X), np.random.default_rng(1)
    allowed = rng.random(items.n_names) < 0.6
    exclude = [np.sort(rng.choice(items.n_names, 2 * M // 3, replace=False)).astype(np.int32) for _ in range(4)]
    indptr = np.cumsum([0, *map(len, exclude)])
    left_out = Csr(indptr, np.concatenate(exclude), np.zeros(indptr[-1], np.float32), items.n_names)
    positions, best = items.top_n(X, 9, allowed=allowed, exclude=left_out)
    for row in range(4):
        eligible = [m for m in np.argsort(-scores[row], kind="stable") if allowed[names[m]]]
        wanted = [m for m in eligible if names[m] not in exclude[row]][:9]
        assert positions[row].tolist() == [int(names[m]) for m in wanted] + [-1] * (9 - len(wanted))
        np.testing.assert_array_equal(best[row, : len(wanted)], scores[row, wanted])
        assert np.all(np.isneginf(best[row, len(wanted) :]))


def test_equal_scores__come_by_name_and_nan_never():
    M = 40
    scale = np.ones(M, np.float32)
    scale[3] = np.nan
    items = Items(np.zeros((M, M), np.float32), scale, np.ones(M, np.float32), np.arange(M, dtype=np.int32), M)
    nobody = Csr(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), M)
    positions, _ = items.top_n(nobody, 5)
    assert positions.tolist() == [[0, 1, 2, 4, 5]]


def test_lists__are_the_same_bits_for_any_number_of_threads_and_any_slice():
    items, _, X, _ = drawn(3000, B=40)
    one, three = (items.top_n(X, 20, threads=threads) for threads in (1, 3))
    for mine, theirs in zip(one, three, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(items.top_n(X.rows(7, 8), 20)[1][0], one[1][7])
    np.testing.assert_array_equal(items.scores(X, threads=1), items.scores(X, threads=3))


def test_arrays_that_do_not_fit__are_refused():
    items, names, X, _ = drawn(8)
    W, vector = np.zeros((8, 8), np.float32), np.zeros(8, np.float32)
    with pytest.raises(ValueError, match=r"W must have shape \(8, 8\)"):
        Items(W[1:], vector, vector, names, 19)
    with pytest.raises(ValueError, match=r"base must have shape \(8\)"):
        Items(W, vector, vector[1:], names, 19)
    with pytest.raises(ValueError, match="names must be positions from 0 to 9, not 1 to 15"):
        Items(W, vector, vector, names, 10)
    with pytest.raises(ValueError, match=r"allowed must have shape \(19\)"):
        items.top_n(X, 3, allowed=np.ones(8, bool))
    with pytest.raises(ValueError, match="X has 9 columns but must have 8"):
        items.scores(Csr(X.indptr, X.indices, X.values, 9))
    with pytest.raises(ValueError, match="column"):
        items.top_n(Csr(X.indptr, X.indices + 8, X.values, 8), 3)


def test_relative_rows__keep_what_has_a_place_against_the_rows_own_damped_mean():
    place = np.array([0, -1, 1, 2, -1], np.int32)
    rows = Csr(np.array([0, 3, 3, 5]), np.array([0, 1, 3, 1, 4], np.int32), np.array([5, 1, 2, 4, 4], np.float32), 5)
    found = relative_rows(rows, place, 3, mean=3.0, pseudo=2, weight=0.5)
    mean = (5 + 2 + 2 * 3.0) / 4
    assert found.indptr.tolist() == [0, 2, 2, 2]
    assert found.indices.tolist() == [0, 2]
    assert found.n_columns == 3
    np.testing.assert_allclose(found.values, [1 + 0.5 * (5 - mean), 1 + 0.5 * (2 - mean)], rtol=1e-6)
    with pytest.raises(ValueError, match=r"column in row 0: 7 is not in 0 \.\.\. 4"):
        relative_rows(Csr(rows.indptr, rows.indices + 7, rows.values, 5), place, 3, mean=3.0, pseudo=2, weight=0.5)
