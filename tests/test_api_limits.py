from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.live.identities import create_key
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.api.openapi import problems_of
from matinee.service.api.routing import TABLE, Route
from matinee.service.auth import Policy
from matinee.service.auth.limits import BURST, MOST_RATINGS
from matinee.service.bodies import MOST_BYTES, MOST_UPLOADED

DATA = synthetic(60, 120, 2_000, rng=0)
MODEL = Bias().fit(DATA.ratings, DATA.catalog)
ROUTES = [endpoint.route for endpoint in TABLE]
TAKES_N = [route for route in ROUTES if route.query is not None and "n" in route.query.model_fields]
TAKES_A_BODY = [route for route in ROUTES if route.body is not None or route.uploads]
BULK = "/api/v1/users/ann/ratings"
TOO_MANY = f"{MOST_RATINGS + 1:,} ratings are more than the {MOST_RATINGS:,} that one history may have"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


def service(live: LiveRatings, **policy: Any) -> FlaskClient:
    recommender = Recommender(DATA, MODEL, snapshot_id="first", live=live)
    return create_app(recommender, live, policy=Policy(**policy)).test_client()


@pytest.fixture
def client(live: LiveRatings) -> FlaskClient:
    return service(live)


def at(route: Route) -> str:
    return route.url.format(user="ann", movie="1", room="room", snapshot="first")


def assert_problem(answer: TestResponse, status: int, words: str) -> None:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert words in answer.json["detail"], answer.json["detail"]


def test_every_list__says_how_long_it_may_be_and_keeps_to_it(client: FlaskClient) -> None:
    assert len(TAKES_N) >= 4
    for route in TAKES_N:
        assert route.query is not None
        said = route.query.model_json_schema()["properties"]["n"]
        assert said["minimum"] == 1
        for n in (0, -1, said["maximum"] + 1, 10**30, "many", "1.5"):
            assert_problem(client.get(f"{at(route)}?n={n}"), 400, f"the query's n is '{n}'")
    assert_problem(client.get("/ann/ratings/top/1001"), 400, "n is a whole number from 1 to 1,000")
    body = {"ratings": {}, "n": 1_001}
    assert_problem(client.post("/api/v1/recommendations", json=body), 400, "the body's n is '1001'")


def test_every_body__has_a_limit(client: FlaskClient) -> None:
    assert len(TAKES_A_BODY) >= 4
    for route in TAKES_A_BODY:
        most = MOST_UPLOADED if route.uploads else MOST_BYTES
        answer = client.open(at(route), method=route.method, data=b" " * (most + 1), content_type="application/json")
        assert_problem(answer, 413, f"the body is larger than {most:,} bytes")
        assert 413 in problems_of(route)


def test_a_body_of_unknown_length__is_read_no_further_than_the_limit(client: FlaskClient) -> None:
    body = Endless()
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": "", "CONTENT_TYPE": "text/csv"}
    answer = client.post("/ann/ratings", environ_overrides=chunked)
    assert_problem(answer, 413, f"the body is larger than {MOST_BYTES:,} bytes")
    assert body.given <= MOST_BYTES


class Endless(io.RawIOBase):
    given = 0

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b" " * len(buffer)
        self.given += len(buffer)
        assert self.given < 2 * MOST_BYTES, "it is read on and on"
        return len(buffer)


def test_a_history__has_a_length_that_is_one_persons(client: FlaskClient, live: LiveRatings) -> None:
    lines = "".join(f"{movie},4\n" for movie in range(MOST_RATINGS + 1))
    header = "movieId,rating\n"
    assert_problem(client.post(BULK, data=header + lines, content_type="text/csv"), 400, "more than 50,000 lines")
    assert_problem(client.post("/ann/ratings", data=lines), 400, TOO_MANY)
    many = {"ratings": [{"movie": "1", "stars": 4}] * (MOST_RATINGS + 1)}
    assert_problem(client.post(BULK, json=many), 400, f"at most {MOST_RATINGS} items")
    marks = {"ratings": [], "marks": [{"movie": "1", "mark": "seen"}] * (MOST_RATINGS + 1)}
    assert_problem(client.post(BULK, json=marks), 400, f"at most {MOST_RATINGS} items")
    given = {"ratings": {str(movie): 4 for movie in range(MOST_RATINGS + 1)}}
    assert_problem(client.post("/api/v1/recommendations", json=given), 400, f"at most {MOST_RATINGS} items")
    assert live.revision("ann") == 0


def test_names_and_queries__have_a_length(client: FlaskClient) -> None:
    long = "x" * 257
    for path in (f"/api/v1/movies/{long}", f"/api/v1/users/{long}/ratings", f"/api/v1/rooms/{long}"):
        assert_problem(client.get(path), 400, "1 to 256 characters")
    assert_problem(client.get(f"/api/v1/movies?query={long}"), 400, "at most 100 characters")
    many = "&".join(["movie=1"] * 201)
    assert_problem(client.get(f"/api/v1/users/ann/predictions?{many}"), 400, "at most 200 items")


def test_every_route__can_say_429_with_the_seconds_to_wait(live: LiveRatings) -> None:
    secret, _ = create_key(live, ["read", "write", "admin"])
    client = service(live, rate_limit=1 / BURST)
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/movies", headers=headers).status_code == 200
    for route in ROUTES:
        if route.prefix:
            answer = client.open(at(route), method=route.method, headers=headers)
            assert_problem(answer, 429, "wait for the seconds in Retry-After")
            assert 1 <= int(answer.headers["Retry-After"]) <= BURST + 1
            assert 429 in problems_of(route)
