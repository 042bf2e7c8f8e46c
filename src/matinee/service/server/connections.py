"""Connections: how many a worker holds, and how many of them one address may.

Granian takes connections in Rust and closes those that say nothing; here the surplus of one address is cut, those first
that are idle for the longest, by looking at the open files of this process, as Linux lists them.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from matinee.service.hosts import client

MOST = 8_192  # of one worker
MOST_OF_AN_ADDRESS = 256  # of those of one worker
OTHER_FILES = 500  # that a worker has open besides
LOOK_EVERY = 0.5  # seconds
QUIET_MS = 1_000  # in which whoever asks again after an answer does so
QUIET_ELSEWHERE = 0.2  # seconds to wait where the system tells nothing of connections
LOOK_FOR_QUIET_EVERY = 0.02  # seconds
OPEN_FILES = "/proc/self/fd"
INTERNET = (socket.AF_INET, socket.AF_INET6)
SILENCE = struct.Struct("44xI4xI")  # in Linux' tcp_info: milliseconds since data went and came


class Connection(NamedTuple):
    """A connection that was accepted: its number as an open file, and who is at the other end.

    silence   milliseconds since anything came
    rest      milliseconds since anything came or went
    """

    number: int
    peer: tuple[str, int]
    silence: int
    rest: int


def most() -> int:
    """Return how many connections a worker can hold with the open files that this user may have."""
    import resource  # POSIX alone has it

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if hard == resource.RLIM_INFINITY else max(min(MOST, hard - OTHER_FILES), 1)


def allow_most() -> None:
    """Let this process open so many files."""
    import resource  # POSIX alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most() + OTHER_FILES), hard))


def watch(port: int) -> None:
    """Cut the surplus of each address again and again; on Linux alone."""
    while sys.platform == "linux":
        time.sleep(LOOK_EVERY)
        if len(os.listdir(OPEN_FILES)) > MOST_OF_AN_ADDRESS:
            cut_surplus(port)


def cut_surplus(port: int, most_of_an_address: int = MOST_OF_AN_ADDRESS) -> None:
    """Cut what each address has too much of connections to this port of ours, the longest silent first."""
    by_address: dict[str, list[Connection]] = defaultdict(list)
    for connection in _accepted(port):
        by_address[client(connection.peer[0])].append(connection)
    for found in by_address.values():
        found.sort(key=lambda one: one.silence)
        for connection in found[most_of_an_address:]:
            _cut(connection, port)


def wait_for_quiet(port: int) -> None:
    """Wait until nobody is about to ask: on no connection to this port of ours anything went or came a moment ago."""
    if sys.platform != "linux":
        time.sleep(QUIET_ELSEWHERE)
        return
    while any(connection.rest < QUIET_MS for connection in _accepted(port)):
        time.sleep(LOOK_FOR_QUIET_EVERY)


def _accepted(port: int) -> Iterator[Connection]:
    for name in os.listdir(OPEN_FILES):
        with suppress(OSError), _opened(int(name)) as found:  # others close theirs meanwhile
            if (peer := _peer(found, port)) is not None:
                sent, came = SILENCE.unpack(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SILENCE.size))
                yield Connection(int(name), peer, came, min(sent, came))


def _cut(connection: Connection, port: int) -> None:
    with suppress(OSError), _opened(connection.number) as found:
        if _peer(found, port) == connection.peer:  # else the number is another file's by now
            found.shutdown(socket.SHUT_RDWR)


@contextmanager
def _opened(number: int) -> Iterator[socket.socket]:
    """Open a socket once more, so that it stays the same while it is looked at. Raises OSError for another file."""
    descriptor = os.dup(number)
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise
    with found:
        yield found


def _peer(found: socket.socket, port: int) -> tuple[str, int] | None:
    """Return the other end of a connection to a port of ours, None for another socket."""
    if found.family not in INTERNET or found.getsockname()[1] != port:
        return None
    host, its_port, *_ = found.getpeername()
    return host, its_port
