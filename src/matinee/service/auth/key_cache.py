"""The keys and cookie secrets as they were a moment ago, so that no request waits for the database."""

from __future__ import annotations

import logging
import math
import threading
import time

from matinee.errors import LiveError
from matinee.live import LiveRatings
from matinee.live.identities import Identities, identities
from matinee.service.auth.cookies import Cookies

GOOD_FOR = 2.0  # seconds

log = logging.getLogger("matinee.service")


class Recent:
    """The keys and secrets of the live database, read again after a few seconds.

    One thread reads while the others go on with the cached values, for as long again; later they wait for it, as the
    cache may be hours old. While the database is away, the cached values stay valid.
    """

    def __init__(self, live: LiveRatings, good_for: float = GOOD_FOR) -> None:
        self._live, self._good_for = live, good_for
        self._known: Identities | None = None
        self._until = -math.inf
        self._asking = threading.Lock()
        self.cookies = Cookies(["none yet"])

    def identities(self) -> Identities:
        """Return what is known. Raises LiveError where the database has never been there."""
        late, known = time.monotonic() - self._until, self._known  # in this order: what is known is set first
        if known is not None and late < 0:
            return known
        if not self._asking.acquire(blocking=late > self._good_for) and known is not None:
            return known
        try:
            return self._asked()
        finally:
            self._asking.release()

    def _asked(self) -> Identities:
        """Ask, unless another thread did while this one waited."""
        if self._known is not None and time.monotonic() < self._until:
            return self._known
        try:
            found = identities(self._live)
        except LiveError as error:
            if self._known is None:
                raise
            log.warning("reading API keys and cookie secrets failed, the last known ones stay valid: %s", error)
            found = self._known
        if self._known is None or found.secrets != self._known.secrets:
            self.cookies = Cookies(found.secrets)
        self._known, self._until = found, time.monotonic() + self._good_for
        return found
