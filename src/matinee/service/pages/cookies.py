"""Kept: what a browser keeps for the page in cookies that scripts cannot read, so that the server need not.

after      what a page shows once, after a form was taken
unknown    films that the visitor was asked about and does not know
rooms      what opens the rooms that the visitor is in, of which the database has only hashes
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_plus, unquote_plus

from flask import Response, request

AFTER, UNKNOWN, ROOMS = "matinee-after", "matinee-unknown", "matinee-rooms"
MOST_BYTES = 3500  # a browser takes 4096 with the name
MOMENT, LONG = 60, 400 * 24 * 3600  # seconds
MOST_UNKNOWN = 100


def kept(name: str) -> list[str]:
    """Return the words that the browser keeps under a name."""
    return [unquote_plus(word) for word in request.cookies.get(name, "").split(":") if word]


def keep(answer: Response, name: str, words: Sequence[str], seconds: int) -> Response:
    """Let the browser keep words, the first of them that fit."""
    value = ":".join(map(quote_plus, words))[: MOST_BYTES + 1]
    if len(value) > MOST_BYTES:
        value = value[: value.rindex(":")] if ":" in value else ""
    answer.set_cookie(
        name, value, seconds, path=request.root_path or "/", secure=request.is_secure, httponly=True, samesite="Lax"
    )
    return answer


def unknown() -> list[str]:
    """Return the films that the visitor does not know, the last first."""
    return kept(UNKNOWN)


def keep_unknown(answer: Response, movie: str) -> Response:
    """Let the browser remember a film that the visitor does not know."""
    others = [one for one in unknown() if one != movie]
    return keep(answer, UNKNOWN, [movie, *others][:MOST_UNKNOWN], LONG)
