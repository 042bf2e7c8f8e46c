from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.catalog import SCHEMA, Catalog
from matinee.dataset import Dataset
from matinee.datasets.synthetic import synthetic
from matinee.errors import BusyError, StoreError, UsageError
from matinee.ids import Ids
from matinee.live import Forgotten, LiveRatings, NewMovie
from matinee.live.contents import RATINGS_SCHEMA, LiveContents
from matinee.live.forgotten import hashed
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.ratings import Ratings, Scale
from matinee.recommender import Recommender
from matinee.refit import activate, gate, holdout, overlay, refit
from matinee.refit.overlay import same
from matinee.refit.state import state
from matinee.snapshot import Store
from matinee.training import train

SCALE = Scale(0.5, 5.0, 0.5)
DATA = synthetic(200, 300, 8_000, rng=0)
RATER = ALS(rank=4, iterations=3, intervals=False)


@pytest.fixture
def store(tmp_path):
    train(DATA, tmp_path / "store", rater=RATER, ranker=Ease(min_ratings=10), measure=False)
    return Store(tmp_path / "store")


@pytest.fixture
def live(store):
    with LiveRatings(store.path / "live.sqlite3") as opened:
        yield opened


def dataset(stars, times=None):
    """Return a data set of {(user, movie): stars}."""
    users, movies = (Ids(sorted({key[side] for key in stars})) for side in (0, 1))
    at = None if times is None else np.array([times[key] for key in stars], np.int64)
    place = [np.array([ids.position(key[side]) for key in stars], np.int32) for side, ids in enumerate((users, movies))]
    ratings = Ratings.from_pairs(users, movies, *place, np.array(list(stars.values()), np.float32), SCALE, at)
    return Dataset(ratings, Catalog.of(movies, SCHEMA.empty_table()))


def contents(stars, movies=(), forgotten=()):
    rows = [{"user": user, "movie": movie, "stars": value, "at": 7} for (user, movie), value in stars.items()]
    return LiveContents(
        pa.Table.from_pylist(rows, RATINGS_SCHEMA),
        tuple(movies),
        Forgotten("test", {hashed(user): 1 for user in forgotten}),
    )


def stars_of(ds):
    ratings = ds.ratings
    users, movies = ratings.users.take(ratings.by_user.row_of_each()), ratings.movies.take(ratings.by_user.indices)
    return dict(zip(zip(users, movies, strict=True), ratings.by_user.values.tolist(), strict=True))


PAIRS = st.dictionaries(st.tuples(st.sampled_from("abcde"), st.sampled_from("12345")), st.sampled_from([1.0, 2.5, 5.0]))
SAID = st.dictionaries(
    st.tuples(st.sampled_from("abcxy~"), st.sampled_from("12346")), st.sampled_from([None, 0.5, 4.0, 9.0])
)


@settings(max_examples=200)
@given(PAIRS, SAID, st.sets(st.sampled_from("abx")))
def test_overlay__live_wins_deletes_and_forgets_and_twice_is_once(stars, said, forgotten):
    ds = dataset(stars | {("e", str(movie)): 1.0 for movie in range(1, 6)})
    before = stars_of(ds)
    merged, left_out = overlay(ds, contents(said, forgotten=forgotten))
    usable = {key: value for key, value in said.items() if key[1] != "6" and value != 9}
    expected = {key: value for key, value in before.items() if key[0] not in forgotten and key not in usable}
    expected |= {key: value for key, value in usable.items() if value is not None}
    assert stars_of(merged) == expected
    assert left_out == len(said) - len(usable)
    assert set(merged.ratings.users) == {user for user, _ in expected}
    assert same(overlay(merged, contents(said, forgotten=forgotten))[0], merged)


def test_overlay__a_movie_that_was_added_is_there_with_its_ratings_and_without():
    film = NewMovie("15", "The Film", 2026, ("Drama",), "tt1", None)
    unseen = NewMovie("99", "Unseen", None)
    merged, left_out = overlay(
        dataset({("a", "1"): 4.0, ("a", "2"): 3.0}), contents({("b", "15"): 5.0}, [film, unseen])
    )
    assert list(merged.catalog.ids) == ["1", "15", "2", "99"] == list(merged.ratings.movies)
    assert [merged.catalog.title(movie) for movie in (1, 3)] == ["The Film (2026)", "Unseen"]
    assert stars_of(merged) == {("a", "1"): 4.0, ("a", "2"): 3.0, ("b", "15"): 5.0}
    assert left_out == 0


def test_overlay__times_are_those_of_who_said_it_last():
    ds = dataset({("a", "1"): 4.0, ("a", "2"): 3.0}, {("a", "1"): 100, ("a", "2"): 200})
    merged, _ = overlay(ds, contents({("a", "2"): 1.0}))
    assert merged.ratings.timestamps.tolist() == [100, 7]
    assert overlay(dataset({("a", "1"): 4.0}), contents({("b", "1"): 1.0}))[0].ratings.timestamps is None


def test_held_out__the_same_pairs_whatever_else_is_in_the_data():
    def pairs(ratings):
        out = holdout.held_out(ratings)
        users, movies = ratings.users.take(ratings.by_user.row_of_each()), ratings.movies.take(ratings.by_user.indices)
        return {pair for pair, held in zip(zip(users, movies, strict=True), out, strict=True) if held}

    whole = DATA.ratings
    part = dataset({pair: stars for place, (pair, stars) in enumerate(stars_of(DATA).items()) if place % 3}).ratings
    assert 0.08 < len(pairs(whole)) / whole.n < 0.12
    assert pairs(part) == {
        pair for pair in pairs(whole) if pair in stars_of(Dataset(part, Catalog.of(part.movies, SCHEMA.empty_table())))
    }


def test_refit__includes_new_people_and_movies_and_keeps_the_live_ratings(store, live):
    live.add_movie(NewMovie("new", "A New Film", 2026, ("Drama",)))
    for person in range(30):
        live.rate(f"~{person}", {"new": 5.0, "1": 0.5, str(person + 2): 3.0})
    outcome = refit(store, live)
    snapshot = store.open()
    assert (outcome.result, outcome.snapshot, snapshot.manifest.parent) == ("published", snapshot.id, outcome.parent)
    assert snapshot.rater.config == RATER
    assert snapshot.ranker.config == Ease(min_ratings=10)
    assert len(snapshot.dataset.ratings.get("~3")) == 3
    assert live.count() == 90
    listed = Recommender.of(snapshot, live=live).recommend(user="7", n=200)
    assert "A New Film" in listed["title"]
    assert snapshot.manifest.metrics["models"][0]["rmse"] > 0


def test_refit__where_nothing_new_was_said_nothing_is_published_unless_forced(store, live):
    parent = store.current_id()
    assert refit(store, live).result == "unchanged"
    assert store.ids() == [parent]
    live.rate("7", {"1": 3.0})
    first = refit(store, live)
    assert (first.result, refit(store, live).result) == ("published", "unchanged")
    assert refit(store, live, force=True).parent == first.snapshot


def test_refit__the_same_data_is_not_worse_than_itself(store, live):
    verdicts = [refit(store, live, force=True).verdict for _ in range(2)]  # the second by what the first stored
    assert [(one.before, one.low, one.high) for one in verdicts] == [(one.after, 0, 0) for one in verdicts]
    assert verdicts[0] == verdicts[1]


def test_refit__a_candidate_that_is_worse_is_not_published_and_says_why(store, live):
    means = DATA.ratings.movie_means
    turned = {
        movie: 5.0 if mean < np.nanmedian(means) else 0.5 for movie, mean in zip(DATA.catalog.ids, means, strict=True)
    }
    for robot in range(100):
        live.rate(f"robot{robot}", turned)
    parent = store.current_id()
    outcome = refit(store, live)
    assert (outcome.result, store.current_id(), store.ids()) == ("refused", parent, [parent])
    assert outcome.verdict.low > 0
    assert "worse than the served snapshot: RMSE" in state(live)["why"]
    assert refit(store, live, force=True).result == "published"


def test_refit__another_start_of_the_same_fit_is_not_worse_on_a_cluster_where_each_starts_anew():
    data = synthetic(3_000, 500, 200_000, rng=0)
    split = holdout.split_of(data.ratings)
    starts = [replace(RATER, iterations=10, rng=seed).fit(split.train, data.catalog, threads=1) for seed in range(6)]
    answers = [holdout.predicted(rater, split.train.by_user, split.test) for rater in starts]
    here = [gate.verdict(split.test, *pair) for pair in permutations(answers, 2)]
    cluster = [gate.verdict(split.test, *pair, gate.ClusterVerdict) for pair in permutations(answers, 2)]
    assert [one.worse for one in here] == [one.low > 0 for one in here]
    assert any(one.worse for one in here)
    assert not any(one.worse for one in cluster)
    assert [str(one).endswith("; up to 1% may be chance") for one in cluster] == [one.low > 0 for one in cluster]


def test_refit__a_forgotten_person_is_in_no_snapshot_afterwards_and_none_with_them_can_be_activated(store, live):
    first = store.current_id()
    live.rate("8", {"1": 3.0})
    second = refit(store, live).snapshot
    live.forget("7")
    with pytest.raises(StoreError, match="holds ratings of users who were forgotten"):
        activate(store, live, first)
    outcome = refit(store, live)
    assert set(outcome.removed) == {first, second}
    assert store.ids() == [outcome.snapshot]
    assert store.open().dataset.ratings.get("7") is None
    activate(store, live, outcome.snapshot)


def test_refit__keeps_the_newest_snapshots_and_the_one_that_is_served(store, live):
    made = [store.current_id()]
    for stars in (1.0, 2.0, 3.0, 4.0):
        live.rate("7", {"1": stars})
        made.append(refit(store, live, keep=2).snapshot)
    assert store.ids() == made[:-3:-1]
    store.activate(made[-2])
    assert store.prune(keep=1) == []
    with pytest.raises(UsageError, match="is served"):
        store.remove(made[-2])
    store.remove(made[-1])
    assert store.ids() == [made[-2]]


def test_refit__keeps_what_was_served_before_though_there_are_newer_ones_to_go_back_to_it_again(store, live):
    good = store.current_id()
    for stars in (1.0, 2.0):
        live.rate("7", {"1": stars})
        bad = refit(store, live).snapshot
    activate(store, live, good)
    live.rate("7", {"1": 3.0})
    outcome = refit(store, live, keep=2)
    assert outcome.parent == good
    assert store.ids() == [outcome.snapshot, good]
    assert bad in outcome.removed
    live.rate("7", {"1": 4.0})
    newest = refit(store, live, keep=1).snapshot
    assert store.ids() == [newest]


def test_a_store__is_rolled_back_while_an_older_snapshot_than_the_newest_is_served(store, live, tmp_path):
    first = store.current_id()
    assert not Store(tmp_path / "nothing").is_rolled_back()
    live.rate("7", {"1": 1.0})
    second = refit(store, live).snapshot
    assert not store.is_rolled_back()
    activate(store, live, first)
    assert store.is_rolled_back()
    store.remove(second)
    assert not store.is_rolled_back()


def test_refit__one_at_a_time(store, live):
    with live.lock("refit"), LiveRatings(store.path / "live.sqlite3") as other, pytest.raises(BusyError):
        refit(store, other)


def test_refit__one_that_fails_says_why_and_the_present_snapshot_stays(store, live):
    live.rate("7", {"1": 3.0})
    file = store.open().path / "catalog.arrow"
    moved = file.rename(store.path / "elsewhere")
    with pytest.raises(StoreError, match=r"catalog\.arrow is missing"):
        refit(store, live)
    assert (state(live)["state"], "catalog.arrow is missing" in state(live)["why"]) == ("failed", True)
    moved.rename(file)
    assert refit(store, live).result == "published"


def test_state__a_refit_that_was_killed_has_failed(store, live):
    assert state(live) is None
    live.set_state("refit", {"state": "running"})
    assert (state(live)["state"], state(live)["why"]) == ("failed", "its process was killed")
    live.set_state("refit", {"state": "running"})
    with live.lock("refit"), LiveRatings(store.path / "live.sqlite3") as other:
        assert state(other)["state"] == "running"
