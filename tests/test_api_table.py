from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from pydantic import Field
from werkzeug.exceptions import UnsupportedMediaType

from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.api import openapi
from matinee.service.api.reading import Upload, body, query
from matinee.service.api.routing import TABLE
from matinee.service.api.schemas import Asked


@pytest.fixture(scope="module")
def dataset():
    return synthetic(300, 900, 30_000, rng=0)


@pytest.fixture(scope="module")
def model(dataset):
    return ALS(rank=4, iterations=3, intervals=False).fit(dataset.ratings, dataset.catalog)


@pytest.fixture
def live(tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def app(dataset, model, live):
    return create_app(Recommender(dataset, model, snapshot_id="first", live=live), live)


@pytest.fixture
def client(app):
    return app.test_client()


def test_document__has_exactly_the_routes_that_are_registered(app, client):
    paths = client.get("/api/openapi.json").json["paths"]
    documented = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    registered = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") or hasattr(app.view_functions[rule.endpoint], "route")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert documented == registered


def test_service_page__names_every_route():
    page = (Path(__file__).parent.parent / "docs" / "service.md").read_text(encoding="utf-8")
    requests = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    for route in (endpoint.route for endpoint in TABLE):
        named = [one for one in requests if f"{route.path}`" in one and route.method in one]
        assert named or route.path in ("/docs", "/openapi.json"), (route.method, route.path)


def test_document__describes_every_operation_once_and_whole():
    names = [endpoint.name for endpoint in TABLE]
    assert len(names) == len(set(names))
    schemas = openapi.document()["components"]["schemas"]
    assert not [name for name in schemas if "__" in name]
    for endpoint in TABLE:
        assert endpoint.route.summary
        assert endpoint.route.scope in ("public", "read", "write", "admin")


def test_view__carries_what_it_was_declared_with(app):
    route = app.view_functions["api.get_status"].route
    assert (route.method, route.path, route.scope, route.owned) == ("GET", "/status", "public", False)


class Page(Asked):
    n: int = Field(25, ge=1, le=100)
    genre: tuple[str, ...] = ()
    year: int | None = None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("n=0", r"the query's n is '0': it should be greater than or equal to 1"),
        ("n=many", r"the query's n is 'many': it should be a valid integer"),
        ("m=1", r"the query's m is not known here; known are n, genre, year"),
        ("n=1&n=2", r"the query gives n 2 times; give it once"),
        ("year=", r"the query's year is '': it should be a valid integer"),
    ],
)
def test_query__names_the_parameter_its_value_and_the_rule(asked, message):
    with Flask("x").test_request_context(f"/?{asked}"), pytest.raises(UsageError, match=re.escape(message)):
        query(Page)


def test_query__takes_lists_and_defaults():
    with Flask("x").test_request_context("/?genre=Drama&genre=War"):
        assert query(Page) == Page(n=25, genre=("Drama", "War"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "the body is not JSON: EOF while parsing"),
        ('{"n": "4"}', "the body's n is '4': it should be a valid integer"),
        ('{"genre": [1]}', "the body's genre.0 is '1': it should be a valid string"),
        ('{"year": NaN}', "the body"),
        ("[]", "the body should be an object"),
    ],
)
def test_body__names_the_field_its_value_and_the_rule(data, message):
    context = Flask("x").test_request_context("/", method="POST", data=data, content_type="application/json")
    with context, pytest.raises(UsageError, match=message):
        body(Page)


@pytest.mark.parametrize("uploads", [(), ("application/zip",)])
def test_body__of_another_type_is_refused(uploads):
    context = Flask("x").test_request_context("/", method="POST", data="a,b", content_type="text/csv")
    with context, pytest.raises(UnsupportedMediaType, match=r"sent as application/json.*, not as text/csv"):
        body(Page, uploads)


def test_body__of_a_type_that_is_taken_is_handed_on():
    with Flask("x").test_request_context("/", method="POST", data="a,b", content_type="text/csv"):
        assert body(Page, ("text/csv",)) == Upload("text/csv", b"a,b")
