from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import matinee as mt
from matinee.errors import MissingError
from matinee.live import LiveRatings
from matinee.live.identities import user_of_link
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.auth import Policy

DATA = mt.load("sample")
MODEL = Bias().fit(DATA.ratings, DATA.catalog)
LINK = "/api/v1/users/ann/link"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


def service(live: LiveRatings, policy: Policy) -> FlaskClient:
    return create_app(Recommender(DATA, MODEL, snapshot_id="first", live=live), live, policy=policy).test_client()


@pytest.fixture
def client(live: LiveRatings) -> FlaskClient:
    return service(live, Policy())


def token(client: FlaskClient) -> str:
    return str(client.post(LINK).json["link"].rpartition("/")[2])


def test_a_link__leads_to_the_page_and_means_its_user(client: FlaskClient, live: LiveRatings) -> None:
    answer = client.post(LINK).json
    assert (answer["user"], answer["snapshot"]) == ("ann", "first")
    assert re.fullmatch(r"http://localhost/link/[A-Za-z0-9_-]{22}", answer["link"])
    assert user_of_link(live, answer["link"].rpartition("/")[2]) == "ann"


def test_a_link__is_written_as_the_proxy_is_reached(live: LiveRatings) -> None:
    client = service(live, Policy(no_auth=True, behind_proxy=1))
    forwarded = {"X-Forwarded-Host": "films.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/matinee"}
    link = client.post(LINK, headers=forwarded).json["link"]
    assert link.startswith("https://films.example/matinee/link/")


def test_a_new_link__voids_the_one_before(client: FlaskClient, live: LiveRatings) -> None:
    first, second = token(client), token(client)
    assert user_of_link(live, second) == "ann"
    with pytest.raises(MissingError, match="replaced or revoked"):
        user_of_link(live, first)


def test_a_revoked_link__opens_nothing_and_can_be_revoked_again(client: FlaskClient, live: LiveRatings) -> None:
    made = token(client)
    for _ in range(2):
        assert client.delete(LINK).json == {"snapshot": "first", "user": "ann", "link": None}
    with pytest.raises(MissingError):
        user_of_link(live, made)


def test_a_forgotten_persons_link__opens_nothing(client: FlaskClient, live: LiveRatings) -> None:
    made = token(client)
    client.delete("/api/v1/users/ann")
    with pytest.raises(MissingError):
        user_of_link(live, made)


def test_the_link_of_me__is_that_of_who_asks(client: FlaskClient, live: LiveRatings) -> None:
    assert client.post("/api/v1/users/me/link").json["user"] == "me"


def test_links_of_people_nobody_can_be__are_not_made(client: FlaskClient) -> None:
    assert client.post(f"/api/v1/users/{'x' * 257}/link").status_code == 400
