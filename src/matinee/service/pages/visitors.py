"""Who looks at the page: a browser is a visitor from its first answer on."""

from __future__ import annotations

from flask import Response, make_response, redirect

from matinee.service import auth
from matinee.service.auth.identity import ME
from matinee.service.problems import UnauthorizedError
from matinee.service.users import UserState, user_state

NO_STATE = UserState(0, {}, {})


def visitor() -> str | None:
    """Return the user whose page this is, None for a browser that comes for the first time."""
    user = auth.identity().user
    return None if user == ME else user


def known_visitor() -> str:
    """Return the user whose page this is. Raises UnauthorizedError for a browser that sent no cookie."""
    user = visitor()
    if user is None:
        raise UnauthorizedError("your browser sent no cookie; allow cookies for this site and open /")
    return user


def own() -> UserState:
    """Return the visitor's ratings and marks."""
    user = visitor()
    return NO_STATE if user is None else user_state(user)


def welcomed(page: str) -> Response:
    """Return a page whose browser is a visitor from now on."""
    return auth.ensure_visitor(make_response(page))


def secret(answer: Response) -> Response:
    """Return an answer that shows a secret: not cached, and not compressed."""
    answer.headers["Cache-Control"] = "private, no-store, no-transform"
    return answer


def on_to(address: str) -> Response:
    """Return the way to the page to show after a form was taken."""
    return make_response(redirect(address, 303))


def part(html: str) -> Response:
    """Return a part of a page; it is the visitor's alone and may not be kept."""
    answer = make_response(html)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
