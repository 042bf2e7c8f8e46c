"""Evaluation: Split + configs -> Report. It measures the very calls that serve, on everything the catalogue holds.

exam.py        what everybody is asked
measure.py     what one model answers, as sums per person
rounds.py      a model taken through a split
resampling.py  how far off a metric could be
report.py      the tables; plots.py draws them and page.py puts all on one page
drift.py       how far a folded-in visitor is from a full refit
interview.py   what asking the right questions is worth
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pyarrow as pa

from matinee.catalog import Catalog
from matinee.dataset import Dataset
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.errors import DataError, UsageError
from matinee.evaluation.drift import drift
from matinee.evaluation.exam import people_asked
from matinee.evaluation.interview import interview
from matinee.evaluation.measure import combined
from matinee.evaluation.report import Report
from matinee.evaluation.rounds import Round, go, rounds_of
from matinee.models import Config
from matinee.models.baselines import Bias, Popular
from matinee.progress import Progress, named
from matinee.split import Split, given, parse

__all__ = ["Report", "drift", "evaluate", "interview", "joined"]


def evaluate(
    dataset: Dataset,
    configs: Config | Sequence[Config],
    split: str | Split | Sequence[Split] = "7:3",
    *,
    rng: int = 0,
    min_ratings: int = DEFAULT_MIN_RATINGS,
    liked: float | None = None,
    users: int | None = 10_000,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Fit each model on the training part of a split and measure what it answers about the test part.

    dataset       the data; where train and test are two files, what `joined` returns
    configs       the models; `popular` and `bias` are always measured beside them
    split         a protocol in words (matinee.split.parse), a split, or several (folds), whose results are added up
    min_ratings   movies with fewer training ratings are not listed, as when serving; in the test they count as misses
    liked         a film is liked from so many stars on; 4 where 5 is the highest
    users         at most so many people are asked, drawn at random; None: all

    Raises DataError where there is nothing to ask, UsageError where a model is named twice.
    """
    splits = _splits(dataset, split, rng)
    people = people_asked(splits, users, np.random.default_rng((rng, 0)))
    if not len(people):
        raise DataError("the test part of the split is empty: there is nothing to ask")
    threshold = dataset.ratings.scale.liked if liked is None else liked
    rounds = rounds_of(splits, people, min_ratings, threshold, rng)
    chosen = list(configs) if isinstance(configs, Sequence) else [configs]
    results = []
    for label, config in labelled(_with_baselines(chosen)):
        results.append(
            combined(go(label, config, one, dataset.catalog, threads, named(progress, label)) for one in rounds)
        )
    note = _protocol(dataset, rounds, min_ratings, threshold)
    return Report.measured(results, rounds[0].exam.histories.counts, note, rng)


def joined(train: Dataset, test: Dataset) -> tuple[Dataset, Split]:
    """Join data that was split elsewhere: return the training data over the users and movies of both, and the split.

    A movie that both describe is described as in `train`. Raises DataError where a rating is in both.
    """
    split = given(train.ratings, test.ratings)
    new = [movie not in train.catalog.ids for movie in test.catalog.ids]
    table = pa.concat_tables([train.catalog.table, test.catalog.table.filter(pa.array(new, pa.bool_()))])
    order = np.argsort(split.train.movies.positions(table["movie"]))
    return Dataset(split.train, Catalog(table.take(pa.array(order)).combine_chunks()), train.facts), split


def labelled(configs: Sequence[Config]) -> list[tuple[str, Config]]:
    """Return each config with its name, and where several share one with the settings that differ from the default."""
    names = [config.name for config in configs]
    labels = [c.name if names.count(c.name) == 1 else _described(c) for c in configs]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise UsageError(f"the same model is there twice: {', '.join(sorted(twice))}")
    return list(zip(labels, configs, strict=True))


def _splits(dataset: Dataset, split: str | Split | Sequence[Split], rng: int) -> tuple[Split, ...]:
    if isinstance(split, str):
        return parse(split, dataset.ratings, rng)
    return (split,) if isinstance(split, Split) else tuple(split)


def _with_baselines(configs: list[Config]) -> list[Config]:
    names = {config.name for config in configs}
    return [baseline for baseline in (Popular(), Bias()) if baseline.name not in names] + configs


def _described(config: Config) -> str:
    default = type(config)()
    values = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    changed = [f"{name}={value}" for name, value in values.items() if value != getattr(default, name)]
    return " ".join([config.name, *changed])


def _protocol(dataset: Dataset, rounds: Sequence[Round], min_ratings: int, liked: float) -> str:
    """Return what a reader must know to repeat and to judge the numbers."""
    split, exam = rounds[0].split, rounds[0].exam
    users = len(np.unique(np.concatenate([one.split.test.users for one in rounds])))
    asked = (
        f"all {users:,} users of the test" if users == exam.n_people else f"{exam.n_people:,} of its {users:,} users"
    )
    tested = sum(len(one.split.test) for one in rounds)
    lines = [
        f"{dataset.facts.name}: {split.protocol}; {split.train.n:,} ratings for training, {tested:,} for the test; "
        f"asked are {asked}.",
        "Lists are over the full catalogue without what is in training and validation; movies with fewer than "
        f"{min_ratings} training ratings are not listed and count as misses; liked is from {liked:g} stars.",
        "rmse and mae are over warm pairs (movie and user have training ratings), rmse_all is over all; covered and "
        "width are of 90 % intervals. Bounds (_low, _high) are 95 %, over 1,000 resamples of the users.",
    ]
    if dataset.facts.simulated:
        lines.append("These are simulated ratings: no person gave them.")
    return "\n".join(lines)
