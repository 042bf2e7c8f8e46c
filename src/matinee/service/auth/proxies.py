"""Where a request comes from: from this machine itself, or through proxies, and under which name of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from matinee.service.hosts import host_name, is_local_name, is_loopback

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Environ = Mapping[str, Any]

FORWARDING = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_TRUE_CLIENT_IP",
)
PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def trust(app: Flask, proxies: int) -> None:
    """Take client address, scheme, host and prefix from what this many proxies before us say."""
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        _below_a_plain_prefix(app.wsgi_app), x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
    )


def _below_a_plain_prefix(app: WSGIApplication) -> WSGIApplication:
    """Take no prefix that is none: a proxy may pass on a visitor's, and //evil.example would lead elsewhere."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not PREFIX.fullmatch(environ["SCRIPT_NAME"]):
            environ["SCRIPT_NAME"] = ""
        return app(environ, start_response)

    return answer


def is_local(environ: Environ) -> bool:
    """Return whether a program of this machine asks, itself and under a local name.

    The name keeps out pages whose own name was made to point here (DNS rebinding).
    """
    return (
        is_loopback(environ.get("REMOTE_ADDR", ""))
        and is_local_name(host_name(environ.get("HTTP_HOST", "")))
        and not any(header in environ for header in FORWARDING)
    )
