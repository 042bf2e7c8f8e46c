from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from matinee.datasets.synthetic import synthetic

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of 300 users of 200 movies as a table."""
    path = tmp_path_factory.mktemp("learning") / "ratings.csv"
    ratings = synthetic(300, 200, 12_000, rng=0).ratings
    rows = zip(
        ratings.users.take(ratings.by_user.row_of_each()),
        ratings.movies.take(ratings.by_user.indices),
        ratings.by_user.values.tolist(),
        ratings.timestamps.tolist() if ratings.timestamps is not None else [],
        strict=True,
    )
    path.write_text("user,movie,rating,timestamp\n" + "".join(f"{u},{m},{s},{t}\n" for u, m, s, t in rows))
    return path


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


def assert_one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert all(word in line for word in words), line


class TestEvaluate:
    def test_baselines_are_always_in_the_table(self, matinee: Run, data: Path) -> None:
        report = rows(matinee("evaluate", data, "--model", "als", "--json"))
        assert [row["model"] for row in report] == ["popular", "bias", "als"]
        assert 0.5 < report[2]["rmse"] < 1.2
        assert report[2]["rmse_low"] < report[2]["rmse"] < report[2]["rmse_high"]

    def test_people_get_tables_and_the_protocol(self, matinee: Run, data: Path) -> None:
        shown = matinee("evaluate", data, "--model", "popular").stdout
        assert "random split 7:3" in shown
        assert "Lists, against what was liked" in shown

    @pytest.mark.parametrize(
        ("options", "protocol"),
        [
            (["--split", "8:2"], "8:2"),
            (["--by-time"], "time"),
            (["--leave-last", "2"], "last 2"),
            (["--new-visitors"], "visitors"),
        ],
    )
    def test_protocol_is_named_with_the_result(
        self, matinee: Run, data: Path, options: list[str], protocol: str
    ) -> None:
        result = matinee("evaluate", data, "--model", "popular", "--users", "20", *options, "--json")
        assert protocol in json.loads(result.stdout)["note"]

    def test_same_seed__gives_the_same_numbers(self, matinee: Run, data: Path) -> None:
        runs = [rows(matinee("evaluate", data, "--model", "als", "--seed", seed, "--json")) for seed in (1, 1, 2)]
        assert runs[0][2]["rmse"] == runs[1][2]["rmse"] != runs[2][2]["rmse"]

    def test_set__changes_a_model(self, matinee: Run, data: Path) -> None:
        command = ["evaluate", data, "--model", "als", "--json"]
        assert (
            rows(matinee(*command, "--set", "als.rank=1"))[2]["rmse"]
            != rows(matinee(*command, "--set", "als.rank=4"))[2]["rmse"]
        )

    def test_train_and_test_files__are_used_as_they_are(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        head, *lines = data.read_text().splitlines()
        for name, part in (("train", lines[::2]), ("test", lines[1::2])):
            (tmp_path / f"{name}.csv").write_text("\n".join([head, *part, ""]))
        files = ["--train", tmp_path / "train.csv", "--test", tmp_path / "test.csv"]
        result = matinee("evaluate", *files, "--model", "popular", "--json")
        assert "6,000 ratings for training, 6,000 for the test" in json.loads(result.stdout)["note"]

    def test_plots_are_kept(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        kept = ["--plot", tmp_path / "plots.png", "--html", tmp_path / "page.html"]
        assert matinee("evaluate", data, "--model", "als", "--users", "50", *kept).exit_code == 0
        assert (tmp_path / "plots.png").read_bytes().startswith(b"\x89PNG")
        assert "<table>" in (tmp_path / "page.html").read_text()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--model", "svd"], ["'svd'", "popular, bias, als"]),
            (["--model", "als,als"], ["als"]),
            (["--split", "7"], ["'7'"]),
            (["--split", "7:3", "--by-time"], ["--split and --by-time", "choose one"]),
            (["--set", "als.rank"], ["MODEL.SETTING=VALUE"]),
            (["--set", "als.ranks=3"], ["'ranks'", "rank"]),
            (["--set", "als.rank=many"], ["als.rank", "many"]),
            (["--set", "bayes.rank=3"], ["bayes", "als"]),
            (["--train", "x.csv"], ["--train FILE and --test FILE"]),
        ],
    )
    def test_bad_options__are_one_line(self, matinee: Run, data: Path, options: list[str], words: list[str]) -> None:
        assert_one_line(matinee("evaluate", data, *options), 2, *words)

    def test_without_data__says_what_can_be_given(self, matinee: Run) -> None:
        assert_one_line(matinee("evaluate"), 2, "DATA", "--train FILE and --test FILE")
