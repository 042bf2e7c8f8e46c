"""Refit: snapshot + live ratings -> next snapshot.

live.everything()  one consistent read
overlay            the snapshot's data with what people said over it
exam               a measuring fit without a tenth of the ratings, always the same tenth
gate               is it worse than the present snapshot's measuring fit?
final fit          everything, published by one rename
forgotten          older snapshots that hold forgotten people are deleted, others pruned
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa

from matinee.dataset import Dataset
from matinee.errors import ModelError
from matinee.live import LiveContents, LiveRatings
from matinee.models import Config, Model, Progress, Rater
from matinee.refit.forgotten import activate, check_exportable, holders
from matinee.refit.overlay import overlay, same
from matinee.refit.state import State, ask, changes, claim, fail, rated, recorded, state
from matinee.snapshot import KEPT, Snapshot, Store
from matinee.snapshot.histories import StoredRatings

if TYPE_CHECKING:  # a service that asks how a refit goes needs no evaluation
    from matinee.refit.exam import Measured
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
    "overlay",
    "rated",
    "refit",
    "state",
]

Told = Callable[[str, int, int, float | None], None]
"""Called with (what is done, step, steps in all, training RMSE or None)."""


@dataclass(frozen=True)
class Outcome:
    """What a refit did.

    result     "published", "refused" as the candidate is worse, or "unchanged" where nothing new was said
    why        one line for people
    parent     the snapshot that it began from
    snapshot   the one that is served now
    verdict    how the candidate did beside the present one, None where nothing could be compared
    left_out   live ratings of movies that nobody described, or outside the data's scale
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
        """Return it as JSON holds it; the result is called state there."""
        fields = asdict(self)
        return {"state": fields.pop("result"), **fields}


def refit(
    store: Store,
    live: LiveRatings,
    *,
    force: bool = False,
    keep: int = KEPT,
    threads: int | None = None,
    progress: Told | None = None,
) -> Outcome:
    """Fit the served snapshot's models anew with what people said since, and publish them unless they are worse.

    force   publish even where nothing new was said or the candidate is worse
    keep    how many snapshots stay, the newest; those that hold forgotten people never do

    How it goes is in `live.state("refit")` all the while. Raises BusyError where another refit is running, ModelError
    where the data cannot carry the models or lies on a cluster, StoreError where nothing can be read or published.
    """
    with live.lock("refit", wait=False), recorded(live) as record:
        start = time.monotonic()
        present, as_of = store.open(), int(time.time())
        check(present)
        said = live.everything()
        candidate, left_out = overlay(present.dataset, said)
        if not force and same(candidate, present.dataset):
            outcome = Outcome("unchanged", "nothing new was said", present.id, present.id)
        else:
            work = _Work(store, present, candidate, said, as_of, force, keep, threads, progress)
            outcome = work.outcome(left_out)
        outcome = replace(outcome, seconds=round(time.monotonic() - start, 1))
        record.update(outcome.described())
        return outcome


def check(snapshot: Snapshot) -> None:
    """Raise ModelError where a snapshot cannot be refitted here: its ratings are on a cluster, or it has none."""
    if isinstance(snapshot.dataset.ratings, StoredRatings):
        raise ModelError(
            f"snapshot {snapshot.id} was trained on a cluster, where its ratings are, and cannot be refitted here; "
            "run `matinee train DATA --engine spark` again, over which live ratings stay good"
        )
    if not snapshot.dataset.ratings.n:
        raise ModelError(
            f"snapshot {snapshot.id} was imported without the ratings it was trained on, so a refit would lose what it "
            "knows; import it with --ratings DATA"
        )


@dataclass(frozen=True, eq=False)
class _Work:
    """One candidate on its way."""

    store: Store
    present: Snapshot
    candidate: Dataset
    said: LiveContents
    as_of: int
    force: bool
    keep: int
    threads: int | None
    progress: Told | None

    def outcome(self, left_out: int) -> Outcome:
        """Measure the candidate, and publish it unless it is worse."""
        measured, verdict = self._measured()
        if verdict is not None and verdict.worse and not self.force:
            why = f"the candidate is worse than what is served: {verdict}"
            return Outcome("refused", why, self.present.id, self.present.id, verdict, left_out)
        published = self._published(measured)
        removed = (*self._forget(), *self.store.prune(self.keep))
        why = "not compared, there are too few ratings to hold some out" if verdict is None else str(verdict)
        return Outcome("published", why, self.present.id, published, verdict, left_out, removed)

    def _measured(self) -> tuple[Measured | None, Verdict | None]:
        """Measure the candidate, and compare it with the present snapshot where that is possible."""
        from matinee.refit import exam, gate

        ratings = self.candidate.ratings
        split = exam.split_of(ratings)
        if split is None:
            return None, None
        measured = exam.measured(self.candidate, self._configs(), split, self.threads, self._told("measuring"))
        tested = self._tested()
        if tested is None:
            return measured, None
        return measured, gate.compare(self.present.dataset.ratings, tested, self.candidate, measured.rater)

    def _tested(self) -> pa.Table | None:
        """Return what the present snapshot's measuring fit predicted, which `train` makes none of."""
        from matinee.refit import exam

        kept = self.store.tested(self.present.id)
        if kept is not None:
            return kept
        split = exam.split_of(self.present.dataset.ratings)
        if split is None:
            return None
        told = self._told("measuring what is served")
        return exam.measured(self.present.dataset, self._configs()[:1], split, self.threads, told).tested

    def _published(self, measured: Measured | None) -> str:
        rater, *rankers = [
            config.fit(self.candidate.ratings, self.candidate.catalog, threads=self.threads, progress=told)
            for config, told in ((config, self._told(f"fitting {config.name}")) for config in self._configs())
        ]
        ranker: Model | None = rankers[0] if rankers else None
        return self.store.publish(
            self.candidate,
            cast(Rater, rater),
            ranker,
            metrics=measured.metrics if measured else {},
            tested=measured.tested if measured else None,
            parent=self.present.id,
            as_of=self.as_of,
        ).id

    def _forget(self) -> tuple[str, ...]:
        """Delete the older snapshots that hold people who were forgotten since."""
        gone = tuple(holders(self.store, self.said.forgotten))
        for snapshot in gone:
            self.store.remove(snapshot)
        return gone

    def _configs(self) -> list[Config]:
        """Return the configs of the present snapshot's models, the rater's first."""
        return [model.config for model in (self.present.rater, self.present.ranker) if model is not None]

    def _told(self, label: str) -> Progress | None:
        return None if self.progress is None else partial(self.progress, label)
