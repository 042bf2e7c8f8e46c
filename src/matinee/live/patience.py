"""A connection to PostgreSQL that closes when the server is silent for too long.

A server that was stopped, or whose disk hangs, keeps its connections: its kernel acknowledges packets, so that
neither keepalives nor the server's own time limits end the wait.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

from matinee.live.database import PATIENCE

SILENCE = PATIENCE + 5  # seconds: longer than a server waits for a lock before it reports that


class ImpatientConnection(psycopg.Connection[Any]):
    """Closes itself if no data arrives or leaves for `silence` seconds while it waits for an answer."""

    silence = SILENCE

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
        return super().wait(self._heard(gen), *arguments, **options)

    def _heard(self, conversation: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        ready, heard = None, time.monotonic()
        try:
            while True:
                ready = yield conversation.send(ready)
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.silence:
                    self.close()
                    raise psycopg.OperationalError(f"no answer for {self.silence:g} seconds")
        except StopIteration as ended:
            return ended.value
