"""The listening sockets: made before the workers, outliving them, and closed so that nobody is cut off.

On Linux each worker has one of its own, and the kernel deals the connections out to them: from a socket they share,
whichever worker is awake takes all that come at once, and the others idle.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from matinee.errors import UsageError

UNREAD_MS = 30_000  # in which something of an answer is taken
BACKLOG = 1024  # connections that wait to be accepted
PORTS_TRIED = 100
LAST_PORT = 65_535
PATIENCE = 5.0  # seconds for the waiting to be accepted

SO_ATTACH_FILTER = 26  # Linux
QUEUE_LENGTH = struct.Struct("24xI")  # in Linux' tcp_info of a listening socket
IGNORE_SYN = (
    b"".join(  # a program for the kernel, on the TCP header: load the flags; if SYN is set keep 0 bytes, else all
        struct.pack("HBBI", *step)
        for step in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))
    )
)


@contextmanager
def listen(
    host: str, port: int, next_free_port: bool, workers: int = 1, unread_ms: int = UNREAD_MS
) -> Iterator[list[socket.socket]]:
    """Listen on a port: 0 takes any free one; a busy one means the next where `next_free_port`.

    On Linux a connection whose other end takes nothing of an answer for `unread_ms` is cut.

    Yields a socket for each worker, the same one where the system deals out no connections.

    Raises UsageError where that cannot be.
    """
    if not 0 <= port <= LAST_PORT:
        raise UsageError(f"port {port} is outside 0 to {LAST_PORT}")
    if workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {workers}")
    last = min(port + PORTS_TRIED, LAST_PORT) if next_free_port and port else port
    while True:
        try:
            listeners = _listeners(host, port, workers, unread_ms)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last:
                raise UsageError(_why_not_listening(host, port, error)) from None
            port += 1
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _listeners(host: str, port: int, workers: int, unread_ms: int) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if workers == 1 or sys.platform != "linux":
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        return [_set_up(listener, unread_ms)] * workers
    with socket.create_server((host, port), family=family) as alone:  # refused where another service listens
        port = alone.getsockname()[1]
    with ExitStack() as made:
        listeners = [
            made.enter_context(socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=True))
            for _ in range(workers)
        ]
        made.pop_all()
    return [_set_up(listener, unread_ms) for listener in listeners]


def _set_up(listener: socket.socket, unread_ms: int) -> socket.socket:
    """Let its connections send at once: the end of an answer would wait 40 ms for its start to be received."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)
    return listener


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; stop what uses it or name another one with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs root's rights; name one above 1023 with --port"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def stop_taking(listeners: Sequence[socket.socket]) -> None:
    """Let nobody new in and wait until everybody who came before was taken.

    Connections that arrive now are ignored rather than refused: the visitor's kernel asks again after a second, and
    finds the next server if one was started in the meantime. Closing would reset those that wait to be accepted.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(IGNORE_SYN, len(IGNORE_SYN))
    header = struct.pack("HP", len(IGNORE_SYN) // 8, ctypes.addressof(program))
    with suppress(OSError):  # a sandbox that knows no filters stops a little less gently
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)
        deadline = time.monotonic() + PATIENCE
        while any(map(_waiting, listeners)) and time.monotonic() < deadline:
            time.sleep(0.01)


def _waiting(listener: socket.socket) -> int:
    """Return how many connections wait to be accepted."""
    (count,) = QUEUE_LENGTH.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, QUEUE_LENGTH.size))
    return int(count)
