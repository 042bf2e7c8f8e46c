"""Course: what every candidate is tried on, and the winner once more."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.dataset import Dataset
from matinee.errors import DataError, UsageError
from matinee.evaluation.exam import Exam, people_asked
from matinee.evaluation.measure import is_rater, measure, star_sums
from matinee.models import Config
from matinee.models.registry import RATERS
from matinee.split import Split

PEOPLE_ASKED = 10_000


@dataclass(frozen=True, eq=False)
class Course:
    """A split of a data set, with the exam to choose by and the exam to end with.

    metric    "rmse" for raters, "liked_ndcg@20" for rankers
    """

    dataset: Dataset
    split: Split
    validation: Exam
    test: Exam
    metric: str
    threads: int | None

    @classmethod
    def of(
        cls, dataset: Dataset, split: Split, config: Config, min_ratings: int, rng: int, threads: int | None
    ) -> Course:
        """Prepare the course. Raises UsageError where the split has no validation part."""
        if split.validation is None:
            raise UsageError(f"tuning needs a validation part to choose by, such as 6:2:2, not: {split.protocol}")
        choosing = replace(split, test=split.validation, validation=None)
        validation, test = (_exam(part, min_ratings, rng) for part in (choosing, split))
        metric = "rmse" if config.name in RATERS else "liked_ndcg@20"
        return cls(dataset, split, validation, test, metric, threads)

    @property
    def lower_is_better(self) -> bool:
        return self.metric == "rmse"

    @property
    def purpose(self) -> str:
        """What is looked for on which data, in one line."""
        return f"{self.dataset.facts.name}: {self.split.protocol}; {self.metric} on the validation part."

    def score(self, config: Config, exam: Exam) -> float:
        """Fit on the training part and return the metric on the exam.

        Raises DataError where nothing can be measured.
        """
        model = _without_intervals(config).fit(self.split.train, self.dataset.catalog, threads=self.threads)
        sums = star_sums(model, exam) if is_rater(model) else measure(model, exam)[0]
        score = sums.means()[self.metric]
        if math.isnan(score):
            raise DataError(f"{self.split.protocol}: no pair has a {self.metric}; take more data or another split")
        return score


def _exam(split: Split, min_ratings: int, rng: int) -> Exam:
    people = people_asked((split,), PEOPLE_ASKED, np.random.default_rng((rng, 0)))
    return Exam.of(split, people, min_ratings, split.train.scale.liked)


def _without_intervals(config: Any) -> Any:
    """Return the config that learns the same scores without fitting once more to calibrate their intervals."""
    return replace(config, intervals=False) if hasattr(config, "intervals") else config
