from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee import kernels
from matinee.kernels import Csr


def dense(matrix: Csr) -> np.ndarray:
    out = np.zeros((matrix.n_rows, matrix.n_columns))
    out[matrix.row_of_each(), matrix.indices] = matrix.values
    return out


def random_matrix(rng: np.random.Generator, B: int, M: int, n: int) -> Csr:
    cells = np.sort(rng.choice(B * M, n, replace=False))
    row, column = np.divmod(cells, M)
    values = rng.normal(size=n).astype(np.float32)
    return kernels.build_csr(row.astype(np.int32), column.astype(np.int32), values, B, M)[0]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_build_csr__equals_a_dictionary_where_the_latest_wins(data):
    n_rows, n_columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    entry = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_columns - 1), st.integers(-3, 3))
    entries = data.draw(st.lists(entry, max_size=80))
    if data.draw(st.booleans()):
        entries.sort()
    row, column, time = (np.array([e[i] for e in entries], np.int64) for i in range(3))
    value = np.arange(len(entries), dtype=np.float32)
    times = time if data.draw(st.booleans()) else None
    latest: dict[tuple[int, int], int] = {}
    for i, (r, c, t) in enumerate(entries):
        if (r, c) not in latest or times is None or t >= entries[latest[r, c]][2]:
            latest[r, c] = i
    matrix, kept_times = kernels.build_csr(
        row.astype(np.int32), column.astype(np.int32), value, n_rows, n_columns, times, threads=2
    )
    kept = [latest[cell] for cell in sorted(latest)]
    assert list(zip(matrix.row_of_each().tolist(), matrix.indices.tolist(), strict=True)) == sorted(latest)
    assert matrix.values.tolist() == kept
    assert kept_times is None if times is None else kept_times.tolist() == time[kept].tolist()


@pytest.mark.parametrize("n_rows", [3, 50_000])
def test_build_csr__is_the_same_for_any_number_of_threads(n_rows):
    rng, n = np.random.default_rng(0), 400_000
    row, column = rng.integers(0, n_rows, n).astype(np.int32), rng.integers(0, 700, n).astype(np.int32)
    value, time = rng.normal(size=n).astype(np.float32), rng.integers(0, 5, n)
    one, one_times = kernels.build_csr(row, column, value, n_rows, 700, time, threads=1)
    many, many_times = kernels.build_csr(row, column, value, n_rows, 700, time, threads=7)
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))
    np.testing.assert_array_equal(one_times, many_times)
    assert np.all(np.diff(one.indices)[np.diff(one.row_of_each()) == 0] > 0)


def test_build_csr__refuses_positions_outside_the_matrix():
    one, value = np.array([1], np.int32), np.ones(1, np.float32)
    with pytest.raises(ValueError, match=r"row of entry 0: 1 is not in 0 \.\.\. 0"):
        kernels.build_csr(one, one, value, 1, 2)
    with pytest.raises(ValueError, match=r"column of entry 0: -1 is not in 0 \.\.\. 1"):
        kernels.build_csr(one, -one, value, 2, 2)
    with pytest.raises(ValueError, match=r"column must have shape \(1\)"):
        kernels.build_csr(one, np.ones(2, np.int32), value, 2, 2)


@pytest.mark.parametrize("threads", [1, 4])
def test_transpose__twice_is_the_matrix_itself(threads):
    matrix = random_matrix(np.random.default_rng(0), 700, 900, 300_000)
    turned = kernels.transpose(matrix, threads=threads)
    np.testing.assert_array_equal(dense(turned), dense(matrix).T)
    back = kernels.transpose(turned, threads=threads)
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(back, name), getattr(matrix, name))


def test_transpose__of_a_slice_of_rows():
    matrix = random_matrix(np.random.default_rng(0), 30, 20, 200)
    np.testing.assert_array_equal(dense(kernels.transpose(matrix.rows(7, 19))), dense(matrix)[7:19].T)


@pytest.mark.parametrize("k", [1, 5, 8, 16, 24, 100, 600])
@pytest.mark.parametrize("M", [1, 127, 128, 5000])
def test_gram__equals_numpy_with_the_same_bits_for_any_threads(k, M):
    Y = np.random.default_rng(k).normal(size=(M, k)).astype(np.float32)
    G = kernels.gram(Y, threads=3)
    want = Y.T.astype(float) @ Y
    np.testing.assert_allclose(G, want, atol=1e-6 * np.abs(want).max())
    np.testing.assert_array_equal(G, kernels.gram(Y, threads=1))


def test_weighted_gram__equals_numpy_with_the_same_bits_for_any_threads():
    rng = np.random.default_rng(0)
    matrix, weights = random_matrix(rng, 300, 200, 6000), rng.uniform(size=300).astype(np.float32)
    G = kernels.weighted_gram(matrix, weights, threads=3)
    X = dense(matrix)
    np.testing.assert_allclose(G, (X.T * weights) @ X, atol=1e-5)
    np.testing.assert_array_equal(G, kernels.weighted_gram(matrix, weights, threads=1))


def test_gather_rows__equals_the_dense_product():
    rng = np.random.default_rng(0)
    matrix, other = random_matrix(rng, 30, 200, 1000), rng.normal(size=(200, 5003)).astype(np.float32)
    out = kernels.gather_rows(matrix, other)
    np.testing.assert_allclose(out, dense(matrix) @ other, atol=1e-4)
    np.testing.assert_array_equal(out[7:8], kernels.gather_rows(matrix.rows(7, 8), other))


@pytest.mark.parametrize("k", [1, 7, 8, 16, 33, 100])
def test_residuals__equal_numpy(k):
    rng = np.random.default_rng(k)
    matrix = random_matrix(rng, 60, 80, 2000)
    X, Y = rng.normal(size=(60, k)).astype(np.float32), rng.normal(size=(80, k)).astype(np.float32)
    a, b, h = (rng.normal(size=n).astype(np.float32) for n in (60, 80, 80))
    rows, columns = matrix.row_of_each(), matrix.indices
    want = (X.astype(float) @ Y.T + a[:, None] + b)[rows, columns]
    sums = kernels.residual_sums(matrix, X, Y, row_offset=a, other_offset=b, other_weight=h, threads=2)
    errors = h[columns].astype(float) * (matrix.values - want) ** 2
    np.testing.assert_allclose(sums, np.bincount(rows, errors, minlength=60), atol=1e-3)


def test_columns_outside_the_other_side__are_refused():
    matrix = Csr(np.array([0, 2]), np.array([0, 9], np.int32), np.ones(2, np.float32), 4)
    X, Y = np.ones((1, 3), np.float32), np.ones((4, 3), np.float32)
    calls = (
        lambda: kernels.transpose(matrix),
        lambda: kernels.weighted_gram(matrix, np.ones(1, np.float32)),
        lambda: kernels.gather_rows(matrix, Y),
        lambda: kernels.residual_sums(matrix, X, Y),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"column of value 1: 9 is not in 0 \.\.\. 3"):
            call()
