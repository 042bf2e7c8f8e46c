from __future__ import annotations

import re
import shlex
from html import unescape

import pytest

import matinee as mt
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.api import openapi


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    dataset = mt.load("sample")
    rater = ALS(rank=4, iterations=2, intervals=False).fit(dataset.ratings, dataset.catalog)
    with LiveRatings(tmp_path_factory.mktemp("store") / "live.sqlite3") as live:
        yield create_app(Recommender(dataset, rater, snapshot_id="first", live=live), live).test_client()


@pytest.fixture(scope="module")
def page(client):
    answer = client.get("/api/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    return answer.text


def test_page__shows_every_operation_parameter_and_shape(page):
    document = openapi.document()
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for methods in document["paths"].values():
        for said in methods.values():
            assert said["operationId"] in ids
            assert {f"{said['operationId']}-{one['name']}" for one in said["parameters"]} <= set(ids)
    assert {f"shape-{name}" for name in document["components"]["schemas"]} <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_page__asks_for_nothing_elsewhere_and_runs_nothing_inline(page):
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page)


def test_page__its_files_are_there_and_allowed(client, page):
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        with client.get(path) as answer:
            assert answer.status_code == 200, path
    policy = client.get("/api/docs").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy


def test_page__its_commands_to_read_work_as_they_stand(client, page):
    commands = [shlex.split(unescape(text)) for text in re.findall(r"<code>(curl [^<]+)</code>", page)]
    assert len(commands) > 10
    for command in commands:
        if "-X" not in command and "{" not in command[-1]:
            path = command[-1].removeprefix("http://localhost")
            status = client.get(path).status_code
            assert status == 200 or (status == 404 and ("ROOM" in path or "ann" in path)), (path, status)
