"""Table: what every result is, rows under named columns with a note for the reader.

It opens in a notebook, prints in a terminal, and goes to any data frame library through Arrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pyarrow as pa

MAX_SHOWN = 60


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows under named columns; `arrow` holds them and `note` says in one line what a reader must know.

    >>> table = Table.of({"title": ["The Matrix", "Heat"], "stars": [4.5, float("nan")]}, note="simulated ratings")
    >>> table
    title       stars
    The Matrix  4.500
    Heat
    simulated ratings
    >>> len(table), table["title"], next(iter(table))
    (2, ['The Matrix', 'Heat'], {'title': 'The Matrix', 'stars': 4.5})
    """

    arrow: pa.Table
    note: str = ""

    @classmethod
    def of(cls, columns: Mapping[str, Any], note: str = "") -> Table:
        """Make a table from {column: values}; values are a sequence or an array, all of one length."""
        return Table(pa.table(dict(columns)), note)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.arrow.column_names)

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.arrow.to_pylist())

    def __getitem__(self, column: str) -> list[Any]:
        return list(self.arrow[column].to_pylist())

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame. Raises ImportError where pandas is not installed."""
        return self.arrow.to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        columns = [
            _aligned([name, *cells], right=_is_number(self.arrow.schema.field(name).type))
            for name, cells in zip(self.columns, self._shown(), strict=True)
        ]
        lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
        return "\n".join([*lines, *self._below()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>\n"
            for row in zip(*self._shown(), strict=True)
        )
        below = "".join(f"<p>{escape(line)}</p>" for line in self._below())
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{below}"

    def _shown(self) -> list[list[str]]:
        """The first rows as text, column by column."""
        shown = self.arrow.slice(0, MAX_SHOWN)
        return [texts(shown[name].to_pylist()) for name in self.columns]

    def _below(self) -> list[str]:
        hidden = len(self) - MAX_SHOWN
        return ([f"... and {hidden:,} more rows"] if hidden > 0 else []) + self.note.splitlines()


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)  # type: ignore[no-any-return]


def _aligned(cells: Sequence[str], right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]


def texts(values: Sequence[Any]) -> list[str]:
    """Show values of one column: floats with four digits for the column's largest, nothing for null and NaN."""
    largest = max((abs(value) for value in values if isinstance(value, float) and math.isfinite(value)), default=0.0)
    decimals = 4 if largest < 2 else max(4 - len(str(int(largest))), 0)
    return [_text(value, decimals) for value in values]


def _text(value: Any, decimals: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
