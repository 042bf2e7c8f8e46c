"""What happens in a worker: open the store, follow its newest snapshot, end with the process that started it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask

from matinee import refit
from matinee.errors import MatineeError
from matinee.live import FILE_NAME, LiveRatings
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.service import logs
from matinee.service.api.rows import rows_of
from matinee.service.app import create_app
from matinee.service.auth import Policy
from matinee.service.refits import Plan
from matinee.service.serving import Serving, serving_of
from matinee.snapshot import Snapshot, Store

KILL_TIMEOUT = 10  # seconds a worker has to finish what it has
LOOK_EVERY = 1.0  # seconds between looks at the store's current snapshot


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know, as text, so that it travels to another process."""

    store: str
    live: str
    tutorial_scale: str | None
    log: logs.Format
    policy: Policy
    refit: Plan

    @classmethod
    def of(
        cls,
        store: str | os.PathLike[str] | None,
        live: str | os.PathLike[str] | None,
        tutorial_scale: str | None,
        log: logs.Format,
        policy: Policy,
        refit: Plan,
    ) -> Settings:
        folder = Store(store).path.absolute()
        where = os.fspath(live if live is not None else folder / FILE_NAME)
        return cls(str(folder), where, tutorial_scale, log, policy, refit)

    @classmethod
    def revived(cls, fields: Mapping[str, Any]) -> Settings:
        """Return what `asdict` and JSON made fields of."""
        return cls(**{**fields, "policy": Policy(**fields["policy"]), "refit": Plan(**fields["refit"])})

    @property
    def scale(self) -> Scale | None:
        return None if self.tutorial_scale is None else Scale.parse(self.tutorial_scale)


def check(settings: Settings, host: str) -> None:
    """Open and close everything once, so that what is wrong is said once, before any worker starts.

    Raises UsageError where strangers could do everything at this address and nobody said that they may, ModelError
    where it shall refit and cannot.
    """
    _ = settings.scale
    snapshot = Store(settings.store).open()
    if settings.refit:
        refit.check(snapshot)
    with LiveRatings(settings.live) as live:
        settings.policy.check_safe(host, live)


def load_app(settings: Settings) -> Flask:
    """Return the application of this worker: the one thing that Granian calls."""
    logs.start(settings.log)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    live, store = LiveRatings(settings.live), Store(settings.store)
    snapshot, trouble = opened(store, live)
    app = create_app(
        Recommender.of(snapshot, live=live),
        live,
        tutorial_scale=settings.scale,
        policy=settings.policy,
        store=store,
    )
    serving = serving_of(app)
    if trouble is not None:
        serving.stay(trouble)
    threading.Thread(target=_follow_forever, args=(serving, store), name="follow-store", daemon=True).start()
    gc.freeze()  # what was loaded stays: no collection need look at it
    return app


def opened(store: Store, live: LiveRatings) -> tuple[Snapshot, str | None]:
    """Open the current snapshot; where that cannot be, the newest before it, or else after it, and say why.

    So a worker that takes the place of another answers as the others do, which still have a snapshot open that was
    damaged since. One with ratings of people who were forgotten since is never opened instead.
    """
    try:
        return store.open(), None
    except MatineeError as error:
        held = refit.holders(store, live.forgotten())
        for snapshot in _nearest(store):
            with suppress(MatineeError):
                if snapshot not in held:
                    return store.open(snapshot), str(error)
        raise


def _nearest(store: Store) -> Sequence[str]:
    current = ""
    with suppress(MatineeError):
        current = store.current_id() or ""
    return sorted(store.ids(), key=lambda snapshot: snapshot > current)


def follow(serving: Serving, store: Store) -> None:
    """Answer from the store's current snapshot, if it is another one than now and can be opened."""
    try:
        current = store.current_id()
        if current == serving.recommender.snapshot_id:
            serving.trouble = None
        elif current is not None:
            serving.switch(warmed(Recommender.of(store.open(), live=serving.live)))
    except MatineeError as error:
        serving.stay(str(error))


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
