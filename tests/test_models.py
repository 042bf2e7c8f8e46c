"""The exam that every model sits: one suite on tiny data where the right answer is known. A new model adds a line."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.catalog import SCHEMA, Catalog
from matinee.errors import ModelError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models import Config, Model
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.bayes import Bayes
from matinee.models.blend import Blend
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.ratings import History, Ratings, Scale, batch

EASE, IMPLICIT = Ease(reg=5, min_ratings=1), IALS(rank=8, iterations=8)
CONFIGS: dict[str, Config] = {
    "popular": Popular(),
    "bias": Bias(),
    "als": ALS(rank=4, intervals=False, min_history=3),
    "als with intervals": ALS(rank=4, min_history=3),
    "bayes": Bayes(rank=4, sweeps=40, burn_in=15, samples=5),
    "ease": EASE,
    "ials": IMPLICIT,
    "ials as Spark's": IALS(rank=4, alpha=1.0, reg=0.1),
    "blend": Blend(ease=EASE, ials=IMPLICIT),
}
RATERS = [name for name in CONFIGS if name.startswith(("bias", "als", "bayes"))]
LEARNERS = [name for name in CONFIGS if name not in ("popular", "bias")]
SCALE = Scale(0.5, 5.0, 0.5)

every_model = pytest.mark.parametrize("name", CONFIGS)
every_rater = pytest.mark.parametrize("name", RATERS)


def ratings_of(stars: np.ndarray) -> Ratings:
    """Return the ratings of a dense matrix, NaN where there is none."""
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(~np.isnan(stars)))
    users, movies = (Ids([f"{i:05}" for i in range(n)]) for n in stars.shape)
    return Ratings.from_pairs(users, movies, user, movie, stars[user, movie].astype(np.float32), SCALE)


def catalog_of(ratings: Ratings) -> Catalog:
    """Return a catalogue that knows neither genres nor years."""
    n = len(ratings.movies)
    columns = {
        "movie": ratings.movies.array,
        "title": pa.array([f"Film {i}" for i in range(n)]),
        "year": pa.nulls(n, pa.int16()),
        "genres": pa.array([[]] * n, pa.list_(pa.string())),
        "tags": pa.array([[]] * n, pa.list_(pa.string())),
        "imdb": pa.nulls(n, pa.string()),
        "tmdb": pa.nulls(n, pa.string()),
    }
    return Catalog(pa.table(columns, SCHEMA))


def fitted(config: Config, ratings: Ratings, **options: Any) -> Model:
    return config.fit(ratings, catalog_of(ratings), **options)


def tastes(n_users: int = 140, n_movies: int = 30) -> Ratings:
    """Return ratings of people with a taste of two dimensions; the last movie has none, the last user neither."""
    rng = np.random.default_rng(0)
    likes = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_movies)) + rng.normal(0, 0.3, (n_users, n_movies))
    stars = np.where(rng.random(likes.shape) < 0.5, np.clip(np.round(likes * 2) / 2, 0.5, 5), np.nan)
    stars[:, -1] = stars[-1] = np.nan
    stars[0, :-1] = 4.0  # one user has rated everything
    return ratings_of(stars)


@cache
def model_of_tastes(name: str) -> Model:
    return fitted(CONFIGS[name], tastes())


def person(*movies: int, stars: float = 4.0) -> Csr:
    return batch([History.of(dict.fromkeys(movies, stars))], 30)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name in RATERS])
def test_checkerboard__a_rater_knows_which_colour_is_liked(name: str) -> None:
    board = np.where(np.add.outer(np.arange(60), np.arange(24)) % 2, 1.0, 5.0)
    hidden = np.random.default_rng(1).random(board.shape) < 0.3
    ratings = ratings_of(np.where(hidden, np.nan, board))
    model = fitted(CONFIGS[name], ratings)
    scores = model.scores(model.fold_in(ratings.by_user))
    assert scores[hidden & (board == 5)].min() > 4
    assert scores[hidden & (board == 1)].max() < 2


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in RATERS])
def test_checkerboard__a_ranker_lists_the_missing_movie_of_the_same_colour_first(name: str) -> None:
    board = np.where(np.add.outer(np.arange(60), np.arange(24)) % 2, np.nan, 5.0)
    missing = (np.arange(60) // 2 * 2 + np.arange(60)) % 24
    board[np.arange(60), missing] = np.nan
    ratings = ratings_of(board)
    model = fitted(CONFIGS[name], ratings)
    top, _ = model.top_n(model.fold_in(ratings.by_user), 1, exclude=ratings.by_user)
    np.testing.assert_array_equal(top[:, 0], missing)


def with_more(ratings: Ratings) -> tuple[Ratings, list[int], list[int]]:
    """Return ratings with one more person and one more movie, both in the middle, and where the former ones are now."""
    matrix, (users, movies) = ratings.by_user, (list(ratings.users), list(ratings.movies))
    user = [*(users[row] for row in matrix.row_of_each()), users[70] + "+", users[70] + "+"]
    movie = [*(movies[column] for column in matrix.indices), movies[3], movies[15] + "+"]
    now_users, now_movies = Ids({*users, *user}), Ids({*movies, *movie})
    places = now_users.positions(user), now_movies.positions(movie)
    stars = np.append(matrix.values, np.array([4, 2], np.float32))
    more = Ratings.from_pairs(now_users, now_movies, *places, stars, SCALE)
    return more, now_users.positions(users).tolist(), now_movies.positions(movies).tolist()


@pytest.mark.parametrize("name", ["als", "ease", "ials"])
def test_one_more_person_and_movie__hardly_change_what_others_are_answered(name: str) -> None:
    before = tastes()
    after, people, movies = with_more(before)
    scores = [
        model.scores(model.fold_in(ratings.by_user))
        for model, ratings in ((model_of_tastes(name), before), (fitted(CONFIGS[name], after), after))
    ]
    known = np.isfinite(scores[0]) & (before.movie_counts > 0)
    moved = np.abs(scores[1][np.ix_(people, movies)][known] - scores[0][known])
    assert moved.mean() < 0.1 * scores[0][known].std()


@every_model
def test_fold_in__of_many_equals_one_by_one(name: str) -> None:
    model, people = model_of_tastes(name), tastes().by_user
    together = model.scores(model.fold_in(people))
    for user in (0, 1, 17, people.n_rows - 1):
        alone = model.scores(model.fold_in(people.rows(user, user + 1)))[0]
        np.testing.assert_array_equal(alone, together[user])


@every_model
def test_scores__of_some_movies_are_those_of_all(name: str) -> None:
    model = model_of_tastes(name)
    profiles, some = model.fold_in(tastes().by_user), np.array([29, 3, 4], np.int32)
    np.testing.assert_array_equal(model.scores(profiles, some), model.scores(profiles)[:, some])
    assert model.scores(profiles).dtype == np.float32


@every_model
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_top_n__is_the_sorted_scores_under_masks(name: str, data: st.DataObject) -> None:
    model, people = model_of_tastes(name), tastes().by_user.rows(5, 9)
    profiles = model.fold_in(people)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=30, max_size=30)))
    n = data.draw(st.integers(1, 35))
    top, found = model.top_n(profiles, n, allowed, people)
    scores = model.scores(profiles).copy()
    scores[:, ~allowed] = -np.inf
    scores[people.row_of_each(), people.indices] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    expected = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(found[:, :30], expected)
    np.testing.assert_array_equal(top[:, :30], np.where(np.isfinite(expected), order, -1))
    assert (top[:, 30:] == -1).all()
    assert (found[:, 30:] == -np.inf).all()


@every_model
@pytest.mark.parametrize("rated", [(), (2,), (1, 2, 3, 29), tuple(range(29)), (29,)])
def test_explain__contributions_sum_to_the_score(name: str, rated: tuple[int, ...]) -> None:
    model = model_of_tastes(name)
    history = History.of({movie: 1.0 + movie % 5 for movie in rated})
    movies = np.arange(30, dtype=np.int32)
    explanation = model.explain(history, movies)
    assert explanation.contributions.shape == (30, len(rated))
    np.testing.assert_allclose(
        explanation.base + explanation.contributions.sum(axis=1),
        model.scores(model.fold_in(batch([history], 30)))[0],
        atol=1e-4,
    )


@every_model
def test_arrays__bring_the_model_back(name: str) -> None:
    model, people = model_of_tastes(name), tastes().by_user
    arrays = model.arrays()
    assert all(isinstance(array, np.ndarray) and array.ndim <= 2 for array in arrays.values())
    again = model.config.load(arrays)
    assert again.config == model.config
    np.testing.assert_array_equal(again.scores(again.fold_in(people)), model.scores(model.fold_in(people)))
    assert all(np.array_equal(again.arrays()[key], array, equal_nan=True) for key, array in arrays.items())


@every_model
def test_fit__gives_the_same_bits_for_any_number_of_threads(name: str) -> None:
    one, three = (fitted(CONFIGS[name], tastes(), threads=threads).arrays() for threads in (1, 3))
    for key, array in one.items():
        np.testing.assert_array_equal(array, three[key], err_msg=key)


@every_model
def test_fit__tells_its_progress_to_the_end(name: str) -> None:
    seen: list[tuple[int, int]] = []
    fitted(CONFIGS[name], tastes(), progress=lambda step, done, total, rmse: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert not seen or seen[-1][0] == seen[-1][1]


@every_model
def test_similar__is_never_the_movie_itself(name: str) -> None:
    scores = model_of_tastes(name).similar(3)
    assert scores.shape == (30,)
    assert scores[3] == -np.inf
    assert not np.isnan(scores).any()


@every_model
@pytest.mark.parametrize("rated", [(), (29,)], ids=["empty", "only a movie nobody has rated"])
def test_history__that_says_nothing_is_answered(name: str, rated: tuple[int, ...]) -> None:
    model = model_of_tastes(name)
    scores = model.scores(model.fold_in(person(*rated)))
    assert not np.isnan(scores).any()
    if name in RATERS:
        assert np.abs(scores - tastes().mean).max() < 2


@every_model
def test_history__of_everything_leaves_nothing_to_list(name: str) -> None:
    model, everything = model_of_tastes(name), person(*range(30))
    top, scores = model.top_n(model.fold_in(everything), 5, exclude=everything)
    assert (top == -1).all()
    assert (scores == -np.inf).all()


@every_model
@pytest.mark.parametrize(
    "stars",
    [
        np.full((40, 12), 3.0),
        np.array([[4.0, 2.0, 5.0]]),
        np.array([[4.0], [2.0], [5.0]]),
        np.array([[3.5]]),
        np.array([[5.0, np.nan], [np.nan, 0.5]]),
    ],
    ids=["constant", "one user", "one movie", "one rating", "two strangers"],
)
def test_odd_data__has_a_defined_answer(name: str, stars: np.ndarray) -> None:
    ratings = ratings_of(stars)
    model = fitted(CONFIGS[name], ratings)
    profiles = model.fold_in(ratings.by_user)
    scores = model.scores(profiles)
    assert not np.isnan(scores).any()
    if name in RATERS:
        movies = np.arange(stars.shape[1], dtype=np.int32)
        predicted = model.predict(profiles, movies)  # type: ignore[attr-defined]
        assert not np.isnan(predicted.stars).any()
        if len(np.unique(stars[~np.isnan(stars)])) == 1 and stars.size > 1:
            np.testing.assert_allclose(predicted.stars, 3.0, atol=0.35)


@every_model
def test_no_ratings__are_refused_or_answered_alike_for_all(name: str) -> None:
    ratings = ratings_of(np.full((3, 4), np.nan))
    if name in ("popular", "bias"):
        scores = fitted(CONFIGS[name], ratings).scores(fitted(CONFIGS[name], ratings).fold_in(ratings.by_user))
        assert np.ptp(scores) == 0
    else:
        with pytest.raises(ModelError):
            fitted(CONFIGS[name], ratings)


@every_rater
def test_predict__is_the_clipped_score_inside_its_interval(name: str) -> None:
    model, people = model_of_tastes(name), tastes().by_user
    profiles, movies = model.fold_in(people), np.array([0, 7, 29], np.int32)
    predicted = model.predict(profiles, movies)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(predicted.stars, SCALE.clip(model.scores(profiles, movies)))
    for array in (predicted.stars, predicted.low, predicted.high):
        assert (array.dtype, array.shape) == (np.float32, (people.n_rows, 3))
    known = ~np.isnan(predicted.low)
    assert (predicted.low[known] <= predicted.stars[known]).all()
    assert (predicted.stars[known] <= predicted.high[known]).all()
    assert ((predicted.low[known] >= 0.5) & (predicted.high[known] <= 5)).all()
    assert known.all() == (name in ("bayes", "als with intervals"))


@every_rater
def test_predict__takes_movies_of_each_persons_own(name: str) -> None:
    model, people = model_of_tastes(name), tastes().by_user.rows(10, 14)
    profiles = model.fold_in(people)
    own = np.array([[1, 2], [3, 4], [5, 29], [7, 0]], np.int32)
    together = model.predict(profiles, own)  # type: ignore[attr-defined]
    for row in range(4):
        alone = model.predict(model.fold_in(people.rows(row, row + 1)), own[row])  # type: ignore[attr-defined]
        np.testing.assert_array_equal(together.stars[row], alone.stars[0])
        np.testing.assert_allclose(together.high[row], alone.high[0], atol=1e-5)


@every_rater
def test_falls_back__names_exactly_those_the_baseline_answers(name: str) -> None:
    model, baseline = model_of_tastes(name), model_of_tastes("bias")
    people = batch([History.of(dict.fromkeys(range(n), 4.0)) for n in (0, 2, 3, 20)], 30)
    short = model.falls_back(model.fold_in(people))  # type: ignore[attr-defined]
    assert short.tolist() == [name.startswith("als")] * 2 + [False] * 2
    same = np.isclose(model.scores(model.fold_in(people)), baseline.scores(baseline.fold_in(people)), atol=1e-6)
    assert same[short].all()
    assert name == "bias" or not same[~short].all()
