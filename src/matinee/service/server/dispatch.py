"""Dispatch: a request holds a thread only once it is here whole.

request --> its body, piece by piece, in nobody's thread, within a time limit --> a lane of threads --> application

Granian calls `Dispatcher.take` for each request and `_Reading._came` for each piece of a body, in threads of its own,
one more than all lanes have: so one is always free to look at what comes, whatever the others wait for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from matinee.service.bodies import MOST_UPLOADED, REFUSAL, Refusal
from matinee.service.server import wsgi

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
PATIENCE = 10.0  # seconds until a body that does not come is refused
LEAST_SPEED = 10_000  # bytes a second of a body, after that
MOST_HELD = 100_000_000  # bytes of bodies that are on their way or wait for a thread
MOST_WAITING = 1_000  # requests that wait for a thread
CLOSE = [("Connection", "close")]

log = logging.getLogger("matinee.service")


class Lane:
    """A few threads for work from any caller; further work waits for one of them."""

    def __init__(self, threads: int) -> None:
        self._threads = self._free = threads
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How much work waits for a thread."""
        return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        """Whether any of its threads is at work."""
        return self._free < self._threads

    def run(self, work: Callable[[], None]) -> None:
        """Do the work in this thread, and after it what waits, or let it wait where enough threads are at work."""
        with self._lock:
            if not self._free:
                self._waiting.append(work)
                return
            self._free -= 1
        while True:
            try:
                work()
            except Exception:
                log.exception("a request was not answered")
            with self._lock:
                if not self._waiting:
                    self._free += 1
                    return
                work = self._waiting.popleft()


class Dispatcher:
    """Hands requests to a WSGI application, each when it is whole.

    threads   that run the application for visitors; two more answer those who watch the service, and refusals
    """

    def __init__(self, app: WSGIApplication, threads: int) -> None:
        self._app = app
        self._visitors, self._watchers, self._refused = Lane(threads), Lane(1), Lane(1)
        self._readings: dict[_Reading, None] = {}
        self._held = 0
        self._lock = threading.Lock()

    def take(self, request: Any) -> None:
        """Take a request from Granian: answer it, or begin to read its body."""
        try:
            headers = request.scope.headers
            chunked = "transfer-encoding" in headers
            length = None if chunked else int(headers.get("content-length", "0"))
            if length == 0 or (length is not None and length > MOST_UPLOADED):  # who reads so long a body refuses it
                self._hand_over(request, b"")
            else:
                reading = _Reading(request, length, self._ended, self._hold)
                self._readings[reading] = None
                reading.begin()
        except Exception:
            log.exception("a request was not taken")

    def refuse_late(self, now: float) -> None:
        """Refuse the requests whose bodies are late; `now` by time.monotonic."""
        for reading in [*self._readings]:
            if now > reading.deadline:
                reading.refuse_late()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is being made."""
        return any(lane.is_busy for lane in (self._visitors, self._watchers, self._refused))

    def _hold(self, size: int) -> bool:
        """Hold so many bytes more; returns whether there is room for them."""
        with self._lock:
            self._held += size
            return self._held <= MOST_HELD

    def _ended(self, reading: _Reading, refusal: Refusal | None) -> None:
        """Go on with a request whose body has ended."""
        del self._readings[reading]
        body = b"".join(reading.pieces)
        self._hand_over(reading.request, body, refusal, reading.size)

    def _hand_over(self, request: Any, body: bytes, refusal: Refusal | None = None, held: int = 0) -> None:
        lane = self._watchers if request.scope.path in WATCHED else self._visitors
        if refusal is None and lane.waiting >= MOST_WAITING:
            refusal = "busy"
        lane = lane if refusal is None else self._refused
        lane.run(partial(self._answer, request, body, refusal, held))

    def _answer(self, request: Any, body: bytes, refusal: Refusal | None, held: int) -> None:
        environ = wsgi.environ(request.scope, body)
        if refusal is not None:
            environ[REFUSAL] = refusal
        try:
            wsgi.answer(self._app, environ, request.proto, CLOSE if refusal else [])
        finally:
            if held:
                self._hold(-held)


class _Reading:
    """A body on its way.

    length     as declared, None where it comes in chunks: then only their end says that it is whole
    deadline   by time.monotonic; each piece puts it off by the time that it may take
    """

    def __init__(
        self,
        request: Any,
        length: int | None,
        ended: Callable[[_Reading, Refusal | None], None],
        hold: Callable[[int], bool],
    ) -> None:
        self.request, self.length = request, length
        self.pieces: list[bytes] = []
        self.size = 0
        self.deadline = time.monotonic() + PATIENCE
        self._stream = aiter(request.proto)
        self._ended, self._hold = ended, hold
        self._coming: Any = None
        self._is_over = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Ask for the first piece."""
        self._ask()

    def refuse_late(self) -> None:
        """End it, unless it has ended meanwhile."""
        with self._lock:
            if self._is_over:
                return
            self._is_over, coming, self._coming = True, self._coming, None
        coming.cancel()
        self._ended(self, "late")

    def _ask(self) -> None:
        self._coming = anext(self._stream)
        self._coming.add_done_callback(self._came)

    def _came(self, coming: Any) -> None:
        if coming.cancelled():
            return
        with self._lock:
            if self._is_over:
                return
            self._coming = None  # Granian's object refers to this one and knows nothing of cycles
            verdict = self._judged(coming.result())
            if verdict == "more":
                self._ask()
                return
            self._is_over = True
        self._ended(self, None if verdict == "whole" else verdict)

    def _judged(self, piece: bytes) -> Refusal | Literal["more", "whole"]:
        self.pieces.append(piece)
        self.size += len(piece)
        self.deadline += len(piece) / LEAST_SPEED
        if not self._hold(len(piece)):
            return "busy"
        if not piece:
            return "whole" if self.length is None and self._ended_well() else "cut"
        return "whole" if self.size == self.length or self.size > MOST_UPLOADED else "more"

    def _ended_well(self) -> bool:
        """Return whether an empty piece is the end of the chunks: behind an error there is another one to wait for."""
        try:
            anext(self._stream).cancel()
        except StopAsyncIteration:
            return True
        return False


class CallersThread:
    """Stands where Granian expects an event loop: calls back at once, in the thread that has the result."""

    def call_soon(self, call: Callable[..., Any], *arguments: Any, context: Any = None) -> None:
        call(*arguments)

    call_soon_threadsafe = call_soon
