from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

import matinee as mt
from matinee.live import LiveRatings, rooms
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.api import openapi
from matinee.service.api.ratings import UPLOADS
from matinee.service.auth import Policy
from matinee.snapshot import Store

DOCUMENT = openapi.document()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: dict[str, APIOperation] = {
    f"{method.upper()} {path}": SCHEMA[path][method] for path in DOCUMENT["paths"] for method in DOCUMENT["paths"][path]
}
TAKING = [name for name, one in OPERATIONS.items() if one.definition.raw["parameters"] or one.body]
DATA = mt.load("sample")
BEYOND_SCHEMAS = (
    "not on the scale",
    "scale",
    "cursor",
    "has the genre",
    "year_from",
)  # refused for what only the data can say
RATED = {"1": 4, "2": 1}
MOVIES = st.sampled_from(list(RATED)) | st.sampled_from(list(DATA.catalog.ids)[:50])
USERS = st.sampled_from(["ann", "me", DATA.ratings.users[0]])
ROOM, SNAPSHOT = "room", "snapshot"  # stand for those that there are
EXAMPLES = 8  # of each operation; the slow test takes 150
FAR_OFF = 2**40  # forgets: nobody who is forgotten in a test is in the snapshot
PARTS = {"movie": MOVIES, "user": USERS, "room": st.just(ROOM), "snapshot": st.just(SNAPSHOT)}
QUERY = {
    "movie": st.lists(MOVIES, min_size=1, max_size=5),
    "unknown": st.lists(MOVIES, max_size=5),
    "genre": st.lists(st.sampled_from(["Drama", "Comedy"]), max_size=2),
    "cursor": MOVIES,
    "user": USERS,
}
STARS = st.integers(1, 10).map(lambda steps: steps / 2)
BODY = {"stars": STARS, "genre": QUERY["genre"], "not_genre": QUERY["genre"], "within": st.lists(MOVIES)}
RATINGS = {
    "/api/v1/recommendations": st.dictionaries(MOVIES, STARS),
    "/api/v1/users/{user}/ratings": st.lists(st.fixed_dictionaries({"movie": MOVIES, "stars": STARS})),
}


@schemathesis.serializer(*(kind for kind in UPLOADS if kind != "text/csv"))
def serialized(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    rater, ranker = (config.fit(DATA.ratings, DATA.catalog) for config in (ALS(rank=4, iterations=2), Ease()))
    folder: Path = tmp_path_factory.mktemp("store")
    store = Store(folder)
    with LiveRatings(folder / "live.sqlite3") as live:
        snapshot = store.publish(DATA, rater, ranker, forgets={**live.forgotten().mark, "number": FAR_OFF})
        app = create_app(Recommender.of(snapshot, live=live), live, policy=Policy(no_auth=True), store=store)
        app.config["SNAPSHOT"] = snapshot.id
        yield app


@pytest.fixture(autouse=True)
def _something_to_ask_about(app: Flask) -> None:
    live = app.extensions["matinee"].live
    live.rate("ann", RATED)
    app.config["ROOM"], _ = rooms.open_room(live, "me")
    rooms.join(live, app.config["ROOM"], "ann")


def sensible(operation: APIOperation) -> st.SearchStrategy[Case]:
    """What the document allows, mostly about people, movies and rooms that there are."""
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    body = BODY | ({"ratings": RATINGS[operation.path]} if operation.path in RATINGS else {})
    return st.builds(about, allowed, mostly(PARTS), mostly(QUERY), mostly(body))


def mostly(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    all_ = st.fixed_dictionaries(values)
    return all_ | all_ | st.just({})


def about(case: Case, parts: dict[str, Any], query: dict[str, Any], body: dict[str, Any]) -> Case:
    for drawn, known in (case.path_parameters, parts), (case.query, query), (case.body, body):
        if isinstance(drawn, dict):
            drawn.update({name: value for name, value in known.items() if name in drawn})
    return case


def ask(app: Flask, cases: st.SearchStrategy[Case], examples: int, *, allowed: bool, **how: Any) -> Counter[int]:
    seen: Counter[int] = Counter()

    @given(case=cases)
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None, **how)
    def answer_is_as_documented(case: Case) -> None:
        for part, stands_for in (("room", ROOM), ("snapshot", SNAPSHOT)):
            if case.path_parameters.get(part) == stands_for:
                case.path_parameters[part] = app.config[part.upper()]
        answer = case.call_and_validate(
            app=app, headers={"Accept-Encoding": "identity"}, excluded_checks=[positive_data_acceptance]
        )
        seen[answer.status_code] += 1
        if allowed and answer.status_code == 400 and case.media_type in (None, "application/json"):
            assert any(words in answer.json()["detail"] for words in BEYOND_SCHEMAS), answer.text

    answer_is_as_documented()
    return seen


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_document_allows__is_answered_as_it_says(app: Flask, name: str) -> None:
    seen = ask(app, sensible(OPERATIONS[name]), EXAMPLES, allowed=True, derandomize=True)
    assert any(200 <= status < 300 for status in seen), seen


@pytest.mark.parametrize("name", TAKING)
def test_what_the_document_forbids__is_refused_as_it_says(app: Flask, name: str) -> None:
    ask(
        app,
        OPERATIONS[name].as_strategy(generation_mode=GenerationMode.NEGATIVE),
        EXAMPLES,
        allowed=False,
        derandomize=True,
    )


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("name", TAKING)
def test_whatever_is_asked_at_length__is_answered_as_the_document_says(app: Flask, name: str) -> None:
    ask(app, sensible(OPERATIONS[name]), 150, allowed=True)
    ask(app, OPERATIONS[name].as_strategy(generation_mode=GenerationMode.NEGATIVE), 150, allowed=False)
