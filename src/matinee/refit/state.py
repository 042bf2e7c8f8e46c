"""The state of the last refit or the running one, in the live database, for every worker and machine.

    asked -> starting -> running -> published, unchanged, refused or failed

A client's request writes "asked"; one of the services that read it writes "starting" and starts the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from matinee.errors import BusyError, LiveError, MatineeError
from matinee.live import LiveRatings
from matinee.live.schema import FORGOTTEN, MOVIES, RATINGS, USERS

NAME = "refit"
UNDER_WAY = ("starting", "running")
STARTS_WITHIN = timedelta(minutes=2)
State = Mapping[str, Any]
"""{"state": as above, with "published", "unchanged" and "refused" the fields of an Outcome, whose `result` it is;
"asked", "began", "ended": times; "why": one line; of the last refit that did not fail, through all that follow:
"changes": what `changes` returned when it began; "since": when that was}"""


@contextmanager
def recorded(live: LiveRatings) -> Iterator[dict[str, Any]]:
    """Record a running refit, then the result that the block fills in, or the reason of its failure."""
    begun = {**learned(live.state(NAME)), "state": "running", "began": _now(), "why": ""}
    seen = {"changes": changes(live), "since": begun["began"]}
    live.set_state(NAME, begun)
    result: dict[str, Any] = {}
    try:
        yield result
    except BaseException as error:
        why = str(error) if isinstance(error, MatineeError) else f"{type(error).__name__}: {error}"
        live.set_state(NAME, {**begun, "state": "failed", "ended": _now(), "why": why})
        raise
    live.set_state(NAME, {**begun, **seen, "ended": _now(), **result})


def state(live: LiveRatings) -> State | None:
    """Return the state of the last or running refit, None before the first.

    One whose process died, as after kill -9, has failed.
    """
    found = live.state(NAME)
    if found is None or found["state"] not in UNDER_WAY:
        return found
    if found["state"] == "starting":
        late = datetime.now(UTC) - datetime.fromisoformat(found["began"]) > STARTS_WITHIN
        return fail(live, found, "its process did not start") if late else found
    try:
        with live.lock(NAME, wait=False):
            found = live.state(NAME) or found  # it may have ended meanwhile
            return fail(live, found, "its process was killed") if found["state"] == "running" else found
    except BusyError:
        return found


def ask(live: LiveRatings) -> State:
    """Request a refit from the service that watches these live ratings; return the state.

    Raises BusyError while one runs: it may have read the live ratings already.
    """
    while (found := state(live)) is None or found["state"] not in UNDER_WAY:
        asked = {**learned(found), "state": "asked", "asked": _now(), "why": ""}
        if live.replace_state(NAME, found, asked):
            return asked
    raise BusyError(f"a refit is running since {found['began']}; try again when it has ended")


def claim(live: LiveRatings, seen: State | None) -> bool:
    """Record that a refit starts, and return False if another service did so first."""
    begun = {**learned(seen), "state": "starting", "began": _now(), "why": ""}
    return live.replace_state(NAME, seen, begun)


def fail(live: LiveRatings, seen: State, why: str) -> State:
    """Return the state of a failed refit, and record it if nothing else changed and the database accepts writes."""
    failed = {**seen, "state": "failed", "ended": _now(), "why": why}
    with suppress(LiveError):
        live.replace_state(NAME, seen, failed)
    return failed


def learned(last: State | None) -> dict[str, Any]:
    """Return "changes" and "since" of the last refit that did not fail, 0 and None before one."""
    known = {} if last is None else last
    return {"changes": known.get("changes", 0), "since": known.get("since")}


def changes(live: LiveRatings) -> int:
    """Return a number that grows with every change of live ratings and added movies."""
    counted = [
        select(func.coalesce(func.sum(table.c.revision), 0)).scalar_subquery() for table in (USERS, FORGOTTEN)
    ] + [select(func.count()).select_from(table).scalar_subquery() for table in (FORGOTTEN, MOVIES)]
    with live.reading() as connection:
        return sum(int(count) for count in connection.execute(select(*counted)).one())


def rated(live: LiveRatings, since: datetime | None) -> int:
    """Return how many ratings users added, changed or deleted since then, or ever."""
    query = select(func.count()).select_from(RATINGS)
    with live.reading() as connection:
        return connection.execute(
            query if since is None else query.where(RATINGS.c.at >= since.timestamp())
        ).scalar_one()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
