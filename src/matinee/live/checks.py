"""What can be stored at all: ids, stars and marks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from matinee.errors import UsageError
from matinee.live.schema import MAX_ID

MARKS = ("seen", "hidden", "watchlist")

# As JSON Schema writes them; there, text has no lone surrogates.
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
UNREAD = r"\ufffd"  # stands for bytes that are not UTF-8: ids that hold it would be one person's though they differ
ID_PATTERN, LINE_PATTERN = rf"^[^{CONTROLS}{UNREAD}]+$", rf"^[^{CONTROLS}]*$"

_NOT_IN_AN_ID = re.compile(rf"[{CONTROLS}{UNREAD}\ud800-\udfff]")
_NOT_IN_A_LINE = re.compile(rf"[{CONTROLS}\ud800-\udfff]")


def can_be_id(value: str) -> bool:
    """Return whether a user or movie can have this id: 1 to 256 characters, none a control character or unreadable."""
    return bool(value) and len(value) <= MAX_ID and not _NOT_IN_AN_ID.search(value)


def is_line(text: str) -> bool:
    """Return whether a text holds no control character: PostgreSQL refuses some, and nobody means them."""
    return not _NOT_IN_A_LINE.search(text)


def checked_id(value: str, what: str) -> str:
    """Return an id of a user or movie as it is, or raise UsageError saying what no id can be.

    >>> checked_id("260", "movie")
    '260'
    """
    if not can_be_id(value):
        raise UsageError(
            f"{value[:40]!r} cannot be the id of a {what}: it takes 1 to {MAX_ID} characters of UTF-8, none a control "
            "character"
        )
    return value


def checked_stars(stars: Mapping[str, float]) -> dict[str, float]:
    """Return {movie id: stars} as it is stored, or raise UsageError naming what cannot be."""
    for movie, value in stars.items():
        if not math.isfinite(value):
            raise UsageError(f"{value!r} cannot be the stars of movie {movie!r}: give a number, or delete the rating")
    return {checked_id(movie, "movie"): float(value) for movie, value in stars.items()}


def checked_mark(mark: str) -> str:
    """Return a mark as it is, or raise UsageError naming those there are."""
    if mark not in MARKS:
        raise UsageError(f"{mark!r} is no mark: a movie is marked as {', '.join(MARKS[:-1])} or {MARKS[-1]}")
    return mark
