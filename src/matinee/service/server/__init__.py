"""Run the service on Granian: one process that watches, `workers` that answer.

The listening sockets belong to the watching process, and each worker accepts from its own. So a second server on the
port is refused, and a visitor who comes while a killed worker is being replaced waits a moment instead of being turned
away.
Workers are started by spawn and open store, maps and threads themselves; they end when the watching process does.
"""

from __future__ import annotations

import http
import http.client
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LOGGING_CONFIG, LogLevels
from granian.net import SocketHolder
from granian.server.mp import MPServer

from matinee import system
from matinee.errors import MatineeError, UsageError
from matinee.service import logs
from matinee.service.policy import DEFAULT_POLICY, Policy
from matinee.service.server import connections
from matinee.service.server.checking import Checking
from matinee.service.server.granian_worker import LANES, run_worker
from matinee.service.server.listener import BACKLOG, listen, stop_taking
from matinee.service.server.metrics_folder import counting_together
from matinee.service.server.refits import Plan, Refits
from matinee.service.settings import KILL_TIMEOUT, Settings, check

if TYPE_CHECKING:
    from matinee.service.server.parting import Parting

Stay = Connection
"""One end of a pipe: the watching process closes its own when the workers shall leave, and so does its death."""
Parted = Connection
"""One end of a pipe whose other end each worker closes when nobody is about to ask it any more, and so does its death.
"""

THREADS = 5  # that answer requests, in each worker: enough to share the disk's syncs, few to wait for in turn
HEADER_MS = 10_000  # in which a header comes, and the next request on a connection that stays open
MOST_HEADER_BYTES = 65_536
GOODBYE = 10.0  # seconds in which the workers part from those who go on asking
SHORT_LIFE, PAUSE = 5.0, 1.0  # seconds: before a worker that died this young is replaced, wait a moment
ASKED_TO_END = (0, -signal.SIGTERM)  # how a worker ends at SIGTERM
MOMENT = 1.0  # seconds between the same signal to a worker and to us, on a busy machine
AS_CHILD = "from matinee.service.server import serve_as_child; serve_as_child()"
ONE_THREAD = dict.fromkeys(("MATINEE_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}  # glibc keeps a heap for each thread, most of it unused between requests


class _Server(MPServer):  # type: ignore[misc]
    """Granian's server with sockets of ours, and with workers that are replaced as often as they die.

    Granian gives up when a worker dies twice within seconds; we give up only where none has ever answered.
    """

    _spawn_wsgi_worker = staticmethod(run_worker)

    def __init__(
        self, listeners: Sequence[socket.socket], stay: Stay, parted: tuple[Parted, Parted], log: logs.Format
    ) -> None:
        super().__init__(
            "matinee",
            *listeners[0].getsockname()[:2],
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            workers=len(listeners),
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS, max_buffer_size=MOST_HEADER_BYTES),
            blocking_threads=THREADS + LANES,
            backlog=BACKLOG,
            backpressure=connections.most(),
            respawn_failed_workers=True,
            workers_kill_timeout=KILL_TIMEOUT,
            log_level=LogLevels.error,
            log_dictconfig=_granians_log(log),
        )
        self.has_answered = False
        self._listeners, self._stay, self._parted = listeners, stay, parted
        self._ending = threading.Event()

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        super().signal_handler_interrupt(*arguments, **options)
        self._ending.set()

    def _init_shared_socket(self) -> None:
        """Share none."""

    def _drop_shared_socket(self) -> None:
        """Say goodbye: workers close each connection behind its next answer, and report when none is waiting."""
        stop_taking(self._listeners)
        self._stay.close()
        all_parted, the_workers = self._parted
        the_workers.close()
        all_parted.poll(GOODBYE)

    def _spawn_worker(self, idx: int, *arguments: Any, **options: Any) -> Any:
        self._sso = self._listeners[idx]
        self._shd = SocketHolder(self._sso.fileno(), False, BACKLOG)
        worker = super()._spawn_worker(idx, *arguments, **options)
        worker._watcher = partial(self._watch_over, worker, worker._watcher)
        return worker

    def _watch_over(self, worker: Any, report: Callable[[], None]) -> None:
        """Let Granian report the end of a worker, unless the signal that ended it is for the whole service."""
        worker.inner.join()
        if worker.inner.exitcode in ASKED_TO_END:
            self._ending.wait(MOMENT)
        worker.interrupt_by_parent |= self._ending.is_set()
        report()

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while True:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()  # before looking, so that nothing that happens meanwhile is missed
            while self.interrupt_children and self.has_answered and not self.interrupt_signal:
                dead = self.interrupt_children.pop(0)
                if time.monotonic() - self.wrks[dead].birth < SHORT_LIFE:
                    time.sleep(PAUSE)
                self._respawn_workers([dead], spawn_target, target_loader)
            if self.interrupt_signal or self.interrupt_children:
                break
            if self.reload_signal:
                self._reload(spawn_target, target_loader)

    def _spawn_workers(self, *arguments: Any) -> None:
        with _interrupts_blocked():
            super()._spawn_workers(*arguments)

    def _respawn_workers(self, *arguments: Any, **options: Any) -> None:
        with _interrupts_blocked():
            super()._respawn_workers(*arguments, **options)


class RunningServer:
    """A server in a process of its own, which ends with `stop`, with the block it is used in, or with this process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._process = process

    def __repr__(self) -> str:
        return f"<matinee at {self.url}>" if self._process.poll() is None else "<matinee, stopped>"

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the server finish what it has and end; may be called again."""
        self._process.terminate()
        try:
            self._process.wait(GOODBYE + KILL_TIMEOUT + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        _RUNNING.discard(self)


_RUNNING: set[RunningServer] = set()  # keeps a server alive whose handle nobody kept


def serve(
    store: str | os.PathLike[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    live: str | os.PathLike[str] | None = None,
    tutorial_scale: str | None = None,
    block: bool = True,
    *,
    next_free_port: bool = False,
    announce: Callable[[str], None] | None = None,
    log: logs.Format = "text",
    policy: Policy = DEFAULT_POLICY,
    refit_every: float | None = None,
    refit_after: int | None = None,
    refits: bool = True,
) -> RunningServer | None:
    """Serve a store over HTTP until SIGTERM or Ctrl-C.

    store            by default MATINEE_STORE, or ./matinee-store
    port             0 takes any free one; with `next_free_port` a busy one means the next
    live             the database of live ratings, by default live.sqlite3 in the store
    tutorial_scale   the scale of the stars on the tutorial's URLs, such as "1:10"; by default the data's own
    block            False returns at once a handle with `.url` and `.stop()`; the server ends with this process
    announce         what to do with the address, by default print it
    log              "json" logs each request as one JSON object a line on standard error, "text" warnings alone
    policy           who may come in; by default programs of this machine until there is an API key
    refit_every      seconds from one refit to the next, if there are new ratings
    refit_after      refit after so many ratings since the last one, however little time has passed
    refits           False never refits here, also when asked to; another service on the same live ratings may

    Announces the address, or returns, as soon as the server answers. A newly published snapshot is served within
    seconds. A refit, also one that an admin asks for, is a program of its own, at low priority.

    Raises UsageError for a busy port, an impossible option, or an address where strangers could do everything,
    StoreError and LiveError where there is nothing to serve.
    """
    system.check_can_serve()
    settings = Settings.of(store, live, tutorial_scale, log, policy, Plan(refit_every, refit_after, refits))
    check(settings, host)
    with listen(host, port, next_free_port, workers) as listeners:
        if not block:
            return _serve_elsewhere(settings, listeners)
        _serve_here(settings, listeners, announce or _print_address)
    return None


def _serve_here(settings: Settings, listeners: Sequence[socket.socket], announce: Callable[[str], None]) -> None:
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("only the main thread can serve and block; use block=False")
    if settings.log == "json":
        logs.start(settings.log)
    refits = Refits(settings.store, settings.live, settings.refit)
    told, stay = multiprocessing.Pipe(duplex=False)
    all_parted, parted = multiprocessing.Pipe(duplex=False)
    checking = Checking(settings.store)

    def begin(url: str) -> None:
        announce(url)
        checking.begin()

    with _spawning(), counting_together(), refits, checking, told, stay, all_parted, parted:
        server = _Server(listeners, stay, (all_parted, parted), settings.log)
        threading.Thread(target=_announce_when_ready, args=(server, begin), daemon=True).start()
        load = partial(_load_app, settings, told, parted, server.bind_port)
        try:
            server.serve(target_loader=load, wrap_loader=False)
        except SystemExit:
            if not server.interrupt_signal:  # else the workers got the signal too and were gone before they were told
                raise MatineeError(
                    "the service cannot start: its workers end before they answer; see the lines above"
                ) from None


def _load_app(settings: Settings, told: Stay, parted: Parted, port: int) -> Parting:
    """In a worker: load what the watching process starts without, half of the time to the first answer."""
    from matinee.service.server.worker import load_app

    return load_app(settings, told, parted, port)


def _serve_elsewhere(settings: Settings, listeners: Sequence[socket.socket]) -> RunningServer:
    descriptors = [listener.fileno() for listener in listeners]
    process = subprocess.Popen(
        [sys.executable, "-c", AS_CHILD, json.dumps([asdict(settings), descriptors])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
        text=True,
    )
    assert process.stdout is not None
    running = RunningServer(process, process.stdout.readline().strip())
    _RUNNING.add(running)
    if not running.url:
        running.stop()
        raise MatineeError("the service cannot start; see the lines above")
    return running


def serve_as_child() -> None:
    """The process of a `RunningServer`: says its address when it answers, and ends with its input."""
    settings, descriptors = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_input, daemon=True).start()
    with ExitStack() as opened:
        listeners = [opened.enter_context(socket.socket(fileno=descriptor)) for descriptor in descriptors]
        _serve_here(Settings.revived(settings), listeners, partial(print, flush=True))


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _spawning() -> Iterator[None]:
    """Let Granian start its workers by spawn, with one thread for each calculation, and put everything back afterwards.

    Workers must not import the program that called us, as spawn does: a script without a guard would start servers
    without end, and the command line would be loaded for nothing.
    """
    method = multiprocessing.get_start_method(allow_none=True)
    program, environment = sys.modules["__main__"], dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    multiprocessing.set_start_method("spawn", force=True)
    resource_tracker.ensure_running()  # else the first worker starts it, which lets interrupts through
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ.update(ONE_THREAD | ONE_HEAP)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name in (ONE_THREAD | ONE_HEAP).keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        sys.modules["__main__"] = program
        multiprocessing.set_start_method(method, force=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let processes started meanwhile never see Ctrl-C, which goes to all of a terminal's: the watcher ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _granians_log(kind: logs.Format) -> dict[str, Any]:
    """Return the configuration by which Granian logs on standard error, as we do."""
    handlers = {name: {**one, "stream": "ext://sys.stderr"} for name, one in LOGGING_CONFIG["handlers"].items()}
    formatters = LOGGING_CONFIG["formatters"]
    if kind == "json":
        formatters = {name: {"()": logs.JsonLines} for name in formatters}
    return {**LOGGING_CONFIG, "handlers": handlers, "formatters": formatters}


def _announce_when_ready(server: _Server, announce: Callable[[str], None]) -> None:
    """Ask once: the socket already listens, so the question waits for the first worker."""
    host, port = _reachable(server.bind_addr), server.bind_port
    connection = http.client.HTTPConnection(host, port)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        if connection.getresponse().status == http.HTTPStatus.OK:
            server.has_answered = True
            announce(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    connection.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _print_address(url: str) -> None:
    print(f"Matinee answers at {url} (Ctrl-C stops it)", flush=True)
