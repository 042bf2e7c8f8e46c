"""Measure one model on one exam: by the very `fold_in`, `predict` and `top_n` that serve.

Every metric is kept as two numbers per person, a total and a weight (squared errors and pairs; an NDCG and one), so
that any group of people can be averaged, folds added up, and people resampled, all by the same division.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from matinee import metrics
from matinee.evaluation.exam import Exam
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Config, Model, Prediction, Rater
from matinee.ratings import Scale

Float = NDArray[np.float64]
Parts = Mapping[str, tuple[Float, Float]]
"""{metric: (totals (B,), weights (B,))}"""

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Promised coverages that the calibration plot compares with the measured."""
CURVE = (1, 2, 3, 5, 10, 20, 30, 50, 100)
"""Lengths of lists on the precision-recall plot."""
SHOWN, DEEP = 20, 100
ASKED_ALONE, LIST_SERVED = 50, 25
REACH = float(ndtri(0.95))  # deviations from the centre of a normal distribution to the end of its 90 % interval


@dataclass(frozen=True, eq=False)
class Sums:
    """totals and weights (K, P) of K metrics and P people."""

    names: tuple[str, ...]
    totals: Float
    weights: Float

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.names, self.totals + other.totals, self.weights + other.weights)

    def averages(self, multiplicity: Float) -> Float:
        """Return (R, K) the metrics where each person counts as often as given (R, P); NaN where nothing was asked."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (multiplicity @ self.totals.T) / (multiplicity @ self.weights.T)
        roots = np.array([name.startswith("rmse") for name in self.names])
        return np.asarray(np.where(roots, np.sqrt(np.maximum(means, 0)), means))

    def means(self, people: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Return each metric over all people, or over some (P,)."""
        counted = np.ones(self.totals.shape[1]) if people is None else people.astype(np.float64)
        return dict(zip(self.names, self.averages(counted[None])[0].tolist(), strict=True))

    def count(self, name: str, people: NDArray[np.bool_] | None = None) -> int:
        """Return the weight of one metric in all: how many pairs or people it is over."""
        if name not in self.names:
            return 0
        weights = self.weights[self.names.index(name)]
        return int((weights if people is None else weights[people]).sum())


@dataclass(frozen=True, eq=False)
class Result:
    """One model's marks.

    sums        every metric, per person
    shown       (M,) in how many of the lists of 20 each movie is
    revealed    {number of ratings folded in: sums}, of people with at least as many as the largest
    fit_seconds, answer_ms    wall time to learn, and the median of one person's fold-in, list and stars
    """

    label: str
    config: Config
    sums: Sums
    shown: NDArray[np.int64]
    revealed: Mapping[int, Sums]
    fit_seconds: float
    answer_ms: float

    @property
    def means(self) -> dict[str, float]:
        return self.sums.means()


def combined(results: Iterable[Result]) -> Result:
    """Return one model's results on several splits as one."""
    first, *others = parts = list(results)
    return Result(
        first.label,
        first.config,
        sum((other.sums for other in others), start=first.sums),
        np.sum([part.shown for part in parts], axis=0),
        {n: sum((other.revealed[n] for other in others), start=sums) for n, sums in first.revealed.items()},
        float(np.mean([part.fit_seconds for part in parts])),
        float(np.median([part.answer_ms for part in parts])),
    )


def measure(model: Model, exam: Exam) -> tuple[Sums, NDArray[np.int64]]:
    """Return every metric per person, and in how many lists of 20 each movie is (M,)."""
    shown = np.zeros(exam.test.n_columns, np.int64)

    def parts_of(part: Exam) -> Parts:
        profiles = model.fold_in(part.histories)
        lists, _ = model.top_n(profiles, min(DEEP, exam.test.n_columns), exam.eligible, part.masked)
        first = lists[:, :SHOWN]
        shown[:] += np.bincount(first[first >= 0], minlength=len(shown))
        return {**_star_parts(model, profiles, part), **_list_parts(lists, part)}

    return _collect(exam, parts_of), shown


def star_sums(rater: Rater, exam: Exam) -> Sums:
    """Return the metrics of a rater's stars alone."""
    return _collect(exam, lambda part: _star_parts(rater, rater.fold_in(part.histories), part))


def answer_ms(model: Model, exam: Exam) -> float:
    """Return the median milliseconds to answer one person, as a worker does with one thread.

    That is to fold in, to list 25, and to predict their stars where the model is a rater.
    """
    with threadpool_limits(1, "blas"):
        return 1000 * float(np.median([_seconds(model, exam.take(np.array([row]))) for row in _some(exam)]))


def _some(exam: Exam) -> range:
    return range(0, exam.n_people, max(exam.n_people // ASKED_ALONE, 1))


def _seconds(model: Model, part: Exam) -> float:
    start = time.perf_counter()
    profiles = model.fold_in(part.histories)
    lists, _ = model.top_n(profiles, min(LIST_SERVED, part.test.n_columns), part.eligible, part.masked)
    if is_rater(model):
        model.predict(profiles, np.maximum(lists, 0))
    return time.perf_counter() - start


def is_rater(model: Model) -> TypeGuard[Rater]:
    """Return whether the model's scores are stars."""
    return hasattr(model, "predict")


def _collect(exam: Exam, parts_of: Callable[[Exam], Parts]) -> Sums:
    """Return the metrics of everyone, asked in batches."""
    columns: dict[str, NDArray[np.float64]] = {}
    for rows in exam.batches():
        for name, part in parts_of(exam.take(rows)).items():
            columns.setdefault(name, np.zeros((2, exam.n_people)))[:, rows] = part
    totals, weights = np.stack(list(columns.values()), axis=1)
    return Sums(tuple(columns), totals, weights)


def _star_parts(model: Model, profiles: Any, part: Exam) -> Parts:
    """Return the metrics of the stars, nothing for a ranker. Warm pairs are those that Spark's `drop` keeps."""
    if not is_rater(model):
        return {}
    movies, stars, asked = _padded(part.test)
    predicted = model.predict(profiles, movies)
    errors = predicted.stars.astype(np.float64) - stars
    warm = asked & part.known[movies] & (part.histories.counts > 0)[:, None]
    return {
        "rmse": _sums(errors**2, warm),
        "rmse_all": _sums(errors**2, asked),
        "mae": _sums(np.abs(errors), warm),
        **_interval_parts(predicted, errors, stars, asked & ~np.isnan(predicted.low), part.scale),
    }


def _interval_parts(predicted: Prediction, errors: Float, stars: Float, sure: NDArray[np.bool_], scale: Scale) -> Parts:
    """Return coverage, width and log-likelihood of the 90 % intervals.

    For the likelihood and for other levels the errors count as normal; the deviation is the longer side of the
    interval, for the other may be clipped, and at least a thousandth of the scale.
    """
    low, high, centre = (side.astype(np.float64) for side in (predicted.low, predicted.high, predicted.stars))
    sides = np.fmax(np.fmax(high - centre, centre - low), (scale.high - scale.low) / 1000)
    deviations = np.where(sure, sides, 1.0) / REACH
    ratios = np.abs(errors) / deviations
    return {
        "covered": _sums((low <= stars) & (stars <= high), sure),
        "width": _sums(high - low, sure),
        "log_likelihood": _sums(metrics.log_density(errors, deviations), sure),
        **{f"covered@{level:g}": _sums(ratios <= ndtri((1 + level) / 2), sure) for level in LEVELS},
    }


def _list_parts(lists: Positions, part: Exam) -> Parts:
    """Return the metrics of the lists, against what people watched and against what they liked."""
    novelty = metrics.novelty(lists[:, :SHOWN], part.counts, part.n_users)
    return {
        **_relevance_parts("", lists, part.test),
        **_relevance_parts("liked_", lists, part.liked),
        "novelty": _defined(novelty),
    }


def _relevance_parts(prefix: str, lists: Positions, answers: Csr) -> Parts:
    hits, relevant = metrics.hits_in(lists, answers), answers.counts
    values = {
        "recall@20": metrics.recall(hits, relevant, 20),
        "ndcg@20": metrics.ndcg(hits, relevant, 20),
        "ndcg@100": metrics.ndcg(hits, relevant, 100),
        "map@100": metrics.average_precision(hits, relevant, 100),
        **{f"curve_recall@{k}": metrics.recall(hits, relevant, k) for k in CURVE},
        **{f"curve_precision@{k}": np.where(relevant > 0, metrics.precision(hits, k), np.nan) for k in CURVE},
    }
    return {prefix + name: _defined(value) for name, value in values.items()}


def _padded(answers: Csr) -> tuple[Positions, Float, NDArray[np.bool_]]:
    """Return movies, stars and which of them are meant, all (B, m) with m the longest row."""
    places = np.arange(answers.counts.max(initial=1))
    asked = places < answers.counts[:, None]
    movies, stars = np.zeros(asked.shape, np.int32), np.zeros(asked.shape)
    movies[asked], stars[asked] = answers.indices, answers.values
    return movies, stars, asked


def _sums(values: NDArray[Any], where: NDArray[np.bool_]) -> tuple[Float, Float]:
    return np.where(where, values, 0.0).sum(axis=1), where.sum(axis=1).astype(np.float64)


def _defined(values: Float) -> tuple[Float, Float]:
    return np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)
