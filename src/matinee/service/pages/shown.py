"""How things are written on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matinee.ratings import Scale
from matinee.service.pages.blueprint import routes
from matinee.service.serving import recommender

HALF = 0.5
FORMAT = "IMAX"
"""What MovieLens lists among the genres without being one."""
MOST_STARS = 10
"""Choices of stars, where the data's scale has no steps of its own or more of them."""


@dataclass(frozen=True)
class Choices:
    """The stars that a person can give: the values, and whether each is half a star of the picture."""

    values: Sequence[str]
    halves: bool


@routes.app_template_filter("stars")
def stars(value: float | None) -> str:
    """Write stars with one decimal.

    >>> stars(4.3333), stars(None)
    ('4.3', '')
    """
    return "" if value is None else f"{value:.1f}"


@routes.app_template_filter("given")
def given(value: float) -> str:
    """Write stars that somebody gave.

    >>> given(4.0), given(3.5)
    ('4', '3.5')
    """
    return f"{value:g}"


@routes.app_template_filter("telling")
def telling(genres: Sequence[str]) -> list[str]:
    """Return a film's genres, first the one that fewest films have: it says most."""
    counts = recommender().dataset.catalog.genre_counts
    return sorted(genres, key=lambda genre: (genre == FORMAT, counts.get(genre, 0), genre))


@routes.app_template_filter("tint")
def tint(genres: Sequence[str]) -> str:
    """Return the class that colours a film, by the first of its genres.

    >>> tint(["Sci-Fi", "Drama"]), tint([])
    ('g-sci-fi', 'g-none')
    """
    return f"g-{re.sub(r'[^a-z0-9]+', '-', genres[0].lower()).strip('-')}" if genres else "g-none"


@routes.app_template_global("star_choices")
def star_choices() -> Choices:
    """Return what a person can give on the scale of the data."""
    return choices(recommender().dataset.ratings.scale)


def choices(scale: Scale) -> Choices:
    """Return the choices of a scale, coarser where it has too many steps.

    >>> choices(Scale(1, 5, 1))
    Choices(values=['1', '2', '3', '4', '5'], halves=False)
    """
    span, step = scale.high - scale.low, scale.step or (scale.high - scale.low) / (MOST_STARS - 1)
    steps = round(span / step)
    count = min(steps + 1, MOST_STARS)
    places = [round(place * steps / (count - 1)) for place in range(count)]
    return Choices([f"{scale.low + place * step:.6g}" for place in places], step == scale.low == HALF)


@routes.app_template_filter("main")
def main_title(title: str) -> str:
    """Return a title without its other names and its year.

    >>> main_title("Léon: The Professional (The Professional) (Léon) (1994)"), main_title("(500) Days of Summer")
    ('Léon: The Professional', '(500) Days of Summer')
    """
    return title.split(" (")[0] if not title.startswith("(") else title


@routes.app_template_filter("thousands")
def thousands(value: Any) -> str:
    """Write a count.

    >>> thousands(21000)
    '21,000'
    """
    return f"{value:,}"
