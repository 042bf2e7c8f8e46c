"""The walks of docs/architecture.md: which files one request passes."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import matinee
from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.bayes import Bayes
from matinee.models.ease import Ease
from matinee.recommender import Recommender
from matinee.service import create_app

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
PACKAGE = Path(matinee.__file__).parent
LIST = "GET /api/v1/users/{user}/recommendations?n=10"
PUT = "PUT /api/v1/users/{user}/ratings/{movie}"
BEFORE_FLASK = {"service/server/dispatch.py", "service/server/wsgi.py"}
ONCE_A_SECOND = {"live/identities.py"}


def documented(request: str) -> tuple[int, set[str], set[str]]:
    """The number of files that the page states, those in the request's thread, and those in the one that writes."""
    page = PAGE.read_text("utf-8")
    ((count, block),) = re.findall(rf"`{re.escape(request)}` passes (\d+) files:\n\n((?:    .*\n)+)", page)
    files: dict[bool, set[str]] = {False: set(), True: set()}
    for line in block.splitlines():
        place, names = re.split(r"  +", line.strip())[:2]
        folder = place.removesuffix(" (its thread)").removeprefix(".")
        files["(its thread)" in place] |= {f"{folder}{name}.py" for name in names.split(", ")}
    return int(count), files[False], files[True]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    data = synthetic(100, 60, 3_000, rng=0)
    models = (
        config.fit(data.ratings, data.catalog)
        for config in (Bayes(rank=2, sweeps=12, burn_in=4, samples=2), Ease(min_ratings=1))
    )
    with contextlib.closing(LiveRatings(tmp_path_factory.mktemp("walk") / "live.sqlite3")) as live:
        client = create_app(Recommender(data, *models, snapshot_id="first", live=live), live).test_client()
        for send in (list_movies, put_rating, list_movies, put_rating):
            send(client)
        yield client


def list_movies(client: FlaskClient) -> TestResponse:
    return client.get("/api/v1/users/7/recommendations?n=10")


def put_rating(client: FlaskClient) -> TestResponse:
    return client.put("/api/v1/users/7/ratings/5", json={"stars": 4.5})


def passed(send: Callable[[], TestResponse]) -> set[str]:
    """The files of the package that run in this thread until the answer is here."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        answer = send()
    finally:
        sys.setprofile(before)
    assert answer.status_code == 200, answer.text
    inside = (Path(file) for file in files if file.startswith(str(PACKAGE)))
    return {path.relative_to(PACKAGE).as_posix() for path in inside}


@pytest.mark.parametrize(("request_line", "send"), [(LIST, list_movies), (PUT, put_rating)])
def test_walk__is_the_one_that_a_request_takes(
    client: FlaskClient, request_line: str, send: Callable[[FlaskClient], TestResponse]
) -> None:
    count, files, of_writer = documented(request_line)
    assert passed(lambda: send(client)) - ONCE_A_SECOND == files - BEFORE_FLASK
    assert count == len(files | of_writer)
    assert all((PACKAGE / file).is_file() for file in files | of_writer)
