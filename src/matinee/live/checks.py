"""Checks of what can be stored: ids, stars and marks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from matinee.errors import UsageError
from matinee.live.schema import MAX_ID

MARKS = ("seen", "hidden", "watchlist")

# As JSON Schema writes them; there, text has no lone surrogates.
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
UNREAD = r"\ufffd"  # replaces bytes that are not UTF-8: different ids would become one
ID_PATTERN, LINE_PATTERN = rf"^[^{CONTROLS}{UNREAD}]+$", rf"^[^{CONTROLS}]*$"

_NOT_IN_AN_ID = re.compile(rf"[{CONTROLS}{UNREAD}\ud800-\udfff]")
_NOT_IN_A_LINE = re.compile(rf"[{CONTROLS}\ud800-\udfff]")


def can_be_id(value: str) -> bool:
    """Return whether this is a valid id: 1 to 256 characters, none a control character or undecodable."""
    return bool(value) and len(value) <= MAX_ID and not _NOT_IN_AN_ID.search(value)


def is_line(text: str) -> bool:
    """Return whether a text has no control characters: PostgreSQL refuses some, and they are never intended."""
    return not _NOT_IN_A_LINE.search(text)


def checked_id(value: str, what: str) -> str:
    """Return an id of a user or movie unchanged. Raises UsageError for an invalid one.

    >>> checked_id("260", "movie")
    '260'
    """
    if not can_be_id(value):
        raise UsageError(
            f"{value[:40]!r} is not a valid {what} id: an id has 1 to {MAX_ID} characters of UTF-8, none a control "
            "character"
        )
    return value


def checked_stars(stars: Mapping[str, float]) -> dict[str, float]:
    """Return {movie id: stars} as it is stored. Raises UsageError naming an invalid id or value."""
    for movie, value in stars.items():
        if not math.isfinite(value):
            raise UsageError(f"movie {movie!r}: stars must be a finite number, not {value!r}; or delete the rating")
    return {checked_id(movie, "movie"): float(value) for movie, value in stars.items()}


def checked_mark(mark: str) -> str:
    """Return a mark unchanged. Raises UsageError, which lists the valid marks, for another."""
    if mark not in MARKS:
        raise UsageError(f"a mark is {', '.join(MARKS[:-1])} or {MARKS[-1]}, not {mark!r}")
    return mark
