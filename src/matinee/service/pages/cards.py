"""Cards: the films to ask about, likely to be known and telling, from mixed decades."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain, zip_longest
from typing import Any

from matinee.service.pages.formatting import Film, tint
from matinee.service.rows import movie_rows
from matinee.service.serving import recommender

CARDS = 12
CANDIDATES = 48
CHOICE = 2
"""Films for each card, so that neighbours can have other colours."""
NEAR = 2
"""Cards before one that lie beside or above it, where there are two in a row."""


def cards(
    user: str | None, n: int = CARDS, *, unknown: Collection[str] = (), without: Collection[str] = ()
) -> Sequence[Film]:
    """Return n films to ask a person about: the best questions of every decade in turn.

    unknown     movies that the person was asked about and does not know
    without     movies that are on the table already, or seen or hidden
    """
    ids = recommender().dataset.catalog.ids
    asked: dict[str, Any] = {"ratings": {}} if user is None else {"user": user}
    found = recommender().next_to_rate(**asked, n=CANDIDATES, unknown=[movie for movie in unknown if movie in ids])
    films = movie_rows().of(found.positions)
    return coloured(mixed([film for film in films if film["movie"] not in without])[: n * CHOICE], tint)[:n]


def mixed(films: Sequence[Film]) -> list[Film]:
    """Return films by turns of their decades, in their order within each.

    >>> [film["movie"] for film in mixed([{"movie": m, "year": y} for m, y in [(1, 1999), (2, 1995), (3, 2004)]])]
    [1, 3, 2]
    """
    decades: dict[int, list[Film]] = {}
    for film in films:
        decades.setdefault((film["year"] or 0) // 10, []).append(film)
    return [film for film in chain.from_iterable(zip_longest(*decades.values())) if film is not None]


def coloured(films: Sequence[Film], colour: Callable[[Film], str]) -> list[Film]:
    """Return the same films so that neighbours, beside and below each other, have other colours where that can be.

    >>> coloured(["war 1", "war 2", "drama", "comedy"], lambda film: film[:3])
    ['war 1', 'drama', 'comedy', 'war 2']
    """
    left, laid = [*films], list[Film]()
    while left:
        near = {colour(film) for film in laid[-NEAR:]}
        laid.append(next((film for film in left if colour(film) not in near), left[0]))
        left.remove(laid[-1])
    return laid
