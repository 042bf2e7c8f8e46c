from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from matinee.datasets import load
from matinee.errors import DataError

COLUMNS = {"userId": [1, 1, 2], "movieId": ["a", "b", "a"], "rating": [4.0, 2.5, 5.0]}
TRIPLES = {("1", "a", 4.0), ("1", "b", 2.5), ("2", "a", 5.0)}


def triples(data: Any) -> set[tuple[str, str, float]]:
    ratings = load(data).ratings
    users, movies = list(ratings.users), list(ratings.movies)
    rows = zip(ratings.by_user.row_of_each(), ratings.by_user.indices, ratings.by_user.values.tolist(), strict=True)
    return {(users[user], movies[movie], stars) for user, movie, stars in rows}


def relation(columns: dict[str, list[Any]]) -> Any:
    frame = pa.table(columns)
    return duckdb.connect().from_arrow(frame).filter("rating > 0")


def rows(columns: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*columns.values(), strict=True))


FORMS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pd.DataFrame,
    "pandas with PyArrow": lambda columns: pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "polars, lazy": lambda columns: pl.LazyFrame(columns).filter(pl.col("rating") > 0),
    "DuckDB relation": relation,
    "pyarrow": pa.table,
    "pyarrow reader": lambda columns: pa.table(columns).to_reader(),
    "columns": dict,
    "columns of arrays": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "columns of series": lambda columns: {name: pd.Series(values) for name, values in columns.items()},
    "tuples": rows,
    "lists": lambda columns: [list(row) for row in rows(columns)],
    "tuple of tuples": lambda columns: tuple(rows(columns)),
    "records": lambda columns: pa.table(columns).to_pylist(),
    "structured": lambda columns: np.array(rows(columns), [("userId", int), ("movieId", "U1"), ("rating", float)]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_load__reads_the_same_ratings_from_every_kind_of_table_in_memory(form: str) -> None:
    assert triples(FORMS[form](COLUMNS)) == TRIPLES


def test_load__takes_a_fourth_field_of_rows_as_the_time_and_an_array_as_rows() -> None:
    dataset = load([(1, 10, 4.0, 1_000_000_000), (1, 20, 2.5, 1_000_000_001)])
    assert dataset.ratings.timestamps is not None
    assert dataset.ratings.timestamps.tolist() == [1_000_000_000, 1_000_000_001]
    assert triples(np.array([[1, 10, 4.0], [2, 20, 2.5]])) == {("1", "10", 4.0), ("2", "20", 2.5)}


ODD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "type NoneType is neither a path nor a table"),
    "number": (7, "type int is neither a path nor a table"),
    "no rows": ([], "type list is neither a path nor a table"),
    "numbers": ([1, 2, 3], "row 0 of the data frame has one int"),
    "pairs": ([(1, 2)], "has 2 fields"),
    "rows of two lengths": ([(1, 2, 3), (1, 2)], "row 1 of the data frame has 2 fields"),
    "series of pandas": (pd.Series([1, 2]), "type Series is neither a path nor a table"),
    "series of polars": (pl.Series([1, 2]), "type Series is neither a path nor a table"),
    "one value for a column": ({"userId": 1, "movieId": [2], "rating": [3]}, "column 'userId' holds one int"),
    "text for a column": ({"userId": "1", "movieId": [2], "rating": [3]}, "column 'userId' holds one str"),
    "columns of two lengths": ({"userId": [1, 2], "movieId": [2], "rating": [3]}, "expected length 2 but got length 1"),
    "mixed values": (pd.DataFrame({"userId": [1, "x"], "movieId": [1, 2], "rating": [3, 4]}), "column userId"),
    "objects": ({"userId": [object()], "movieId": [2], "rating": [3]}, "object"),
    "a set": ({1, 2}, "type set is neither a path nor a table"),
    "a generator": ((row for row in [(1, 2, 3)]), "type generator is neither a path nor a table"),
    "a class": (pd.DataFrame, "DataFrame is a class"),
    "bytes": (b"userId,movieId,rating\n1,2,3\n", "type bytes is neither a path nor a table"),
    "a flat array": (np.arange(3), "type ndarray is neither a path nor a table"),
    "complex stars": ({"userId": [1], "movieId": [2], "rating": np.array([3j])}, "is not a table"),
    "lists as ids": ({"userId": [[1]], "movieId": [2], "rating": [3]}, ""),
    "structs as stars": ({"userId": [1], "movieId": [2], "rating": [{"a": 3}]}, ""),
    "no columns": ({}, "no column for user"),
}


@pytest.mark.parametrize("kind", ODD)
def test_load__says_in_one_line_and_in_the_words_of_python_what_it_cannot_read(kind: str) -> None:
    data, words = ODD[kind]
    with pytest.raises(DataError) as caught:
        load(data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)


def test_load__takes_decimals_as_stars() -> None:
    assert triples({"userId": [1], "movieId": ["a"], "rating": [Decimal("4.5")]}) == {("1", "a", 4.5)}
