"""Rounds: one split with its exams, and one model taken through it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.catalog import Catalog
from matinee.evaluation.exam import Exam
from matinee.evaluation.measure import Result, answer_ms, measure
from matinee.models import Config
from matinee.progress import Progress
from matinee.split import Split

REVEALED = (1, 2, 5, 10, 20)
PEOPLE_REVEALING = 1_000


@dataclass(frozen=True, eq=False)
class Round:
    """A split, its exam, and {n: the same questions to people with that many ratings, of which n are folded in}."""

    split: Split
    exam: Exam
    revealing: Mapping[int, Exam]


def rounds_of(
    splits: Sequence[Split], people: NDArray[np.int64], min_ratings: int, liked_from: float, rng: int
) -> tuple[Round, ...]:
    """Return one round per split, all of the same people.

    The largest number revealed is the largest of REVEALED that half of the people have; at most 1,000 people reveal.
    """
    exams = [Exam.of(split, people, min_ratings, liked_from) for split in splits]
    counts = np.min([exam.histories.counts for exam in exams], axis=0)
    reached = [n for n in REVEALED if np.mean(counts >= n) >= 0.5]
    able = np.flatnonzero(counts >= max(reached, default=0))
    revealing = np.random.default_rng((rng, 1)).permutation(able)[:PEOPLE_REVEALING]
    return tuple(
        Round(split, exam, {n: exam.take(revealing).revealing(n, np.random.default_rng((rng, 2))) for n in reached})
        for split, exam in zip(splits, exams, strict=True)
    )


def go(
    label: str, config: Config, one: Round, catalog: Catalog, threads: int | None, progress: Progress | None
) -> Result:
    """Fit the model on the round's training ratings and measure it."""
    start = time.perf_counter()
    model = config.fit(one.split.train, catalog, threads=threads, progress=progress)
    seconds = time.perf_counter() - start
    sums, shown = measure(model, one.exam)
    revealed = {n: measure(model, exam)[0] for n, exam in one.revealing.items()}
    return Result(label, config, sums, shown, revealed, seconds, answer_ms(model, one.exam))
