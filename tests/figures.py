"""What a document shows against what is said today: the same words and whole numbers, and figures that are near.

Figures differ in their last places between instruction sets and releases of NumPy, by far less than LAST_PLACES.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LAST_PLACES = 10
"""By how many units of its last place a figure may be off."""
FIGURE = re.compile(r"\d+\.\d+")


def missing(shown: Iterable[str], said: Iterable[str]) -> list[str]:
    """The lines that are shown and not said; how they are aligned does not count."""
    lines = list(said)
    return [line for line in shown if not any(same(line, other) for other in lines)]


def same(shown: str, said: str) -> bool:
    """Whether two lines differ at most in the last places of their figures."""
    figures = zip(FIGURE.findall(shown), FIGURE.findall(said), strict=False)
    return _words(shown) == _words(said) and all(_near(*pair) for pair in figures)


def _words(line: str) -> list[str]:
    return FIGURE.sub("#", line).split()


def _near(shown: str, said: str) -> bool:
    decimals = len(shown.partition(".")[2])
    return abs(float(shown) - float(said)) <= (LAST_PLACES + 0.5) * 10**-decimals
