"""What Granian runs in a worker: its HTTP side in Rust, and our dispatch of requests to threads."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from granian import _granian
from granian._signals import set_sync_signals
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

LANES = 3  # threads besides those for visitors: for who watches the service, for refusals, and one that is free
LAST_ANSWERS = 5.0  # seconds that they may take at the end
LOOK_EVERY = 0.5  # seconds between looks at what is late or too much


RSGIWorker: Any = _granian.RSGIWorker
CallbackScheduler: Any = _granian.CallbackScheduler  # the types that Granian gives these two are older than they


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def run_worker(
    worker_id: int,
    app: WSGIApplication,
    sock: Any,
    ipc: Any,
    loop: Any,
    runtime_mode: Any,
    runtime_threads: int,
    runtime_blocking_threads: int | None,
    blocking_threads: int,
    blocking_threads_idle_timeout: int,
    backpressure: int,
    task_impl: Any,
    http_mode: Any,
    http1_settings: Any,
    http2_settings: Any,
    websockets: bool,
    static_path: Any,
    log_access_format: str | None,
    ssl_context: Any,
    scope_options: Any,
    metrics: Any,
) -> None:
    """Serve the application until a signal, in the place of Granian's `_spawn_wsgi_worker`."""
    from matinee.service.server.dispatch import CallersThread, Dispatcher

    dispatcher = Dispatcher(app, blocking_threads - LANES)
    stop, stopped = set_sync_signals(), threading.Event()
    stop.add_cb(stopped.set)
    worker = RSGIWorker(
        worker_id, sock, ipc, runtime_threads, runtime_blocking_threads, blocking_threads,
        blocking_threads_idle_timeout, backpressure, http_mode, http1_settings, http2_settings, False, static_path,
        *ssl_context, metrics,
    )  # fmt: skip
    own_thread = CallersThread()
    scheduler = CallbackScheduler(own_thread, dispatcher.take, None, None, None)
    scheduler._schedule_fn = dispatcher.take
    getattr(worker, WORKERS_METHODS[runtime_mode][False])(scheduler, own_thread, stop)
    while not stopped.wait(LOOK_EVERY):
        dispatcher.refuse_late(time.monotonic())
    deadline = time.monotonic() + LAST_ANSWERS
    while dispatcher.is_busy and time.monotonic() < deadline:  # for visitors who are gone
        time.sleep(0.01)
    _end()


def _end() -> NoReturn:
    """End the process at once, as all connections are closed: in an ending Python, Granian's threads would abort it."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may be gone
            stream.flush()
    os._exit(0)
