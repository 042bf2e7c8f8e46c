"""What happens in a worker: open the store, follow its newest snapshot, end with the process that started it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from flask import Flask, Response

from matinee.errors import LiveError, MatineeError
from matinee.live import LiveRatings
from matinee.recommender import Recommender
from matinee.service import logs, problems
from matinee.service.app import create_app
from matinee.service.rows import rows_of
from matinee.service.server import connections
from matinee.service.server.parting import Parting
from matinee.service.serving import Serving, serving_of
from matinee.service.settings import KILL_TIMEOUT, Settings, opened
from matinee.snapshot import Store

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LOOK_EVERY = 1.0  # seconds between looks at the store's current snapshot

log = logging.getLogger("matinee.service")


class Late:
    """Stands in for an application that cannot be made while the live ratings are away: each request tries again, and
    is answered by 503 until they are back, as by the workers that started before.
    """

    def __init__(self, make: Callable[[], Flask], error: LiveError) -> None:
        self._make, self._error = make, error
        self._making = threading.Lock()
        self._app: Flask | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        alive = environ["PATH_INFO"] == "/healthz"
        if self._app is None and not alive:
            self._try_again()
        if self._app is not None:
            return self._app(environ, start_response)
        answer = (
            Response(b'{"status":"ok"}', mimetype="application/json") if alive else problems.of_matinee(self._error)
        )
        return answer(environ, start_response)

    def _try_again(self) -> None:
        """Make the application, unless another thread is at it: nobody waits behind one that waits."""
        if self._making.acquire(blocking=False):
            try:
                self._app = self._app or self._make()
            except LiveError as error:
                self._error = error
            finally:
                self._making.release()


def load_app(settings: Settings, stay: Connection, parted: Connection, port: int) -> Parting:
    """Return the application of this worker: the one thing that Granian calls.

    stay, parted   as of `Parting`
    port           where visitors connect; through a proxy they all have its address
    """
    logs.start(settings.log)
    connections.allow_most()
    if not settings.policy.behind_proxy:
        threading.Thread(target=connections.watch, args=(port,), name="connections", daemon=True).start()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    make = partial(_made, settings)
    app: Flask | Late
    try:
        app = make()
    except LiveError as error:
        app = Late(make, error)
    return Parting(app, stay, parted, port)


def _made(settings: Settings) -> Flask:
    live, store = LiveRatings(settings.live), Store(settings.store)
    snapshot, trouble = opened(store, live, damaged=True)
    app = create_app(
        Recommender.of(snapshot, live=live),
        live,
        tutorial_scale=settings.scale,
        policy=settings.policy,
        store=store,
    )
    serving = serving_of(app)
    if trouble is not None:
        serving.damaged = store.damage(snapshot.id) is not None
        serving.stay(trouble)
    threading.Thread(target=_follow_forever, args=(serving, store), name="follow-store", daemon=True).start()
    gc.freeze()  # what was loaded stays: no collection need look at it
    return app


def follow(serving: Serving, store: Store) -> None:
    """Answer from the store's current snapshot, if it is another one than now and can be opened."""
    try:
        current = store.current_id()
        is_whole = not serving.damaged and store.damage(serving.recommender.snapshot_id) is None
        if current == serving.recommender.snapshot_id and is_whole:
            serving.trouble = None
        elif current is not None:
            serving.switch(warmed(Recommender.of(store.open(), live=serving.live)))
    except MatineeError as error:
        serving.stay(str(error), _instead(serving, store))
    except Exception as error:
        log.exception("the newest snapshot fails where it should be tried", exc_info=error)
        serving.stay(f"the newest snapshot fails where it is tried: {type(error).__name__}: {error}")


def _instead(serving: Serving, store: Store) -> Recommender | None:
    """Return the nearest snapshot that is not known to be damaged, where the one that is served is."""
    serving.damaged = store.damage(serving.recommender.snapshot_id) is not None
    if serving.damaged:
        with suppress(MatineeError):
            snapshot, _ = opened(store, serving.live)
            return warmed(Recommender.of(snapshot, live=serving.live))
    return None


def warmed(recommender: Recommender) -> Recommender:
    """Let a recommender make what its first answers need, so that no visitor waits for a snapshot to be switched."""
    dataset = recommender.dataset
    recommender.recommend(n=1)
    dataset.catalog.search("the", 1, dataset.ratings.movie_counts)
    rows_of(recommender)
    return recommender


def _follow_forever(serving: Serving, store: Store) -> None:
    while True:
        time.sleep(LOOK_EVERY)
        follow(serving, store)


def _end_with_parent() -> None:
    """Wait for the parent's end, then stop as at SIGTERM, and at the latest when the time for that is over."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(KILL_TIMEOUT)
        os._exit(1)
