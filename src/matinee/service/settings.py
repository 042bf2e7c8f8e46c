"""What a service is started with, and whether it can be: looked at before any worker starts, without Flask."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from matinee import refit
from matinee.errors import MatineeError
from matinee.live import FILE_NAME, LiveRatings
from matinee.ratings import Scale
from matinee.service import logs
from matinee.service.policy import Policy
from matinee.service.server.refits import Plan
from matinee.snapshot import Snapshot, Store

KILL_TIMEOUT = 10  # seconds a worker has to finish what it has


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
    """Open and close everything once, so that errors are reported once, before any worker starts.

    Raises UsageError where other machines would have full access without --no-auth, ModelError
    where it shall refit and cannot.
    """
    _ = settings.scale
    store = Store(settings.store)
    if store.current_id() is None:
        store.open()  # says how to make a snapshot
    with LiveRatings(settings.live) as live:
        snapshot, _ = opened(store, live)
        if settings.refit:
            refit.check(snapshot)
        settings.policy.check_safe(host, live)


def opened(store: Store, live: LiveRatings, damaged: bool = False) -> tuple[Snapshot, str | None]:
    """Open the current snapshot; where that cannot be, the newest before it, or else after it, and say why.

    So a worker that takes the place of another answers as the others do, which still have a snapshot open that was
    damaged since. One with ratings of people who were forgotten since is never opened instead.

    damaged   where there is no other, open the current one though its bytes are known to differ from what was written
    """
    try:
        return store.open(), None
    except MatineeError as error:
        held = refit.holders(store, live.forgotten())
        for snapshot in _nearest(store):
            with suppress(MatineeError):
                if snapshot not in held:
                    return store.open(snapshot), str(error)
        if damaged:
            return store.open(damaged=True), str(error)
        raise


def _nearest(store: Store) -> Sequence[str]:
    current = ""
    with suppress(MatineeError):
        current = store.current_id() or ""
    return sorted(store.ids(), key=lambda snapshot: snapshot > current)
