from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa

from matinee.table import MAX_SHOWN, Table


def test_table__goes_to_pandas_polars_and_arrow() -> None:
    table = Table.of({"movie": ["1", "2"], "stars": [4.5, 3.0]})
    assert table.to_pandas().equals(pd.DataFrame({"movie": ["1", "2"], "stars": [4.5, 3.0]}))
    assert pl.DataFrame(table).rows() == [("1", 4.5), ("2", 3.0)]
    assert pa.table(table).equals(table.arrow)


def test_html__escapes_what_people_wrote() -> None:
    page = Table.of({"<b>": ["<script>"]}, note="a & b")._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;" in page
    assert "<p>a &amp; b</p>" in page


def test_repr__says_how_many_rows_it_hides() -> None:
    shown = repr(Table.of({"n": list(range(MAX_SHOWN + 5))}, note="the note"))
    assert shown.splitlines()[-2:] == ["... and 5 more rows", "the note"]


def test_repr__shows_lists_missing_values_and_sensible_decimals() -> None:
    table = Table.of({"genres": [["Crime", "Drama"], None], "rmse": [0.97231, None], "seconds": [123.456, 2.0]})
    assert repr(table).splitlines() == [
        "genres          rmse  seconds",
        "Crime, Drama  0.9723    123.5",
        "                          2.0",
    ]


def test_repr__of_no_rows_and_of_no_columns_is_still_readable() -> None:
    assert repr(Table.of({"movie": pa.array([], pa.string())}, note="nothing left")) == "movie\nnothing left"
    assert repr(Table.of({})) == ""
