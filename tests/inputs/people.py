"""Inputs of one person: what other sites export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from matinee.catalog import SCHEMA, Catalog
from matinee.datasets.exports import HALF_STARS, read
from matinee.datasets.matching import match
from matinee.ids import Ids

FILMS = [("1", "The Matrix", 1999, "tt0133093", "603"), ("2", "Heat", 1995, "tt0113277", "949")]
CATALOG = Catalog.of(
    Ids(["1", "2"]),
    pa.Table.from_pylist(
        [
            {"movie": movie, "title": title, "year": year, "genres": [], "tags": [], "imdb": imdb, "tmdb": tmdb}
            for movie, title, year, imdb, tmdb in FILMS
        ],
        SCHEMA,
    ),
)


@dataclass(frozen=True)
class Person:
    """A file of one person, what becomes of it, and how many lines become nothing."""

    kind: str
    outcome: str
    text: str
    stars: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    nothing: int = 0

    def check(self, _: Path) -> None:
        found = match(read(self.text.encode()), CATALOG, HALF_STARS)
        assert (found.stars, found.marks, len(found.unmatched)) == (self.stars, self.marks, self.nothing)


INPUTS = [
    Person(
        "an export of IMDb, of any year",
        "ratings where there are stars, else the mark `watchlist`",
        '"position","const","You rated"\n"1","tt0133093","10"\n"2","tt0113277",""\n',
        {"1": 5.0},
        {"2": "watchlist"},
        0,
    ),
    Person(
        "Letterboxd's watched.csv",
        "marks `seen`",
        "Date,Name,Year,Letterboxd URI\n2024-01-01,Heat,1995,u\n",
        {},
        {"2": "seen"},
        0,
    ),
    Person(
        "the Letterboxd import format",
        "ratings, and `seen` for films without stars",
        "Title,Year,WatchedDate,Rating,Rating10\nHeat,1995,2024-01-01,4.5,9\nMatrix,1999,2024-01-01,,\n",
        {"2": 4.5},
        {"1": "seen"},
        0,
    ),
    Person(
        "Trakt's ratings as JSON or CSV",
        "ratings; episodes are counted, not matched",
        "rated_at,type,title,year,trakt_id,imdb_id,rating\n"
        "2024,movie,Heat,1995,1,tt0113277,9\n"
        "2024,episode,Heat,1995,1,tt0113277,9\n",
        {"2": 4.5},
        {},
        1,
    ),
    Person(
        "any table with an IMDb or TMDB id, or a title and year, and stars",
        "ratings on the data's scale",
        "tmdb_id,title,year,stars\n603,,,4\n,Heat,1995,5\n",
        {"1": 4.0, "2": 5.0},
        {},
        0,
    ),
    Person(
        "a person's file with a title that differs a little",
        "the film, listed with what differs",
        "title,year,stars\nThe Heat,1995,5\n",
        {"2": 5.0},
        {},
        0,
    ),
]
