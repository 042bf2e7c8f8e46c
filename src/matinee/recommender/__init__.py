"""Recommender: a person's ratings in, movies out; the same for a user of the data and for a new visitor.

    ratings or user  ->  history  --fold_in-->  profile  --filters, top_n-->  positions  --predict-->  Table

The *ranker*, if there is one, orders the list by its score, the match; the *rater* predicts stars with an interval, and
orders the list without a ranker or with order="stars". Every answer is a Table with a note for the reader, the
snapshot and the live revisions that it came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.defaults import DEFAULT_MIN_RATINGS, DEFAULT_N
from matinee.errors import ModelError, UsageError
from matinee.filter_options import FilterOptions
from matinee.ids import Positions
from matinee.kernels import Csr
from matinee.models import Config, Model, Rater, Scores
from matinee.models.questions import Questions
from matinee.models.registry import default_ranker, default_rater
from matinee.ratings import Scale
from matinee.recommender import notes, together
from matinee.recommender.answer import IN_MEMORY, Answer
from matinee.recommender.columns import Columns
from matinee.recommender.filters import Filters
from matinee.recommender.lists import Lists, Order
from matinee.recommender.people import Given, Live, People, Person, by_id, given_by_hand, several
from matinee.recommender.together import How
from matinee.recommender.within import Within, among
from matinee.snapshot import Snapshot, Store

__all__ = ["Answer", "Filters", "How", "Order", "Recommender"]


class Recommender:
    """Answers from one data set and its models; immutable, safe for any number of threads.

    It pickles with its data and models, or, opened from a store, as the store's path and the snapshot's id; unpickling
    then needs that store. With live ratings it does not pickle.

    dataset, rater, ranker      the data and models; without a ranker (None) stars order
    snapshot_id                 named in every answer
    live                        live ratings, merged over the data's; with them an unknown user has no ratings yet
    metrics                     the measured quality of these models, {} if it was not measured
    """

    def __init__(
        self,
        dataset: Dataset,
        rater: Rater,
        ranker: Model | None = None,
        *,
        snapshot_id: str = IN_MEMORY,
        live: Live | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        self.dataset, self.rater, self.ranker = dataset, rater, ranker
        self.snapshot_id, self.live, self.metrics = snapshot_id, live, metrics or {}
        self._lists = Lists(dataset, rater, ranker)
        self._columns = Columns(dataset, rater)
        self._folder: Path | None = None  # of the snapshot, where it is one

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

        Raises ModelError where a model cannot learn from this data.
        """
        ratings, catalog = dataset.ratings, dataset.catalog
        chosen = default_ranker(ratings) if ranker == "default" else ranker
        rated: Any = (rater or default_rater()).fit(ratings, catalog, threads=threads)
        if not hasattr(rated, "predict"):
            raise ModelError(f"{rated.config.name} does not predict stars; choose a rater such as als or bayes")
        return cls(dataset, rated, chosen.fit(ratings, catalog, threads=threads) if chosen else None)

    @classmethod
    def open(
        cls, store: str | os.PathLike[str] | None = None, *, live: Live | None = None, snapshot: str | None = None
    ) -> Recommender:
        """Open a store's current snapshot, or a named one. Raises StoreError if it is missing or damaged."""
        return cls.of(Store(store).open(snapshot), live=live)

    @classmethod
    def of(cls, snapshot: Snapshot, *, live: Live | None = None) -> Recommender:
        """Make a recommender of an opened snapshot."""
        opened = cls(
            snapshot.dataset,
            snapshot.rater,
            snapshot.ranker,
            snapshot_id=snapshot.id,
            live=live,
            metrics=snapshot.manifest.metrics,
        )
        opened._folder = snapshot.path.resolve()
        return opened

    def __reduce__(self) -> tuple[Any, ...]:
        if self.live is not None:
            raise TypeError(
                "a Recommender with live ratings does not pickle: its database is open in this process; open one "
                "in each process with Recommender.open(store, live=...)"
            )
        if self._folder is not None:
            return _reopened, (type(self), self._folder)
        parts = (self.dataset, self.rater, self.ranker)
        return _remade, (type(self), parts, self.snapshot_id, dict(self.metrics))

    def publish(self, store: str | os.PathLike[str] | None = None) -> Snapshot:
        """Write a snapshot into a store and activate it. Raises StoreError if writing fails."""
        return Store(store).publish(self.dataset, self.rater, self.ranker, metrics=self.metrics)

    # Answers

    def recommend(
        self,
        ratings: Given = None,
        *,
        user: str | int | None = None,
        users: Iterable[str | int] | None = None,
        n: int = DEFAULT_N,
        within: Within = None,
        order: Order = "match",
        explain: bool = False,
        scale: Scale | str | None = None,
        filters: Filters | None = None,
        **options: Unpack[FilterOptions],
    ) -> Answer:
        """Return the n movies most worth watching that pass the filters, best first; none rated, seen or hidden.

        ratings     {movie id or title: stars}, pairs, or a table, or a list of them for several people; the id of a
                    user, as `user` takes it, or several `users`; without any, a person without ratings
        within      "watchlist", the user's; or movies (ids or titles): list no others
        order       "match" by the ranker if there is one, "stars" by predicted stars
        explain     adds a column `why`: the rated movies that add most to the ordering score
        scale       of the stars in ratings and answer, such as "1:10"; by default the data's
        filters     a Filters, or its options one by one: genre, not_genre, year_from, year_to, rated_since and
                    min_ratings (by default 25, or 0 with `within`)

        Columns: (user or history,) movie, title, year, genres, stars, low, high (90 % interval), ratings (count),
        match if the ranker orders (null for movies that it does not rank), why if asked for.
        The note gives the reason for fewer than n, and warns of fall-back or simulated stars.
        Raises UnknownUserError, UnknownMovieError, UsageError or DataError naming the invalid argument.
        """
        _check_n(n)
        if order not in ("match", "stars"):
            raise UsageError(f"order must be match or stars, not {order!r}")
        shown = _scale(scale)
        people = self._people(ratings, user, users, shown)
        if within is not None and options.get("rated_since") is None and options.get("min_ratings") is None:
            options["min_ratings"] = 0
        filters = _filters(filters, options)
        allowed = among(self.allowed(filters), within, people, self.dataset.catalog)
        positions, match = self._lists.top(people.histories, allowed, n, order, people.profiles, people.unlisted)
        listed = positions >= 0
        columns = self._columns.stars(people, positions, listed, shown)
        by_ranker = self._lists.orders(order) is self.ranker
        if by_ranker:
            columns["match"] = match[listed]
        reasons = self._columns.reasons(people, positions, self._lists.orders(order)) if explain else None
        order_of_newcomers = notes.BY_POPULARITY if by_ranker else notes.BY_STARS
        fewer = notes.fewer(people, listed, n, allowed, filters, within)
        lines = fewer, notes.short(people, self.rater, order_of_newcomers)
        whose = people.repeated(listed)
        return self._answer(positions[listed], columns, people.people, *lines, whose=whose, reasons=reasons)

    def recommend_together(
        self,
        ratings: Given = None,
        *,
        users: Iterable[str | int] | None = None,
        how: How = "mean",
        n: int = DEFAULT_N,
        explain: bool = False,
        scale: Scale | str | None = None,
        filters: Filters | None = None,
        **options: Unpack[FilterOptions],
    ) -> Answer:
        """Return the n movies most worth watching together, best first; none that any of them rated, saw or hid.

        ratings     a list of several people's; or `users` by their ids
        how         "mean": by the mean of the standardised scores; "least-misery": by the lowest of them; without a
                    ranker, by mean or lowest stars
        explain     adds `why`: only movies that all of them rated highly
        filters     as `recommend` takes them, or its options one by one

        Columns as in `recommend` for one person; stars, low and high are the means of all predictions, or the
        prediction for the person who will like the movie least; match is the joint score. No column reveals one
        person's ratings. People without ratings do not affect the order, and the note warns of it.
        """
        _check_n(n)
        together.check_how(how)
        shown, filters = _scale(scale), _filters(filters, options)
        everybody, _ = self._persons(ratings, None, users, shown)
        if not everybody:
            raise UsageError("users: name at least one user")
        heard = [person for person in everybody if len(person.history)]
        people = People.of(heard or everybody[:1], self.rater, len(self.dataset.catalog))
        passing = self.allowed(filters)
        allowed = passing.copy()
        for person in everybody:
            allowed[person.unlisted] = False
        positions, match = together.top(self._lists, people, allowed, n, how)
        found = together.predicted(self.rater.predict(people.profiles, positions), how)
        columns = self._columns.predicted(positions, found, shown)
        if self.ranker is not None:
            columns["match"] = match
        reasons = None
        if explain:
            liked = self.dataset.ratings.scale.liked
            shared = together.contributions(self._lists.orders("match"), everybody, positions, liked)
            reasons = self._columns.reasons_of(*shared)
        fewer = notes.fewer_together(len(positions), n, passing, allowed, filters)
        without = notes.voices(len(heard), len(everybody))
        lines = fewer, without, notes.short(people, self.rater, notes.BY_POPULARITY)
        return self._answer(positions, columns, everybody, *lines, reasons=reasons)

    def predict(
        self,
        ratings: Given = None,
        movies: Iterable[str | int] | str | int = (),
        *,
        user: str | int | None = None,
        users: Iterable[str | int] | None = None,
        scale: Scale | str | None = None,
    ) -> Answer:
        """Predict the stars that people would give these movies (ids or titles), with a 90 % interval.

        Columns: (user,) movie, title, year, genres, stars, low, high, ratings.
        """
        shown = _scale(scale)
        asked = [movies] if isinstance(movies, str | int) else list(movies)
        if not asked:
            raise UsageError("movies: name at least one, by id or title")
        people = self._people(ratings, user, users, shown)
        resolved = np.array([self.dataset.catalog.resolve(movie) for movie in asked], np.int32)
        positions = np.repeat(resolved[None], len(people), axis=0)
        listed = np.ones_like(positions, bool)
        columns, whose = self._columns.stars(people, positions, listed, shown), people.repeated(listed)
        note = notes.short(people, self.rater, notes.STARS)
        return self._answer(positions[listed], columns, people.people, note, whose=whose)

    def similar(self, movie: str | int, n: int = 10, *, min_ratings: int = DEFAULT_MIN_RATINGS) -> Answer:
        """Return the n movies nearest to this one, among those with enough ratings.

        Columns: movie, title, year, genres, similarity (the ranker's, or the rater's without one), ratings.
        """
        _check_n(n)
        position = self.dataset.catalog.resolve(movie)
        closeness = (self.ranker or self.rater).similar(position)
        if not np.isfinite(closeness).any():
            closeness = self.rater.similar(position)
        closeness = np.where(self.allowed(Filters(min_ratings=min_ratings)), closeness, np.float32(-np.inf))
        order = np.argsort(-closeness, kind="stable")[:n].astype(np.int32)
        order = order[np.isfinite(closeness[order])]
        columns = {"similarity": closeness[order], "ratings": self._columns.counts(order)}
        fewer = f"{len(order)} instead of {n}: " if len(order) < n else ""
        note = f"nearest to {self.dataset.catalog.title(position)}, movies with at least {min_ratings} ratings"
        return self._answer(order, columns, (), fewer + note)

    def explain(
        self,
        ratings: Given = None,
        movie: str | int = "",
        *,
        user: str | int | None = None,
        of: Order = "stars",
        scale: Scale | str | None = None,
    ) -> Answer:
        """Return what each rating of one person adds to the score of a movie, the largest first.

        of      "stars" explains the rater's stars, "match" the ranker's score that orders the list

        Columns: movie, title, stars (theirs), contribution. The first row is the base, without a movie; base and
        contributions sum to the unclipped score, on the data's scale.
        """
        model = self.rater if of == "stars" else self.ranker
        if model is None:
            raise UsageError("of='match' needs a ranker, and this recommender has none; use `of='stars'`")
        if movie == "":
            raise UsageError("movie: name the movie to explain, by id or title")
        people = self._one(ratings, user, scale)
        history = people.people[0].history
        position = self.dataset.catalog.resolve(movie)
        found = model.explain(history, np.array([position], np.int32))
        parts = found.contributions[0]
        order = np.argsort(-np.abs(parts), kind="stable")
        rated = history.movies[order]
        columns = {
            "movie": [None, *self.dataset.catalog.ids.take(rated)],
            "title": ["(base)", *self.dataset.catalog.titles(rated)],
            "stars": [None, *history.stars[order].tolist()],
            "contribution": [float(found.base[0]), *parts[order].tolist()],
        }
        total = float(found.base[0] + parts.sum())
        what = "stars before clipping" if of == "stars" else "match"
        note = f"{self.dataset.catalog.title(position)}: base and contributions sum to {total:.4f} {what}"
        return self._answer(rated, columns, people.people, note, of_movies=False)

    def next_to_rate(
        self,
        ratings: Given = None,
        *,
        user: str | int | None = None,
        n: int = 1,
        unknown: Iterable[str | int] = (),
        scale: Scale | str | None = None,
    ) -> Answer:
        """Return the n movies whose rating by this person is most informative, among those they are likely to know.

        unknown     movies (ids or titles) that the person does not know: not asked again, and similar ones less likely

        Columns: movie, title, year, genres, known (how likely the person knows it), ratings. With a rater other than
        `bayes`, which does not measure information, these are the most rated movies, and the note says so.
        """
        _check_n(n)
        people = self._one(ratings, user, scale)
        history = people.people[0].history
        unknowns = np.array([self.dataset.catalog.resolve(movie) for movie in unknown], np.int32)
        questions = self._questions
        values = questions.values(history, unknowns)
        order = np.argsort(-values, kind="stable")[:n].astype(np.int32)
        order = order[np.isfinite(values[order])]
        known = questions.knows(history, unknowns)[order]
        columns = {"known": known, "ratings": self._columns.counts(order)}
        fewer = f"{len(order)} instead of {n}: no other movies to ask about" if len(order) < n else ""
        return self._answer(order, columns, people.people, fewer, questions.note)

    # The inner path, in positions

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Return (n_movies,) which movies pass, read-only; cached for the last filters.

        Raises UsageError naming a genre that no movie has, DataError if `rated_since` needs times and there are none.
        """
        return self._lists.allowed(filters)

    def top(
        self, histories: Csr, allowed: NDArray[np.bool_], n: int, order: Order = "match", profiles: Any = None
    ) -> tuple[Positions, Scores]:
        """Return the positions (B, n) of the best movies and the scores that order them, as `Lists.top` does."""
        return self._lists.top(histories, allowed, n, order, profiles)

    @cached_property
    def _questions(self) -> Questions:
        return Questions.of(self.rater, self.dataset.ratings)

    # Shared by all answers

    def _people(
        self, ratings: Given, user: str | int | None, users: Iterable[str | int] | None, scale: Scale | None
    ) -> People:
        people, names = self._persons(ratings, user, users, scale)
        return People.of(people, self.rater, len(self.dataset.catalog), **names)

    def _persons(
        self, ratings: Given, user: str | int | None, users: Iterable[str | int] | None, scale: Scale | None
    ) -> tuple[list[Person], dict[str, list[str | int]]]:
        if isinstance(ratings, str | Integral) and user is None:
            ratings, user = None, str(ratings)
        if sum(what is not None for what in (ratings, user, users)) > 1:
            raise UsageError("give only one of ratings, user and users")
        if isinstance(users, str | int):
            raise UsageError(f"users must be a list; for one user use user={users!r}")
        names: dict[str, list[str | int]] = {}
        if user is not None or users is not None:
            ids = [str(one) for one in ([user] if users is None else users)]
            people = [by_id(self.dataset, self.live, one) for one in ids]
            names = {} if users is None else {"user": [*ids]}
        elif several(ratings):
            people = [given_by_hand(self.dataset, one, scale) for one in ratings]
            names = {"history": [*range(len(people))]}
        else:
            people = [given_by_hand(self.dataset, {} if ratings is None else ratings, scale)]
        return people, names

    def _one(self, ratings: Given, user: str | int | None, scale: Scale | str | None) -> People:
        people = self._people(ratings, user, None, _scale(scale))
        if len(people) != 1:
            raise UsageError("ratings: give one person's ratings, not several people's")
        return people

    def _answer(
        self,
        positions: Positions,
        values: Mapping[str, Any],
        people: Sequence[Person],
        *lines: str,
        of_movies: bool = True,
        **more: Any,
    ) -> Answer:
        return Answer(
            positions,
            values,
            columns=self._columns if of_movies else None,
            note="\n".join(line for line in (*lines, notes.simulated(self.dataset)) if line),
            snapshot=self.snapshot_id,
            revisions=tuple(person.revision for person in people),
            **more,
        )


def _reopened(kind: type[Recommender], folder: Path) -> Recommender:
    """Unpickle a recommender from the place of its snapshot."""
    return kind.open(folder.parent.parent, snapshot=folder.name)


def _remade(
    kind: type[Recommender], parts: tuple[Any, ...], snapshot_id: str, metrics: Mapping[str, Any]
) -> Recommender:
    """Unpickle a recommender with its data and models."""
    return kind(*parts, snapshot_id=snapshot_id, metrics=metrics)


def _filters(filters: Filters | None, options: FilterOptions) -> Filters:
    """Return the filters of a call. Raises UsageError for both a Filters and options."""
    if filters is None:
        return Filters.of(**options)
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"use either filters= or {given[0]}=, not both; put {given[0]} into filters")
    return filters


def _check_n(n: int) -> None:
    if n < 1:
        raise UsageError(f"n must be at least 1, not {n}")


def _scale(scale: Scale | str | None) -> Scale | None:
    return Scale.parse(scale) if isinstance(scale, str) else scale
