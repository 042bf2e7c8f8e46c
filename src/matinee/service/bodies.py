"""Bodies: read whole or refused, never cut."""

from __future__ import annotations

from flask import request


def content() -> bytes:
    """Return the body of this request. Raises RequestEntityTooLarge where it is longer than may be.

    Werkzeug stops at the limit in a body that does not say its length, and only the next read is refused.
    """
    found = request.get_data(cache=False)
    request.stream.read(1)
    return found
