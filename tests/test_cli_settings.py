from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from matinee import datasets
from matinee.models.baselines import Bias
from matinee.recommender import Recommender

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "store"
    Recommender.fit(datasets.load("sample"), rater=Bias(), ranker=None).publish(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "matinee.toml").write_text(
        f'store = "{store}"\n[recommend]\ntop = 2\ngenre = ["Comedy"]\njson = true\n[snapshot.list]\njson = true\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert all("Comedy" in row["genres"] for row in rows)
    return [row["movie"] for row in rows]


def test_settings_in_this_folder__are_defaults_of_the_commands(matinee: Run, folder: Path) -> None:
    assert len(listed(matinee("recommend", "--user", "1"))) == 2
    assert json.loads(matinee("snapshot", "list").stdout)["rows"][0]["data"] == "sample"


def test_variables_win_over_the_file_and_options_over_both(matinee: Run, folder: Path) -> None:
    assert len(listed(matinee("recommend", "--user", "1", MATINEE_TOP="3"))) == 3
    assert len(listed(matinee("recommend", "--user", "1", "-n", 4, MATINEE_TOP="3"))) == 4


def test_settings_by_name__are_read_from_anywhere(matinee: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "else").mkdir()
    monkeypatch.chdir(folder / "else")
    assert len(listed(matinee("--settings", "../matinee.toml", "recommend", "--user", "1"))) == 2
    assert len(listed(matinee("recommend", "--user", "1", MATINEE_SETTINGS="../matinee.toml"))) == 2


def test_an_option_that_is_named_as_a_command__holds_for_every_command(matinee: Run, folder: Path) -> None:
    (folder / "matinee.toml").write_text(f'store = "{folder / "empty"}"\nlive = "said.sqlite3"\n')
    assert matinee("key", "create", "--scope", "read").exit_code == 0
    assert (folder / "said.sqlite3").is_file()
    migrated = matinee("live", "migrate")
    assert (migrated.exit_code, "unchanged" in migrated.stdout) == (0, True), migrated.output


def test_an_option_of_a_group__is_one_of_its_commands(matinee: Run, folder: Path) -> None:
    (folder / "matinee.toml").write_text('[key]\nlive = "said.sqlite3"\n[key.create]\nscope = ["read"]\n')
    assert matinee("key", "create").exit_code == 0
    assert (folder / "said.sqlite3").is_file()


def test_a_settings_file_that_is_a_folder__is_an_error(matinee: Run, folder: Path) -> None:
    result = matinee("--settings", folder, "info", "sample")
    assert (result.exit_code, "Is a directory" in result.stderr) == (2, True), result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense = 1", "no command has the option --nonsense"),
        ("[serv]\nport = 1", "unknown command [serv]"),
        ("[serve]\nprt = 1", "`matinee serve` has no option --prt"),
        ("[snapshot.list]\nprt = 1", "`matinee list` has no option --prt"),
        ("[snapshot]\nlist = 3", "no command has the option --list"),
        ("[snapshot]\nprt = 3", "no command has the option --prt"),
        ("[serve]\nport = [1, 2]", "port takes one value, not a list of 2"),
        ("serve = 1", "no command has the option --serve"),
        ("[serve", "is not valid TOML"),
        ('[info]\non-bad-rows = "maybe"', "--on-bad-rows must be error or skip"),
    ],
)
def test_what_cannot_be_meant__is_one_line(matinee: Run, folder: Path, text: str, message: str) -> None:
    (folder / "matinee.toml").write_text(text)
    result = matinee("info", "sample")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
    assert message in result.stderr


def test_a_settings_file_that_is_not_there__is_an_error(matinee: Run) -> None:
    result = matinee("--settings", "nowhere.toml", "info", "sample")
    assert result.exit_code == 2
    assert "no settings file nowhere.toml" in result.stderr
