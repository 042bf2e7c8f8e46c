"""Refits beside a running service: when one is due or asked for, a program of its own, at low priority.

The watching process of a service looks at the live database. Of all services on it one starts `matinee refit`, which
publishes; the workers follow the store as they always do. A service that stops ends its refit: the next one repeats it.
After somebody went back to an older snapshot, refits wait to be asked for: they would learn the same again.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from matinee import refit
from matinee.errors import MatineeError, UsageError
from matinee.live import LiveRatings
from matinee.snapshot import Store

COMMAND = (sys.executable, "-P", "-m", "matinee", "refit", "--json")
NICENESS = 10  # at 19 a busy machine would never let it end
LOOK_EVERY, COUNT_EVERY = 1.0, 5.0  # seconds: for requests, and for new ratings
MOST_COUNTING = 0.02  # of the time goes into counting
AGAIN_AFTER = timedelta(minutes=1)  # from the begin of one that failed, where ratings are counted
PATIENCE = 5.0  # seconds a refit has to end

log = logging.getLogger("matinee.service")


@dataclass(frozen=True)
class Plan:
    """When to refit, besides when asked to.

    every   seconds from one to the next, if there are new ratings
    after   so many ratings since the last one, however little time has passed
    here    whether this service refits at all; asked for here, another one on the database does it

    Raises UsageError for invalid values.
    """

    every: float | None = None
    after: int | None = None
    here: bool = True

    def __post_init__(self) -> None:
        if self and not self.here:
            raise UsageError("--no-refits excludes --refit-every and --refit-after; leave out one or the other")
        if self.every is not None and not self.every > 0:
            raise UsageError(f"--refit-every must be a longer time than {self.every:g} seconds")
        if self.after is not None and self.after < 1:
            raise UsageError(f"--refit-after must be 1 or more, not {self.after}")

    def __bool__(self) -> bool:
        return self.every is not None or self.after is not None

    def is_due(self, live: LiveRatings, last: refit.State | None, watched_since: datetime) -> bool:
        """Return whether another refit is due, by the ratings since the last one that did not fail."""
        began = watched_since if last is None else datetime.fromisoformat(last["began"])
        passed, learned = datetime.now(UTC) - began, refit.learned(last)
        if self.every is not None and passed.total_seconds() >= self.every:
            return bool(refit.changes(live) != learned["changes"])
        if self.after is None or (last is not None and last["state"] == "failed" and passed < AGAIN_AFTER):
            return False
        since = None if learned["since"] is None else datetime.fromisoformat(learned["since"])
        return refit.rated(live, since) >= self.after


class Refits:
    """Watches from the moment it is entered as a context until it is left.

    store, live   where, as text
    environment   of the program; its variables MATINEE_... are settings of `matinee refit`
    """

    def __init__(self, store: str, live: str, plan: Plan, environment: Mapping[str, str] = os.environ) -> None:
        self._store, self._live, self._plan = Store(store), LiveRatings(live), plan
        self._environment = {**environment, "MATINEE_STORE": store, "MATINEE_LIVE": live}  # a URL may hold a password
        self._thread = threading.Thread(target=self._watch, name="watch-refits", daemon=True)
        self._stopping, self._starting = threading.Event(), threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._began, self._count_at, self._trouble = datetime.now(UTC), 0.0, ""
        self._gone_back_to: str | None = None

    def __enter__(self) -> Refits:
        if self._plan.here:
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        with self._starting:
            self._stopping.set()
            if self._process is not None:
                self._process.terminate()
        if self._plan.here:
            self._thread.join(PATIENCE)
        self._live.close()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                self._look()
                self._trouble = ""
            except MatineeError as error:
                if str(error) != self._trouble:
                    log.error("the thread that watches for refits failed: %s", error)
                self._trouble = str(error)

    def _look(self) -> None:
        seen = refit.state(self._live)
        if self._is_wanted(seen) and refit.claim(self._live, seen):
            self._report(*self._run())

    def _is_wanted(self, seen: refit.State | None) -> bool:
        if seen is not None and seen["state"] in ("asked", "starting", "running"):
            return bool(seen["state"] == "asked")
        start = time.monotonic()
        if not self._plan or start < self._count_at:
            return False
        due = self._plan.is_due(self._live, seen, self._began)
        took = time.monotonic() - start
        self._count_at = start + max(COUNT_EVERY, took / MOST_COUNTING)
        return due and not self._waits()

    def _waits(self) -> bool:
        """Return whether somebody went back to an older snapshot, and log it once."""
        served = self._store.current_id() if self._store.is_rolled_back() else None
        if served not in (None, self._gone_back_to):
            log.warning("refits wait to be asked for, as snapshot %s is served though there is a newer one", served)
        self._gone_back_to = served
        return served is not None

    def _run(self) -> tuple[int, str, str]:
        """Run the program to its end; return its exit code and output."""
        with self._starting:
            if self._stopping.is_set():
                return 1, "", "the service stopped"
            self._process = subprocess.Popen(
                COMMAND,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,  # a Ctrl-C in the terminal is for the service, which ends it
            )
        with suppress(OSError):  # it may have ended
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        said, complaint = self._process.communicate()
        return self._process.returncode, said, complaint

    def _report(self, code: int, said: str, complaint: str) -> None:
        """Log how it went, and record that it failed where it could not do so itself."""
        if said:
            outcome: dict[str, Any] = json.loads(said)
            level = logging.WARNING if outcome["state"] == "refused" else logging.INFO
            log.log(level, "refit %s: %s", outcome["state"], outcome["why"], extra={"fields": {"refit": outcome}})
            return
        why = complaint.strip().rpartition("\n")[2].removeprefix("error: ") or f"its process ended with {code}"
        if not self._stopping.is_set():
            log.error("refit failed: %s", why)
        seen = refit.state(self._live)
        if seen is not None and seen["state"] == "starting":
            refit.fail(self._live, seen, why)
