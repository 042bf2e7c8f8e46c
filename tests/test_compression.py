from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import matinee as mt
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service import create_app, files

DATA = mt.load("sample")
MODEL = ALS(rank=4, iterations=3).fit(DATA.ratings, DATA.catalog)
TAKES = {"Accept-Encoding": "gzip, deflate, br"}
PERSON = {"Accept": "text/html"}
LIST = "/api/v1/users/ann/recommendations?n=25"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        yield create_app(Recommender(DATA, MODEL, snapshot_id="first", live=live), live)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("address", ["/", "/mine", "/parts/tonight", "/status", "/nowhere", LIST, "/api/openapi.json"])
def test_text__is_compressed_for_those_who_take_it_and_the_same_for_others(client: FlaskClient, address: str) -> None:
    client.get("/", headers=PERSON)
    plain = client.get(address, headers=PERSON)
    small = client.get(address, headers=PERSON | TAKES)
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert int(small.headers["Content-Length"]) == len(small.data) < len(plain.data) / 2
    assert gzip.decompress(small.data) == plain.data
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("said", ["", "identity", "br", "gzip;q=0", "gzip;q=0, *", "nonsense, \0"])
def test_who_does_not_take_gzip__gets_none(client: FlaskClient, said: str) -> None:
    assert "Content-Encoding" not in client.get(LIST, headers={"Accept-Encoding": said}).headers


def test_short_answers__stay_as_they_are(client: FlaskClient) -> None:
    answer = client.get("/api/v1/users/ann/recommendations?n=1", headers=TAKES)
    assert "Content-Encoding" not in answer.headers
    assert answer.json is not None


def test_a_compressed_list__is_304_by_the_tag_it_came_with_until_somebody_rates(client: FlaskClient) -> None:
    strong, weak = client.get(LIST), client.get(LIST, headers=TAKES)
    assert (strong.headers["ETag"], weak.headers["ETag"]) == ('"first.0"', 'W/"first.0"')
    for tag in (strong.headers["ETag"], weak.headers["ETag"]):
        again = client.get(LIST, headers=TAKES | {"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", 'W/"first.0"')
        assert again.headers["Vary"] == "Accept-Encoding"
    client.put("/api/v1/users/ann/ratings/1", json={"stars": 4})
    assert client.get(LIST, headers=TAKES | {"If-None-Match": weak.headers["ETag"]}).status_code == 200


def test_a_page_that_shows_a_private_link__is_not_compressed(client: FlaskClient) -> None:
    client.get("/", headers=PERSON)
    shown = client.post("/mine/link", headers=PERSON | TAKES, follow_redirects=True)
    assert b"/link/" in shown.data
    assert "Content-Encoding" not in shown.headers
    assert "no-transform" in shown.headers["Cache-Control"]
    assert client.get("/mine", headers=PERSON | TAKES).headers["Content-Encoding"] == "gzip"


def test_static_files__are_kept_for_good_under_an_address_that_changes_with_them(client: FlaskClient) -> None:
    page = client.get("/", headers=PERSON).text
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(addresses) > 10
    [version] = {address.split("/")[2] for address in addresses}
    for address in addresses:
        plain, small = client.get(address), client.get(address, headers=TAKES)
        assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert gzip.decompress(small.data) == plain.data == (files.FOLDER / address.split("/", 3)[3]).read_bytes()
        assert plain.mimetype in ("text/css", "text/javascript", "image/svg+xml")
        older = client.get(address.replace(version, "older"))
        assert (older.data, older.headers["Cache-Control"]) == (plain.data, "no-cache")
    assert client.get(f"/static/{version}/../app.py").status_code == 404
    assert client.get(f"/static/{version}/page/nothing.mjs").status_code == 404


def test_the_version_of_static_files__changes_with_every_byte_of_them(tmp_path: Path) -> None:
    def version(content: str) -> str:
        (tmp_path / "page.css").write_text(content, "utf-8")
        return files.version_of(files.read(tmp_path))

    assert version("a { color: red }") == version("a { color: red }") != version("a { color: tan }")


def test_modules__name_each_other_inside_their_own_version(app: Flask) -> None:
    for name, one in files.files().items():
        for named in re.findall(rb'from "([^"]+)"', one.content):
            assert named.startswith(b"./"), (name, named)


def test_a_problem__is_compressed_like_any_text(client: FlaskClient) -> None:
    answer = client.get("/api/v1/users/ann/recommendations?genre=" + "x" * 1200, headers=TAKES)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.data))["status"] == 400
