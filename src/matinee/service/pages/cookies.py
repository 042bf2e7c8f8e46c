"""Kept: what a browser keeps for the page in cookies that scripts cannot read, so that the server need not.

after      what a page shows once, after a form was taken
unknown    films that the visitor was asked about and does not know
rooms      what opens the rooms that the visitor is in, of which the database has only hashes
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_plus

from flask import Response, request

from matinee.service import border
from matinee.service.auth.cookies import name_at, path_at

AFTER, UNKNOWN, ROOMS = "matinee-after", "matinee-unknown", "matinee-rooms"
MOST_BYTES = 3500  # a browser takes 4096 with the name
MOMENT, LONG = 60, 400 * 24 * 3600  # seconds
MOST_UNKNOWN, MOST_ROOMS = 100, 5
MOST = {AFTER: 60, UNKNOWN: MOST_UNKNOWN, ROOMS: MOST_ROOMS}


def kept(name: str) -> list[str]:
    """Return the words that the browser keeps under a name."""
    value = request.cookies.get(name_at(name, request.environ), "")
    return border.words(value, ":", MOST[name])


def keep(answer: Response, name: str, words: Sequence[str], seconds: int) -> Response:
    """Let the browser keep words, the first of them that fit."""
    value = ":".join(map(quote_plus, words))[: MOST_BYTES + 1]
    if len(value) > MOST_BYTES:
        value = value[: value.rindex(":")] if ":" in value else ""
    answer.set_cookie(
        name_at(name, request.environ),
        value,
        seconds,
        path=path_at(request.environ),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def unknown() -> list[str]:
    """Return the films that the visitor does not know, the last first."""
    return kept(UNKNOWN)


def keep_unknown(answer: Response, movie: str) -> Response:
    """Let the browser remember a film that the visitor does not know."""
    others = [one for one in unknown() if one != movie]
    return keep(answer, UNKNOWN, [movie, *others][:MOST_UNKNOWN], LONG)
