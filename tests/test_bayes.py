from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.catalog import SCHEMA, Catalog
from matinee.errors import ModelError
from matinee.ids import Ids
from matinee.kernels import equation
from matinee.models.bayes import Bayes, memory_needed
from matinee.models.bayes.features import who_rated
from matinee.ratings import History, Ratings, Scale, batch

SMALL = Bayes(rank=7, sweeps=40, burn_in=20, samples=8)
PLAIN = {"bias": False, "movie_features": False, "user_features": False, "noise_per_row": False}
N_USERS, N_MOVIES, N_UNRATED = 400, 120, 3
STARS = Scale(0.5, 5, 0.5)
WIDE = Scale(-2, 8)


def ids(prefix, n):
    return Ids([f"{prefix}{i:05d}" for i in range(n)])


def catalog(genres, years):
    n = len(genres)
    table = {
        "movie": list(ids("m", n)),
        "title": [f"Film {i}" for i in range(n)],
        "year": years,
        "genres": genres,
        "tags": [[]] * n,
        "imdb": [None] * n,
        "tmdb": [None] * n,
    }
    return Catalog(pa.table(table, SCHEMA))


def ratings_of(pairs, n_users, n_movies, scale=STARS):
    user, movie, stars = (np.array(part) for part in zip(*pairs, strict=True))
    columns = user.astype(np.int32), movie.astype(np.int32), stars.astype(np.float32)
    return Ratings.from_pairs(ids("u", n_users), ids("m", n_movies), *columns, scale)


class World:
    """People and movies drawn from the model itself: two genres that people like or not, biases, noise of 0.6 stars."""

    def __init__(self, seed=4):
        rng = np.random.default_rng(seed)
        self.genre = np.arange(N_MOVIES) % 2
        taste = rng.normal(0, 0.5, (N_USERS, 3))
        style = rng.normal(0, 0.8, (N_MOVIES, 3))
        style[:, 0] = np.where(self.genre, 1.0, -1.0)
        bias = rng.normal(0, 0.3, N_USERS)[:, None] + np.where(self.genre, 0.4, -0.4)
        self.mean = 3.0 + bias + taste @ style.T
        self.stars = self.mean + rng.normal(0, 0.6, self.mean.shape)
        self.given = rng.random(self.mean.shape) < 0.25
        self.given[:, -N_UNRATED:] = False
        self.given[0, :-N_UNRATED] = True
        self.hidden = rng.random(self.mean.shape) < 0.05
        self.hidden[:, -N_UNRATED:] = False
        self.given &= ~self.hidden

    def pairs(self, mask):
        user, movie = np.nonzero(mask)
        return list(zip(user, movie, self.stars[mask], strict=True))

    def ratings(self):
        return ratings_of(self.pairs(self.given), N_USERS, N_MOVIES, WIDE)

    def catalog(self):
        return catalog([["Action"] if g else ["Romance"] for g in self.genre], [1980 + i % 40 for i in range(N_MOVIES)])


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def model(world):
    return SMALL.fit(world.ratings(), world.catalog(), threads=1)


def predictions(model, ratings, mask):
    profiles = model.fold_in(ratings.by_user)
    shown = model.predict(profiles, np.arange(N_MOVIES, dtype=np.int32))
    return shown.stars[mask], shown.low[mask], shown.high[mask]


def test_stars__come_near_the_noise_of_data_the_model_could_have_made(world, model):
    stars, _, _ = predictions(model, world.ratings(), world.hidden)
    assert np.sqrt(np.mean((stars - world.stars[world.hidden]) ** 2)) < 0.68
    assert np.sqrt(np.mean((stars - world.mean[world.hidden]) ** 2)) < 0.32


def test_intervals__hold_nine_of_ten_held_out_ratings(world, model):
    _, low, high = predictions(model, world.ratings(), world.hidden)
    truth = world.stars[world.hidden]
    assert 0.875 <= np.mean((low <= truth) & (truth <= high)) <= 0.93


def test_intervals__get_narrower_with_every_rating_of_an_ordinary_person(world, model):
    history = world.ratings().history(5)
    widths = []
    for n in (0, 5, 20):
        part = History(history.movies[:n], history.stars[:n])
        shown = model.predict(model.fold_in(batch([part], N_MOVIES)), np.arange(N_MOVIES, dtype=np.int32))
        widths.append(float(np.mean(shown.high - shown.low)))
    assert widths[0] > widths[1] > widths[2]


def test_movies_without_ratings__are_predicted_from_their_genre_and_with_less_confidence(world, model):
    likes_action = world.ratings().history(int(np.argmax(world.mean[:, 1] - world.mean[:, 0])))
    profile = model.fold_in(batch([likes_action], N_MOVIES))
    unrated = np.arange(N_MOVIES - N_UNRATED, N_MOVIES, dtype=np.int32)
    shown = model.predict(profile, unrated)
    action = world.genre[unrated] == 1
    assert shown.stars[0, action].min() > shown.stars[0, ~action].max()
    rated = model.predict(profile, np.arange(20, dtype=np.int32))
    assert np.min(shown.high - shown.low) > np.median(rated.high - rated.low)


def test_moments__equal_the_plain_equation(world, model):
    history = world.ratings().history(7)
    histories = batch([history], N_MOVIES)
    profile, features = model.fold_in(histories), who_rated(histories, model.components)[0]
    asked = np.array([3, 4, 119], np.int32)
    values = (history.stars - model.units.mean) / model.units.deviation
    means, variances = [], []
    for s in range(model.samples.n):
        sample = model.samples.at(s)
        Y, offsets, w = (part[history.movies].squeeze().astype(float) for part in sample.rated)
        precision = sample.prior_precisions
        prior_mean = sample.prior_means[0] + features @ sample.regressions
        A, b = equation.normal_equations(Y, w, w * (values - offsets), 0, precision, precision @ prior_mean)
        x = np.linalg.solve(A, b)
        C = np.linalg.inv(A)
        squares = (values - offsets - Y @ x) ** 2 + np.sum(Y @ C * Y, axis=1)
        noise = (30 + np.sum(w * squares)) / (30 + len(history))
        y, levels, precisions = (part[asked].squeeze().astype(float) for part in sample.asked)
        means.append(y @ x + levels)
        variances.append(noise / precisions + np.sum(y @ C * y, axis=1))
    stars = model.units.mean + model.units.deviation * np.mean(means, axis=0)
    reach = 1.6448536 * model.units.deviation * np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))
    shown = model.predict(profile, asked)
    np.testing.assert_allclose(shown.stars[0], stars, atol=1e-4)
    np.testing.assert_allclose(shown.low[0], np.clip(stars - reach, -2, 8), atol=1e-3)
    np.testing.assert_allclose(shown.high[0], np.clip(stars + reach, -2, 8), atol=1e-3)


def test_predict__takes_the_same_movies_for_all_or_each_persons_own(world, model):
    profiles = model.fold_in(world.ratings().by_user.rows(0, 3))
    own = np.array([[1, 2], [5, 6], [9, 1]], np.int32)
    shown = model.predict(profiles, own)
    everything = model.predict(profiles, np.arange(N_MOVIES, dtype=np.int32))
    np.testing.assert_allclose(shown.stars, np.take_along_axis(everything.stars, own, axis=1), atol=1e-5)
    np.testing.assert_allclose(shown.low, np.take_along_axis(everything.low, own, axis=1), atol=1e-5)


def test_predicted_stars__are_the_clipped_scores(world, model):
    profiles = model.fold_in(world.ratings().by_user.rows(0, 4))
    movies = np.array([0, 7, 50], np.int32)
    np.testing.assert_allclose(
        model.predict(profiles, movies).stars, np.clip(model.scores(profiles, movies), -2, 8), atol=1e-5
    )
    np.testing.assert_allclose(model.scores(profiles, movies), model.scores(profiles)[:, movies], atol=1e-5)


def test_contributions__and_the_strangers_stars_sum_to_the_score(world, model):
    for user in (0, 5, 11):
        history = world.ratings().history(user)
        movies = np.arange(N_MOVIES, dtype=np.int32)
        explanation = model.explain(history, movies)
        score = model.scores(model.fold_in(batch([history], N_MOVIES)))[0]
        np.testing.assert_allclose(explanation.base + explanation.contributions.sum(axis=1), score, atol=1e-4)
        stranger = model.scores(model.fold_in(batch([History.of({})], N_MOVIES)))[0]
        np.testing.assert_allclose(explanation.base, stranger, atol=1e-4)


def test_a_better_rating__raises_the_movies_of_its_kind(world, model):
    low, high = (model.fold_in(batch([History.of({1: stars})], N_MOVIES)) for stars in (1.0, 5.0))
    gain = (model.scores(high) - model.scores(low))[0]
    assert gain[world.genre == 1].mean() > gain[world.genre == 0].mean()


def test_fold_in__of_many_equals_each_alone(world, model):
    by_user = world.ratings().by_user
    together = model.scores(model.fold_in(by_user.rows(0, 6)))
    for user in range(6):
        alone = model.scores(model.fold_in(by_user.rows(user, user + 1)))
        np.testing.assert_allclose(together[user], alone[0], atol=1e-5)


def test_fit__gives_the_same_bits_for_the_same_seed_and_any_number_of_threads(world):
    config = replace(SMALL, sweeps=6, burn_in=3, samples=2)
    one, three = (config.fit(world.ratings(), world.catalog(), threads=threads).arrays() for threads in (1, 3))
    for name, values in one.items():
        np.testing.assert_array_equal(values, three[name])
    other = replace(config, rng=1).fit(world.ratings(), world.catalog(), threads=1)
    assert np.any(other.arrays()["rated_movies"] != one["rated_movies"])


def test_arrays__bring_back_the_same_model(world, model):
    arrays = model.arrays()
    assert all(values.ndim <= 2 for values in arrays.values())
    again = SMALL.load(arrays)
    history = batch([world.ratings().history(3)], N_MOVIES)
    np.testing.assert_array_equal(again.scores(again.fold_in(history)), model.scores(model.fold_in(history)))
    assert np.shares_memory(again.samples.rated.Y, arrays["rated_movies"])


def test_arrays_of_format_1__which_lay_sample_by_sample__are_the_same_model(world, model):
    S, old = model.samples.n, dict(model.arrays())
    for kind in ("rated", "asked"):
        for name in ("movies", "biases", "precisions"):
            parts = np.split(old[f"{kind}_{name}"], S, axis=1)
            old[f"{kind}_{name}"] = np.concatenate(parts if name == "movies" else [part.ravel() for part in parts])
    again = SMALL.load(old)
    assert old["rated_movies"].shape == (S * N_MOVIES, model.samples.prior_means.shape[1])
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_top_n__is_sorted_allowed_and_without_the_excluded(world, model):
    by_user = world.ratings().by_user.rows(0, 5)
    allowed = np.arange(N_MOVIES) % 3 > 0
    positions, scores = model.top_n(model.fold_in(by_user), 10, allowed, exclude=by_user)
    for person in range(1, 5):
        assert np.all(np.diff(scores[person]) <= 0)
        assert np.all(allowed[positions[person]])
        assert not set(positions[person]) & set(by_user.row(person)[0])


def test_similar__ranks_movies_of_the_same_kind_first(world, model):
    similar = model.similar(1)
    assert similar[1] == -np.inf
    rated = np.arange(N_MOVIES - N_UNRATED)
    best = rated[np.argsort(-similar[rated])[:15]]
    assert np.mean(world.genre[best] == world.genre[1]) > 0.8
    assert np.max(similar) <= 1 + 1e-5


@pytest.mark.parametrize("switch", PLAIN)
def test_each_ingredient__can_be_switched_off(world, switch):
    config = replace(SMALL, **{switch: False}, sweeps=20, burn_in=10, samples=4)
    model = config.fit(world.ratings(), world.catalog(), threads=1)
    stars, low, high = predictions(model, world.ratings(), world.hidden)
    assert np.sqrt(np.mean((stars - world.stars[world.hidden]) ** 2)) < 0.8
    assert np.all((low <= stars) & (stars <= high))


def test_plain_factorization__is_the_model_without_all_ingredients(world):
    config = replace(SMALL, **PLAIN, sweeps=30, burn_in=15)
    model = config.fit(world.ratings(), world.catalog(), threads=1)
    assert model.samples.at(0).rated.Y.shape[1] == 7
    assert not model.samples.rated.offsets.any()
    assert not model.samples.regressions.size
    assert np.ptp(model.samples.at(0).rated.precisions[:-N_UNRATED]) == 0
    stars, _, _ = predictions(model, world.ratings(), world.hidden)
    assert np.sqrt(np.mean((stars - world.stars[world.hidden]) ** 2)) < 0.75


def test_progress__tells_a_falling_rmse_in_stars(world):
    heard = []
    config = replace(SMALL, sweeps=12, burn_in=8, samples=4)
    config.fit(world.ratings(), world.catalog(), threads=1, progress=lambda *step: heard.append(step))
    assert [step[:3] for step in heard] == [("bayes", i + 1, 12) for i in range(12)]
    assert heard[-1][3] < heard[0][3]
    assert 0.45 < heard[-1][3] < 0.65


def test_memory__is_stated_before_the_chain_starts(world, caplog):
    config = replace(SMALL, sweeps=2, burn_in=1, samples=1)
    with caplog.at_level(logging.INFO, "matinee"):
        config.fit(world.ratings(), world.catalog(), threads=1)
    assert "bayes needs about" in caplog.text
    assert memory_needed(Bayes(), world.ratings()) > memory_needed(SMALL, world.ratings()) > 8 * world.ratings().n


def test_another_scale__changes_only_the_units(world):
    config = replace(SMALL, sweeps=6, burn_in=3, samples=2)
    hundred = Ratings.from_pairs(
        ids("u", N_USERS),
        ids("m", N_MOVIES),
        *(np.nonzero(world.given)[side].astype(np.int32) for side in (0, 1)),
        (world.stars[world.given] * 16 + 32).astype(np.float32),
        Scale(0, 160),
    )
    one, other = (config.fit(ratings, world.catalog(), threads=1) for ratings in (world.ratings(), hundred))
    np.testing.assert_allclose(
        other.scores(other.fold_in(hundred.by_user)),
        one.scores(one.fold_in(world.ratings().by_user)) * 16 + 32,
        atol=0.5,
    )


# ---- bad input ----

QUICK = Bayes(rank=3, sweeps=8, burn_in=4, samples=2)


def everything(model, histories):
    n = histories.n_columns
    shown = model.predict(model.fold_in(histories), np.arange(n, dtype=np.int32))
    assert np.isfinite(shown.low).all()
    assert np.isfinite(shown.high).all()
    assert np.all((shown.low <= shown.stars) & (shown.stars <= shown.high))
    return shown


def test_constant_ratings__are_predicted_as_they_are():
    ratings = ratings_of([(u, m, 4.0) for u in range(20) for m in range(10) if (u + m) % 3], 20, 10)
    shown = everything(QUICK.fit(ratings, catalog([["Drama"]] * 10, [2000] * 10)), ratings.by_user)
    np.testing.assert_allclose(shown.stars, 4.0, atol=0.2)


def test_one_user_and_one_movie__are_enough():
    ratings = ratings_of([(0, 0, 3.5)], 1, 1)
    shown = everything(QUICK.fit(ratings, catalog([[]], [None])), ratings.by_user)
    assert shown.stars[0, 0] == pytest.approx(3.5, abs=1)


def test_one_user__works():
    ratings = ratings_of([(0, m, 1 + m % 5) for m in range(30)], 1, 30)
    everything(QUICK.fit(ratings, catalog([["Drama"]] * 30, [2000] * 30)), ratings.by_user)


def test_one_movie__works():
    ratings = ratings_of([(u, 0, 1 + u % 5) for u in range(30)], 30, 1)
    everything(QUICK.fit(ratings, catalog([["Drama"]], [2000])), ratings.by_user)


def test_no_ratings__are_refused():
    empty = Ratings.from_pairs(
        ids("u", 1), ids("m", 1), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32), Scale(1, 5)
    )
    with pytest.raises(ModelError, match="needs ratings"):
        QUICK.fit(empty, catalog([[]], [None]))


def test_neither_genres_nor_years__are_needed(world):
    bare = catalog([[]] * N_MOVIES, [None] * N_MOVIES)
    model = replace(SMALL, sweeps=20, burn_in=10, samples=4).fit(world.ratings(), bare, threads=1)
    stars, _, _ = predictions(model, world.ratings(), world.hidden)
    assert np.sqrt(np.mean((stars - world.stars[world.hidden]) ** 2)) < 0.72


def test_a_person_who_rated_everything__gets_their_stars(world, model):
    history = History(np.arange(N_MOVIES, dtype=np.int32), world.stars[9].astype(np.float32))
    shown = everything(model, batch([history], N_MOVIES))
    assert np.sqrt(np.mean((shown.stars[0] - world.mean[9]) ** 2)) < 0.4


def test_an_empty_history__gets_what_a_stranger_gets(world, model):
    shown = everything(model, batch([History.of({})], N_MOVIES))
    assert shown.stars[0, world.genre == 1].mean() - shown.stars[0, world.genre == 0].mean() == pytest.approx(
        0.8, abs=0.2
    )


def test_a_history_of_movies_nobody_rated__moves_the_stars_a_little(model):
    unrated = History.of({N_MOVIES - 1: 5.0, N_MOVIES - 2: 5.0})
    shown, stranger = (everything(model, batch([history], N_MOVIES)).stars[0] for history in (unrated, History.of({})))
    assert 0 < np.mean(np.abs(shown - stranger)) < 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank from 1 to 511, not 0"),
        ({"samples": 111}, "not 111 with sweeps=140 and burn_in=30"),
        ({"samples": 0}, "not 0 with sweeps"),
        ({"burn_in": -1}, "burn_in=-1"),
        ({"who_rated": -1}, "who_rated"),
    ],
)
def test_options__that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        Bayes(**options)
