"""Together: one list for several people, who never learn each other's stars from it.

    each one's scores  --standardised-->  z (B, n_movies)  --mean or lowest-->  one score a movie  -->  the n best

A ranker's scores have different units for each person: a person with many ratings has larger ones. Standardised over
the movies that the model orders, all people have the same weight. Stars have the same units for all; where they order
the list, it is by the displayed mean or lowest stars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.errors import UsageError
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Model, Prediction, Scores
from matinee.ratings import History, Stars
from matinee.recommender.lists import Lists
from matinee.recommender.people import People, Person

How = Literal["mean", "least-misery"]
HOWS = ("mean", "least-misery")


def check_how(how: str) -> None:
    """Raise UsageError for an unknown way of joining scores."""
    if how not in HOWS:
        raise UsageError(f"how must be {' or '.join(HOWS)}, not {how!r}")


def joint(scores: Scores, how: How) -> Scores:
    """Return one score per movie (n_movies,) from those of B people (B, n_movies), -inf where a movie has none.

    >>> joint(np.array([[1, 2, 3], [30, 20, 10]], np.float32), "least-misery").round(2).tolist()
    [-1.2200000286102295, 0.0, -1.2200000286102295]
    """
    z = np.stack([_standardised(row) for row in scores])
    return np.asarray(z.mean(axis=0) if how == "mean" else z.min(axis=0), np.float32)


def _standardised(scores: Scores) -> NDArray[np.float64]:
    known = np.isfinite(scores)
    values = scores[known].astype(np.float64)
    z = np.full(len(scores), -np.inf)
    z[known] = (values - values.mean()) / (values.std() or 1.0) if len(values) else values
    return z


def top(lists: Lists, people: People, allowed: NDArray[np.bool_], n: int, how: How) -> tuple[Positions, Scores]:
    """Return the positions (k,) of the n best movies for all, k <= n, and their joint scores, best first.

    people      those with ratings; or one person without, who gets the most rated movies

    Movies that the ranker does not rank follow those it does, with a score of -inf. They, or all movies where there is
    no ranker, are ordered by the joint stars that `predicted` returns for them.
    """
    n = min(n, len(allowed))
    if not people.histories.counts.any():
        found, best = lists.top(people.histories, allowed, n)
        positions, scores = found[0], best[0]
    elif lists.ranker is None:
        positions = _by_stars(lists, people, allowed, n, how)
        scores = np.full(len(positions), -np.inf, np.float32)
    else:
        positions, scores = _by_match(lists.ranker, people.histories, allowed, n, how)
        rest = allowed.copy()
        ranked = int((positions >= 0).sum())
        rest[positions[:ranked]] = False
        more = _by_stars(lists, people, rest, n - ranked, how)
        positions[ranked : ranked + len(more)] = more
    listed = positions >= 0
    return positions[listed], scores[listed]


def _by_match(ranker: Model, histories: Csr, allowed: NDArray[np.bool_], n: int, how: How) -> tuple[Positions, Scores]:
    scores = joint(ranker.scores(ranker.fold_in(histories)), how)
    positions, best = kernels.select_top_n(scores[None], n, allowed=allowed)
    return positions[0], best[0]


def _by_stars(lists: Lists, people: People, allowed: NDArray[np.bool_], n: int, how: How) -> Positions:
    """Return at most n positions by joint stars; of equal ones those come first that go further beyond the scale."""
    candidates = np.flatnonzero(allowed).astype(np.int32)
    if not n or not len(candidates):
        return candidates[:0]
    stars = lists.rater.scores(people.profiles, candidates)
    order = np.lexsort((-_joined(stars, how), -_joined(lists.scale.clip(stars), how)))
    return candidates[order[:n]]


def _joined(stars: Stars, how: How) -> Stars:
    """Return joint stars (m,) of B people's (B, m). Rows are added, so that each movie's bits are its own."""
    joined = stars.min(axis=0) if how == "least-misery" else sum(stars[1:], start=stars[0]) / np.float32(len(stars))
    return np.asarray(joined, np.float32)


def predicted(prediction: Prediction, how: How) -> Prediction:
    """Return the stars (m,) of all together from those of B people (B, m).

    By "mean", the means of stars and of the intervals' ends; by "least-misery", those of the person who will like a
    movie least.
    """
    parts = prediction.stars, prediction.low, prediction.high
    if how == "mean":
        return Prediction(*(_joined(part, how) for part in parts))
    lowest = prediction.stars.argmin(axis=0)[None]
    return Prediction(*(np.take_along_axis(part, lowest, axis=0)[0] for part in parts))


def contributions(
    model: Model, people: Sequence[Person], positions: Positions, liked: float
) -> tuple[History, NDArray[np.float64]]:
    """Return the movies that all of them rated with at least `liked` stars, and what they add in total (m, p).

    Other rated movies must not be revealed; the history's stars are `liked`, not one person's.
    """
    shared = people[0].history.movies
    for person in people:
        shared = np.intersect1d(shared, person.history.movies[person.history.stars >= liked])
    adds: Any = np.zeros((len(positions), len(shared)))
    if len(shared):
        for person in people:
            found = model.explain(person.history, positions).contributions
            adds = adds + found[:, np.searchsorted(person.history.movies, shared)]
    return History(shared, np.full(len(shared), liked, np.float32)), adds
