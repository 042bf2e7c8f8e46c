"""A connection to PostgreSQL that gives a server up which says nothing for too long.

One that was stopped, or whose disk hangs, keeps its connections: its kernel confirms what is sent, so that neither
keepalives nor a time limit of the server's own would ever end the wait.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

from matinee.live.database import PATIENCE

SILENCE = PATIENCE + 5  # seconds: longer than a server waits for a lock before it says so


class ImpatientConnection(psycopg.Connection[Any]):
    """Closes itself where nothing comes or goes for `silence` seconds while it waits for an answer."""

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
                    raise psycopg.OperationalError(f"it has said nothing for {self.silence:g} seconds")
        except StopIteration as ended:
            return ended.value
