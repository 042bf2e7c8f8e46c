"""Forgotten users: the snapshots that still hold them, which are not served again and are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matinee.errors import MatineeError, StoreError
from matinee.live import Forgotten, LiveRatings
from matinee.ratings import Ratings
from matinee.snapshot import Snapshot, Store
from matinee.snapshot.histories import StoredRatings
from matinee.snapshot.manifest import Manifest


def holders(store: Store, forgotten: Forgotten) -> Sequence[str]:
    """Return the ids of snapshots with ratings of users who were forgotten afterwards, the newest first.

    A damaged one is among them if a user was forgotten after it was made.
    """
    return [snapshot for snapshot in store.ids() if forgotten and _may_hold(store, snapshot, forgotten)]


def remove_holders(store: Store, forgotten: Forgotten) -> tuple[str, ...]:
    """Delete the snapshots that `holders` names, except the served one, and return their ids."""
    gone = tuple(snapshot for snapshot in holders(store, forgotten) if snapshot != store.current_id())
    for snapshot in gone:
        store.remove(snapshot)
    return gone


def holds(snapshot: Snapshot, forgotten: Forgotten) -> bool:
    """Return whether an opened snapshot has ratings of users who were forgotten afterwards."""
    later = forgotten.since(snapshot.manifest.forgets)
    return bool(later) and any(user in later for user in _users(snapshot.dataset.ratings))


def activate(store: Store, live: LiveRatings, snapshot: str) -> Manifest:
    """Activate this snapshot.

    Raises StoreError where it holds a forgotten user or is damaged.
    """
    if holds(store.open(snapshot), live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of users who were forgotten later, so Matinee does not serve it; "
            "choose a newer one"
        )
    return store.activate(snapshot)


def check_exportable(store: Store, live: LiveRatings, snapshot: str) -> None:
    """Raise StoreError where a snapshot that leaves this store holds a forgotten user."""
    if holds(store.open(snapshot), live.forgotten()):
        raise StoreError(
            f"snapshot {snapshot} holds ratings of users who were forgotten later, so Matinee does not export it; "
            "run `refit(store, live)`, then export the new one"
        )


def _may_hold(store: Store, snapshot: str, forgotten: Forgotten) -> bool:
    try:
        if not forgotten.since(store.manifest(snapshot).forgets):
            return False
    except MatineeError:
        return False  # perhaps a newer Matinee made it; this one does not serve it
    try:
        return holds(store.open(snapshot), forgotten)
    except MatineeError:
        return True


def _users(ratings: Ratings) -> Iterable[str]:
    if isinstance(ratings, StoredRatings):
        return (user for users in ratings.histories.people() for user in users.to_pylist())
    return ratings.users
