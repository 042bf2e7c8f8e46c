from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.test_cli_serving import address, running
from typer.testing import Result

from matinee import datasets
from matinee.live import LiveRatings
from matinee.live.identities import identities
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import Policy
from matinee.service.server import serve

Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    Recommender.fit(datasets.load("sample"), rater=Bias(), ranker=None).publish(path)
    return path


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def status_of(url: str, **headers: str) -> int:
    try:
        return int(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30).status)
    except urllib.error.HTTPError as problem:
        problem.close()
        return problem.code


def test_a_key__is_shown_once_listed_by_name_and_revoked(matinee: Run, store: Path) -> None:
    made = matinee("key", "create", "--scope", "write", "--scope", "read", "--note", "the kiosk", "--store", store)
    secret = said(made).strip()
    assert secret.startswith("mk_")
    assert "may read and write" in made.stderr
    listed = matinee("key", "list", "--store", store)
    assert "the kiosk" in listed.stdout
    assert secret not in listed.stdout
    (row,) = json.loads(said(matinee("key", "list", "--store", store, "--json")))["rows"]
    assert (row["scopes"], row["note"]) == (["read", "write"], "the kiosk")
    said(matinee("key", "revoke", row["name"], "--store", store))
    assert "no API keys" in said(matinee("key", "list", "--store", store))


def test_rotate_secrets__keeps_as_many_as_asked(matinee: Run, store: Path) -> None:
    with LiveRatings(store / "live.sqlite3") as live:
        (first,) = identities(live).secrets
        rotated = matinee("key", "rotate-secrets", "--store", store, "--json")
        assert json.loads(said(rotated)) == {"accepted": 2}
        assert first in identities(live).secrets
        assert "all visitors are signed out" in said(matinee("key", "rotate-secrets", "--keep", 1, "--store", store))
        assert len(identities(live).secrets) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create"], "a key needs at least one scope; the scopes are read, write, admin"),
        (["create", "--scope", "all"], "'all' is not a scope"),
        (["revoke", "nobody"], "no API key 'nobody'"),
        (["list", "--store", "nowhere"], "no store nowhere"),
    ],
)
def test_what_cannot_be_done_with_keys__is_one_line(
    matinee: Run, store: Path, arguments: list[str], message: str
) -> None:
    result = matinee("key", *arguments, MATINEE_STORE=str(store))
    assert result.exit_code in (1, 2)
    assert message in result.stderr


@pytest.mark.parametrize(
    "options",
    [["--host", "0.0.0.0"], ["--host", ""], ["--behind-proxy", "1"], ["--host", "0.0.0.0", "--live", "other"]],
)
def test_serving_strangers_without_a_key__is_refused(
    matinee: Run, store: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    result = matinee("serve", "--store", store, "--port", 0, *options)
    assert result.exit_code == 2
    assert "matinee key create" in result.stderr
    assert "--no-auth" in result.stderr


def test_serving_strangers_with_a_key__answers_who_has_it_in_every_worker(
    matinee: Run, store: Path, tmp_path: Path
) -> None:
    secret = said(matinee("key", "create", "--scope", "read", "--store", store)).strip()
    options = ("--store", store, "--host", "0.0.0.0", "--port", 0, "--workers", 2)
    with running("serve", *options, folder=tmp_path) as (lines, _):
        movies = f"{address(lines)}api/v1/movies"
        assert {status_of(movies) for _ in range(8)} == {401}
        assert {status_of(movies, Authorization=f"Bearer {secret}") for _ in range(8)} == {200}


def test_settings_of_who_may_come__reach_the_workers_from_file_and_variables(
    matinee: Run, store: Path, tmp_path: Path
) -> None:
    said(matinee("key", "create", "--scope", "read", "--store", store))
    (tmp_path / "matinee.toml").write_text(
        '[serve]\nbehind-proxy = 1\nallowed-hosts = "movies.example,films.example"\n'
    )
    with running("serve", "--store", store, "--port", 0, folder=tmp_path, MATINEE_RATE_LIMIT="1") as (lines, _):
        status = f"{address(lines)}api/v1/status"
        assert status_of(status, Host="films.example") == 200
        assert status_of(status, Host="evil.example") == 400
        client = {"Host": "movies.example", "X-Forwarded-For": "192.0.2.7"}
        assert {status_of(status, **client) for _ in range(20)} == {200, 429}
        assert status_of(status, **{**client, "X-Forwarded-For": "192.0.2.8"}) == 200


def test_no_auth__lets_strangers_in_without_a_key(store: Path, tmp_path: Path) -> None:
    options = ("--store", store, "--host", "0.0.0.0", "--port", 0)
    with running("serve", *options, folder=tmp_path, MATINEE_NO_AUTH="1") as (lines, _):
        assert status_of(f"{address(lines)}api/v1/movies", Host="movies.example") == 200


def test_policy__travels_to_a_server_beside_a_notebook(store: Path) -> None:
    with serve(store, port=0, block=False, policy=Policy(allowed_hosts=("movies.example",))) as running:  # type: ignore[union-attr]
        assert status_of(f"{running.url}api/v1/status") == 200
        assert status_of(f"{running.url}api/v1/status", Host="evil.example") == 400
