"""Dataset = Ratings + Catalog + facts: what every reader returns and every model is fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matinee.catalog import Catalog
from matinee.ratings import Ratings


@dataclass(frozen=True)
class Finding:
    """Something about a data set that is probably not meant.

    kind        what it is, the same in every data set: "not-rated"
    sentence    what was found
    remedy      what settles it, as matinee.remedies has it
    numbers     {name: what was counted}
    """

    kind: str
    sentence: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.sentence}; {self.remedy}"


@dataclass(frozen=True)
class Facts:
    """Where a data set comes from and what reading it changed; goes into every snapshot's manifest.

    name           "ml-latest-small", or the file's name
    source         path or address it was read from
    licence        one line on the terms it may be used under, empty where unknown
    simulated      True where no person gave these ratings; whatever shows them says so
    duplicates     ratings dropped because a later one of the same user and movie won
    skipped        rows left out under `on_bad_rows="skip"`
    skipped_movies rows of the movie table left out likewise
    unrated        rows left out because their stars mean "not rated"
    titled         movies with ratings that have a title
    columns        {"user": "userId", ...}: which column was taken for what, empty where no table was read
    times          what times were written in: "s", "ms", "us", "ns", "date", "" where there are none
    findings       what is probably not meant
    """

    name: str
    source: str
    licence: str = ""
    simulated: bool = False
    duplicates: int = 0
    skipped: int = 0
    skipped_movies: int = 0
    unrated: int = 0
    titled: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    times: str = ""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Facts:
        """Return the facts in a manifest, among other things or from before some of them were written down."""
        known = {name: said[name] for name in cls.__dataclass_fields__ if name in said}
        return cls(**{**known, "findings": tuple(Finding(**found) for found in said.get("findings", ()))})


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings and catalogue over the same movies: `ratings.movies` and `catalog.ids` are the same ids."""

    ratings: Ratings
    catalog: Catalog
    facts: Facts = field(default_factory=lambda: Facts("unnamed", "memory"))

    def __post_init__(self) -> None:
        if not self.ratings.movies.array.equals(self.catalog.ids.array):
            raise ValueError("the ratings and the catalogue of a data set must have the same movies")
