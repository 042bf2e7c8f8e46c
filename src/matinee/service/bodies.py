"""Bodies: read whole or refused, never cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flask import Flask, request
from werkzeug.exceptions import BadRequest, HTTPException, RequestTimeout, ServiceUnavailable

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

MOST_BYTES = 1_000_000
MOST_UPLOADED = 5_000_000  # bytes, where files are taken
MOST_PARTS = 20  # of a form
RETRY_AFTER = 5  # seconds

Refusal = Literal["cut", "late", "busy"]
REFUSAL = "matinee.refusal"  # in the environment: why the server did not read the body whole
CUT = "the body ended before its end; nothing was stored; send it again"
LATE = "the body did not arrive in time; nothing was stored; send it again, faster"
BUSY = "more requests are waiting than can be answered soon; try again in a moment"


def install(app: Flask) -> None:
    """Refuse what the server did not read whole, before anything else looks at the request."""
    app.config["MAX_CONTENT_LENGTH"], app.config["MAX_FORM_PARTS"] = MOST_BYTES, MOST_PARTS
    app.before_request(_refuse)


def by_its_length(environ: WSGIEnvironment) -> None:
    """Let a body with a declared length end there and nowhere before: then Werkzeug refuses one that was cut."""
    if environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
        environ.pop("wsgi.input_terminated", None)


def content() -> bytes:
    """Return the body of this request. Raises RequestEntityTooLarge where it is longer than may be.

    Werkzeug stops at the limit in a body that does not say its length, and only the next read is refused.
    """
    found = request.get_data(cache=False)
    request.stream.read(1)
    return found


def _refuse() -> None:
    refusal: Refusal | None = request.environ.get(REFUSAL)
    if refusal is not None:
        raise _error(refusal)


def _error(refusal: Refusal) -> HTTPException:
    match refusal:
        case "cut":
            return BadRequest(CUT)
        case "late":
            return RequestTimeout(LATE)
        case "busy":
            return ServiceUnavailable(BUSY, retry_after=RETRY_AFTER)
