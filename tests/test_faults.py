"""No arguments, file or type of data is answered with "this is a fault in Matinee"."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import Result

from matinee.datasets import load
from matinee.errors import MatineeError

Run = Callable[..., Result]
WORDS = [
    "",
    "-",
    "-1",
    "0",
    "nan",
    "inf",
    "1e400",
    "9" * 400,
    "1:5",
    "5:1",
    "a:b",
    "a=b",
    "=",
    ",",
    "é",
    "\udcff",
    "a\nb",
]
VALUES = st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0"), max_size=8)
READING = ["--user", "--movie", "--rating", "--timestamp", "--columns", "--movies", "--movie-columns", "--scale"]
READING += ["--not-rated", "--on-bad-rows", "--skip-at-most"]
ASKING = ["--top", "--scale", "--order", "--min-ratings", "--snapshot", "--year-from", "--genre", "--rated-since"]
CELLS = st.sampled_from(
    ["1", "4.5", "nan", "", '"', '"a', "é", "-1", "1e400", "~x", "2015-04-01", "1700000000000", "[1]"]
)
HEADERS = st.sampled_from(
    [b"userId,movieId,rating,timestamp\n", b"title,year,rating\n", b"movieId,rating\n", b"", b"[", b"{"]
)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=5).map(",".join), max_size=6).map(
    lambda rows: "\n".join(rows).encode()
)
FILES = (
    st.builds(bytes.__add__, HEADERS, ROWS)
    | st.binary(max_size=60)
    | st.sampled_from([b"PK\x03\x04x", b"PAR1", b"\x1f\x8bx"])
)
NAMES = st.sampled_from(["a.csv", "a.tsv", "a.json", "a.parquet", "a.zip", "a.csv.gz", "a"])
BOUNDED = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def options(names: list[str]) -> st.SearchStrategy[list[str]]:
    pairs = st.lists(st.tuples(st.sampled_from(names), VALUES), max_size=3)
    return pairs.map(lambda chosen: [f"{name}={value}" for name, value in chosen])


def assert_no_fault(done: Result) -> None:
    assert "a fault in Matinee" not in done.stderr, done.stderr
    assert done.exit_code in (0, 1, 2)


@BOUNDED
@given(NAMES, FILES, options(READING))
def test_no_file_or_option_of_it__is_a_fault(
    matinee: Run, tmp_path: Path, name: str, data: bytes, said: list[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    assert_no_fault(matinee("info", file, *said))


@BOUNDED
@given(NAMES, FILES, options(ASKING))
def test_no_file_of_a_person__is_a_fault(
    matinee: Run, published: Path, tmp_path: Path, name: str, data: bytes, said: list[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    assert_no_fault(matinee("recommend", "--store", published, "--ratings", file, *said))


@BOUNDED
@given(st.sampled_from([["movies", "sample"], ["similar"], ["predict", "--user=1"], ["snapshot", "verify"]]), VALUES)
def test_no_argument__is_a_fault(matinee: Run, published: Path, command: list[str], value: str) -> None:
    store = [] if command[0] == "movies" else ["--store", published]
    assert_no_fault(matinee(*command, *store, "--", value))


ODD: list[Any] = [
    None,
    5,
    4.5,
    b"a,b",
    object(),
    {1, 2},
    range(3),
    (one for one in [1]),
    [],
    {},
    [None],
    [[]],
    [(1, 2)],
    [(1, 2, object())],
    np.zeros(3),
    np.zeros((2, 2, 2)),
    np.array([[1, 2, 1j]]),
    pa.array([1, 2]),
    {"userId": None, "movieId": [1], "rating": [4]},
    {"userId": [1], "movieId": [[1]], "rating": [4]},
    {"userId": [1], "movieId": [{"a": 1}], "rating": [4]},
    {"userId": [uuid.UUID(int=1)], "movieId": [1], "rating": [4]},
    {"userId": [1], "movieId": [1], "rating": [decimal.Decimal("NaN")]},
    {"userId": [1], "movieId": [1], "rating": [True]},
    {"userId": [1], "movieId": [1], "rating": [datetime.date(2024, 1, 1)]},
    {"userId": [1], "movieId": [1], "rating": [4], "timestamp": [datetime.time(1)]},
    {"userId": [1], "movieId": [1], "rating": [4], "timestamp": [datetime.timedelta(1)]},
    {"userId": pa.array([b"\xff"]), "movieId": [1], "rating": [4]},
    {"userId": pa.array([1], pa.duration("s")), "movieId": [1], "rating": [4]},
    {"userId": [1], "movieId": [1], "rating": ["\ud800"]},
]


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
@pytest.mark.filterwarnings("ignore::matinee.errors.PlausibilityWarning")
def test_no_type_of_data__is_a_fault(data: Any) -> None:
    with suppress(MatineeError):
        load(data)
