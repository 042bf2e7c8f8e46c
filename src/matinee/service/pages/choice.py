"""What a list is asked for: a genre, a decade, films that fewer people know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from matinee.errors import UsageError

DECADE = 10
OLDEST = 1960
"""The decade that stands for all before it too."""


@dataclass(frozen=True)
class Choice:
    """genre and decade are None for any; `skip` films were put aside by "Another".

    >>> Choice.of({"genre": "Drama", "decade": "1990"}).but(genre=None).query
    'decade=1990'
    """

    genre: str | None = None
    decade: int | None = None
    less_known: bool = False
    skip: int = 0

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Choice:
        """Return what a query asks for. Raises UsageError where it cannot be meant."""
        numbers = {name: arguments.get(name, "") for name in ("decade", "skip")}
        for name, text in numbers.items():
            if text and not (text.isdecimal() and len(text) <= 4):
                raise UsageError(f"{name} is a whole number, not {text[:20]!r}; begin again at /")
        decade, skip = numbers["decade"], numbers["skip"]
        less_known = bool(arguments.get("less_known"))
        return cls(arguments.get("genre") or None, int(decade) if decade else None, less_known, int(skip or 0))

    def but(self, **changes: Any) -> Choice:
        """Return another choice, beginning at its first film."""
        return replace(self, skip=0, **changes)

    @property
    def next(self) -> Choice:
        """The same with another film first."""
        return replace(self, skip=self.skip + 1)

    @property
    def query(self) -> str:
        """The choice as an address has it."""
        named = {"genre": self.genre, "decade": self.decade, "less_known": int(self.less_known), "skip": self.skip}
        return urlencode({name: value for name, value in named.items() if value})

    @property
    def is_narrow(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.genre or self.decade or self.less_known)

    @property
    def filters(self) -> dict[str, Any]:
        """The choice as `Recommender.recommend` takes it, but for how well known a film is."""
        first = None if self.decade is None or self.decade <= OLDEST else self.decade
        last = None if self.decade is None else self.decade + DECADE - 1
        return {"genre": self.genre, "year_from": first, "year_to": last}
