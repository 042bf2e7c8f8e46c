"""Forgotten people: which snapshots still hold them, which therefore may not be served again and are deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matinee.errors import MatineeError, StoreError
from matinee.live import LiveRatings
from matinee.snapshot import Store
from matinee.snapshot.manifest import Manifest


def holders(store: Store, forgotten: Mapping[str, int]) -> Sequence[str]:
    """Return the ids of snapshots with ratings that somebody gave before they were forgotten, the newest first.

    Damaged snapshots, which nobody can look into, are not among them.
    """
    return [snapshot for snapshot in store.ids() if forgotten and _holds(store, snapshot, forgotten)]


def activate(store: Store, live: LiveRatings, snapshot: str) -> Manifest:
    """Serve this snapshot from now on.

    Raises StoreError where it holds somebody who wanted to be forgotten, or cannot be opened.
    """
    if _held(store, snapshot, live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of people who were forgotten since, so it cannot be served again; "
            "choose a newer one"
        )
    return store.activate(snapshot)


def check_exportable(store: Store, live: LiveRatings, snapshot: str) -> None:
    """Raise StoreError where a snapshot that leaves this store holds somebody who wanted to be forgotten."""
    if _held(store, snapshot, live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of people who were forgotten since, so it does not leave this store; "
            "run `matinee refit`, then export the new one"
        )


def _holds(store: Store, snapshot: str, forgotten: Mapping[str, int]) -> bool:
    try:
        return _held(store, snapshot, forgotten)
    except MatineeError:
        return False


def _held(store: Store, snapshot: str, forgotten: Mapping[str, int]) -> bool:
    """Return whether somebody of these is in a snapshot that was not told before."""
    opened = store.open(snapshot)
    told = opened.manifest.as_of
    since = [user for user, at in forgotten.items() if told is None or told <= at]
    return any(opened.dataset.ratings.get(user) is not None for user in since)
