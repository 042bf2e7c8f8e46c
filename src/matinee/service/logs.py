"""Logs of a service: for people the warnings, for machines one JSON object a line, each request with its id.

What is logged of a request is its route, not its path, and never its body, its query or its cookies: addresses of rooms
and private links are secrets.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flask import Flask, Response

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
HEADER, IN_ENVIRON = "X-Request-Id", "HTTP_X_REQUEST_ID"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger("matinee.service")


class JsonLines(logging.Formatter):
    """Writes a record as one line: time, level, logger, message, and what `extra={"fields": ...}` adds."""

    def format(self, record: logging.LogRecord) -> str:
        from flask import g, has_request_context  # here, as the watching process starts without Flask

        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **({"request": g.request_id} if has_request_context() and "request_id" in g else {}),
            **getattr(record, "fields", {}),
            **({"trace": self.formatException(record.exc_info)} if record.exc_info else {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


def start(kind: Format) -> None:
    """Let this process log on standard error: warnings as text, or everything as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    root = logging.getLogger("matinee")
    root.handlers, root.propagate = [handler], False
    root.setLevel(logging.WARNING)
    if kind == "json":
        handler.setFormatter(JsonLines())
        root.setLevel(logging.INFO)


def install(app: Flask) -> None:
    """Give every request an id, taken from the proxy's header where it has one, and log how it was answered."""
    from flask import g, request

    @app.before_request
    def name_the_request() -> None:
        given = request.environ.get(IN_ENVIRON, "")
        g.request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        g.arrived = time.perf_counter()

    @app.after_request
    def tell(answer: Response) -> Response:
        answer.headers[HEADER] = g.request_id
        if log.isEnabledFor(logging.INFO):
            fields = {
                "method": request.method,
                "route": request.url_rule.rule if request.url_rule is not None else None,
                "status": answer.status_code,
                "ms": round((time.perf_counter() - g.arrived) * 1e3, 2),
            }
            log.info("answered", extra={"fields": fields})
        return answer
