"""Interview: what asking the right questions is worth, for visitors whom the model has never seen.

A quarter of each visitor's ratings is kept for the test, and the rest is what the visitor knows. Movies are asked about
one by one: a known one is answered, any other is a question spent. `known` asks only among what the visitor knows (the
value of an answer alone), `all` among everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Dataset
from matinee.ids import Positions
from matinee.models import Config
from matinee.models.questions import Questions
from matinee.ratings import History, Ratings, batch
from matinee.split import new_visitors
from matinee.table import Table

TEST_SHARE = 0.25
WAYS = ("next_to_rate", "popular", "random")

Worth = Callable[["Visitor", Positions], NDArray[np.float64]]
"""What asking a visitor about each of these movies (m,) is worth now."""


@dataclass(eq=False)
class Visitor:
    """One person in an interview: what they know, what is tested, what they answered and did not know so far."""

    knows: dict[int, float]
    test: History
    answers: dict[int, float]
    unknown: list[int]

    @property
    def history(self) -> History:
        return History.of(self.answers)

    @property
    def left(self) -> Positions:
        """Known movies that were not asked about."""
        return np.array([movie for movie in self.knows if movie not in self.answers], np.int32)

    def hear(self, movie: int) -> None:
        """Answer, or do not."""
        if movie in self.knows:
            self.answers[movie] = self.knows[movie]
        else:
            self.unknown.append(movie)


def interview(
    dataset: Dataset,
    config: Config,
    questions: Sequence[int] = (5, 10, 15),
    *,
    share: float = 0.1,
    rng: int = 0,
    threads: int | None = None,
) -> Table:
    """Measure the error after some questions, by who asks and among which movies.

    `share` of the users with enough ratings are held out as visitors. Columns: among (known or all), asked by,
    questions, answers (mean per visitor), rmse (over all test ratings of the visitors).
    Raises DataError where nobody has more ratings than there are questions.
    """
    split = new_visitors(dataset.ratings, max(questions), share=share, rng=rng)
    people = np.unique(split.test.users)
    model: Any = config.fit(split.train, dataset.catalog, threads=threads)
    asking = Questions.of(model, split.train)
    rows, n_movies = [], len(dataset.ratings.movies)
    for among in ("known", "all"):
        for way in WAYS:
            draw = np.random.default_rng((rng, 5))
            visitors = [_visitor(dataset.ratings, int(user), draw) for user in people]
            worth = _worth(way, among, asking, split.train, draw)
            for asked in range(1, max(questions) + 1):
                for visitor in visitors:
                    _ask(visitor, worth, among, n_movies)
                if asked in questions:
                    measured = _measured(model, visitors, n_movies)
                    rows.append({"among": among, "asked by": way, "questions": asked, **measured})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return Table.of(columns, f"{config.name}: {len(people):,} visitors held out of training, seed {rng}")


def _visitor(ratings: Ratings, user: int, draw: np.random.Generator) -> Visitor:
    history = ratings.history(user)
    tested = np.zeros(len(history), bool)
    tested[draw.permutation(len(history))[: max(1, round(TEST_SHARE * len(history)))]] = True
    known = zip(history.movies[~tested].tolist(), history.stars[~tested].tolist(), strict=True)
    return Visitor(dict(known), History(history.movies[tested], history.stars[tested]), {}, [])


def _worth(way: str, among: str, asking: Questions, train: Ratings, draw: np.random.Generator) -> Worth:
    if way == "popular":
        return lambda visitor, movies: train.movie_counts[movies].astype(np.float64)
    if way == "random":
        return lambda visitor, movies: draw.random(len(movies))
    if among == "all":
        return lambda visitor, movies: asking.values(visitor.history, np.array(visitor.unknown, np.int32))[movies]
    return lambda visitor, movies: asking.gains(visitor.history, movies)


def _ask(visitor: Visitor, worth: Worth, among: str, n_movies: int) -> None:
    """Ask the question of the highest worth, if any movie is left; never about a movie of the test."""
    left = visitor.left
    if among == "all":
        spent = [*visitor.answers, *visitor.unknown, *visitor.test.movies]
        left = np.delete(np.arange(n_movies, dtype=np.int32), spent)
    if len(left):
        visitor.hear(int(left[np.argmax(worth(visitor, left))]))


def _measured(model: Any, visitors: Sequence[Visitor], n_movies: int) -> dict[str, float]:
    errors = np.concatenate(list(_errors(model, visitors, n_movies)))
    answers = float(np.mean([len(visitor.answers) for visitor in visitors]))
    return {"answers": answers, "rmse": float(np.sqrt(np.mean(errors**2)))}


def _errors(model: Any, visitors: Sequence[Visitor], n_movies: int) -> Iterator[NDArray[np.float64]]:
    for visitor in visitors:
        profile = model.fold_in(batch([visitor.history], n_movies))
        yield model.predict(profile, visitor.test.movies).stars[0] - visitor.test.stars.astype(np.float64)
