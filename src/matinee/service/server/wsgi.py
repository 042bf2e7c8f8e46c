"""A request that Granian took, as the WSGI environment of the application, and the application's answer to it."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]
ALWAYS: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # the body is here whole
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
LEFT_OUT = "transfer-encoding"
OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
JOINED_BY = {"cookie": ";"}


class Scope(Protocol):
    """What is known of a request before its body (Granian's RSGI scope)."""

    headers: Any
    method: str
    path: str
    query_string: str
    scheme: str
    http_version: str
    client: str
    server: str
    authority: str | None


class Answering(Protocol):
    """Where the answer to a request goes (Granian's RSGI protocol)."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...


def environ(scope: Scope, body: bytes) -> WSGIEnvironment:
    """Return the environment of a request.

    Bytes of the path that are not UTF-8 are U+FFFD. A header with an underscore in its name is left out, as in CGI it
    would pass for one with a hyphen, which a proxy may have written, and so is how the body came.
    """
    host, _, port = scope.server.rpartition(":")
    found: dict[str, Any] = {
        **ALWAYS,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": address(scope.client),
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
    }
    headers = scope.headers
    for name in headers.keys():  # noqa: SIM118 - it yields no names by itself
        if "_" not in name and name != LEFT_OUT:
            values = headers.get_all(name)
            value = values[0] if len(values) == 1 else JOINED_BY.get(name, ",").join(values)
            found[OWN_NAMES.get(name) or f"HTTP_{name.replace('-', '_').upper()}"] = value
    if body:
        found["CONTENT_LENGTH"] = str(len(body))
    if scope.authority is not None:
        found.setdefault("HTTP_HOST", scope.authority)
    return found


def address(client: str) -> str:
    """Return an address without its port.

    >>> address("127.0.0.1:80"), address("[::1]:80")
    ('127.0.0.1', '::1')
    """
    return client.rpartition(":")[0].strip("[]")


def answer(app: WSGIApplication, environment: WSGIEnvironment, to: Answering, more: Headers) -> None:
    """Let the application answer a request, with some headers more."""
    started: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, *error: Any) -> Any:
        started[:] = [(status, headers)]

    parts = app(environment, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    [(status, headers)] = started
    to.response_bytes(int(status[:3]), [*headers, *more], body)
