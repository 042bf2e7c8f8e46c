"""Frames: a table in memory, whatever library it comes from, as an Arrow table.

pandas, polars, DuckDB, pyarrow      through Arrow's own interface; a lazy frame of polars is collected first
{column: values}                     a list, an array or a series for each column
[(user, movie, rating), ...]         rows, with the time as a fourth field or without
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.errors import DataError

FIELDS = ("userId", "movieId", "rating", "timestamp")
"""What the fields of a row are, in their order."""
FEWEST = 3
WAYS = (
    "pass a path, the name of a data set, a data frame (pandas, polars, DuckDB, pyarrow), {column: values}, or rows "
    "(user, movie, rating)"
)


FOR_SPARK = (
    "write it with `df.write.parquet(FOLDER)`, then train with "
    "`matinee.spark.engine.train(Source(FOLDER), store)`, which collects nothing"
)


def arrow_table(data: Any, what: str = "the data") -> pa.Table:
    """Return a table in memory as an Arrow table; `what` is how errors call it.

    Raises DataError where it is no table, or its columns have no one type or length.

    >>> arrow_table({"userId": [1], "movieId": ["a"], "rating": [4.5]}).column_names
    ['userId', 'movieId', 'rating']
    >>> arrow_table([(1, "a", 4.5), (2, "b", 3)])["rating"].to_pylist()
    [4.5, 3.0]
    """
    try:
        return pa.table(_columns(data, what))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as problem:
        raise DataError(f"{what} is not a table: {_reason(problem)}") from None


def _columns(data: Any, what: str) -> Any:
    """Return what `pyarrow.table` takes: something that offers Arrow data, or {column: values}."""
    if isinstance(data, type):
        raise DataError(f"{data.__name__} is a class, not a table; {WAYS}")
    refuse_spark(data, what)
    if _is_lazy(data):
        data = data.collect()
    if hasattr(data, "__arrow_c_stream__") and not _is_column(data):
        return data
    if isinstance(data, Mapping):
        return {str(name): _values(name, values) for name, values in data.items()}
    if isinstance(data, np.ndarray) and data.dtype.names:
        return {name: data[name] for name in data.dtype.names}
    if isinstance(data, np.ndarray) and data.ndim == 2:
        return dict(zip(_fields(data.shape[1], what), data.T, strict=True))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes) and data:
        return _from_rows(data, what)
    raise DataError(f"data of type {type(data).__name__} is neither a path nor a table; {WAYS}")


def refuse_spark(data: Any, what: str) -> None:
    """Raise DataError where a table is in Spark, as it may be larger than this machine."""
    if type(data).__module__.partition(".")[0] == "pyspark":
        raise DataError(f"{what} is a Spark DataFrame; {FOR_SPARK}")


def _is_lazy(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "polars" and hasattr(data, "collect")


def _is_column(data: Any) -> bool:
    """Return whether this is one column, such as a series: a table has names for several."""
    return not hasattr(data, "columns") and not hasattr(data, "column_names") and hasattr(data, "__len__")


def _values(name: Any, values: Any) -> Any:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise DataError(f"column {name!r} holds one {type(values).__name__}; give a list or an array for each column")
    return values


def _from_rows(rows: Sequence[Any], what: str) -> dict[str, Any]:
    if all(isinstance(row, Mapping) for row in rows):
        return {str(name): [row.get(name) for row in rows] for name in rows[0]}
    for number, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != len(rows[0]):
            found = f"{len(row)} fields" if isinstance(row, tuple | list) else f"one {type(row).__name__}"
            raise DataError(f"row {number} of {what} has {found}, not user, movie and rating in a tuple; {WAYS}")
    return dict(zip(_fields(len(rows[0]), what), map(list, zip(*rows, strict=True)), strict=True))


def _fields(count: int, what: str) -> tuple[str, ...]:
    if not FEWEST <= count <= len(FIELDS):
        raise DataError(f"a row of {what} has {count} fields, not user, movie, rating and perhaps a time; {WAYS}")
    return FIELDS[:count]


def _reason(problem: Exception) -> str:
    """Return the first line of why, with the column where pyarrow names it apart."""
    return "; ".join(str(part).splitlines()[0] for part in problem.args if str(part)) or type(problem).__name__
