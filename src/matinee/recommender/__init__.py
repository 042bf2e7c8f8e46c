"""Recommender: a person's ratings in, movies out; the same for a user of the data and for a visitor of a second ago.

    ratings or user  ->  history  --fold_in-->  profile  --filters, top_n-->  positions  --predict-->  Table

The *ranker* orders the list by its score, the match, where there is one; the *rater* shows stars with an interval, and
orders where there is none or where asked to. Every answer is a Table whose note says what a reader must know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.errors import ModelError, UsageError
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Config, Model, Rater, Scores
from matinee.models.asking import Questions
from matinee.models.baselines import Popular
from matinee.models.registry import default_ranker, default_rater
from matinee.ratings import History, Scale, batch
from matinee.recommender.filters import MIN_RATINGS, Filters
from matinee.recommender.people import Given, Live, Person, by_id, given_by_hand
from matinee.snapshot import Snapshot, Store
from matinee.table import Table

__all__ = ["Filters", "Recommender"]

Order = Literal["match", "stars"]
MOST_REASONS = 3
MOST_MASKS = 256
IN_MEMORY = "memory"


class Recommender:
    """Answers from one data set and its models; immutable, safe for any number of threads.

    dataset, rater, ranker      what answers; `ranker` None orders by stars
    snapshot_id                 named in every answer
    live                        live ratings, laid over the data's; with them an unknown user has no ratings yet
    """

    def __init__(
        self,
        dataset: Dataset,
        rater: Rater,
        ranker: Model | None = None,
        *,
        snapshot_id: str = IN_MEMORY,
        live: Live | None = None,
    ) -> None:
        self.dataset, self.rater, self.ranker = dataset, rater, ranker
        self.snapshot_id, self.live = snapshot_id, live
        self._masks: dict[Filters, NDArray[np.bool_]] = {}
        self._popular = Popular().fit(dataset.ratings, dataset.catalog)

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        rater: Config | None = None,
        ranker: Config | Literal["default"] | None = "default",
        *,
        threads: int | None = None,
    ) -> Recommender:
        """Fit the models on the whole data set: by default `bayes`, and `ease` (`ials` above 20,000 movies to rank).

        Raises ModelError where this data cannot carry a model.
        """
        ratings, catalog = dataset.ratings, dataset.catalog
        chosen = default_ranker(ratings) if ranker == "default" else ranker
        rated: Any = (rater or default_rater()).fit(ratings, catalog, threads=threads)
        if not hasattr(rated, "predict"):
            raise ModelError(f"{rated.config.name} orders but knows no stars; choose a rater such as als or bayes")
        return cls(dataset, rated, chosen.fit(ratings, catalog, threads=threads) if chosen else None)

    @classmethod
    def open(
        cls, store: str | os.PathLike[str] | None = None, *, live: Live | None = None, snapshot: str | None = None
    ) -> Recommender:
        """Open a store's current snapshot, or a named one. Raises StoreError where there is none."""
        return cls.of(Store(store).open(snapshot), live=live)

    @classmethod
    def of(cls, snapshot: Snapshot, *, live: Live | None = None) -> Recommender:
        """Answer from an opened snapshot."""
        return cls(snapshot.dataset, snapshot.rater, snapshot.ranker, snapshot_id=snapshot.id, live=live)

    def publish(
        self, store: str | os.PathLike[str] | None = None, metrics: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """Write a snapshot into a store and serve it from now on. Raises StoreError where it cannot be written."""
        return Store(store).publish(self.dataset, self.rater, self.ranker, metrics=metrics)

    # Answers

    def recommend(
        self,
        ratings: Given = None,
        *,
        user: str | int | None = None,
        users: Iterable[str | int] | None = None,
        n: int = 25,
        genre: str | Iterable[str] | None = None,
        not_genre: str | Iterable[str] | None = None,
        year_from: int | None = None,
        year_to: int | None = None,
        rated_since: str | date | None = None,
        min_ratings: int = MIN_RATINGS,
        order: Order = "match",
        explain: bool = False,
        scale: Scale | str | None = None,
    ) -> Table:
        """Return the n movies most worth watching that pass the filters, never a rated one, best first.

        ratings     {movie id or title: stars}, pairs, or a table; or `user` by id, or several `users`; nothing at all
                    is a person without ratings
        order       "match" by the ranker where there is one, "stars" by predicted stars
        explain     adds a column `why`: the rated movies that add most to the score that orders
        scale       of the stars given and shown, such as "1:10"; by default the data's

        Columns: (user,) movie, title, year, genres, stars, low, high (90 % interval), ratings (count), match (, why).
        The note says why there are fewer than n, and whether stars are a fall-back or simulated.
        Raises UnknownUserError, UnknownMovieError, UsageError or DataError naming what cannot be meant.
        """
        if n < 1:
            raise UsageError(f"n is at least 1, not {n}")
        if order not in ("match", "stars"):
            raise UsageError(f"order is match or stars, not {order!r}")
        shown = _scale(scale)
        names = None if users is None else [str(one) for one in users]
        people = self._people(ratings, user, names, shown)
        filters = Filters.of(genre, not_genre, year_from, year_to, rated_since, min_ratings)
        histories = batch([person.history for person in people], len(self.dataset.catalog))
        positions, match = self.top(histories, self.allowed(filters), n, order)
        listed = positions >= 0
        columns: dict[str, Any] = {} if names is None else {"user": _repeated(names, listed)}
        columns |= self._stars(histories, positions, listed, shown)
        columns["match"] = match[listed]
        if explain:
            columns["why"] = self._reasons(people, positions, order)
        return Table.of(columns, self._note(people, histories, listed, n, filters))

    def predict(
        self,
        ratings: Given = None,
        movies: Iterable[str | int] | str | int = (),
        *,
        user: str | int | None = None,
        scale: Scale | str | None = None,
    ) -> Table:
        """Return the stars that one person would give to these movies (ids or titles), with a 90 % interval.

        Columns: movie, title, year, genres, stars, low, high, ratings.
        """
        shown = _scale(scale)
        asked = [movies] if isinstance(movies, str | int) else list(movies)
        if not asked:
            raise UsageError("name at least one movie to predict, by id or title")
        people = self._people(ratings, user, None, shown)
        histories = batch([people[0].history], len(self.dataset.catalog))
        positions = np.array([[self.dataset.catalog.resolve(movie) for movie in asked]], np.int32)
        listed = np.ones_like(positions, bool)
        columns = self._stars(histories, positions, listed, shown)
        return Table.of(columns, self._note(people, histories))

    def similar(self, movie: str | int, n: int = 10, *, min_ratings: int = MIN_RATINGS) -> Table:
        """Return the n movies nearest to this one, among those with enough ratings.

        Columns: movie, title, year, genres, similarity (the ranker's, or the rater's without one), ratings.
        """
        position = self.dataset.catalog.resolve(movie)
        closeness = (self.ranker or self.rater).similar(position)
        if not np.isfinite(closeness).any():
            closeness = self.rater.similar(position)
        closeness = np.where(self.allowed(Filters(min_ratings=min_ratings)), closeness, np.float32(-np.inf))
        order = np.argsort(-closeness, kind="stable")[:n].astype(np.int32)
        order = order[np.isfinite(closeness[order])]
        columns = {**self._facts(order), "similarity": closeness[order], "ratings": self._counts(order)}
        note = f"nearest to {self.dataset.catalog.title(position)}, movies with at least {min_ratings} ratings"
        return Table.of(columns, _lines(note, self._simulated()))

    def explain(
        self,
        ratings: Given = None,
        movie: str | int = "",
        *,
        user: str | int | None = None,
        of: Order = "stars",
        scale: Scale | str | None = None,
    ) -> Table:
        """Return what each rating of one person adds to the score of a movie, the largest first.

        of      "stars" explains the rater's stars, "match" the ranker's score that orders the list

        Columns: movie, title, stars (theirs), contribution. The first row is the base, without a movie; base and
        contributions sum to the unclipped score, on the data's scale.
        """
        model = self.rater if of == "stars" else self.ranker
        if model is None:
            raise UsageError("there is no ranker to explain; ask for of='stars'")
        (person,) = self._people(ratings, user, None, _scale(scale))
        position = self.dataset.catalog.resolve(movie)
        found = model.explain(person.history, np.array([position], np.int32))
        parts = found.contributions[0]
        order = np.argsort(-np.abs(parts), kind="stable")
        rated = person.history.movies[order]
        columns = {
            "movie": [None, *self.dataset.catalog.ids.take(rated)],
            "title": ["(base)", *(self.dataset.catalog.title(int(other)) for other in rated)],
            "stars": [None, *person.history.stars[order].tolist()],
            "contribution": [float(found.base[0]), *parts[order].tolist()],
        }
        total = float(found.base[0] + parts.sum())
        what = "stars before clipping" if of == "stars" else "match"
        note = f"{self.dataset.catalog.title(position)}: base and contributions sum to {total:.4f} {what}"
        return Table.of(columns, _lines(note, self._simulated()))

    def next_to_rate(
        self,
        ratings: Given = None,
        *,
        user: str | int | None = None,
        n: int = 1,
        unknown: Iterable[str | int] = (),
        scale: Scale | str | None = None,
    ) -> Table:
        """Return the n movies whose rating by this person would tell most, among those they are likely to know.

        unknown     movies (ids or titles) the person was asked about and did not know: not asked again, and those
                    like them less readily

        Columns: movie, title, year, genres, known (how likely the person knows it), ratings. With a rater other than
        `bayes`, which cannot tell what an answer is worth, these are the most rated movies, and the note says so.
        """
        if n < 1:
            raise UsageError(f"n is at least 1, not {n}")
        (person,) = self._people(ratings, user, None, _scale(scale))
        unknowns = np.array([self.dataset.catalog.resolve(movie) for movie in unknown], np.int32)
        questions = self._questions
        values = questions.values(person.history, unknowns)
        order = np.argsort(-values, kind="stable")[:n].astype(np.int32)
        order = order[np.isfinite(values[order])]
        known = questions.knows(person.history, unknowns)[order]
        columns = {**self._facts(order), "known": known, "ratings": self._counts(order)}
        fewer = f"{len(order)} instead of {n}: there is nothing else to ask" if len(order) < n else ""
        return Table.of(columns, _lines(fewer, questions.note, self._simulated()))

    # The inner path, in positions

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Return (n_movies,) which movies pass; remembered for the filters asked last."""
        mask = self._masks.get(filters)
        if mask is None:
            mask = filters.allowed(self.dataset)
            if len(self._masks) >= MOST_MASKS:
                self._masks.pop(next(iter(self._masks)), None)
            self._masks[filters] = mask
        return mask

    def top(
        self, histories: Csr, allowed: NDArray[np.bool_], n: int, order: Order = "match"
    ) -> tuple[Positions, Scores]:
        """Return positions (B, n) and the scores that order them; -1 and -inf where fewer movies pass.

        People without ratings get the most rated movies, unless stars order. Movies that the ranker does not rank
        follow those it does, by stars.
        """
        n = min(n, len(allowed))
        if order == "stars" or self.ranker is None:
            return self.rater.top_n(self.rater.fold_in(histories), n, allowed, histories)
        empty = histories.counts == 0
        if empty.any():
            return self._top_with_newcomers(histories, allowed, n, empty)
        positions, scores = self.ranker.top_n(self.ranker.fold_in(histories), n, allowed, histories)
        for row in np.flatnonzero(positions[:, -1] < 0):
            self._fill_by_stars(histories.rows(int(row), int(row) + 1), allowed, positions[row])
        return positions, scores

    def _top_with_newcomers(
        self, histories: Csr, allowed: NDArray[np.bool_], n: int, empty: NDArray[np.bool_]
    ) -> tuple[Positions, Scores]:
        positions, scores = np.full((len(empty), n), -1, np.int32), np.full((len(empty), n), -np.inf, np.float32)
        for row, newcomer in enumerate(empty.tolist()):
            history = histories.rows(row, row + 1)
            if newcomer:
                positions[row], scores[row] = (part[0] for part in self._popular.top_n(1, n, allowed))
            else:
                positions[row], scores[row] = (part[0] for part in self.top(history, allowed, n))
        return positions, scores

    def _fill_by_stars(self, history: Csr, allowed: NDArray[np.bool_], positions: Positions) -> None:
        """Put movies that the ranker does not rank behind those it does, in one person's list."""
        found = int((positions >= 0).sum())
        rest = allowed.copy()
        rest[positions[:found]] = False
        more, _ = self.rater.top_n(self.rater.fold_in(history), len(positions) - found, rest, history)
        positions[found:] = more[0]

    @cached_property
    def _questions(self) -> Questions:
        return Questions.of(self.rater, self.dataset.ratings)

    # From positions to tables

    def _people(
        self, ratings: Given, user: str | int | None, users: list[str] | None, scale: Scale | None
    ) -> list[Person]:
        if sum(what is not None for what in (ratings, user, users)) > 1:
            raise UsageError("give ratings, or a user, or several users, not more than one of them")
        if user is not None:
            return [by_id(self.dataset, self.live, str(user))]
        if users is not None:
            return [by_id(self.dataset, self.live, one) for one in users]
        return [given_by_hand(self.dataset, {} if ratings is None else ratings, scale)]

    def _facts(self, positions: Positions) -> dict[str, Any]:
        rows = self.dataset.catalog.table.take(positions)
        return {name: rows[name] for name in ("movie", "title", "year", "genres")}

    def _counts(self, positions: Positions) -> NDArray[np.int64]:
        return self.dataset.ratings.movie_counts[positions]

    def _stars(
        self, histories: Csr, positions: Positions, listed: NDArray[np.bool_], scale: Scale | None
    ) -> dict[str, Any]:
        """Return the columns of facts and predictions for the listed positions, one person after another."""
        flat = positions[listed]
        own = self.dataset.ratings.scale
        stars = {name: np.empty(0, np.float32) for name in ("stars", "low", "high")}
        if len(flat):
            predicted = self.rater.predict(self.rater.fold_in(histories), np.maximum(positions, 0))
            stars = {name: getattr(predicted, name)[listed] for name in stars}
        if scale is not None:
            stars = {name: own.to(scale, values) for name, values in stars.items()}
        return {**self._facts(flat), **stars, "ratings": self._counts(flat)}

    def _reasons(self, people: Sequence[Person], positions: Positions, order: Order) -> list[list[str]]:
        model = self.rater if order == "stars" or self.ranker is None else self.ranker
        reasons = []
        for person, row in zip(people, positions, strict=True):
            asked = row[row >= 0]
            found = model.explain(person.history, asked)
            reasons += [self._reason(person.history, parts) for parts in found.contributions]
        return reasons

    def _reason(self, history: History, parts: NDArray[np.float64]) -> list[str]:
        best = np.argsort(-parts, kind="stable")[:MOST_REASONS]
        return [self.dataset.catalog.title(int(history.movies[place])) for place in best if parts[place] > 0]

    def _note(
        self,
        people: Sequence[Person],
        histories: Csr,
        listed: NDArray[np.bool_] | None = None,
        n: int = 0,
        filters: Filters | None = None,
    ) -> str:
        notes = []
        if listed is not None and filters is not None and (listed.sum(axis=1) < n).any():
            notes.append(self._why_fewer(people, listed, n, filters))
        if (histories.counts == 0).any():
            notes.append("no ratings yet: the movies most people rate, with stars that are not personal")
        elif self.rater.falls_back(self.rater.fold_in(histories)).any():
            notes.append("few ratings yet: stars are damped means, a rough guess")
        return _lines(*notes, self._simulated())

    def _why_fewer(self, people: Sequence[Person], listed: NDArray[np.bool_], n: int, filters: Filters) -> str:
        allowed = self.allowed(filters)
        if len(people) > 1:
            return f"some lists have fewer than {n} movies: {int(allowed.sum()):,} pass the filters"
        rated = int(allowed[people[0].history.movies].sum())
        return (
            f"{int(listed.sum())} instead of {n}: {int(allowed.sum()):,} movies pass the filters and have at least "
            f"{filters.min_ratings} ratings, {rated} of them rated already"
        )

    def _simulated(self) -> str:
        return "simulated ratings" if self.dataset.facts.simulated else ""


def _scale(scale: Scale | str | None) -> Scale | None:
    return Scale.parse(scale) if isinstance(scale, str) else scale


def _repeated(names: list[str], listed: NDArray[np.bool_]) -> list[str]:
    return [name for name, count in zip(names, listed.sum(axis=1), strict=True) for _ in range(count)]


def _lines(*notes: str) -> str:
    return "\n".join(note for note in notes if note)
