"""Whether a browser sends a write from our own pages: other pages must not write in a visitor's name."""

from __future__ import annotations

from urllib.parse import urlsplit

from matinee.service.auth.proxies import Environ
from matinee.service.problems import ForbiddenError

READING = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})  # none: typed or bookmarked by the visitor


def check_origin(environ: Environ) -> None:
    """Raise ForbiddenError for a write that a browser sends from another site's page.

    Programs that are no browsers say nothing of either header.
    """
    if environ["REQUEST_METHOD"] not in READING and not _is_ours(environ):
        raise ForbiddenError("another site's page asked for this; only this service's own pages may write")


def _is_ours(environ: Environ) -> bool:
    if site := environ.get("HTTP_SEC_FETCH_SITE"):
        return site in OURS
    if (origin := environ.get("HTTP_ORIGIN")) is None:
        return True
    scheme, host = urlsplit(origin)[:2]
    weaker = (
        scheme != "https" and environ["wsgi.url_scheme"] == "https"
    )  # an attacker on the network can write that page
    return not weaker and host.lower() == environ.get("HTTP_HOST", "").lower() != ""
