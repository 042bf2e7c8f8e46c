"""Here: a candidate whose ratings are in this process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import pyarrow as pa

from matinee.dataset import Dataset
from matinee.live import LiveContents
from matinee.models import Config, Model, Rater
from matinee.progress import Progress, named
from matinee.refit import gate, holdout
from matinee.refit.gate import Verdict
from matinee.refit.holdout import Measured
from matinee.refit.overlay import overlay, same
from matinee.snapshot import Snapshot, Store


@dataclass(frozen=True, eq=False)
class Here:
    """The next snapshot of a store, fitted here."""

    store: Store
    present: Snapshot
    said: LiveContents
    threads: int | None
    progress: Progress | None

    @property
    def left_out(self) -> int:
        """Live ratings of unknown movies, or outside the data's scale."""
        return self._overlaid[1]

    def is_same(self) -> bool:
        """Return whether a model would learn the same from it as from the served snapshot."""
        return same(self._dataset, self.present.dataset)

    def compared(self) -> Verdict | None:
        """Measure it and return the comparison with the served snapshot, None if there is nothing to compare."""
        tested = None if self._measured is None else self._tested()
        if self._measured is None or tested is None:
            return None
        return gate.compare(self.present.dataset.ratings, tested, self._dataset, self._measured.rater)

    def published(self, as_of: int) -> str:
        """Fit on everything, publish, and return the snapshot's id."""
        rater, *rankers = [
            config.fit(
                self._dataset.ratings,
                self._dataset.catalog,
                threads=self.threads,
                progress=named(self.progress, f"fitting {config.name}"),
            )
            for config in self._configs()
        ]
        ranker: Model | None = rankers[0] if rankers else None
        measured = self._measured
        return self.store.publish(
            self._dataset,
            cast(Rater, rater),
            ranker,
            metrics=measured.metrics if measured else {},
            tested=measured.tested if measured else None,
            parent=self.present.id,
            as_of=as_of,
            forgets=self.said.forgotten.mark,
        ).id

    def without_forgotten(self) -> str:
        """Publish the served models over their data without forgotten users."""
        present, forgotten = self.present, self.said.forgotten
        left, _ = overlay(present.dataset, replace(self.said, ratings=self.said.ratings.slice(0, 0), movies=()))
        tested = self.store.tested(present.id)
        if tested is not None:
            tested = tested.filter(pa.array(~forgotten.among(tested["user"].to_pylist()), pa.bool_()))
        return self.store.publish(
            left,
            present.rater,
            present.ranker,
            metrics=present.manifest.metrics,
            tested=tested,
            parent=present.id,
            as_of=present.manifest.as_of,
            forgets=forgotten.mark,
        ).id

    @cached_property
    def _overlaid(self) -> tuple[Dataset, int]:
        return overlay(self.present.dataset, self.said)

    @property
    def _dataset(self) -> Dataset:
        return self._overlaid[0]

    @cached_property
    def _measured(self) -> Measured | None:
        split = holdout.split_of(self._dataset.ratings)
        if split is None:
            return None
        return holdout.measured(self._dataset, self._configs(), split, self.threads, named(self.progress, "measuring"))

    def _tested(self) -> pa.Table | None:
        """Return the predictions of a measuring fit of the present snapshot, which `train` does not store."""
        kept = self.store.tested(self.present.id)
        if kept is not None:
            return kept
        split = holdout.split_of(self.present.dataset.ratings)
        if split is None:
            return None
        progress = named(self.progress, "measuring the served snapshot")
        return holdout.measured(self.present.dataset, self._configs()[:1], split, self.threads, progress).tested

    def _configs(self) -> list[Config]:
        """Return the configs of the present snapshot's models, the rater's first."""
        return [model.config for model in (self.present.rater, self.present.ranker) if model is not None]
