from __future__ import annotations

import pytest

import matinee as mt
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.refit import refit
from matinee.service import create_app
from matinee.snapshot import Store

NEW = {"title": "Zorblax Rising", "year": 2027, "genres": ["Sci-Fi"], "imdb": "tt9999999", "tmdb": None}


@pytest.fixture
def store(tmp_path):
    dataset = mt.load("sample")
    rater = ALS(rank=4, iterations=2, intervals=False).fit(dataset.ratings, dataset.catalog)
    Recommender(dataset, rater).publish(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def live(store):
    with LiveRatings(store / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def client(store, live):
    return create_app(Recommender.open(store, live=live), live).test_client()


def add(client, movie="new-1", **said):
    return client.put(f"/api/v1/movies/{movie}", json=NEW | said)


def test_a_new_movie__is_found_shown_and_rated_at_once(client):
    answer = add(client)
    assert (answer.status_code, answer.json["title"], answer.json["ratings"]) == (200, "Zorblax Rising", 0)
    shown = client.get("/api/v1/movies/new-1").json
    assert (shown["year"], shown["genres"], {bar["count"] for bar in shown["histogram"]}) == (2027, ["Sci-Fi"], {0})
    found = client.get("/api/v1/movies?query=rising zorb").json["items"]
    assert found[0]["movie"] == "new-1"
    assert client.put("/api/v1/users/ann/ratings/new-1", json={"stars": 4}).status_code == 200
    assert client.get("/api/v1/users/ann/ratings/new-1").json["title"] == "Zorblax Rising"


def test_a_new_movie__is_not_called_unknown_where_only_a_refit_can_answer(client):
    add(client)
    for path in ("users/ann/predictions?movie=new-1", "users/ann/explanations/new-1", "movies/new-1/similar"):
        answer = client.get(f"/api/v1/{path}")
        assert (answer.status_code, "new: it can be rated now" in answer.json["detail"]) == (404, True), answer.json


def test_a_new_movie_with_the_imdb_id_of_another__is_refused_by_the_others_name(client):
    assert add(client).status_code == add(client).status_code == 200
    answer = add(client, movie="new-2")
    assert (answer.status_code, "movie 'new-1' has the IMDb id 'tt9999999'" in answer.json["detail"]) == (409, True)
    assert add(client, movie="new-2", imdb=None).status_code == 200


def test_a_new_movie__is_of_the_data_after_a_refit(client, store, live):
    add(client)
    for number in range(30):
        client.put(f"/api/v1/users/fan{number}/ratings/new-1", json={"stars": 5})
    refit(Store(store), live, force=True)
    with LiveRatings(store / "live.sqlite3") as again:
        after = create_app(Recommender.open(store, live=again), again).test_client()
        assert after.get("/api/v1/movies/new-1").json["ratings"] == 30
        assert [row["movie"] for row in after.get("/api/v1/movies?query=zorblax").json["items"]] == ["new-1"]
        assert after.get("/api/v1/users/ann/predictions?movie=new-1").json["items"][0]["stars"] > 3
        assert add(after).status_code == 409
        assert "movie 'new-1' has the IMDb id" in add(after, movie="new-2").json["detail"]


def test_the_same_id_again__replaces_what_was_said(client):
    add(client)
    add(client, title="Zorblax Returns", year=None, genres=[])
    assert client.get("/api/v1/movies/new-1").json["title"] == "Zorblax Returns"
    assert client.get("/api/v1/movies?query=zorblax rising").json["items"] == []


def test_another_title__is_shown_to_who_has_seen_the_former_one(client):
    add(client)
    client.put("/api/v1/users/ann/ratings/new-1", json={"stars": 4})
    shown = client.get("/api/v1/users/ann/ratings")
    known = {"If-None-Match": shown.headers["ETag"]}
    assert client.get("/api/v1/users/ann/ratings", headers=known).status_code == 304
    add(client, title="Zorblax Returns")
    again = client.get("/api/v1/users/ann/ratings", headers=known)
    assert (again.status_code, again.json["items"][0]["title"]) == (200, "Zorblax Returns")


@pytest.mark.parametrize(
    ("query", "found"), [("genre=Sci-Fi", 1), ("genre=Drama", 0), ("year_from=2026", 1), ("year_to=2026", 0)]
)
def test_filters__hold_for_new_movies_too(client, query, found):
    add(client)
    movies = [row["movie"] for row in client.get(f"/api/v1/movies?query=zorblax&{query}").json["items"]]
    assert movies.count("new-1") == found


def test_pages__are_as_long_as_asked_and_repeat_nothing(client):
    for number in range(3):
        add(client, f"new-{number}")
    first = client.get("/api/v1/movies?limit=2").json
    second = client.get(f"/api/v1/movies?limit=2&cursor={first['next']}").json
    movies = [row["movie"] for page in (first, second) for row in page["items"]]
    assert len(movies) == len(set(movies)) == 4


def paged(client, query, limit):
    """The movies of all pages, each of which must be full but the last."""
    movies, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/v1/movies?query={query}&limit={limit}{cursor and f'&cursor={cursor}'}").json
        movies += [row["movie"] for row in page["items"]]
        cursor = page["next"]
        assert len(page["items"]) == limit or cursor is None
    return movies


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages__hold_all_movies_and_those_that_were_added_behind_what_fits_as_well(client, limit):
    known = paged(client, "toy", 100)
    for number in range(12):
        add(client, f"new-{number}", title=f"Toy zorblax {number}", imdb=None)
    found = paged(client, "toy", limit)
    assert (len(found), len(set(found))) == (12 + len(known), 12 + len(known))
    assert found[: len(known)] == known
    assert len(paged(client, "zorblax", limit)) == 12
    assert [movie.startswith("new-") for movie in paged(client, "", 100)[-12:]] == [True] * 12


def test_a_new_movie__stands_behind_the_film_that_is_called_so(client):
    [alien] = [row["movie"] for row in client.get("/api/v1/movies?query=alien&limit=1").json["items"]]
    add(client, "new-1", title="Alien Zzz", imdb=None)
    assert paged(client, "alien", 100)[0] == alien
    assert paged(client, "alien zzz", 100) == ["new-1"]
    assert 'data-movie="new-1"' not in client.get("/parts/search?q=toy").text
    assert "Alien Zzz" in client.get("/parts/search?q=alien+z").text


@pytest.mark.parametrize(
    ("movie", "said", "status", "words"),
    [
        ("1", {}, 409, "in the data already"),
        ("new-1", {"title": "  "}, 400, "title"),
        ("new-1", {"genres": ["a|b"]}, 400, "genres"),
        ("new-1", {"year": "soon"}, 400, "year"),
        ("new-1", {"colour": "red"}, 400, "colour"),
        ("new-1", {"title": "x\x00y"}, 400, r"'x\x00y' has a control character"),
        ("new-1", {"genres": ["Sci\x00Fi"]}, 400, "a control character"),
        ("new-1", {"imdb": "tt\x00"}, 400, "a control character"),
    ],
)
def test_what_cannot_be_added__is_refused_in_words(client, movie, said, status, words):
    answer = add(client, movie, **said)
    assert answer.status_code == status
    assert words in answer.json["detail"]


def test_the_page__finds_and_rates_a_new_movie(client):
    add(client)
    assert "Zorblax Rising" in client.get("/search?q=zorblax").text
    page = client.get("/films/new-1")
    assert (page.status_code, "Nobody has rated it yet" in page.text) == (200, True)
