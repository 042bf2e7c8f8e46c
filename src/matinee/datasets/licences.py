"""Licences: the terms of data sets that are known by what is in them, whatever their files are called."""

from __future__ import annotations

from matinee.catalog import Catalog

MOVIELENS = (
    "MovieLens data: research use, no endorsement implied, redistribution under the same conditions, no commercial use "
    "without permission; see the data set's own README (F. M. Harper and J. A. Konstan 2015)"
)
FIRST_MOVIES = (
    {"1": "Toy Story", "2": "Jumanji", "3": "Grumpier Old Men", "4": "Waiting to Exhale"},
    {"1": "Toy Story", "2": "GoldenEye", "3": "Four Rooms", "4": "Get Shorty"},  # ml-100k
)
"""Movies that have these ids in MovieLens, and nowhere else all of them."""
FEWEST = 3


def of(catalog: Catalog) -> str:
    """Return one line on the terms under which ratings of these movies may be used, "" where they are not known."""
    for first in FIRST_MOVIES:
        places = {movie: catalog.ids.position(movie) for movie in first}
        known = {movie: place for movie, place in places.items() if place is not None}
        titles = {movie: catalog.table["title"][place].as_py() for movie, place in known.items()}
        if len(titles) >= FEWEST and all(first[movie] == title for movie, title in titles.items()):
            return MOVIELENS
    return ""
