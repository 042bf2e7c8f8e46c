from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.ids import Ids

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
UNDECODABLE = "\udcff"


@given(st.lists(TEXTS))
def test_ids__are_distinct_and_sorted_as_bytes(values: list[str]) -> None:
    assert list(Ids(values)) == sorted(set(values), key=str.encode)


@given(st.lists(TEXTS, min_size=1), st.lists(TEXTS))
def test_positions__lead_back_to_the_ids(values: list[str], others: list[str]) -> None:
    ids = Ids(values)
    assert ids.take(ids.positions(values)) == values
    one_by_one = [ids.position(other) for other in others]
    assert ids.positions(others).tolist() == [-1 if place is None else place for place in one_by_one]
    assert [other in ids for other in others] == [other in values for other in others]


def test_leading_zeros__make_another_id() -> None:
    ids = Ids(["7", "007"])
    assert (list(ids), ids.position("07"), ids.positions(["007", "7"]).tolist()) == (["007", "7"], None, [0, 1])


def test_ids__of_a_sorted_array_share_its_memory() -> None:
    array = pa.array(["1", "10", "2"])
    assert Ids(array, is_sorted=True).array is array


def test_text_that_a_terminal_could_not_decode__is_unknown() -> None:
    ids = Ids(["1"])
    assert ids.position(UNDECODABLE) is None
    assert ids.positions([UNDECODABLE, "1"]).tolist() == [-1, 0]
    assert UNDECODABLE not in ids


@pytest.mark.parametrize("kind", [list, pa.array, lambda values: pa.chunked_array([values[:1], values[1:]])])
def test_positions__takes_lists_and_arrow(kind: type) -> None:
    found = Ids(["a", "b"]).positions(kind(["b", "c", "a"]))
    assert found.dtype == np.int32
    assert found.tolist() == [1, -1, 0]


def test_ids__are_a_sequence() -> None:
    ids = Ids(["b", "a", "c"])
    assert (len(ids), ids[0], ids[-1], ids[1:], list(reversed(ids))) == (3, "a", "c", ["b", "c"], ["c", "b", "a"])
    assert 5 not in ids


def test_ids__travel_to_another_process() -> None:
    ids = Ids(["b", "a", "c"])
    for one in (ids, Ids(ids.array.slice(1), is_sorted=True)):
        sent = pickle.loads(pickle.dumps(one))
        assert list(sent) == list(one)
        assert sent.position("c") == one.position("c")
