"""Compression: text is gzipped for clients that say they take it, and costs those that do not say so nothing.

An answer that shows a secret says `no-transform` and stays as it is, here and at proxies that keep to the standard: by
its length a compressed answer tells what of it an address repeats (BREACH).
"""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

TEXTS = frozenset({"text/html", "application/json", "application/problem+json", "text/plain"})
LEAST = 1000  # bytes that are worth it
FAST, SMALL = 1, 9  # levels: for what is written once and for what is kept


def install(app: Flask) -> None:
    """Compress this application's answers."""
    app.after_request(compress)


def compress(answer: Response) -> Response:
    """Compress an answer where its client takes that; a weak tag then names the content, not its bytes."""
    if not takes_gzip():
        return answer
    tag, _ = answer.get_etag()
    if tag is not None:
        answer.set_etag(tag, weak=True)
    if answer.mimetype in TEXTS and not _is_closed(answer) and len(content := answer.get_data()) >= LEAST:
        answer.set_data(gzip.compress(content, FAST, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def takes_gzip() -> bool:
    """Return whether the client of this request takes gzip."""
    return "HTTP_ACCEPT_ENCODING" in request.environ and request.accept_encodings.quality("gzip") > 0


def _is_closed(answer: Response) -> bool:
    return "Content-Encoding" in answer.headers or "no-transform" in answer.headers.get("Cache-Control", "")
