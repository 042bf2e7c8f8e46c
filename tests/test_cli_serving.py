from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.environment import without_settings
from tests.serving import PATIENCE
from typer.testing import Result

from matinee import datasets
from matinee.models.baselines import Bias
from matinee.recommender import Recommender

Run = Callable[..., Result]
RATINGS = b"260,9\n1,8\n16,7\n25,8\n32,9\n335,4\n379,3\n296,7\n858,10\n50,8\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serving") / "store"
    Recommender.fit(datasets.load("sample"), rater=Bias(), ranker=None).publish(path)
    return path


@contextmanager
def running(*arguments: object, folder: Path, **variables: str) -> Iterator[tuple[list[str], subprocess.Popen[str]]]:
    """Run a command that serves; yields what it printed up to its address."""
    environment = without_settings(**variables)
    environment.pop("PYTHONUNBUFFERED", None)  # unbuffered, nothing that is printed could be late
    command = [sys.executable, "-m", "matinee", *map(str, arguments)]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said: list[str] = []
            while not said or "http://" not in said[-1]:
                line = process.stdout.readline()
                assert line, f"it ended after saying {said}"
                said.append(line.strip())
            yield said, process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=PATIENCE)


def address(said: list[str]) -> str:
    return next(word for word in said[-1].split() if word.startswith("http://"))


def get(url: str, body: bytes | None = None) -> object:
    with urllib.request.urlopen(url, body, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def test_serve__answers_the_tutorials_three_urls_and_its_ratings_count_on_the_command_line(
    matinee: Run, store: Path, tmp_path: Path
) -> None:
    with running("serve", "--store", store, "--port", 0, "--tutorial-scale", "1:10", folder=tmp_path) as (
        said,
        process,
    ):
        url = address(said)
        posted = get(f"{url}me/ratings", RATINGS)
        assert posted[0] == ["me", "260", 9.0]  # type: ignore[index]
        top = get(f"{url}me/ratings/top/10")
        assert len(top) == 10  # type: ignore[arg-type]
        assert all(1 <= stars <= 10 for _, stars, _ in top)  # type: ignore[attr-defined]
        assert len(get(f"{url}me/ratings/500")) == 1  # type: ignore[arg-type]
        get(f"{url}ann/ratings", b"500,5\n")
        listed = json.loads(matinee("recommend", "--user", "ann", "-n", 1000, "--store", store, "--json").stdout)
        assert "500" not in {row["movie"] for row in listed["rows"]}
    assert process.returncode == 0


def test_busy_port__is_one_line(matinee: Run, store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        result = matinee("serve", "--store", store, "--port", port)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: port {port} of 127.0.0.1 is in use")


def test_serve_without_a_store__says_how_to_make_one(matinee: Run, tmp_path: Path) -> None:
    result = matinee("serve", "--store", tmp_path / "none", "--port", 0)
    assert result.exit_code == 1
    assert "matinee train" in result.stderr


def test_demo__says_which_data_it_shows_and_takes_the_next_free_port(tmp_path: Path) -> None:
    release = tmp_path / "data" / "ml-latest-small"
    release.mkdir(parents=True)
    (release / "movies.csv").write_text("movieId,title,genres\n1,Heat (1995),Crime\n2,Fargo (1996),Crime|Drama\n")
    lines = [f"{user},{movie},{stars},1" for user in range(40) for movie, stars in ((1, 4.0), (2, 3.5 + user % 2))]
    (release / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines, ""]))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with running("demo", "--port", port, folder=tmp_path, MATINEE_DATA=str(tmp_path / "data")) as (said, _):
            assert "ml-latest-small" in said[0]
            assert f":{port}/" not in said[-1]
            assert urllib.request.urlopen(address(said), timeout=PATIENCE).status == 200


def test_serve_for_programs__prints_json_alone(store: Path, tmp_path: Path) -> None:
    for command in (["serve"], ["demo"]):
        with running(*command, "--store", store, "--port", 0, "--json", folder=tmp_path) as (said, process):
            assert process.stdout
            url = json.loads("".join([*said, process.stdout.readline()]))["url"]
            assert urllib.request.urlopen(url, timeout=PATIENCE).status == 200


def test_demo_again__serves_what_is_in_the_store(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "matinee-store")
    with running("demo", "--port", 0, folder=tmp_path) as (said, _):
        assert "snapshot of sample" in said[0]


@pytest.mark.slow
def test_demo_in_an_empty_folder__needs_nothing(tmp_path: Path) -> None:
    with running("demo", "--port", 0, folder=tmp_path) as (said, _):
        assert "simulated ratings" in said[0] or "ml-latest-small" in said[0]
        assert urllib.request.urlopen(address(said), timeout=PATIENCE).status == 200
