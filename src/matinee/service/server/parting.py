"""Parting: before a worker ends, each answer closes its connection, so that its client connects to another worker."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from matinee.service.server import connections

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CLOSE = ("Connection", "close")


class Parting:
    """A WSGI application that closes each connection behind its next answer once the worker shall leave.

    stay     nothing comes from it; that it is closed at the other end means to leave
    parted   is closed here when nobody is about to ask any more: whatever is asked later may be cut off
    port     where visitors connect
    """

    def __init__(self, app: WSGIApplication, stay: Connection, parted: Connection, port: int) -> None:
        self._app, self._stay, self._parted, self._port = app, stay, parted, port
        self._is_leaving = False
        threading.Thread(target=self._part, name="part", daemon=True).start()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, CLOSE] if self._is_leaving else headers, *error)

        return self._app(environ, start)

    def _part(self) -> None:
        with suppress(EOFError, OSError):
            self._stay.recv_bytes()
        self._is_leaving = True
        connections.wait_for_quiet(self._port)
        self._parted.close()
