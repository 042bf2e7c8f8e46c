from __future__ import annotations

import re

import numpy as np
import pytest

import matinee as mt
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.serving import serving_of


@pytest.fixture(scope="module")
def dataset():
    return mt.load("sample")


@pytest.fixture(scope="module")
def models(dataset):
    rater = ALS(rank=4, iterations=3).fit(dataset.ratings, dataset.catalog)
    return rater, Ease().fit(dataset.ratings, dataset.catalog)


@pytest.fixture
def live(tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def app(dataset, models, live):
    return create_app(Recommender(dataset, *models, snapshot_id="first", live=live), live)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def movie(dataset):
    """Return ids of movies by title."""
    return lambda title: dataset.catalog.ids[dataset.catalog.resolve(title)]


def get(client, path, status=200, **headers):
    answer = client.get(f"/api/v1{path}", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json


def detail(answer):
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["detail"]


def titles(answer):
    return [row["title"] for row in answer["items"]]


# Movies


@pytest.mark.parametrize("query", ["matrix", "MATRIX, the", "matirx", "the+matr"])
def test_movies__are_found_as_one_types(client, query):
    assert "The Matrix" in titles(get(client, f"/movies?query={query}"))


def test_movies__without_a_query_are_all_most_rated_first_page_by_page(client, dataset):
    seen, cursor = [], ""
    while cursor is not None:
        page = get(client, f"/movies?limit=100{cursor and '&cursor=' + cursor}")
        assert page["snapshot"] == "first"
        seen += page["items"]
        cursor = page["next"]
    counts = [row["ratings"] for row in seen]
    assert counts == sorted(dataset.ratings.movie_counts.tolist(), reverse=True)
    assert {row["movie"] for row in seen} == set(dataset.catalog.ids)


def test_movies__pages_keep_to_query_and_filters(client):
    path = "/movies?query=the&genre=Drama&year_from=1990&year_to=1999&limit=3"
    first = get(client, path)
    second = get(client, f"{path}&cursor={first['next']}")
    rows = first["items"] + second["items"]
    assert len({row["movie"] for row in rows}) == 6
    assert all("Drama" in row["genres"] and 1990 <= row["year"] <= 1999 for row in rows)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("genre=Dramma", "no movie has the genre 'Dramma'; this data has Action"),
        ("year_from=2000&year_to=1990", "year_from 2000 is after year_to 1990"),
        ("cursor=zz", "the cursor 'zz' is not of this list; begin again without a cursor"),
        ("limit=101", "the query's limit is '101': it should be less than or equal to 100"),
        ("page=2", "the query's page is not known here; known are query, genre"),
    ],
)
def test_movies__what_cannot_be_meant_is_said(client, query, message):
    status, said = detail(client.get(f"/api/v1/movies?{query}"))
    assert status == 400
    assert message in said


RATED = '[{"movie": "1", "stars": 4}]'


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/users/ann/recommendations?rated_since=lately", None, 'it should be a day, such as "2018-01-31"'),
        ("/recommendations", {"ratings": [{"movie": "1"}]}, 'it should be an object, such as {"1": 4.5}'),
        ("/users/ann/ratings", {"ratings": {"1": 4}}, 'is {"1": 4}: it should be a valid array, such as ' + RATED),
        ("/users/ann/ratings", {"ratings": [{"stars": 1}] * 50_001}, "it should have at most 50000 items, not 50001"),
    ],
)
def test_what_cannot_be_meant__is_said_with_an_example_and_without_words_of_python(client, path, body, message):
    answer = client.get(f"/api/v1{path}") if body is None else client.post(f"/api/v1{path}", json=body)
    status, said = detail(answer)
    assert (status, said.endswith(message)) == (400, True), said


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/users/ann/ratings/1", {"stars": 4}),
        ("DELETE", "/users/ann/ratings/1", None),
        ("GET", "/movies/1", None),
        ("GET", "/status", None),
    ],
)
def test_a_route_that_asks_nothing__takes_no_query(client, method, path, body):
    answer = client.open(f"/api/v1{path}?scale=1:10", method=method, json=body)
    assert detail(answer) == (400, "the query's scale is not known here; known are none")
    assert client.get("/healthz?probe=1").status_code == 200


def test_movie__has_facts_and_a_histogram_of_its_ratings(client, dataset, movie):
    matrix = movie("The Matrix")
    found = get(client, f"/movies/{matrix}")
    stars = dataset.ratings.by_movie.row(dataset.catalog.ids.position(matrix))[1]
    assert (found["title"], found["year"]) == ("The Matrix", 1999)
    assert found["ratings"] == len(stars) == sum(bar["count"] for bar in found["histogram"])
    assert found["mean"] == pytest.approx(stars.mean(), abs=1e-4)
    values, counts = (one.tolist() for one in np.unique(stars, return_counts=True))
    assert [(bar["stars"], bar["count"]) for bar in found["histogram"] if bar["count"]] == [
        *zip(values, counts, strict=True)
    ]


@pytest.mark.parametrize("path", ["/movies/zz", "/movies/The Matrix", "/movies/zz/similar"])
def test_movie__that_nobody_knows_is_404_also_where_its_title_is_known(client, path):
    status, said = detail(client.get(f"/api/v1{path}"))
    assert status == 404
    assert "search with GET /api/v1/movies?query=" in said


def test_similar__are_those_of_the_recommender(client, app, movie):
    found = get(client, f"/movies/{movie('The Matrix')}/similar?n=5")
    recommender = serving_of(app).recommender
    assert titles(found) == recommender.similar("The Matrix", 5)["title"]
    assert "nearest to The Matrix (1999)" in found["note"]


# Recommendations


def test_recommendations__are_those_of_the_recommender_with_everything_said(client, app, live, movie):
    live.rate("ann", {movie("The Matrix"): 5, movie("Heat (1995)"): 2})
    found = get(client, "/users/ann/recommendations?n=7&explain=true&genre=Drama&not_genre=Comedy&min_ratings=30")
    expected = serving_of(app).recommender.recommend(
        user="ann", n=7, explain=True, genre="Drama", not_genre="Comedy", min_ratings=30
    )
    assert [row["movie"] for row in found["items"]] == expected["movie"]
    assert [row["stars"] for row in found["items"]] == pytest.approx(expected["stars"], abs=1e-4)
    assert [[why["title"] for why in row["why"]] for row in found["items"]] == expected["why"]
    assert (found["user"], found["revision"], found["order"], found["note"]) == ("ann", 1, "match", expected.note)
    for row in found["items"]:
        assert row["low"] <= row["stars"] <= row["high"]
        assert row["ratings"] >= 30


def test_recommendations__by_stars_have_no_match(client):
    found = get(client, "/users/1/recommendations?n=5&order=stars")
    assert found["order"] == "stars"
    stars = [row["stars"] for row in found["items"]]
    assert stars == sorted(stars, reverse=True)
    assert {row["match"] for row in found["items"]} == {None}
    assert not any("why" in row for row in found["items"])


def test_recommendations__of_somebody_unknown_are_the_most_rated_and_say_so(client):
    found = get(client, "/users/nobody/recommendations?n=3")
    assert titles(found) == titles(get(client, "/movies?limit=3"))
    assert "no ratings yet" in found["note"]


def test_recommendations__that_are_too_few_say_why(client):
    found = get(client, "/users/1/recommendations?n=1000&genre=Western")
    assert 0 < len(found["items"]) < 1000
    assert f"{len(found['items'])} instead of 1000" in found["note"]


def test_recommendations__within_the_watchlist_list_nothing_else(client, live, movie):
    live.mark("ann", movie("Heat (1995)"), "watchlist")
    assert titles(get(client, "/users/ann/recommendations?within=watchlist")) == ["Heat"]


def test_recommendations_for_given_ratings__are_those_of_a_user_who_gave_them(client, live, movie):
    ratings = {movie("The Matrix"): 5.0, movie("Heat (1995)"): 2.0}
    live.rate("ann", ratings)
    asked = {"ratings": ratings, "n": 5, "year_from": 1980}
    answer = client.post("/api/v1/recommendations", json=asked)
    assert answer.status_code == 200
    assert answer.json["items"] == get(client, "/users/ann/recommendations?n=5&year_from=1980")["items"]
    only = [row["movie"] for row in answer.json["items"][1:3]]
    within = client.post("/api/v1/recommendations", json={**asked, "within": only}).json
    assert [row["movie"] for row in within["items"]] == only


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"ratings": {"zz": 4}}, 404, "unknown movie 'zz'"),
        ({"ratings": {"1": 50}}, 400, "50 stars are not on the scale from 0.5 to 5 "),
        ({"ratings": {"1": "4"}}, 400, "the body's ratings.1 is '4': it should be a valid number"),
        ({}, 400, "the body's ratings is missing; give it"),
        ([], 400, "the body should be an object"),
    ],
)
def test_recommendations_for_given_ratings__say_what_is_wrong_with_them(client, asked, status, message):
    found, said = detail(client.post("/api/v1/recommendations", json=asked))
    assert found == status
    assert re.search(message, said)


def test_an_etag__spares_the_answer_until_somebody_rates(client, live, movie):
    paths = ["recommendations", "predictions?movie=1", "next-to-rate", "explanations/1"]
    for path in paths:
        answer = client.get(f"/api/v1/users/ann/{path}")
        etag = answer.headers["ETag"]
        assert etag == f'"first.{answer.json["revision"]}"'
        assert "private" in answer.headers["Cache-Control"]
        again = client.get(f"/api/v1/users/ann/{path}", headers={"If-None-Match": etag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    live.rate("ann", {"1": 3})
    for path in paths:
        assert client.get(f"/api/v1/users/ann/{path}", headers={"If-None-Match": etag}).status_code == 200


def test_an_etag__is_of_one_snapshot(app, client, dataset, models, live):
    etag = client.get("/api/v1/users/ann/recommendations").headers["ETag"]
    serving_of(app).switch(Recommender(dataset, *models, snapshot_id="second", live=live))
    answer = client.get("/api/v1/users/ann/recommendations", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json["snapshot"]) == (200, "second")


def test_if_none_match_of_anything__is_answered_as_without_it(client):
    assert get(client, "/users/ann/recommendations?n=1", **{"If-None-Match": "*"})["items"]
    assert get(client, "/users/ann/predictions?movie=nothing", 404, **{"If-None-Match": "*"})["status"] == 404


def test_given_ratings__may_be_on_another_scale_and_so_is_the_answer(client):
    asked = {"ratings": {"1": 5, "2": 1}, "n": 3.0, "order": "stars"}
    own = client.post("/api/v1/recommendations", json=asked).json["items"]
    tenfold = {"ratings": {"1": 50, "2": 10}, "scale": "5:50"}
    found = client.post("/api/v1/recommendations", json={**asked, **tenfold}).json["items"]
    assert [item["movie"] for item in found] == [item["movie"] for item in own]
    assert [item["stars"] for item in found] == pytest.approx([10 * item["stars"] for item in own], abs=1e-2)
    status, said = detail(client.post("/api/v1/recommendations", json={"ratings": {"1": 9}}))
    assert (status, "use ?scale=1:10" in said) == (400, True)
    assert client.post("/api/v1/recommendations?scale=1:10", json={"ratings": {"1": 9}}).status_code == 200
    status, said = detail(client.post("/api/v1/recommendations?scale=1:10", json=tenfold))
    assert (status, "give one of them" in said) == (400, True)


def test_me__is_a_person_of_that_id_for_a_program_of_this_machine(client):
    assert client.get("/api/v1/users/me/recommendations").json["user"] == "me"


# Predictions, explanations, questions


def test_predictions__come_in_the_order_asked_for(client, app, movie):
    asked = [movie("Heat (1995)"), movie("The Matrix")]
    found = get(client, "/users/1/predictions?" + "&".join(f"movie={one}" for one in asked))
    assert [row["movie"] for row in found["items"]] == asked
    expected = serving_of(app).recommender.predict(user="1", movies=asked)
    assert [row["low"] for row in found["items"]] == pytest.approx(expected["low"], abs=1e-4)


@pytest.mark.parametrize("of", ["stars", "match"])
def test_explanation__adds_up(client, movie, of):
    found = get(client, f"/users/1/explanations/{movie('The Matrix')}?of={of}")
    parts = [row["contribution"] for row in found["items"]]
    assert found["base"] + sum(parts) == pytest.approx(found["total"], abs=1e-4)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)


def test_explanation__of_a_match_that_a_movie_does_not_have_is_refused(client, dataset):
    rare = dataset.catalog.ids[int(dataset.ratings.movie_counts.argmin())]
    status, said = detail(client.get(f"/api/v1/users/1/explanations/{rare}?of=match"))
    assert status == 422
    assert "ask for of=stars" in said


def test_next_to_rate__asks_about_something_else_than_what_was_not_known(client):
    first = get(client, "/users/ann/next-to-rate?n=2")
    assert len(first["items"]) == 2
    unknown = first["items"][0]["movie"]
    later = get(client, f"/users/ann/next-to-rate?n=5&unknown={unknown}")
    assert unknown not in [row["movie"] for row in later["items"]]
    assert all(0 < row["known"] <= 1 for row in later["items"])


@pytest.mark.parametrize(
    "path",
    [
        "/users/1/predictions?movie=zz",
        "/users/1/explanations/zz",
        "/users/1/next-to-rate?unknown=zz",
        "/users/1/explanations/The Matrix",
    ],
)
def test_a_movie_nobody_knows__is_404_wherever_it_is_named(client, path):
    assert detail(client.get(f"/api/v1{path}"))[0] == 404
