from __future__ import annotations

import re

import pytest

from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.bodies import MOST_BYTES
from matinee.service.serving import serving_of

TUTORIAL_FILE = b"260,9\n1,8\n16,7\n25,8\n32,9\n335,4\n379,3\n296,7\n858,10\n50,8\n"
FORM = "application/x-www-form-urlencoded"


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
    recommender = Recommender(dataset, model, snapshot_id="first", live=live)
    return create_app(recommender, live, tutorial_scale=Scale(1, 10))


@pytest.fixture
def client(app):
    return app.test_client()


def post(client, body, user="0", content_type=FORM):
    return client.post(f"/{user}/ratings", data=body, content_type=content_type)


def assert_problem(answer, status, message):
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert re.search(message, answer.json["detail"]), answer.json["detail"]


def test_top__answers_rows_of_title_stars_and_count_best_first(client, dataset):
    answer = client.get("/0/ratings/top/25")
    assert answer.content_type == "application/json"
    rows = answer.json
    assert len(rows) == 25
    for title, stars, count in rows:
        assert re.fullmatch(r".+ \(\d{4}\)", title)
        assert 1 <= stars <= 10
        assert count >= 25
    assert [stars for _, stars, _ in rows] == sorted((stars for _, stars, _ in rows), reverse=True)


def test_post__takes_the_tutorials_file_as_curl_sends_it(client, live):
    answer = post(client, TUTORIAL_FILE)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.json[:3] == [["0", "260", 9.0], ["0", "1", 8.0], ["0", "16", 7.0]]
    assert len(answer.json) == 10
    assert live.ratings("0")["260"] == 4.5
    assert live.ratings("0")["858"] == 5.0


@pytest.mark.parametrize("content_type", [FORM, "text/csv", "text/plain; charset=utf-8", None])
@pytest.mark.parametrize("body", [b"1,8\r\n260,9\r\n", b"\n1,8\n\n260,9", b"\xef\xbb\xbf 1 , 8\n260, 9.0\n"])
def test_post__does_not_mind_line_ends_blanks_and_types_of_text(client, content_type, body):
    assert post(client, body, content_type=content_type).json == [["0", "1", 8.0], ["0", "260", 9.0]]


def test_post__is_in_the_next_recommendation(client):
    before = client.get("/0/ratings/top/25").json
    post(client, TUTORIAL_FILE)
    after = client.get("/0/ratings/top/25").json
    assert before != after


def test_a_rated_movie__is_not_recommended(client, dataset):
    ids = dataset.catalog.ids
    best = client.get("/0/ratings/top/1").json[0][0]
    number = next(movie for movie in range(len(ids)) if client.get(f"/0/ratings/{ids[movie]}").json[0][0] == best)
    post(client, f"{ids[number]},10")
    assert best not in [title for title, _, _ in client.get("/0/ratings/top/100").json]


def test_posted_stars__land_on_a_step_of_the_data(client, live):
    assert post(client, "1,8.7").json == [["0", "1", 8.7]]
    assert live.ratings("0") == {"1": 4.5}


def test_a_repeated_post__changes_nothing_more(client, live):
    first = post(client, TUTORIAL_FILE)
    assert post(client, TUTORIAL_FILE).json == first.json
    assert live.revision("0") == 1


def test_of_two_lines_for_one_movie__the_later_wins(client):
    assert post(client, "1,8\n260,9\n1,2").json == [["0", "1", 2.0], ["0", "260", 9.0]]


def test_an_empty_body__stores_nothing_and_says_so_by_an_empty_list(client, live):
    assert post(client, "").json == []
    assert live.revision("0") == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("260", "line 2: '260' is not movieId,rating"),
        ("260,9,1,8", "line 2: .* send the file with --data-binary"),
        ("260,nine", "line 2: rating 'nine' is not a number"),
        ("movieId,rating", "line 2: rating 'rating' is not a number; .* without a header"),
        ("260,11", "line 2: 11 stars are not on the scale from 1 to 10"),
        ("260,nan", "line 2: rating 'nan' is not a number"),
        ("260,4_5", "line 2: rating '4_5' is not a number"),
        (",5", "line 2: '' is not a valid movie id"),
        ("2\t60,5", "line 2: .* is not a valid movie id"),
    ],
)
def test_a_bad_line__is_named_and_nothing_is_stored(client, live, line, message):
    assert_problem(post(client, f"1,8\n{line}\n16,7"), 400, message)
    assert live.ratings("0") == {}


def test_a_movie_nobody_knows__is_404_in_a_post_and_nothing_is_stored(client, live):
    assert_problem(post(client, "1,8\n999999,7"), 404, "unknown movie '999999'; line 2 names it; nothing was stored")
    assert live.ratings("0") == {}


def test_a_body_that_is_no_text__is_refused(client):
    assert_problem(post(client, b"1,8\n\xff\xfe"), 400, "not UTF-8: byte 5")


def test_another_content_type__is_refused_with_the_right_one(client):
    assert_problem(post(client, b"{}", content_type="application/json"), 415, "--data-binary")


def test_a_body_beyond_the_limit__is_refused(client, live):
    assert_problem(post(client, b"1,8\n" * (MOST_BYTES // 4 + 1)), 413, "larger than 1,000,000 bytes")
    assert live.ratings("0") == {}


@pytest.mark.parametrize("n", ["0", "1001", "-1", "ten", "1.5", "99999999999999999999", "²"])
def test_an_n_that_cannot_be__is_refused(client, n):
    assert_problem(client.get(f"/0/ratings/top/{n}"), 400, "n is a whole number from 1 to 1,000")


def test_one_movie__has_the_same_shape_with_one_row(client, dataset):
    [[_, stars, count]] = client.get("/0/ratings/1").json
    assert 1 <= stars <= 10
    assert count == dataset.ratings.movie_counts[dataset.catalog.ids.position("1")]


def test_a_movie_nobody_knows__has_no_row(client):
    answer = client.get("/0/ratings/999999")
    assert (answer.status_code, answer.json) == (200, [])


def test_a_user_of_the_data_and_a_stranger__get_different_lists(client):
    assert client.get("/1/ratings/top/10").json != client.get("/nobody/ratings/top/10").json


@pytest.mark.parametrize("user", ["%00", "a" * 257, "two%0Alines"])
def test_a_user_that_cannot_be__is_refused(client, user):
    for answer in (client.get(f"/{user}/ratings/top/5"), client.get(f"/{user}/ratings/1"), post(client, "1,5", user)):
        assert_problem(answer, 400, "is not a valid user id")


def test_a_user_with_any_letters__works(client):
    assert post(client, "1,5", "Žofie 🎬").json == [["Žofie 🎬", "1", 5.0]]


def test_without_a_tutorial_scale__stars_are_the_datas_own(dataset, model, live):
    client = create_app(Recommender(dataset, model, snapshot_id="first", live=live), live).test_client()
    assert_problem(post(client, "1,9"), 400, "9 stars are not on the scale from 0.5 to 5")
    assert_problem(post(client, "1,4.3"), 400, "4.3 stars are not on the scale from 0.5 to 5 in steps of 0.5")
    assert post(client, "1,4.5").json == [["0", "1", 4.5]]
    assert live.ratings("0") == {"1": 4.5}


def test_health_readiness_and_status__say_what_is_served(client, dataset, live):
    live.rate("ann", {"1": 4})
    assert client.get("/healthz").json == {"snapshot": "first", "status": "ok"}
    assert client.get("/readyz").json == {"status": "ready", "snapshot": "first", "trouble": None}
    status = client.get("/api/v1/status").json
    assert status["snapshot"] == "first"
    assert status["live"] == {"ratings": 1}
    assert status["data"]["simulated"] is True
    assert status["data"]["ratings"] == 30_000


def test_every_answer__names_its_snapshot_and_is_not_to_be_guessed_at(client):
    for path in ("/", "/healthz", "/0/ratings/top/5", "/nowhere"):
        headers = client.get(path).headers
        assert headers["Matinee-Snapshot"] == "first"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_new_snapshot__answers_from_the_next_request_on(app, client, dataset, model, live):
    serving_of(app).switch(Recommender(dataset, model, snapshot_id="second", live=live, metrics={"rmse": 0.8}))
    assert client.get("/readyz").json["snapshot"] == "second"
    assert client.get("/api/v1/status").json["metrics"] == {"rmse": 0.8}


def test_metrics__count_requests_by_route_and_not_by_path(client):
    for path in ("/healthz", "/no/such/path", "/another", "/healthz"):
        client.get(path)
    client.open("/healthz", method="BREW")
    lines = client.get("/metrics").text.splitlines()
    assert 'matinee_requests_total{method="GET",route="/healthz",status="200"} 2.0' in lines
    assert 'matinee_requests_total{method="GET",route="(none)",status="404"} 2.0' in lines
    assert any(line.startswith('matinee_requests_total{method="(other)"') for line in lines)
    assert not any("another" in line or "BREW" in line for line in lines)


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<b>"])
def test_request_ids__are_ours_where_none_that_is_fit_to_log_is_given(client, given):
    ids = {client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


def test_trouble_with_a_new_snapshot__is_told_and_the_old_one_answers(app, client):
    serving_of(app).stay("snapshot 'second' is damaged")
    assert client.get("/api/v1/status").json["trouble"] == "snapshot 'second' is damaged"
    assert client.get("/readyz").json["snapshot"] == "first"


def test_the_page__shows_the_facts_and_says_that_ratings_are_simulated(client):
    page = client.get("/").text
    assert "30,000" in page
    assert "Simulated ratings" in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_a_title_with_markup__is_shown_as_text(dataset, model, live):
    table = dataset.catalog.table
    titles = ["<script>alert(1)</script>"] * table.num_rows
    evil = type(dataset.catalog)(table.set_column(table.column_names.index("title"), "title", [titles]))
    recommender = Recommender(type(dataset)(dataset.ratings, evil, dataset.facts), model, snapshot_id="x", live=live)
    assert "<script>" not in create_app(recommender, live).test_client().get("/").text


def test_what_is_not_there__is_a_problem_with_a_way_out(client):
    assert_problem(client.get("/nowhere"), 404, "nothing at /nowhere; /api/docs lists the addresses")
    answer = client.delete("/0/ratings")
    assert_problem(answer, 405, "does not take DELETE")
    assert "POST" in answer.headers["Allow"]


def test_a_database_that_is_gone__is_503_and_comes_back_without_a_restart(client, live, tmp_path, caplog):
    post(client, "1,8")
    for file in tmp_path.glob("live.sqlite3*"):
        file.rename(tmp_path / f"away-{file.name}")
    for answer in (post(client, "1,9"), client.get("/0/ratings/top/5"), client.get("/readyz")):
        assert_problem(answer, 503, "the service's log has the cause")
        assert (answer.headers["Retry-After"], str(tmp_path) in answer.text) == ("5", False)
    assert f"No such file or directory: {tmp_path}" in caplog.text
    assert client.get("/healthz").status_code == 200
    for file in tmp_path.glob("away-*"):
        file.rename(tmp_path / file.name.removeprefix("away-"))
    assert post(client, "1,9").json == [["0", "1", 9.0]]


def test_posted_stars__are_stored_on_the_scale_of_the_data(client, live):
    post(client, "1,1\n2,4\n3,5.5\n4,10")
    assert live.ratings("0") == {"1": 0.5, "2": 2.0, "3": 3.0, "4": 5.0}
