"""What a list is asked for: a genre, a decade, films that fewer people know, and no film that was put aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from matinee.errors import UsageError

DECADE = 10
OLDEST = 1960
"""The decade that stands for all before it too."""
MOST_ASIDE = 40
"""Films put aside that an address remembers, the last ones."""


@dataclass(frozen=True)
class Choice:
    """genre and decade are None for any; `without` are the films put aside by "Another", in that order.

    >>> Choice.of(MultiDict({"genre": "Drama", "decade": "1990"})).but(genre=None).query
    'decade=1990'
    """

    genre: str | None = None
    decade: int | None = None
    less_known: bool = False
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: MultiDict[str, str]) -> Choice:
        """Return what a query asks for. Raises UsageError for an invalid value."""
        decade = arguments.get("decade", "")
        if decade and not (decade.isdecimal() and len(decade) <= 4):
            raise UsageError(f"decade is a whole number, not {decade[:20]!r}; begin again at /")
        aside = tuple(dict.fromkeys(arguments.getlist("without")))[-MOST_ASIDE:]
        less_known = bool(arguments.get("less_known"))
        return cls(arguments.get("genre") or None, int(decade) if decade else None, less_known, aside)

    def but(self, **changes: Any) -> Choice:
        """Return another choice."""
        return replace(self, **changes)

    def aside(self, movie: str) -> Choice:
        """Return the same without this film, the last that was put aside."""
        others = [one for one in self.without if one != movie]
        return replace(self, without=(*others, movie)[-MOST_ASIDE:])

    @property
    def query(self) -> str:
        """The choice as an address has it."""
        named = {"genre": self.genre, "decade": self.decade, "less_known": int(self.less_known)}
        chosen = [(name, value) for name, value in named.items() if value]
        return urlencode([*chosen, *(("without", movie) for movie in self.without)])

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
