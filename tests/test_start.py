"""Where alternating fits start."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matinee.ids import Ids
from matinee.models.start import AT_ONCE, drawn


def test_drawn__is_normal_and_unrelated_over_rows_and_columns() -> None:
    draws = drawn(Ids(f"{i}" for i in range(20_000)), 8, seed=1)
    assert np.abs(draws.mean(axis=0)).max() < 0.03
    np.testing.assert_allclose(np.cov(draws.T), np.eye(8), atol=0.04)
    assert abs(np.mean(draws[1:] * draws[:-1])) < 0.02
    assert abs((np.abs(draws) < 1.6448536).mean() - 0.9) < 0.005


@given(st.sets(st.text(min_size=1, max_size=9), min_size=1), st.integers(0, 2**32), st.integers(1, 20))
def test_drawn__of_an_id_depends_on_nothing_but_the_id_and_the_seed(names: set[str], seed: int, rank: int) -> None:
    names = {name for name in names if name.isprintable()} | {"1"}
    ids = Ids(names)
    together = drawn(ids, rank, seed)
    for position, one in enumerate(ids):
        np.testing.assert_array_equal(drawn(Ids([one]), rank, seed)[0], together[position])


def test_drawn__is_another_for_another_seed() -> None:
    ids = Ids(["1", "2"])
    assert not np.isclose(drawn(ids, 16, seed=0), drawn(ids, 16, seed=1)).any()


def test_drawn__is_the_same_in_pieces() -> None:
    ids, rank = Ids(f"{i}" for i in range(3000)), 512
    assert len(ids) * rank > AT_ONCE
    np.testing.assert_array_equal(drawn(ids, rank, 0)[-1], drawn(Ids([ids[-1]]), rank, 0)[0])
