from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

import matinee as mt
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.ratings import History, batch
from matinee.recommender import Filters, Recommender
from matinee.service import create_app

HOWS = ("mean", "least-misery")
PAIRS, GUESSES = 20, 30
CHANCE = 0.05  # of the guesses: what may lie between two ways to guess
Floats = np.ndarray


@pytest.fixture(scope="module", params=["sample", pytest.param("ml-latest-small", marks=pytest.mark.slow)])
def rec(request: pytest.FixtureRequest, movielens: Callable[[str], Path]) -> Recommender:
    dataset = mt.load("sample" if request.param == "sample" else movielens(request.param))
    return Recommender.fit(dataset, ALS(rank=8, iterations=5), Ease())


@pytest.fixture
def client(rec: Recommender, tmp_path: Path) -> Iterator[FlaskClient]:
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        served = Recommender(rec.dataset, rec.rater, rec.ranker, snapshot_id="first", live=live)
        yield create_app(served, live).test_client()


@dataclass
class Room:
    """What one member, who knows the models and all data but the other's ratings, has to guess the other's from.

    lists   the movies of every list that the member can ask for, in their order
    """

    rec: Recommender
    mine: History
    theirs: History
    lists: Sequence[np.ndarray]

    @property
    def shown(self) -> set[int]:
        return {int(movie) for one in self.lists for movie in one}

    def right(self, order: Sequence[int]) -> float:
        """The share of the first guesses that the other has rated, of films that are neither listed nor one's own."""
        known = self.shown | set(self.mine.movies.tolist())
        guesses = [movie for movie in order if movie not in known][:GUESSES]
        return float(np.isin(guesses, self.theirs.movies).mean())


def opened(rec: Recommender, client: FlaskClient, seed: int = 0) -> list[Room]:
    rng, ratings = np.random.default_rng(seed), rec.dataset.ratings
    people = [user for user, count in zip(ratings.users, ratings.by_user.counts, strict=True) if 50 <= count <= 300]
    rooms = []
    for _ in range(PAIRS):
        me, other = rng.choice(people, 2, replace=False)
        room = f"/api/v1/rooms/{client.post(f'/api/v1/rooms?user={other}').json['room']}"
        client.post(f"{room}/members?user={me}")
        answers = [client.get(f"{room}/recommendations?user={me}&how={how}").json for how in HOWS]
        named = [[one["movie"] for one in answer["items"]] for answer in answers]
        lists = [*map(rec.dataset.catalog.ids.positions, named)]
        rooms.append(Room(rec, ratings.get(me), ratings.get(other), lists))
    return rooms


def tastes(rec: Recommender, *histories: History) -> Floats:
    """Standardised scores (B, n_movies), NaN for a film that the ranker does not rank."""
    found = rec.ranker.scores(rec.ranker.fold_in(batch(histories, len(rec.dataset.catalog)))).astype(float)
    found[~np.isfinite(found)] = np.nan
    return (found - np.nanmean(found, axis=1, keepdims=True)) / np.nanstd(found, axis=1, keepdims=True)


def popular(rec: Recommender) -> np.ndarray:
    return np.argsort(-rec.dataset.ratings.movie_counts, kind="stable")


def missing(room: Room) -> np.ndarray:
    """Films by how far above the lists they would stand, were the other like everybody and had not rated them."""
    ratings = room.rec.dataset.ratings
    everybody = tastes(room.rec, *(ratings.get(user) for user in list(ratings.users)[:100])).mean(axis=0)
    expected = (tastes(room.rec, room.mine)[0] + everybody) / 2
    above = np.nan_to_num(expected - np.nanmedian(expected[room.lists[0]]), nan=-3).clip(-3, 3)
    return np.argsort(-(np.log1p(ratings.movie_counts) + above / 2), kind="stable")


def solved(known: Floats, seen: Floats, guess: Floats) -> Floats:
    """What added to the guesses (m,) explains what was seen (n,), by how each changes it: known (n, m)."""
    ridge = max(float(seen.var()), 1e-9) * np.eye(len(guess))
    return guess + np.linalg.solve(known.T @ known + ridge, known.T @ seen)


def halves(stars: Floats) -> Floats:
    return np.asarray((stars * 2).round() / 2)


def close(guess: Floats, history: History) -> float:
    """The share of stars that are guessed to half a star."""
    return float((np.abs(halves(guess) - history.stars) <= 0.5).mean())


def usual(room: Room) -> Floats:
    """Everybody's stars for the films that the other has rated: the member may know which."""
    return room.rec.dataset.ratings.movie_means[room.theirs.movies].astype(float)


def from_order(room: Room) -> Floats:
    """The other's stars from the order of the list: where a film stands says what all think of it together."""
    rec, guess, rows = room.rec, usual(room), room.lists[0]
    each = [guess + step for step in np.eye(len(guess))]
    found = tastes(rec, *(History(room.theirs.movies, np.float32(stars)) for stars in (guess, *each)))
    mine = tastes(rec, room.mine)[0][rows]
    together = np.sort((mine + found[0][rows]) / 2)[::-1]
    return solved((found[1:, rows] - found[0][rows]).T, 2 * together - mine - found[0][rows], guess)


def from_stars(room: Room, stars: Floats, rows: np.ndarray) -> Floats:
    """The other's stars from the mean of what both would give, (n,) for the films (n,)."""
    guess, rater = usual(room), room.rec.rater

    def predicted(*histories: History) -> Floats:
        profiles = rater.fold_in(batch(histories, len(room.rec.dataset.catalog)))
        return rater.predict(profiles, np.repeat(rows[None], len(histories), axis=0)).stars.astype(float)

    each = [guess + step for step in np.eye(len(guess))]
    found = predicted(*(History(room.theirs.movies, np.float32(one)) for one in (guess, *each)))
    theirs = 2 * stars - predicted(room.mine)[0]
    return solved((found[1:] - found[0]).T, theirs - found[0], guess)


def test_films_missing_from_the_lists__betray_the_others_no_better_than_popularity(
    rec: Recommender, client: FlaskClient
) -> None:
    rooms = opened(rec, client)
    by_popularity, by_lists = (
        np.mean([room.right(order) for room, order in zip(rooms, orders, strict=True)])
        for orders in ([popular(rec)] * PAIRS, map(missing, rooms))
    )
    assert by_lists <= by_popularity + CHANCE


def test_the_order_of_the_lists__betrays_the_others_stars_no_better_than_everybodys_mean(
    rec: Recommender, client: FlaskClient
) -> None:
    rooms = opened(rec, client)
    by_mean, by_order = (np.mean([close(way(room), room.theirs) for room in rooms]) for way in (usual, from_order))
    assert by_order <= by_mean + CHANCE


def test_the_two_attacks__succeed_where_lists_are_long_and_show_joint_stars(
    rec: Recommender, client: FlaskClient
) -> None:
    everything = Filters(min_ratings=0)
    for room in opened(rec, client)[:3]:
        histories = [
            dict(zip(rec.dataset.catalog.ids.take(one.movies), one.stars.tolist(), strict=True))
            for one in (room.mine, room.theirs)
        ]
        joint = rec.recommend_together(histories, n=len(rec.dataset.catalog), filters=everything)
        gone = set(range(len(rec.dataset.catalog))) - set(joint.positions.tolist())
        assert gone == {*room.mine.movies.tolist(), *room.theirs.movies.tolist()}
        found = from_stars(room, np.round(joint.values["stars"].astype(float), 1), joint.positions)
        assert close(found, room.theirs) > close(usual(room), room.theirs) + CHANCE


def test_no_answer_about_a_room__holds_a_number_or_reason_of_another_member(
    rec: Recommender, client: FlaskClient
) -> None:
    [me, other, third] = list(rec.dataset.ratings.users)[:3]
    room = f"/api/v1/rooms/{client.post(f'/api/v1/rooms?user={other}').json['room']}"
    client.post(f"{room}/members?user={me}")
    client.post(f"{room}/members?user={third}")
    for how in HOWS:
        answer = client.get(f"{room}/recommendations?user={me}&how={how}").json
        asked = [("movie", one["movie"]) for one in answer["items"]]
        own = client.get(f"/api/v1/users/{me}/predictions", query_string=asked).json
        assert answer["items"] == own["items"]
        assert len(answer["items"]) == 25


def test_no_list_of_a_room__is_longer_or_filtered(rec: Recommender, client: FlaskClient) -> None:
    me = next(iter(rec.dataset.ratings.users))
    room = f"/api/v1/rooms/{client.post(f'/api/v1/rooms?user={me}').json['room']}"
    whole = client.get(f"{room}/recommendations?user={me}").json["items"]
    for n in (1, 7, 24):
        assert client.get(f"{room}/recommendations?user={me}&n={n}").json["items"] == whole[:n]
    for more in ("n=26", "min_ratings=0", "genre=Drama", "not_genre=Drama", "year_from=1990", "year_to=1990",
                 "rated_since=2018-01-31", "explain=true", "order=stars", "within=watchlist"):  # fmt: skip
        assert client.get(f"{room}/recommendations?user={me}&{more}").status_code == 400, more


def test_the_page_of_a_room__says_what_the_others_can_guess(rec: Recommender, tmp_path: Path) -> None:
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        app = create_app(Recommender(rec.dataset, rec.rater, rec.ranker, live=live), live)
        one, other = (app.test_client() for _ in range(2))
        for client in (one, other):
            client.get("/", headers={"Accept": "text/html"})
        room = one.post("/rooms", headers={"Accept": "text/html"}).location
        before = other.get(room).text
        other.post(f"{room}/join", headers={"Accept": "text/html"})
        for page in (before, one.get(room).text):
            assert "the others can guess some of what you like and know, most easily when you are two" in page
