from __future__ import annotations

import numpy as np
import pyarrow as pa

from matinee.catalog import SCHEMA, Catalog

ROWS = [
    {"movie": "1", "title": "Heat", "year": 1995, "genres": ["Action", "Crime"], "tags": []},
    {"movie": "2", "title": "Nameless", "year": None, "genres": [], "tags": []},
    {"movie": "3", "title": "Alien", "year": 1979, "genres": ["Sci-Fi", "Action"], "tags": []},
]


def test_years__are_zero_where_unknown():
    np.testing.assert_array_equal(Catalog(pa.Table.from_pylist(ROWS, SCHEMA)).years, [1995, 0, 1979])


def test_genre_flags__follow_the_sorted_names():
    catalog = Catalog(pa.Table.from_pylist(ROWS, SCHEMA))
    assert catalog.genre_names == ("Action", "Crime", "Sci-Fi")
    np.testing.assert_array_equal(catalog.genre_flags, [[1, 1, 0], [0, 0, 0], [1, 0, 1]])


def test_a_catalogue_without_genres__has_no_columns_of_flags():
    catalog = Catalog(pa.Table.from_pylist(ROWS[1:2], SCHEMA))
    assert catalog.genre_names == ()
    assert catalog.genre_flags.shape == (1, 0)
