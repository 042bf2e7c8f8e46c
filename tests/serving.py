"""A service started as a program of its own, and what a test asks of it over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVE = "import json, sys; from matinee.service import serve; serve(sys.argv[1], port=0, **json.loads(sys.argv[2]))"
PATIENCE = 120  # seconds, for busy machines


class Server:
    """`serve` as the main program of a process in its own group, as a terminal or a service manager starts it."""

    def __init__(self, store: Path, **options: object) -> None:
        command = [sys.executable, "-c", SERVE, str(store), json.dumps(options)]
        self.process = subprocess.Popen(
            command, process_group=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = re.search("http://127.0.0.1:[0-9]+/", self.process.stdout.readline())
        if found is None:
            raise RuntimeError(self.process.communicate()[1])
        self.url = found[0]

    def workers(self) -> set[int]:
        """The pids of the processes that answer, without Python's resource tracker."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child) for child in children if _is_worker(child)}

    def end(self, number: int = signal.SIGTERM, group: bool = False) -> tuple[int, str]:
        """Send a signal and return the exit code and what was said on stderr."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr


def _is_worker(pid: str) -> bool:
    try:
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:  # it was killed meanwhile
        return False


@contextmanager
def started(store: Path, **options: object) -> Iterator[Server]:
    """Start a service and kill it at the end, unless it has ended by then."""
    server = Server(store, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end(signal.SIGKILL, group=True)
        server.process.communicate()


def ask(url: str, body: bytes | None = None) -> Any:
    """GET, or POST where there is a body; the JSON of the answer. Raises HTTPError where it is no success."""
    with urllib.request.urlopen(url, body, timeout=PATIENCE) as answer:
        return json.load(answer)


def send(url: str, method: str = "POST", body: object = None) -> tuple[int, Any]:
    """Send JSON; the status and the JSON of the answer, whatever the status."""
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.load(problem)


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fails with `what` is the matter where it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
