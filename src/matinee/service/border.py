"""The border: numbers, lists and texts from outside, each with its limit before anything is done with it.

Bodies have theirs in `matinee.service.bodies`, zips in `matinee.datasets.zips`.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_plus

from matinee.errors import UsageError
from matinee.titles import fold

MOST_DIGITS = 15
MOST_QUERY = 100  # characters of a search, as written and as searched for
MOST_WORD = 1_000  # characters of one of several


def whole_number(text: str, least: int, most: int) -> int | None:
    """Return a whole number from one limit to the other, None for any other text.

    >>> whole_number("25", 1, 100), whole_number("101", 1, 100), whole_number("9" * 5000, 1, 100)
    (25, None, None)
    """
    if len(text) > MOST_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if least <= number <= most else None


def words(text: str, separator: str, most: int) -> list[str]:
    """Return the first words of a cookie's value.

    >>> words("a:b+c:d", ":", 2)
    ['a', 'b c']
    """
    found = map(unquote_plus, text.split(separator, most)[:most])
    return [word for word in found if word and len(word) <= MOST_WORD]


def search_text(text: str) -> str:
    """Return what to search for. Raises UsageError where it is too long, or becomes so when its signs are taken apart.

    U+FDFA is one character and eighteen letters.
    """
    text = text.strip()
    if len(text) > MOST_QUERY or len(fold(text)) > MOST_QUERY:
        raise UsageError(
            f"a search has at most {MOST_QUERY} characters, with its signs and ligatures taken apart; shorten it"
        )
    return text


def first(values: Sequence[str], most: int) -> list[str]:
    """Return the first of values that are given several times, without those that are too long to be meant."""
    return [value for value in values[:most] if len(value) <= MOST_WORD]
