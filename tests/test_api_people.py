from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from matinee.catalog import Catalog
from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.live import LiveRatings, NewMovie
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app

SAMPLE = load("sample")
IMDB = pa.array([f"tt{number:07}" for number in range(len(SAMPLE.catalog))])
DATA = Dataset(SAMPLE.ratings, Catalog(SAMPLE.catalog.table.drop(["imdb"]).append_column("imdb", IMDB)), SAMPLE.facts)
IDS = list(DATA.catalog.ids)
FITTED = Recommender.fit(DATA, Bias(), None)
USER = DATA.ratings.users[0]
RATED = dict(
    zip(DATA.catalog.ids.take(DATA.ratings.history(0).movies), DATA.ratings.history(0).stars.tolist(), strict=True)
)
UNRATED = next(movie for movie in IDS if movie not in RATED)
HALF_STARS = st.integers(1, 10).map(lambda steps: steps / 2)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def client(live: LiveRatings) -> FlaskClient:
    return create_app(Recommender(DATA, FITTED.rater, snapshot_id="first", live=live), live).test_client()


def of(user: str, *parts: str) -> str:
    return "/".join(("/api/v1/users", user, *parts))


def assert_problem(answer: TestResponse, status: int, *words: str) -> None:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    for word in words:
        assert word in answer.json["detail"], answer.json["detail"]


def all_ratings(client: FlaskClient, user: str) -> dict[str, float]:
    items = client.get(of(user, "ratings"), query_string={"limit": 1000}).json["items"]
    return {item["movie"]: item["stars"] for item in items}


# Ratings, one by one


def test_ratings__are_the_datas_with_live_ones_over_them(client: FlaskClient, live: LiveRatings) -> None:
    first, second = list(RATED)[:2]
    live.rate(USER, {first: 0.5, UNRATED: 5.0})
    live.delete(USER, second)
    expected = {**RATED, first: 0.5, UNRATED: 5.0}
    del expected[second]
    assert all_ratings(client, USER) == expected


def test_ratings__come_in_pages_that_hold_each_movie_once(client: FlaskClient) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = client.get(of(USER, "ratings"), query_string=asked).json
        assert page["user"] == USER
        assert page["snapshot"] == "first"
        seen += [item["movie"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["items"]) == 7
    assert seen == sorted(RATED)


def test_ratings__go_on_behind_a_movie_whose_rating_is_gone_and_refuse_a_cursor_of_another_list(
    client: FlaskClient,
) -> None:
    first = client.get(of(USER, "ratings"), query_string={"limit": 3}).json
    client.delete(of(USER, f"ratings/{first['next']}"))
    second = client.get(of(USER, "ratings"), query_string={"limit": 3, "cursor": first["next"]}).json
    assert [item["movie"] for item in second["items"]] == sorted(RATED)[3:6]
    refused = client.get(of(USER, "ratings"), query_string={"cursor": "zz"})
    assert (refused.status_code, "the cursor 'zz' is not of this list" in refused.json["detail"]) == (400, True)


def test_ratings__carry_the_facts_of_their_movies(client: FlaskClient) -> None:
    [item] = client.get(of(USER, "ratings"), query_string={"limit": 1}).json["items"]
    position = DATA.catalog.ids.position(item["movie"])
    row = DATA.catalog.table.slice(position, 1).to_pylist()[0]
    assert {name: item[name] for name in ("title", "year", "genres", "imdb", "tmdb")} == {
        name: row[name] for name in ("title", "year", "genres", "imdb", "tmdb")
    }
    assert item["ratings"] == DATA.ratings.movie_counts[position]
    assert item["mean"] == pytest.approx(DATA.ratings.movie_means[position], abs=1e-4)


def test_a_person_nobody_knows__has_no_ratings(client: FlaskClient) -> None:
    answer = client.get(of("nobody", "ratings"))
    assert answer.json == {"snapshot": "first", "user": "nobody", "revision": 0, "items": [], "next": None}


def test_a_rating__is_put_read_and_deleted(client: FlaskClient, live: LiveRatings) -> None:
    path = of("ann", "ratings", "1")
    assert_problem(client.get(path), 404, "user 'ann' has not rated movie '1'")
    put = client.put(path, json={"stars": 4.5})
    assert put.json == {"snapshot": "first", "user": "ann", "revision": 1, "movie": "1", "stars": 4.5}
    assert live.ratings("ann") == {"1": 4.5}
    got = client.get(path).json
    assert (got["movie"], got["stars"], got["revision"]) == ("1", 4.5, 1)
    assert got["title"] == DATA.catalog.table["title"][DATA.catalog.ids.position("1")].as_py()
    deleted = client.delete(path).json
    assert (deleted["stars"], deleted["revision"]) == (None, 2)
    assert_problem(client.get(path), 404)


def test_writes__are_idempotent(client: FlaskClient) -> None:
    path = of("ann", "ratings", "1")
    assert client.put(path, json={"stars": 4}).json == client.put(path, json={"stars": 4.0}).json
    assert client.delete(path).json == client.delete(path).json
    mark = of("ann", "marks", "1")
    assert client.put(mark, json={"mark": "seen"}).json == client.put(mark, json={"mark": "seen"}).json
    assert client.delete(mark).json == client.delete(mark).json


def test_a_rating_of_the_data__can_be_deleted(client: FlaskClient) -> None:
    movie = next(iter(RATED))
    client.delete(of(USER, "ratings", movie))
    assert movie not in all_ratings(client, USER)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"stars": 4.3}, "4.3 stars are not on the scale from 0.5 to 5 in steps of 0.5"),
        ({"stars": 0}, "0 stars are not on the scale"),
        ({"stars": 5.5}, "5.5 stars are not on the scale"),
        ({"stars": "4"}, "the body's stars is '4'"),
        ({"stars": True}, "the body's stars is 'True'"),
        ({"stars": None}, "the body's stars is 'None'"),
        ({}, "stars is missing"),
        ({"stars": 4, "movie": "1"}, "movie is not known here"),
    ],
)
def test_stars_that_cannot_be__are_refused_and_nothing_is_stored(
    client: FlaskClient, live: LiveRatings, body: dict[str, Any], words: str
) -> None:
    assert_problem(client.put(of("ann", "ratings", "1"), json=body), 400, words)
    assert live.revision("ann") == 0


def test_stars_that_are_no_number__are_refused(client: FlaskClient) -> None:
    answer = client.put(of("ann", "ratings", "1"), data='{"stars": NaN}', content_type="application/json")
    assert_problem(answer, 400)


@pytest.mark.parametrize(
    ("method", "what"),
    [("get", "ratings"), ("put", "ratings"), ("delete", "ratings"), ("put", "marks"), ("delete", "marks")],
)
def test_a_movie_nobody_knows__is_404(client: FlaskClient, live: LiveRatings, method: str, what: str) -> None:
    body = {"json": {"stars": 4} if what == "ratings" else {"mark": "seen"}} if method == "put" else {}
    answer = getattr(client, method)(of("ann", what, "no-such-movie"), **body)
    assert_problem(answer, 404, "unknown movie 'no-such-movie'", "/api/v1/movies")
    assert live.revision("ann") == 0


def test_a_movie_that_was_added_since__can_be_rated_marked_and_is_listed_with_its_facts(
    client: FlaskClient, live: LiveRatings
) -> None:
    live.add_movie(NewMovie("new", "A New Film", 2026, ("Drama",), "tt9999999"))
    assert client.put(of("ann", "ratings", "new"), json={"stars": 5}).status_code == 200
    assert client.put(of("ann", "marks", "new"), json={"mark": "watchlist"}).status_code == 200
    [item] = client.get(of("ann", "ratings")).json["items"]
    assert item == {
        "movie": "new", "title": "A New Film", "year": 2026, "genres": ["Drama"], "imdb": "tt9999999", "tmdb": None,
        "ratings": 0, "mean": None, "stars": 5.0,
    }  # fmt: skip
    assert client.get(of("ann", "ratings", "new")).json["title"] == "A New Film"
    assert client.get(of("ann", "recommendations")).status_code == 200


def test_what_a_person_reads__carries_an_etag_and_is_304_until_something_changes(client: FlaskClient) -> None:
    paths = [of(USER, what) for what in ("ratings", "marks", "export")]
    for path in paths:
        answer = client.get(path)
        assert answer.headers["ETag"] == '"first.0"'
        again = client.get(path, headers={"If-None-Match": '"first.0"'})
        assert (again.status_code, again.data) == (304, b"")
    client.put(of(USER, "marks", "1"), json={"mark": "seen"})
    for path in paths:
        answer = client.get(path, headers={"If-None-Match": '"first.0"'})
        assert (answer.status_code, answer.headers["ETag"]) == (200, '"first.1"')


# Marks


def test_marks__are_set_replaced_listed_and_taken_away(client: FlaskClient) -> None:
    for movie, mark in (("1", "seen"), ("2", "watchlist"), ("1", "hidden")):
        assert client.put(of("ann", "marks", movie), json={"mark": mark}).json["mark"] == mark
    answer = client.get(of("ann", "marks")).json
    assert answer["revision"] == 3
    assert {item["movie"]: item["mark"] for item in answer["items"]} == {"1": "hidden", "2": "watchlist"}
    assert all(item["title"] and item["genres"] for item in answer["items"])
    assert client.delete(of("ann", "marks", "1")).json["mark"] is None
    assert [item["movie"] for item in client.get(of("ann", "marks")).json["items"]] == ["2"]


def test_a_mark_nobody_knows__is_refused(client: FlaskClient) -> None:
    assert_problem(client.put(of("ann", "marks", "1"), json={"mark": "loved"}), 400, "mark is 'loved'", "'watchlist'")


# Bringing ratings in


def test_ratings_in_json__are_found_by_id_title_or_imdb_id_and_what_is_not_is_told(
    client: FlaskClient, live: LiveRatings
) -> None:
    row = DATA.catalog.table.slice(10, 1).to_pylist()[0]
    other = DATA.catalog.table.slice(20, 1).to_pylist()[0]
    third = DATA.catalog.table.slice(30, 1).to_pylist()[0]
    answer = client.post(
        of("ann", "ratings"),
        json={
            "ratings": [
                {"movie": row["movie"], "stars": 4},
                {"title": other["title"].upper(), "year": other["year"] + 1, "stars": 3.5},
                {"imdb": third["imdb"], "stars": 1},
                {"title": "Nothing Such", "stars": 2},
                {"stars": 2},
            ]
        },
    ).json
    assert answer["stored"] == 3
    assert answer["revision"] == 1
    assert answer["unmatched"] == [
        {"line": 4, "file": "", "what": "Nothing Such", "reason": "no movie here has this title"},
        {"line": 5, "file": "", "what": "", "reason": "the line names no movie"},
    ]
    assert answer["groups"] == [
        {"kind": "unknown", "reason": "not in the data", "lines": 1},
        {"kind": "nameless", "reason": "without a movie", "lines": 1},
    ]
    assert [(one["line"], one["movie"], one["why"]) for one in answer["loose"]] == [
        (2, other["movie"], "the years differ by one")
    ]
    assert (answer["lines"], answer["loose_lines"]) == (5, 1)
    assert live.ratings("ann") == {row["movie"]: 4.0, other["movie"]: 3.5, third["movie"]: 1.0}


def test_ratings_in_json__may_be_on_another_scale(client: FlaskClient, live: LiveRatings) -> None:
    body = {"ratings": [{"movie": "1", "stars": 8}, {"movie": "2", "stars": 1}], "scale": "1:10"}
    assert client.post(of("ann", "ratings"), json=body).json["stored"] == 2
    assert live.ratings("ann") == {"1": 4.0, "2": 0.5}


def test_the_scale_of_ratings_in_json__may_stand_in_the_query(client: FlaskClient, live: LiveRatings) -> None:
    body: dict[str, Any] = {"ratings": [{"movie": "1", "stars": 8}]}
    assert client.post(of("ann", "ratings") + "?scale=1:10", json=body).json["stored"] == 1
    assert live.ratings("ann") == {"1": 4.0}
    body["scale"] = "0:100"
    refused = client.post(of("ann", "ratings") + "?scale=1:10", json=body)
    assert_problem(refused, 400, "the query gives the scale '1:10', the body '0:100'; give one of them")
    assert live.ratings("ann") == {"1": 4.0}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"ratings": [{"movie": "1", "stars": 4}, {"movie": "2", "stars": 4.2}]}, "rating 2: 4.2 stars are not on"),
        ({"ratings": [{"movie": "1", "stars": 11}], "scale": "1:10"}, "rating 1: 11 stars are not on the scale"),
        ({"ratings": [{"movie": "1", "stars": 4}], "scale": "ten"}, "not 'ten'"),
        ({"ratings": [{"movie": 1, "stars": 4}]}, "ratings.0.movie is '1'"),
        ({"ratings": [{"movie": "1"}]}, "ratings.0.stars is missing"),
        ({"ratings": [{"movie": "1", "stars": 4}], "marks": [{"movie": "1", "mark": "x"}]}, "marks.0.mark is 'x'"),
        ({"films": []}, "is missing"),
        ({"ratings": {"1": 4}}, "should be a valid array, such as [{"),
    ],
)
def test_ratings_in_json_that_cannot_be__are_refused_whole(
    client: FlaskClient, live: LiveRatings, body: dict[str, Any], words: str
) -> None:
    assert_problem(client.post(of("ann", "ratings"), json=body), 400, words)
    assert live.revision("ann") == 0


def zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("ratings.csv", text)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["text/csv", "application/zip"])
def test_an_export_of_a_site__is_stored_and_what_is_not_matched_is_told(
    client: FlaskClient, live: LiveRatings, kind: str
) -> None:
    row = DATA.catalog.table.slice(40, 1).to_pylist()[0]
    text = f'Const,Your Rating,Title,Year\r\nttx,7,"{row["title"]}",{row["year"]}\r\ntt9000001,9,Carmencita,1894\r\n'
    data = text.encode() if kind == "text/csv" else zipped(text)
    answer = client.post(of("ann", "ratings"), data=data, content_type=kind).json
    assert answer["stored"] == 1
    assert [(one["line"], one["what"]) for one in answer["unmatched"]] == [(3, "Carmencita (1894)")]
    assert live.ratings("ann") == {row["movie"]: 3.5}


def test_a_file__may_say_its_scale_in_the_query(client: FlaskClient, live: LiveRatings) -> None:
    data = b"movieId,rating\n1,9\n2,4\n"
    refused = client.post(of("ann", "ratings"), data=data, content_type="text/csv")
    assert_problem(refused, 400, "line 2: 9 stars are not on the scale", "nothing was stored", "?scale=1:10")
    assert live.revision("ann") == 0
    client.post(of("ann", "ratings?scale=1:10"), data=data, content_type="text/csv")
    assert live.ratings("ann") == {"1": 4.5, "2": 2.0}


def test_watched_films_and_watchlists__become_marks(client: FlaskClient, live: LiveRatings) -> None:
    data = b"movieId\n1\n2\n"
    answer = client.post(of("ann", "ratings"), data=data, content_type="text/csv").json
    assert (answer["stored"], answer["marked"]) == (0, {"seen": 2})
    assert any("2 lines without stars count as watched" in note for note in answer["notes"])
    client.post(of("ann", "ratings?kind=watchlist"), data=b"movieId\n3\n", content_type="text/csv")
    assert live.read("ann").marks == {"1": "seen", "2": "seen", "3": "watchlist"}
    listed = client.get(of("ann", "recommendations"), query_string={"n": 1000, "min_ratings": 0}).json["items"]
    assert not {"1", "2"} & {one["movie"] for one in listed}


def test_json_of_another_site__is_read_as_its_file(client: FlaskClient, live: LiveRatings) -> None:
    film = DATA.catalog.table.slice(40, 1).to_pylist()[0]
    trakt = [{"rated_at": "2024-01-01", "rating": 9, "movie": {"title": film["title"], "year": film["year"]}}]
    assert client.post(of("ann", "ratings?scale=1:10"), json=trakt).json["stored"] == 1
    assert live.ratings("ann") == {film["movie"]: 4.5}
    simkl = {"movies": [{"status": "plantowatch", "movie": {"title": film["title"], "year": film["year"], "ids": {}}}]}
    assert client.post(of("ann", "ratings"), json=simkl).json["marked"] == {"watchlist": 1}


def test_an_answer_about_many_lines__counts_all_and_shows_some(client: FlaskClient) -> None:
    lines = "".join(f"Nothing Such {n},{2090 if n % 3 else 1990}\n" for n in range(722))
    answer = client.post(of("ann", "ratings"), data=f"title,year\n{lines}".encode(), content_type="text/csv").json
    assert answer["groups"] == [
        {"kind": "newer", "reason": "newer than the data", "lines": 481},
        {"kind": "unknown", "reason": "not in the data", "lines": 241},
    ]
    assert (answer["lines"], len(answer["unmatched"])) == (722, 100)


def test_a_file_that_is_no_export__is_refused(client: FlaskClient) -> None:
    refused = client.post(of("ann", "ratings"), data=b"a,b\n1,2\n", content_type="text/csv")
    assert_problem(refused, 400, "the columns 'a, b' of the file name no film", "imdb_id")
    assert_problem(client.post(of("ann", "ratings"), data=b"x", content_type="image/png"), 415, "text/csv")


def test_a_file_beyond_the_limit__is_refused(client: FlaskClient) -> None:
    large = b"movieId,rating\n" + b"1,4\n" * 1_300_000
    assert_problem(client.post(of("ann", "ratings"), data=large, content_type="text/csv"), 413, "5,000,000 bytes")


# All of it, out and in again


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stars=st.dictionaries(st.sampled_from([*IDS, "new"]), HALF_STARS, max_size=30),
    marks=st.dictionaries(st.sampled_from([*IDS, "new"]), st.sampled_from(["seen", "hidden", "watchlist"]), max_size=9),
)
def test_an_export__brought_in_by_somebody_else_makes_them_equal(
    client: FlaskClient, live: LiveRatings, stars: dict[str, float], marks: dict[str, str]
) -> None:
    live.add_movie(NewMovie("new", "A New Film"))
    for person in ("ann", "bob"):
        live.forget(person)
    live.bring("ann", stars, marks)
    exported = client.get(of("ann", "export")).json
    answer = client.post(of("bob", "ratings"), json=exported).json
    assert answer["unmatched"] == []
    brought = client.get(of("bob", "export")).json
    assert {one["movie"]: one["stars"] for one in brought["ratings"]} == stars
    assert {one["movie"]: one["mark"] for one in brought["marks"]} == marks
    assert (brought["ratings"], brought["marks"]) == (exported["ratings"], exported["marks"])


def test_every_movie__survives_the_way_out_and_in(client: FlaskClient, live: LiveRatings) -> None:
    everything = {movie: 0.5 * (1 + place % 10) for place, movie in enumerate(IDS)}
    live.rate("ann", everything)
    exported = client.get(of("ann", "export")).json
    assert exported["scale"] == "0.5:5:0.5"
    assert client.post(of("bob", "ratings"), json=exported).json["stored"] == len(IDS)
    assert live.ratings("bob") == everything


def test_ratings_between_two_steps__survive_the_way_out_and_in(client: FlaskClient, live: LiveRatings) -> None:
    live.rate("ann", {"1": 2.75, "2": 4.0})
    exported = client.get(of("ann", "export")).json
    assert exported["scale"] == "0.5:5"
    client.post(of("bob", "ratings"), json=exported)
    assert live.ratings("bob") == {"1": 2.75, "2": 4.0}


def test_a_user_of_the_data__exports_what_the_data_says_of_them(client: FlaskClient) -> None:
    exported = client.get(of(USER, "export")).json
    assert {one["movie"]: one["stars"] for one in exported["ratings"]} == RATED


def test_a_mark_of_a_movie_that_is_not_here__is_told_and_the_rest_is_stored(client: FlaskClient) -> None:
    body = {"ratings": [{"movie": "1", "stars": 4}], "marks": [{"title": "Nothing Such", "mark": "seen"}]}
    answer = client.post(of("ann", "ratings"), json=body).json
    assert answer["stored"] == 1
    reason = "no movie here has this title"
    assert answer["unmatched"] == [{"line": 1, "file": "marks", "what": "Nothing Such", "reason": reason}]


# Forgetting


def test_a_forgotten_person__is_gone_at_once_whatever_the_data_says(client: FlaskClient, live: LiveRatings) -> None:
    client.put(of(USER, "ratings", UNRATED), json={"stars": 5})
    client.put(of(USER, "marks", "1"), json={"mark": "hidden"})
    before = client.get(of(USER, "ratings")).headers["ETag"]
    assert client.delete(of(USER)).json == {"snapshot": "first", "user": USER, "forgotten": True}
    answer = client.get(of(USER, "ratings"), headers={"If-None-Match": before})
    assert (answer.status_code, answer.json["items"]) == (200, [])
    assert client.get(of(USER, "marks")).json["items"] == []
    exported = client.get(of(USER, "export")).json
    assert (exported["ratings"], exported["marks"]) == ([], [])
    assert client.delete(of(USER)).status_code == 200


def test_a_forgotten_person_who_comes_back__begins_anew(client: FlaskClient) -> None:
    client.delete(of(USER))
    client.put(of(USER, "ratings", "1"), json={"stars": 3})
    assert all_ratings(client, USER) == {"1": 3.0}
