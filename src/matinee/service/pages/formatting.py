"""How things are written on the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from matinee.ratings import Scale
from matinee.service.pages.blueprint import routes, texts
from matinee.service.serving import recommender

Film = Mapping[str, Any]
"""What the page knows of a film, as `movie_rows` has it, and what is expected of it."""

HALF = 0.5
FORMAT = "IMAX"
"""What MovieLens lists among the genres without being one."""
MOST_GENRES, LINE = 3, 25
"""Genres and letters of them that a card has room for."""
COLOURING = 2
"""Genres of a film that may colour it."""
MOST_STARS = 10
"""Choices of stars, where the data's scale has no steps of its own or more of them."""
SHORTEST, LONGEST = 8, 40
"""Letters of a line that the styles have a size for, every second number."""


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
    """Format the stars of a rating.

    >>> given(4.0), given(3.5)
    ('4', '3.5')
    """
    return f"{value:g}"


def telling(genres: Sequence[str]) -> list[str]:
    """Return a film's genres, first the one that fewest films have: it says most of the film."""
    counts = recommender().dataset.catalog.genre_counts
    return sorted(genres, key=lambda genre: (genre == FORMAT, counts.get(genre, 0), genre))


@routes.app_template_filter("described")
def described(genres: Sequence[str]) -> list[str]:
    """Return the genres that a line has room for, from what most films are to what makes this one another."""
    told = [genre for genre in reversed(telling(genres)) if genre != FORMAT]
    return next((told[:n] for n in range(MOST_GENRES, 0, -1) if len(", ".join(told[:n])) <= LINE), told[:1])


@routes.app_template_filter("tint")
def tint(film: Film) -> str:
    """Return the class that colours a film: a genre that says much of it, chosen by its id, as many share the first."""
    genres = [genre for genre in telling(film["genres"]) if genre != FORMAT][:COLOURING]
    genre = genres[crc32(film["movie"].encode()) % len(genres)] if genres else "none"
    return f"g-{re.sub(r'[^a-z0-9]+', '-', genre.lower()).strip('-')}"


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


@routes.app_template_filter("poster")
def poster(title: str) -> str:
    """Return the classes by which the styles make a title fill its place: its longest line in one, two or three lines.

    >>> poster("Alien"), poster("The Silence of the Lambs")
    ('one-8 two-8 three-8', 'one-24 two-12 three-10')
    """
    lengths = [longest_line(title.split(), n) for n in (1, 2, 3)]
    even = [min(max(length + length % 2, SHORTEST), LONGEST) for length in lengths]
    return "one-{} two-{} three-{}".format(*even)


def longest_line(words: Sequence[str], n: int) -> int:
    """Return the letters of the longest line, where words are broken into up to n lines as even as they allow."""
    if n == 1 or len(words) < 2:
        return len(" ".join(words))
    breaks = range(1, len(words))
    return min(max(len(" ".join(words[:at])), longest_line(words[at:], n - 1)) for at in breaks)


@routes.app_template_filter("word")
def word(value: str) -> str:
    """Return what stars mean, in a word of five."""
    t, scale = texts()["deck"], recommender().dataset.ratings.scale
    words = t["words"]
    share = (float(value) - scale.low) / (scale.high - scale.low)
    return str(words[min(int(share * len(words)), len(words) - 1)])


@routes.app_template_filter("along")
def along(stars: float) -> float:
    """Return where stars lie on the scale, from 0 to 100."""
    scale = recommender().dataset.ratings.scale
    return float(np.clip(100 * (stars - scale.low) / (scale.high - scale.low), 0, 100))


@routes.app_template_filter("thousands")
def thousands(value: Any) -> str:
    """Write a count.

    >>> thousands(21000)
    '21,000'
    """
    return f"{value:,}"
