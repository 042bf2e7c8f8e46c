from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import matinee as mt
from matinee.live import LiveRatings, rooms
from matinee.live.identities import create_key
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.auth import cookies

DATA = mt.load("sample")
MODELS = [config.fit(DATA.ratings, DATA.catalog) for config in (ALS(rank=4, iterations=3), Ease())]
ANN = {movie: 4.5 if number % 2 else 2.0 for number, movie in enumerate(list(DATA.catalog.ids)[:40])}
BOB = {movie: 1.5 if number % 3 else 5.0 for number, movie in enumerate(list(DATA.catalog.ids)[20:70])}
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
ROOMS = "/api/v1/rooms"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def together(live: LiveRatings) -> Recommender:
    return Recommender(DATA, *MODELS, snapshot_id="first", live=live)


@pytest.fixture
def app(together: Recommender, live: LiveRatings) -> Flask:
    return create_app(together, live)


@pytest.fixture
def key(live: LiveRatings) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_key(live, ['read', 'write'])[0]}"}


@pytest.fixture
def visitor(app: Flask, live: LiveRatings, key: dict[str, str]) -> Any:
    def come(name: str, ratings: dict[str, float] | None = None) -> FlaskClient:
        if ratings:
            live.rate(f"~{name}", ratings)
        client = app.test_client()
        client.environ_base |= ELSEWHERE
        client.get("/api/v1/movies", headers=key)  # the first request reads the secrets
        client.set_cookie(cookies.NAME, app.extensions["matinee-auth"].recent.cookies.sign(f"~{name}"))
        return client

    return come


def assert_problem(answer: TestResponse, status: int, words: str) -> None:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert words in answer.json["detail"], answer.json["detail"]


def opened(client: FlaskClient) -> str:
    answer = client.post(ROOMS)
    assert answer.status_code == 200, answer.text
    return f"{ROOMS}/{answer.json['room']}"


def room_of_two(visitor: Any) -> tuple[FlaskClient, FlaskClient, str]:
    ann, bob = visitor("ann", ANN), visitor("bob", BOB)
    room = opened(ann)
    assert bob.post(f"{room}/members").status_code == 200
    return ann, bob, room


# The joint list


@pytest.mark.parametrize("how", ["mean", "least-misery"])
def test_two_in_a_room__get_the_same_joint_list(visitor: Any, together: Recommender, how: str) -> None:
    ann, bob, room = room_of_two(visitor)
    first, second = (one.get(f"{room}/recommendations", query_string={"how": how, "n": 12}) for one in (ann, bob))
    expected = together.recommend_together(users=["~ann", "~bob"], how=how, n=12)  # type: ignore[arg-type]
    for answer in (first, second):
        assert [item["movie"] for item in answer.json["items"]] == expected["movie"]
    assert first.json["how"] == how
    assert first.json["snapshot"] == "first"
    assert not {item["movie"] for item in first.json["items"]} & (ANN.keys() | BOB.keys())


def test_what_members_alone_may_see__is_kept_by_nobody_else(visitor: Any) -> None:
    ann, _, room = room_of_two(visitor)
    for path in (room, f"{room}/recommendations"):
        assert ann.get(path).headers["Cache-Control"] == "private, no-cache"


def test_the_two_ways_of_joining__make_different_lists(visitor: Any) -> None:
    ann, _, room = room_of_two(visitor)
    lists = [
        [item["movie"] for item in ann.get(f"{room}/recommendations?how={how}").json["items"]]
        for how in ("mean", "least-misery")
    ]
    assert lists[0] != lists[1]


def test_a_joint_list_that_is_short__says_so_without_a_count_of_what_was_rated(visitor: Any, live: LiveRatings) -> None:
    ann, _, room = room_of_two(visitor)
    ids = list(DATA.catalog.ids)
    live.rate("~bob", dict.fromkeys(ids[3:], 3.0))
    answer = ann.get(f"{room}/recommendations").json
    assert answer["items"] == []
    assert answer["note"] == "0 instead of 25: members rated, saw or hid all other movies"
    [left] = [movie for movie in ids if DATA.ratings.movie_counts[DATA.catalog.ids.position(movie)] >= 25][60:61]
    live.delete("~bob", left)
    live.delete("~ann", left)
    answer = ann.get(f"{room}/recommendations").json
    assert [item["movie"] for item in answer["items"]] == [left]
    assert answer["note"].startswith("1 instead of 25: members rated, saw or hid all")


def test_what_one_member_saw_or_hid__is_for_nobody_in_the_room(visitor: Any, live: LiveRatings) -> None:
    ann, _, room = room_of_two(visitor)
    [first, second, *_] = [item["movie"] for item in ann.get(f"{room}/recommendations").json["items"]]
    live.mark("~bob", first, "hidden")
    live.mark("~ann", second, "seen")
    left = {item["movie"] for item in ann.get(f"{room}/recommendations").json["items"]}
    assert not {first, second} & left


def test_someone_without_ratings__has_no_say_and_only_their_own_note_says_so(visitor: Any) -> None:
    ann, new = visitor("ann", ANN), visitor("new")
    room = opened(ann)
    alone = ann.get(f"{room}/recommendations").json
    new.post(f"{room}/members")
    answer = ann.get(f"{room}/recommendations").json
    assert [item["movie"] for item in answer["items"]] == [item["movie"] for item in alone["items"]]
    assert answer == alone
    assert "no ratings yet" in new.get(f"{room}/recommendations").json["note"]


# Nobody sees another's stars


def test_no_answer_about_a_room__names_its_members(visitor: Any) -> None:
    ann, bob, room = room_of_two(visitor)
    answers = [bob.get(room), bob.post(f"{room}/members"), bob.get(f"{room}/recommendations")]
    for answer in answers:
        assert "~ann" not in answer.text
        assert "revision" not in answer.text
    assert not {"~ann", "~bob"} & {str(value) for value in flat(answers[-1].json)}
    assert ann.get("/api/v1/users/~bob/ratings").status_code == 403


def flat(value: Any) -> Iterator[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if children is None:
        yield value
    else:
        for child in children:
            yield from flat(child)


# Who may


def test_who_did_not_join__gets_no_list(visitor: Any) -> None:
    ann, stranger = visitor("ann", ANN), visitor("eve", BOB)
    room = opened(ann)
    assert_problem(stranger.get(f"{room}/recommendations"), 403, "only the members of this room get its list")
    facts = stranger.get(room).json
    assert (facts["members"], facts["joined"]) == (1, False)


def test_a_visitor__joins_as_nobody_else(visitor: Any) -> None:
    ann, eve = visitor("ann", ANN), visitor("eve")
    room = opened(ann)
    for answer in (
        eve.post(f"{ROOMS}?user=~ann"),
        eve.post(f"{room}/members?user=~bob"),
        eve.get(f"{room}?user=~ann"),
        eve.get(f"{room}/recommendations?user=~ann"),
    ):
        assert_problem(answer, 403, "not as another user")
    assert ann.get(room).json["members"] == 1


def test_nobody__is_let_into_no_room(app: Flask, visitor: Any) -> None:
    room = opened(visitor("ann"))
    nobody = app.test_client()
    for answer in (nobody.post(ROOMS), nobody.post(f"{room}/members"), nobody.get(f"{room}/recommendations")):
        assert answer.status_code == 401


def test_a_key__says_whom_it_asks_for(app: Flask, key: dict[str, str], live: LiveRatings) -> None:
    live.rate("ann", ANN)
    client = app.test_client()
    assert_problem(client.post(ROOMS, headers=key), 401, "name the user with ?user=")
    room = f"{ROOMS}/{client.post(f'{ROOMS}?user=ann', headers=key).json['room']}"
    assert_problem(client.get(f"{room}/recommendations?user=bob", headers=key), 403, "only the members")
    assert client.post(f"{room}/members?user=bob", headers=key).json["members"] == 2
    assert len(client.get(f"{room}/recommendations?user=bob&n=7", headers=key).json["items"]) == 7


def test_a_program_of_this_machine__opens_rooms_as_itself(app: Flask) -> None:
    client = app.test_client()
    room = opened(client)
    assert client.get(room).json["joined"] is True


# Rooms come and go


def test_an_opened_room__has_a_link_and_is_open_for_a_day(visitor: Any) -> None:
    answer = visitor("ann").post(ROOMS).json
    assert answer["link"] == f"http://localhost/rooms/{answer['room']}"
    facts = visitor("bob").get(f"{ROOMS}/{answer['room']}").json
    assert facts == {"snapshot": "first", "members": 1, "joined": False, "expires": answer["expires"]}
    assert answer["expires"].endswith("+00:00")


def test_who_joins_again__is_in_once(visitor: Any) -> None:
    _, bob, room = room_of_two(visitor)
    assert bob.post(f"{room}/members").json["members"] == 2


def test_who_leaves__gets_no_list_any_more_and_has_no_say(visitor: Any) -> None:
    ann, bob, room = room_of_two(visitor)
    facts = bob.delete(f"{room}/members").json
    assert (facts["members"], facts["joined"]) == (1, False)
    assert_problem(bob.get(f"{room}/recommendations"), 403, "only the members")
    alone = opened(ann)
    lists = [ann.get(f"{one}/recommendations").json["items"] for one in (room, alone)]
    assert lists[0] == lists[1]
    assert bob.delete(f"{room}/members").json["members"] == 1
    assert bob.post(f"{room}/members").json["members"] == 2


def test_the_last_one_who_leaves__closes_the_room(visitor: Any) -> None:
    ann, bob, room = room_of_two(visitor)
    assert [one.delete(f"{room}/members").json["members"] for one in (ann, bob)] == [1, 0]
    assert_problem(ann.get(room), 404, "no such room")
    assert_problem(ann.delete(f"{room}/members"), 404, "no such room")


def test_nobody__is_put_out_of_a_room_by_another(visitor: Any) -> None:
    _, bob, room = room_of_two(visitor)
    assert_problem(bob.delete(f"{room}/members?user=~ann"), 403, "not as another user")
    assert bob.get(room).json["members"] == 2


def test_a_room_that_is_not_there__is_404(visitor: Any) -> None:
    ann = visitor("ann")
    for answer in (
        ann.get(f"{ROOMS}/nowhere"),
        ann.post(f"{ROOMS}/nowhere/members"),
        ann.get(f"{ROOMS}/nowhere/recommendations"),
    ):
        assert_problem(answer, 404, "no such room, or its 24 hours are over; open another one")


def test_an_expired_room__is_404_for_its_members_too(visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "GOOD_FOR", -1)
    ann = visitor("ann")
    room = opened(ann)
    for answer in (ann.get(room), ann.post(f"{room}/members"), ann.get(f"{room}/recommendations")):
        assert_problem(answer, 404, "its 24 hours are over")


def test_a_full_room__is_409(app: Flask) -> None:
    client = app.test_client()
    room = f"{ROOMS}/{client.post(f'{ROOMS}?user=0').json['room']}"
    for number in range(1, rooms.MOST_MEMBERS):
        assert client.post(f"{room}/members?user={number}").status_code == 200
    assert_problem(client.post(f"{room}/members?user=late"), 409, "the room is full")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("how=vote", "it should be 'mean' or 'least-misery'"),
        ("n=0", "the query's n is '0'"),
        ("n=26", "the query's n is '26'"),
        ("genre=Drama", "genre is not known here; known are user, how, n"),
        ("min_ratings=0", "min_ratings is not known here"),
        ("order=stars", "order is not known here"),
        ("user=", "the query's user is ''"),
    ],
)
def test_what_cannot_be_asked__is_said(visitor: Any, query: str, words: str) -> None:
    ann, _, room = room_of_two(visitor)
    assert_problem(ann.get(f"{room}/recommendations?{query}"), 400, words)


def test_who_is_forgotten__is_in_no_room(visitor: Any) -> None:
    ann, bob, room = room_of_two(visitor)
    assert bob.delete("/api/v1/users/me").status_code == 200
    assert ann.get(room).json["members"] == 1
    assert_problem(bob.get(f"{room}/recommendations"), 403, "only the members")
    assert json.dumps(ann.get(f"{room}/recommendations").json["items"])
