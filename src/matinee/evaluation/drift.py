"""Drift: how much a folded-in visitor's answers differ from those of a full refit that includes the visitor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.dataset import Dataset
from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.evaluation.exam import Exam
from matinee.evaluation.measure import is_rater, star_sums
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Config, Model
from matinee.ratings import Ratings
from matinee.split import new_visitors
from matinee.table import Table

LISTED = 10


def drift(
    dataset: Dataset,
    config: Config,
    reveals: Sequence[int] = (1, 5, 10, 20),
    *,
    share: float = 0.1,
    rng: int = 0,
    min_ratings: int = DEFAULT_MIN_RATINGS,
    threads: int | None = None,
) -> Table:
    """Measure what not refitting costs, by the number of ratings that visitors reveal.

    `share` of the users are held out as visitors. One model never sees them; another is fitted with the ratings they
    revealed. Both answer the same visitors, who are folded in; the movies to list are the same.

    model, revealed     whose answers, and how many ratings of each visitor are folded in
    overlap@10          share of the list of ten that both have in common, mean over visitors
    overlap@10_reseeded the same for the refit and another with the next seed: what chance alone changes (for a model
                        that draws)
    rmse_folded, rmse_refitted, rmse_difference     on the visitors' other ratings (for a rater)

    Raises DataError where nobody has more ratings than the largest number revealed.
    """
    split = new_visitors(dataset.ratings, max(reveals), share=share, rng=rng)
    visitors = np.unique(split.test.users).astype(np.int64)
    exam = Exam.of(split, visitors, min_ratings, np.inf)
    folded = config.fit(split.train, dataset.catalog, threads=threads)
    rows = []
    for n in reveals:
        part = exam.revealing(n, np.random.default_rng((rng, 4)))
        together = _with(split.train, visitors, part.histories)
        refitted = [one.fit(together, dataset.catalog, threads=threads) for one in (config, *_reseeded(config))]
        rows.append({"model": config.name, "revealed": n, **_differences(folded, refitted, part)})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    note = f"{len(visitors):,} visitors held out of {dataset.facts.name}, seed {rng}"
    return Table.of(columns, note)


def _reseeded(config: Any) -> list[Config]:
    return [replace(config, rng=config.rng + 1)] if hasattr(config, "rng") else []


def _differences(folded: Model, refitted: Sequence[Model], exam: Exam) -> dict[str, float]:
    """Return how the folded answers differ from the first refit's, and the second's from those."""
    names = ("overlap@10", "overlap@10_reseeded")
    lists = [_lists(model, exam) for model in (folded, *refitted)]
    found = dict(zip(names, (_overlap(one, other) for one, other in pairwise(lists)), strict=False))
    if is_rater(folded) and is_rater(refitted[0]):
        one, other = (star_sums(model, exam).means()["rmse"] for model in (folded, refitted[0]))
        found |= {"rmse_folded": one, "rmse_refitted": other, "rmse_difference": one - other}
    return found


def _lists(model: Model, exam: Exam) -> Positions:
    return model.top_n(model.fold_in(exam.histories), LISTED, exam.eligible, exam.masked)[0]


def _overlap(ours: Positions, theirs: Positions) -> float:
    """Return the mean share of each person's list (B, 10) that is in the other's."""
    shares = []
    for one, other in zip(ours, theirs, strict=True):
        listed = set(one[one >= 0].tolist())
        shares.append(len(listed & set(other.tolist())) / max(len(listed), 1))
    return float(np.mean(shares))


def _with(ratings: Ratings, users: NDArray[np.int64], histories: Csr) -> Ratings:
    """Return the ratings with those of some users, who had none, added."""
    user = np.concatenate([ratings.by_user.row_of_each(), users[histories.row_of_each()].astype(np.int32)])
    movie = np.concatenate([ratings.by_user.indices, histories.indices])
    stars = np.concatenate([ratings.by_user.values, histories.values])
    by_user, _ = kernels.build_csr(user, movie, stars, len(ratings.users), len(ratings.movies))
    return Ratings(ratings.users, ratings.movies, by_user, ratings.scale)
