"""How the last refit went, and whether one is running: in the live database, for every worker and machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from matinee.errors import BusyError, MatineeError
from matinee.live import LiveRatings
from matinee.live.schema import FORGOTTEN, MOVIES, USERS

NAME = "refit"
State = Mapping[str, Any]
"""{"state": "asked", "running", "failed" or the fields of an Outcome, whose `result` is the state;
"began", "ended": times; "why": one line; "changes": what `changes` said when it began}"""


@contextmanager
def recorded(live: LiveRatings) -> Iterator[dict[str, Any]]:
    """Record that a refit runs, then what the block puts into the result, or why it failed."""
    begun = {"state": "running", "began": _now(), "changes": changes(live), "why": ""}
    live.set_state(NAME, begun)
    result: dict[str, Any] = {}
    try:
        yield result
    except BaseException as error:
        why = str(error) if isinstance(error, MatineeError) else f"{type(error).__name__}: {error}"
        live.set_state(NAME, {**begun, "state": "failed", "ended": _now(), "why": why})
        raise
    live.set_state(NAME, {**begun, "ended": _now(), **result})


def state(live: LiveRatings) -> State | None:
    """Return how the last refit went or goes, None before the first.

    One that ended without a word, as after kill -9, has failed.
    """
    found = live.state(NAME)
    if found is None or found["state"] != "running":
        return found
    try:
        with live.lock(NAME, wait=False):
            found = live.state(NAME) or found  # it may have ended meanwhile
            if found["state"] == "running":
                found = {**found, "state": "failed", "ended": _now(), "why": "its process was ended"}
                live.set_state(NAME, found)
            return found
    except BusyError:
        return found


def changes(live: LiveRatings) -> int:
    """Return a number that grows with everything that people said, and with movies that were added."""
    counted = [
        select(func.coalesce(func.sum(table.c.revision), 0)).scalar_subquery() for table in (USERS, FORGOTTEN)
    ] + [select(func.count()).select_from(table).scalar_subquery() for table in (FORGOTTEN, MOVIES)]
    with live.reading() as connection:
        return sum(int(count) for count in connection.execute(select(*counted)).one())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
