"""Refit: snapshot + live ratings -> next snapshot.

live.everything()  one consistent read
overlay            the snapshot's data with live ratings over it
holdout            a measuring fit without a tenth of the ratings, always the same tenth
gate               is it worse than the present snapshot's measuring fit?
final fit          everything, published by one rename; or the present models over data without forgotten people
forgotten          snapshots that hold forgotten users are deleted in any case, others pruned

`local` does it in this process, `cluster` on Spark if Spark trained the snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from matinee.errors import ModelError, UsageError
from matinee.live import LiveContents, LiveRatings
from matinee.progress import Progress
from matinee.refit.forgotten import activate, check_exportable, holders, holds, remove_holders
from matinee.refit.overlay import overlay
from matinee.refit.state import State, ask, changes, claim, fail, learned, rated, recorded, state
from matinee.snapshot import KEPT, Snapshot, Store
from matinee.snapshot.histories import StoredRatings

if TYPE_CHECKING:  # a service that asks how a refit goes needs no evaluation
    from matinee.refit.gate import Verdict

__all__ = [
    "Outcome",
    "State",
    "activate",
    "ask",
    "changes",
    "check",
    "check_exportable",
    "claim",
    "fail",
    "holders",
    "learned",
    "overlay",
    "rated",
    "refit",
    "state",
]


@dataclass(frozen=True)
class Outcome:
    """The result of a refit.

    result     "published", "refused" as the candidate is worse, or "unchanged" without new ratings
    why        one line for people
    parent     the snapshot that it began from
    snapshot   the one that is served now
    verdict    the comparison of the candidate with the present one, None if there was nothing to compare
    left_out   live ratings of unknown movies, or outside the data's scale
    removed    ids of the snapshots that were deleted
    seconds    it took
    """

    result: Literal["published", "refused", "unchanged"]
    why: str
    parent: str
    snapshot: str
    verdict: Verdict | None = None
    left_out: int = 0
    removed: tuple[str, ...] = ()
    seconds: float = 0.0

    def described(self) -> dict[str, Any]:
        """Return it as JSON values; the result is called state there."""
        fields = asdict(self)
        return {"state": fields.pop("result"), **fields}


class Candidate(Protocol):
    """The next snapshot on its way; `left_out` live ratings are not in it."""

    @property
    def left_out(self) -> int: ...

    def is_same(self) -> bool:
        """Return whether a model would learn the same from it as from the served snapshot."""

    def compared(self) -> Verdict | None:
        """Measure it and return the comparison with the served snapshot, None if there is nothing to compare."""

    def published(self, as_of: int) -> str:
        """Fit on everything, publish, and return the snapshot's id."""

    def without_forgotten(self) -> str:
        """Publish the served snapshot without forgotten users; return its id."""


def refit(
    store: Store,
    live: LiveRatings,
    *,
    force: bool = False,
    keep: int = KEPT,
    threads: int | None = None,
    cluster: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Fit the served snapshot's models again with the live ratings, and publish them unless they are worse.

    force     publish even without new ratings, or where the candidate is worse
    keep      how many snapshots stay, the newest; those that hold forgotten people never do
    cluster   settings of Spark's `Cluster` other than those that the snapshot was trained with, if Spark did it

    Its progress is in `live.state("refit")`. Raises BusyError while another refit runs, ModelError where the models
    cannot learn from the data, UsageError for a cluster with a snapshot that was trained here, EngineError where Spark
    fails, StoreError where reading or publishing fails.
    """
    with live.lock("refit", wait=False), recorded(live) as record:
        start = time.monotonic()
        present, as_of = store.open(), int(time.time())
        check(present)
        said = live.everything()
        removed = remove_holders(store, said.forgotten)
        with _candidate(store, present, said, threads, cluster, progress) as candidate:
            if not force and candidate.is_same():
                outcome = Outcome("unchanged", "no new ratings", present.id, present.id)
            else:
                outcome = _outcome(store, present, said, candidate, as_of, force, keep)
        removed = (*removed, *outcome.removed, *remove_holders(store, live.forgotten()))
        outcome = replace(outcome, removed=removed, seconds=round(time.monotonic() - start, 1))
        record.update(outcome.described())
        return outcome


def check(snapshot: Snapshot) -> None:
    """Raise ModelError where a snapshot cannot be refitted: it has no ratings."""
    if not snapshot.dataset.ratings.n:
        raise ModelError(
            f"snapshot {snapshot.id} was imported without its training ratings, so a refit would lose them; import it "
            "with `ratings=DATA`"
        )


def _candidate(
    store: Store,
    present: Snapshot,
    said: LiveContents,
    threads: int | None,
    cluster: Mapping[str, Any] | None,
    progress: Progress | None,
) -> AbstractContextManager[Candidate]:
    if isinstance(present.dataset.ratings, StoredRatings):
        from matinee.refit.cluster import on_cluster

        return on_cluster(store, present, said, threads, cluster, progress)
    if cluster:
        raise UsageError(
            f"snapshot {present.id} was trained without Spark and is refitted without it; leave out Spark's options"
        )
    from matinee.refit.local import Here

    return nullcontext(Here(store, present, said, threads, progress))


def _outcome(
    store: Store, present: Snapshot, said: LiveContents, candidate: Candidate, as_of: int, force: bool, keep: int
) -> Outcome:
    """Measure the candidate, and publish it unless it is worse."""
    verdict = candidate.compared()
    if verdict is not None and verdict.worse and not force:
        why = f"the candidate is worse than the served snapshot: {verdict}"
        served, more = _cleared(present, said, candidate)
        return Outcome("refused", why + more, present.id, served, verdict, candidate.left_out)
    published = candidate.published(as_of)
    removed = tuple(store.prune(keep, before=present.id))
    why = "not compared: too few ratings to hold some out" if verdict is None else str(verdict)
    return Outcome("published", why, present.id, published, verdict, candidate.left_out, removed)


def _cleared(present: Snapshot, said: LiveContents, candidate: Candidate) -> tuple[str, str]:
    """Remove forgotten users from the snapshot that stays served; return its id, and a note about it."""
    if not holds(present, said.forgotten):
        return present.id, ""
    cleared = candidate.without_forgotten()
    return cleared, f"; snapshot {cleared} replaces it, without forgotten users"
