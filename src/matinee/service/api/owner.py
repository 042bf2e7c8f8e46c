"""Whose the address is: `{user}` in a path, where "me" stands for whoever asks."""

from __future__ import annotations

from matinee.live import checked_id
from matinee.service.problems import UnauthorizedError

ME = "me"


def owner(user: str) -> str:
    """Return the user that a path names. Raises UnauthorizedError for "me" where nobody is known to ask."""
    if user == ME:
        raise UnauthorizedError("nobody is signed in, so there is no 'me'; name the user in the path")
    return checked_id(user, "user")
