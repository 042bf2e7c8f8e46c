from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from matinee import kernels
from matinee.errors import ModelError, UsageError
from matinee.kernels import Csr, check
from matinee.kernels.equation import normal_equations, solve_row

RANKS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 25, 32, 33, 48, 63, 64, 65, 100, 128, 129]
TOLERANCE = 1e-5


@pytest.fixture(scope="module", autouse=True)
def _one_thread_in_the_oracle():
    with threadpool_limits(1):
        yield


def random_rows(rng: np.random.Generator, counts: list[int], M: int) -> Csr:
    indices = [np.sort(rng.choice(M, count, replace=False)) for count in counts]
    stars = rng.choice(np.arange(0.5, 5.5, 0.5), sum(counts))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Csr(indptr.astype(np.int64), np.concatenate(indices).astype(np.int32), stars.astype(np.float32), M)


def wanted(rows: Csr, Y, reg, row, A0=None, b0=None, alpha=None, g=None, h=None, offset=None):
    columns, r = rows.row(row)
    y, r = Y[columns].astype(float), r.astype(float)
    if alpha is not None:
        w, v = alpha * abs(r), np.where(r > 0, 1 + alpha * abs(r), 0)
    else:
        w = np.full(len(r), 1.0 if g is None else float(g[row])) * (1 if h is None else h[columns].astype(float))
        v = w * (r - (0 if offset is None else offset[columns].astype(float)))
    b0 = b0[row] if b0 is not None and b0.ndim == 2 else b0
    return solve_row(y, w, v, reg[row], A0, b0)


def off_by(x, y) -> float:
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


def factors(rng: np.random.Generator, M: int, k: int, mean: float = 0.5) -> np.ndarray:
    return (mean + 0.3 * rng.normal(size=(M, k))).astype(np.float32)


@pytest.mark.parametrize("k", RANKS)
def test_explicit_rows__equal_the_plain_equation(k):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, [1, 2, 3, 20, 127, 128, 129, 300, 7, 11], 400), factors(rng, 400, k)
    reg = 0.1 * rows.counts
    X = kernels.solve_side(rows, Y, reg)
    assert max(off_by(X[row], wanted(rows, Y, reg, row)) for row in range(rows.n_rows)) < TOLERANCE


@pytest.mark.parametrize("k", RANKS)
def test_weights_offsets_and_priors__equal_the_plain_equation(k):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, [0, 1, 5, 40, 200, 128, 60, 9, 3], 300), factors(rng, 300, k, mean=0)
    reg, A0, b0 = rng.uniform(0.5, 2, 9), np.cov(rng.normal(size=(k, 2 * k + 2))).reshape(k, k), rng.normal(size=(9, k))
    g, h, offset = (rng.uniform(0.5, 2, n).astype(np.float32) for n in (9, 300, 300))
    X = kernels.solve_side(rows, Y, reg, A0=A0, b0=b0, row_weight=g, other_weight=h, other_offset=offset)
    for row in range(9):
        assert off_by(X[row], wanted(rows, Y, reg, row, A0, b0, g=g, h=h, offset=offset)) < TOLERANCE


@pytest.mark.parametrize("k", RANKS)
def test_implicit_rows__equal_the_plain_equation(k):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, [1, 30, 130], 150), factors(rng, 150, k, mean=0)
    rows.values[1::5] *= -1
    A0, reg = kernels.gram(Y), 0.1 * rows.counts
    X = kernels.solve_side(rows, Y, reg, A0=A0, alpha=3.0)
    for row in range(3):
        assert off_by(X[row], wanted(rows, Y, reg, row, A0, alpha=3.0)) < TOLERANCE


@pytest.mark.parametrize("k", [200, 256, 511, 512])
def test_high_ranks__equal_the_plain_equation(k):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, [3, 140, 600], 700), factors(rng, 700, k)
    reg = 0.1 * rows.counts
    X = kernels.solve_side(rows, Y, reg)
    assert max(off_by(X[row], wanted(rows, Y, reg, row)) for row in range(3)) < TOLERANCE


@pytest.mark.parametrize("k", [1, 8, 16, 33])
def test_a_row_of_100_000_ratings__equals_the_plain_equation(k):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, [100_000], 100_000), factors(rng, 100_000, k)
    reg = 0.1 * rows.counts
    assert off_by(kernels.solve_side(rows, Y, reg)[0], wanted(rows, Y, reg, 0)) < TOLERANCE


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_rank_and_history__equals_the_plain_equation(data):
    k, n = data.draw(st.integers(1, 96)), data.draw(st.integers(1, 300))
    scale, share = data.draw(st.floats(0.01, 100)), data.draw(st.floats(1e-3, 10))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows = random_rows(rng, [n], n)
    Y = (scale * factors(rng, n, k, mean=data.draw(st.floats(-2, 2)))).astype(np.float32)
    reg = np.array([share * scale**2 * n])
    assert off_by(kernels.solve_side(rows, Y, reg)[0], wanted(rows, Y, reg, 0)) < TOLERANCE


@pytest.mark.parametrize("k", [2, 8, 32, 64])
@pytest.mark.parametrize("reg", [1e-2, 1e-4, 1e-6])
def test_an_ill_conditioned_matrix__costs_no_accuracy(k, reg):
    rng = np.random.default_rng(k)
    rows = random_rows(rng, [50, 400], 400)
    Y = (factors(rng, 400, k, mean=1) * np.logspace(0, -3, k)).astype(np.float32)
    X = kernels.solve_side(rows, Y, np.full(2, reg))
    A, _ = normal_equations(Y.astype(float), np.ones(400), np.ones(400), reg)
    assert np.linalg.cond(A) > 1e4
    for row in range(2):
        assert off_by(X[row], wanted(rows, Y, np.full(2, reg), row)) < TOLERANCE


def test_targets_that_cancel__cost_no_accuracy():
    rng = np.random.default_rng(0)
    Y = np.ones((3000, 1), np.float32)
    stars = rng.normal(size=3000).astype(np.float32)
    stars -= stars.mean()
    rows, reg = Csr(np.array([0, 3000]), np.arange(3000, dtype=np.int32), stars, 3000), np.array([1.0])
    assert off_by(kernels.solve_side(rows, Y, reg)[0], wanted(rows, Y, reg, 0)) < TOLERANCE


@pytest.mark.parametrize("k", [1, 4, 8, 12, 32, 40])
@pytest.mark.parametrize("noise", [None, (3, 4)])
def test_bits__do_not_depend_on_threads_or_on_the_slice_of_rows(k, noise):
    rng = np.random.default_rng(k)
    rows, Y = random_rows(rng, rng.integers(0, 300, 61).tolist(), 400), factors(rng, 400, k)
    reg = 0.1 * np.maximum(rows.counts, 1)
    X = kernels.solve_side(rows, Y, reg, noise=noise, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(X, kernels.solve_side(rows, Y, reg, noise=noise, threads=threads))
    for start, stop in ((0, 1), (3, 20), (17, 61)):
        part = kernels.solve_side(rows.rows(start, stop), Y, reg[start:stop], noise=noise, first_row=start)
        np.testing.assert_array_equal(X[start:stop], part)


@pytest.mark.parametrize("k", [1, 3, 8, 20, 40])
def test_noise__has_the_mean_and_covariance_of_the_posterior(k):
    rng, B = np.random.default_rng(k), 20_000
    A0, b0 = np.cov(rng.normal(size=(k, 3 * k + 2))).reshape(k, k) + 0.1 * np.eye(k), rng.normal(size=k)
    empty = Csr(np.zeros(B + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 1)
    X = kernels.solve_side(empty, np.zeros((1, k), np.float32), np.zeros(B), A0=A0, b0=b0, noise=(1, 2))
    z = (X - np.linalg.solve(A0, b0)) @ np.linalg.cholesky(A0)
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(B)
    assert np.abs(z.T @ z / B - np.eye(k)).max() < 7 / np.sqrt(B)
    assert np.mean(z**4) == pytest.approx(3, abs=0.3)
    assert np.mean(np.abs(z) > 1.959964) == pytest.approx(0.05, abs=0.01)


def test_noise__differs_by_seed_sweep_and_row():
    empty = Csr(np.zeros(4, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 1)

    def draw(*noise: int) -> np.ndarray:
        zero = np.zeros((1, 8), np.float32)
        return kernels.solve_side(empty, zero, np.zeros(3), A0=np.eye(8), b0=np.zeros(8), noise=noise)

    draws = np.concatenate([draw(0, 0), draw(0, 1), draw(1, 0), draw(2**40, 0)])
    assert len(np.unique(draws)) == draws.size
    np.testing.assert_array_equal(draw(0, 1), draw(0, 1))


@pytest.mark.parametrize("k", [4, 40])
def test_an_empty_row__is_zero_or_its_prior(k):
    rows = Csr(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 5)
    Y = np.ones((5, k), np.float32)
    np.testing.assert_array_equal(kernels.solve_side(rows, Y, np.zeros(1)), np.zeros((1, k)))
    X = kernels.solve_side(rows, Y, np.ones(1), A0=np.eye(k), b0=np.full(k, 3.0))
    np.testing.assert_allclose(X, np.full((1, k), 1.5))


def test_no_rows__give_no_factors():
    rows = Csr(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 5)
    assert kernels.solve_side(rows, np.ones((5, 8), np.float32), np.empty(0)).shape == (0, 8)


@pytest.mark.parametrize("k", [2, 8, 40])
def test_a_matrix_that_is_not_positive_definite__is_an_error_with_the_row(k):
    rng = np.random.default_rng(0)
    rows, Y = random_rows(rng, [50] * 20, 60), factors(rng, 60, k)
    reg = np.ones(20)
    reg[13] = -1e6
    with pytest.raises(ModelError, match=r"row 13: .*not positive definite"):
        kernels.solve_side(rows, Y, reg, threads=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [8, 40])
def test_what_is_not_finite__is_an_error_that_names_it(k, bad):
    rng = np.random.default_rng(0)
    rows, Y, reg = random_rows(rng, [50] * 3, 60), factors(rng, 60, k), np.ones(3)
    values = rows.values.copy()
    values[60] = bad
    with pytest.raises(ModelError, match="row 1: a rating is"):
        kernels.solve_side(Csr(rows.indptr, rows.indices, values, 60), Y, reg)
    spoilt = Y.copy()
    spoilt[rows.indices[110], k - 1] = bad
    with pytest.raises(ModelError, match=r"row [012]: the factors of its column \d+ are not finite"):
        kernels.solve_side(rows, spoilt, reg)
    with pytest.raises(ModelError, match=r"row 2: .*not finite"):
        kernels.solve_side(rows, Y, np.array([1, 1, bad]))


@pytest.mark.parametrize("column", [-1, 60, 2**31 - 1])
@pytest.mark.parametrize("k", [8, 40])
def test_a_column_outside_the_other_side__is_an_error_with_the_row(k, column):
    rng = np.random.default_rng(0)
    rows, Y = random_rows(rng, [50] * 3, 60), factors(rng, 60, k)
    rows.indices[70] = column
    for call in (kernels.solve_side, kernels.covariances):
        with pytest.raises(ValueError, match="row 1: its columns must be 0 to 59"):
            call(rows, Y, np.ones(3))


def test_row_pointers_that_fall__are_an_error():
    rows = Csr(np.array([0, 3, 2]), np.zeros(3, np.int32), np.zeros(3, np.float32), 5)
    with pytest.raises(ValueError, match="row pointers must rise"):
        kernels.solve_side(rows, np.ones((5, 2), np.float32), np.ones(2))
    rows = Csr(np.array([0, 2, 9]), np.zeros(3, np.int32), np.zeros(3, np.float32), 5)
    with pytest.raises(ValueError, match="row pointers must rise"):
        kernels.solve_side(rows, np.ones((5, 2), np.float32), np.ones(2))


def test_a_wrong_dtype_or_shape__is_an_error_that_names_the_array():
    rows, Y = Csr(np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), 2), np.ones((2, 3), np.float32)
    one = np.ones(1)
    with pytest.raises(ValueError, match="Y must be an array of float32, not float64"):
        kernels.solve_side(rows, Y.astype(float), one)
    with pytest.raises(ValueError, match=r"A0 must have shape \(3, 3\), not \(2, 2\)"):
        kernels.solve_side(rows, Y, one, A0=np.eye(2))
    with pytest.raises(ValueError, match=r"reg must have shape \(1\), not \(2,\)"):
        kernels.solve_side(rows, Y, np.ones(2))
    with pytest.raises(ValueError, match="rows has 2 columns but must have 3"):
        kernels.solve_side(rows, np.ones((3, 3), np.float32), one)
    with pytest.raises(ValueError, match="a rank is 1 to 512"):
        kernels.solve_side(rows, np.ones((2, 513), np.float32), one)
    with pytest.raises(ValueError, match="alpha is for implicit ratings"):
        kernels.solve_side(rows, Y, one, alpha=1.0, row_weight=np.ones(1, np.float32))
    with pytest.raises(ValueError, match="out is written to"):
        kernels.solve_side(rows, Y, one, out=np.ones((1, 6), np.float32)[:, ::2])


def test_arrays_with_gaps__give_the_same_bits_as_their_copies():
    rng = np.random.default_rng(0)
    rows, Y = random_rows(rng, [30, 40], 50), factors(rng, 50, 24)
    gapped = np.repeat(Y, 2, axis=1)[:, ::2]
    assert not gapped.flags.c_contiguous
    np.testing.assert_array_equal(kernels.solve_side(rows, gapped, np.ones(2)), kernels.solve_side(rows, Y, np.ones(2)))


def test_out__is_written_and_returned():
    rng = np.random.default_rng(0)
    rows, Y, out = random_rows(rng, [30, 40], 50), factors(rng, 50, 5), np.empty((2, 5), np.float32)
    assert kernels.solve_side(rows, Y, np.ones(2), out=out) is out
    np.testing.assert_array_equal(out, kernels.solve_side(rows, Y, np.ones(2)))


@pytest.mark.parametrize("k", [1, 5, 8, 24, 65])
def test_covariances__are_the_inverse_matrices(k):
    rng = np.random.default_rng(k)
    rows, Y, reg = random_rows(rng, [0, 3, 200], 300), factors(rng, 300, k), np.array([0.5, 1, 2])
    g, h = (rng.uniform(0.5, 2, n).astype(np.float32) for n in (3, 300))
    C = kernels.covariances(rows, Y, reg, A0=np.eye(k), row_weight=g, other_weight=h)
    for row in range(3):
        columns, _ = rows.row(row)
        A, _ = normal_equations(
            Y[columns].astype(float), g[row] * h[columns].astype(float), np.zeros(len(columns)), reg[row], np.eye(k)
        )
        np.testing.assert_allclose(C[row], np.linalg.inv(A), atol=1e-12 * np.abs(C[row]).max())


@pytest.mark.parametrize("k", [1, 3, 8, 17, 64])
def test_quadratic_forms__equal_numpy(k):
    rng = np.random.default_rng(k)
    Y, C = rng.normal(size=(1000, k)).astype(np.float32), np.cov(rng.normal(size=(k, 2 * k + 2))).reshape(k, k)
    want = np.einsum("ij,jk,ik->i", Y, C, Y)
    np.testing.assert_allclose(kernels.quadratic_forms(C, Y), want, rtol=1e-5)
    asked = rng.integers(0, 1000, 77).astype(np.int32)
    np.testing.assert_allclose(kernels.quadratic_forms(C, Y, asked), want[asked], rtol=1e-5)
    with pytest.raises(ValueError, match="positions must be positions from 0 to 999"):
        kernels.quadratic_forms(C, Y, np.array([1000], np.int32))


def test_a_long_call__lets_other_python_threads_run():
    rng = np.random.default_rng(0)
    rows, Y = random_rows(rng, [400] * 400, 500), factors(rng, 500, 128)
    seen = []
    busy = threading.Thread(target=lambda: kernels.solve_side(rows, Y, np.ones(400), threads=1))
    busy.start()
    while busy.is_alive():
        seen.append(time.perf_counter())
        time.sleep(0.001)
    assert len(seen) > 3


def test_threads__come_from_the_call_or_the_environment(monkeypatch):
    monkeypatch.setenv("MATINEE_THREADS", "3")
    assert check.thread_count(None) == 3
    assert check.thread_count(2) == 2
    monkeypatch.setenv("MATINEE_THREADS", "many")
    with pytest.raises(UsageError, match="MATINEE_THREADS is 'many'"):
        check.thread_count(None)
    with pytest.raises(UsageError, match="threads is 0"):
        check.thread_count(0)
