"""Course: what every candidate is tried on, and the winner once more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.dataset import Dataset
from matinee.errors import UsageError
from matinee.evaluation.exam import Exam, liked_from, people_asked
from matinee.evaluation.measure import is_rater, measure, star_sums
from matinee.models import Config
from matinee.split import Split

PEOPLE_ASKED = 10_000
RATER_METRIC, RANKER_METRIC = "rmse", "liked_ndcg@20"


@dataclass(frozen=True, eq=False)
class Course:
    """A split of a data set, with the exam to choose by and the exam to end with."""

    dataset: Dataset
    split: Split
    validation: Exam
    test: Exam
    threads: int | None

    @classmethod
    def of(cls, dataset: Dataset, split: Split, min_ratings: int, rng: int, threads: int | None) -> Course:
        """Prepare the course. Raises UsageError where the split has no validation part."""
        if split.validation is None:
            raise UsageError(f"tuning needs a validation part to choose by, such as 6:2:2, not: {split.protocol}")
        choosing = replace(split, test=split.validation, validation=None)
        validation, test = (_exam(part, min_ratings, rng) for part in (choosing, split))
        return cls(dataset, split, validation, test, threads)

    def score(self, config: Config, exam: Exam) -> tuple[str, float]:
        """Fit on the training part and return the metric's name and its value on the exam."""
        model = without_intervals(config).fit(self.split.train, self.dataset.catalog, threads=self.threads)
        if is_rater(model):
            return RATER_METRIC, star_sums(model, exam).means()[RATER_METRIC]
        return RANKER_METRIC, measure(model, exam)[0].means()[RANKER_METRIC]


def _exam(split: Split, min_ratings: int, rng: int) -> Exam:
    people = people_asked((split,), PEOPLE_ASKED, np.random.default_rng((rng, 0)))
    return Exam.of(split, people, min_ratings, liked_from(split.train.scale))


def without_intervals(config: Any) -> Any:
    """Return the config that learns the same scores without fitting once more to calibrate their intervals."""
    return replace(config, intervals=False) if hasattr(config, "intervals") else config


def is_better(metric: str, one: float, other: float) -> bool:
    """Return whether one score beats another; NaN beats nothing."""
    return one < other if metric == RATER_METRIC else one > other
