"""How much one client may ask for: requests a second, and the length of a history."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from matinee.errors import UsageError
from matinee.service.problems import TooManyRequestsError

BURST = 10.0  # seconds' worth of requests that may come at once
MOST_CLIENTS = 50_000  # remembered at a time
MOST_RATINGS = 50_000  # of one history; the busiest person of MovieLens has 33,000


class Rate:
    """A token bucket per client, kept as the moment at which it is full again (the generic cell rate algorithm).

    per_second   how fast it fills; `BURST` times as many requests may come at once
    clock        seconds that only go forward
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = 1 / per_second
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def spend(self, client: str) -> None:
        """Take one request from a client's bucket. Raises TooManyRequestsError where it is empty."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.get(client, now), now) + self._each
            wait = full_at - now - BURST
            if wait <= 0:
                self._full_at[client] = full_at
                if len(self._full_at) > MOST_CLIENTS:
                    self._forget(now)
                return
        raise TooManyRequestsError(
            f"more than {1 / self._each:g} requests per second; wait for the seconds in Retry-After", math.ceil(wait)
        )

    def _forget(self, now: float) -> None:
        """Forget clients with a full bucket, or all clients if that does not help."""
        self._full_at = {client: at for client, at in self._full_at.items() if at > now}
        if len(self._full_at) > MOST_CLIENTS // 2:
            self._full_at.clear()


def checked_length(ratings: int) -> None:
    """Raise UsageError for a history with more ratings than one person can have."""
    if ratings > MOST_RATINGS:
        raise UsageError(
            f"{ratings:,} ratings are more than the {MOST_RATINGS:,} that one history may have; send fewer"
        )
