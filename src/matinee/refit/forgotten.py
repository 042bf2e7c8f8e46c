"""Forgotten people: which snapshots still hold them, which therefore may not be served again and are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matinee.errors import MatineeError, StoreError
from matinee.live import Forgotten, LiveRatings
from matinee.ratings import Ratings
from matinee.snapshot import Snapshot, Store
from matinee.snapshot.histories import StoredRatings
from matinee.snapshot.manifest import Manifest


def holders(store: Store, forgotten: Forgotten) -> Sequence[str]:
    """Return the ids of snapshots with ratings that somebody gave before they were forgotten, the newest first.

    One that cannot be opened is among them if somebody was forgotten after it was made.
    """
    return [snapshot for snapshot in store.ids() if forgotten and _may_hold(store, snapshot, forgotten)]


def remove_holders(store: Store, forgotten: Forgotten) -> tuple[str, ...]:
    """Delete the snapshots that `holders` names, but the one that is served, and return their ids."""
    gone = tuple(snapshot for snapshot in holders(store, forgotten) if snapshot != store.current_id())
    for snapshot in gone:
        store.remove(snapshot)
    return gone


def holds(snapshot: Snapshot, forgotten: Forgotten) -> bool:
    """Return whether an opened snapshot has ratings that somebody gave before they were forgotten."""
    later = forgotten.since(snapshot.manifest.forgets)
    return bool(later) and any(user in later for user in _users(snapshot.dataset.ratings))


def activate(store: Store, live: LiveRatings, snapshot: str) -> Manifest:
    """Serve this snapshot from now on.

    Raises StoreError where it holds somebody who wanted to be forgotten, or cannot be opened.
    """
    if holds(store.open(snapshot), live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of people who were forgotten since, so it cannot be served again; "
            "choose a newer one"
        )
    return store.activate(snapshot)


def check_exportable(store: Store, live: LiveRatings, snapshot: str) -> None:
    """Raise StoreError where a snapshot that leaves this store holds somebody who wanted to be forgotten."""
    if holds(store.open(snapshot), live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of people who were forgotten since, so it does not leave this store; "
            "run `refit(store, live)`, then export the new one"
        )


def _may_hold(store: Store, snapshot: str, forgotten: Forgotten) -> bool:
    try:
        if not forgotten.since(store.manifest(snapshot).forgets):
            return False
    except MatineeError:
        return False  # perhaps a newer Matinee made it; it cannot be served
    try:
        return holds(store.open(snapshot), forgotten)
    except MatineeError:
        return True


def _users(ratings: Ratings) -> Iterable[str]:
    if isinstance(ratings, StoredRatings):
        return (user for users in ratings.histories.people() for user in users.to_pylist())
    return ratings.users
