from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.live.identities import SCOPES, create_key
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.api.routing import TABLE
from matinee.service.auth import Access, access_of, cookies

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
ANN, BOB = "~ann", "~bob"
REFUSED = (401, 403)
PUBLIC = {  # below /api and at the root; pages outside of the interface may be public too, where they only show
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/docs",
    "/api/v1/status",
}
PARTS = {"movie": "1", "n": "3", "filename": "matinee.css"}
DATA = synthetic(60, 120, 2_000, rng=0)
MODEL = Bias().fit(DATA.ratings, DATA.catalog)


class Place(NamedTuple):
    """A route as it is reached, and what it asks."""

    method: str
    rule: str
    endpoint: str
    parts: frozenset[str]
    asked: Access

    def path(self, user: str) -> str:
        """Where it is for a user; everything else in the path is something that may be there."""
        return re.sub(
            r"<(?:\w+:)?(\w+)>", lambda found: user if found[1] == "user" else self._part(found[1]), self.rule
        )

    def _part(self, name: str) -> str:
        return PARTS.get(name, "nothing")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        opened.rate(ANN, {"1": 4.0})
        opened.mark(ANN, "2", "seen")
        yield opened


@pytest.fixture
def app(live: LiveRatings) -> Flask:
    create_key(live, ["admin"])
    made = create_app(Recommender(DATA, MODEL, snapshot_id="first", live=live), live)
    made.extensions["matinee-auth"].recent._good_for = 0  # keys that are made later are known at once
    return made


def places(app: Flask) -> list[Place]:
    return [
        Place(method, rule.rule, rule.endpoint, frozenset(rule.arguments), access_of(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"OPTIONS"})
    ]


def nobody(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base |= ELSEWHERE
    return client


def key(app: Flask, live: LiveRatings, *scopes: str) -> FlaskClient:
    client = nobody(app)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_key(live, scopes)[0]}"
    return client


def visitor(app: Flask, user: str) -> FlaskClient:
    client = nobody(app)
    client.get("/me/ratings/1")  # the first request reads the secrets
    client.set_cookie(cookies.NAME, app.extensions["matinee-auth"].recent.cookies.sign(user))
    return client


def ask(client: FlaskClient, place: Place, user: str, query: str = "") -> TestResponse:
    answer = client.open(place.path(user) + query, method=place.method)
    answer.close()
    return answer


def assert_refused(answer: TestResponse, status: int, place: Place) -> None:
    assert answer.status_code == status, f"{place.method} {place.rule} answers {answer.status_code}"
    if place.method != "HEAD":
        assert answer.content_type == "application/problem+json"
        assert answer.json["detail"]


# What is declared


def undeclared(app: Flask) -> list[str]:
    views = app.view_functions
    return [name for name, view in views.items() if not (hasattr(view, "route") or hasattr(view, "access"))]


def test_every_route__says_what_it_asks(app: Flask) -> None:
    assert undeclared(app) == []


def test_a_route_that_says_nothing__is_found_and_closed_to_all_but_admins(app: Flask, live: LiveRatings) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "open!")
    assert undeclared(app) == ["forgotten"]
    may = {client.get("/forgotten").status_code for client in (key(app, live, "read", "write"), visitor(app, ANN))}
    assert may == {403}
    assert nobody(app).get("/forgotten").status_code == 401
    assert key(app, live, "admin").get("/forgotten").text == "open!"


def test_every_route_of_the_table__is_walked(app: Flask) -> None:
    walked = {(place.method, place.rule) for place in places(app)}
    assert {(one.route.method, one.route.rule) for one in TABLE} <= walked
    assert len(TABLE) > 25


def test_every_route_with_a_user_in_its_path__belongs_to_that_user(app: Flask) -> None:
    for place in places(app):
        assert place.asked.owned == ("user" in place.parts), place


def test_what_is_public__is_what_should_be_and_only_shows(app: Flask) -> None:
    public = [place for place in places(app) if place.asked.scope == "public"]
    assert {place.rule for place in public if place.rule.startswith("/api") or place.rule in PUBLIC} == PUBLIC
    for place in public:
        assert place.method in ("GET", "HEAD"), place


def test_only_what_administers__asks_for_an_admin(app: Flask) -> None:
    for place in places(app):
        administers = "/admin/" in place.rule or (place.method, place.rule) == ("PUT", "/api/v1/movies/<movie>")
        assert (place.asked.scope == "admin") == administers, place


def test_what_changes_something__asks_for_a_scope_to_write(app: Flask) -> None:
    reads_a_body = {"/api/v1/recommendations"}
    for place in places(app):
        changes = place.method not in ("GET", "HEAD") and place.rule not in reads_a_body
        assert (place.asked.scope in ("write", "admin")) == changes, place


# Who is refused


@pytest.fixture
def untouched(live: LiveRatings) -> Iterator[None]:
    """Whatever the test asks for, nothing that is kept of Ann changes, and nothing that is told to all."""
    yield
    said = live.read(ANN)
    assert (said.revision, said.stars, said.marks, said.forgotten) == (2, {"1": 4.0}, {"2": "seen"}, False)
    assert list(live.movies()) == []


@pytest.mark.usefixtures("untouched")
def test_nobody__is_refused_by_all_but_what_is_public(app: Flask) -> None:
    client = nobody(app)
    for place in places(app):
        if place.asked.scope != "public":
            assert_refused(ask(client, place, ANN), 401, place)
            assert_refused(ask(client, place, "me"), 401, place)


@pytest.mark.usefixtures("untouched")
def test_an_unknown_key__is_refused_by_all_but_what_is_public(app: Flask) -> None:
    client = nobody(app)
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer mk_unknown"
    for place in places(app):
        if place.asked.scope != "public":
            assert_refused(ask(client, place, ANN), 401, place)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("user", [ANN, "%7Eann", "1", "nobody-yet", "~BOB", "~bob%20", "Me"])
def test_another_visitor__is_refused_by_everything_that_belongs_to_a_user(app: Flask, user: str) -> None:
    bob = visitor(app, BOB)
    for place in places(app):
        if place.asked.owned:
            assert_refused(ask(bob, place, user), 403, place)


@pytest.mark.usefixtures("untouched")
def test_a_visitor__is_refused_by_what_administers(app: Flask) -> None:
    bob = visitor(app, BOB)
    for place in places(app):
        if place.asked.scope == "admin":
            assert_refused(ask(bob, place, BOB), 403, place)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("missing", SCOPES)
def test_a_key_with_all_scopes_but_one__is_refused_by_what_asks_for_that_one(
    app: Flask, live: LiveRatings, missing: str
) -> None:
    client = key(app, live, *(scope for scope in SCOPES if scope != missing))
    for place in places(app):
        if place.asked.scope == missing:
            assert_refused(ask(client, place, ANN), 403, place)


# Who is let in


def test_what_is_public__answers_everybody(app: Flask, live: LiveRatings) -> None:
    everybody = nobody(app), visitor(app, BOB), key(app, live, "write")
    for place in places(app):
        if place.asked.scope == "public":
            for client in everybody:
                status = ask(client, place, ANN).status_code
                assert status not in REFUSED, place
                assert place.parts or status < 400, place


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_with_one_scope_alone__is_let_in_by_what_asks_for_it(app: Flask, live: LiveRatings, scope: str) -> None:
    client = key(app, live, scope)
    for place in places(app):
        if place.asked.scope == scope and not place.endpoint.startswith("pages."):  # a key is nobody's browser
            whose = f"?user={ANN}" if "/rooms" in place.rule else ""
            assert ask(client, place, ANN, whose).status_code not in REFUSED, place


@pytest.mark.parametrize("name", ["me", BOB])
def test_a_visitor__is_let_in_by_what_is_the_own(app: Flask, name: str) -> None:
    for place in places(app):
        if place.asked.scope in ("read", "write"):
            bob = visitor(app, BOB)  # a new browser each time: forgetting ends in another visitor
            assert ask(bob, place, name).status_code not in REFUSED, place
