from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving import PATIENCE
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
    def test_drift__is_a_table_with_each_model(self, matinee: Run, data: Path) -> None:
        report = rows(matinee("evaluate", data, "--model", "bias,ease", "--min-ratings", "5", "--drift", "--json"))
        assert {(row["model"], row["revealed"]) for row in report} == {
            (m, n) for m in ("bias", "ease") for n in (1, 5, 10, 20)
        }
        assert all(0.5 < row["overlap@10"] <= 1 for row in report if row["model"] == "bias")

    def test_drift__takes_no_other_split(self, matinee: Run, data: Path) -> None:
        assert_one_line(matinee("evaluate", data, "--drift", "--by-time"), 2, "--drift")

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
            (["--model", "svd"], ["'svd'", "bayes, als, bias"]),
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

    def test_binary__lets_ease_see_only_who_rated_what(self, matinee: Run, data: Path) -> None:
        options = ["--model", "ease", "--min-ratings", "5", "--set", "ease.min_ratings=5", "--json"]
        plain, stars = (rows(matinee("evaluate", data, *more, *options)) for more in (["--binary"], []))
        by_hand = rows(matinee("evaluate", data, "--set", "ease.star_weight=0", "--set", "ease.stranger=0", *options))
        found = [next(row["ndcg@20"] for row in one if row["model"] == "ease") for one in (plain, by_hand, stars)]
        assert found[0] == found[1] != found[2]
        assert_one_line(matinee("evaluate", data, "--binary", "--model", "als"), 2, "--binary needs ease or blend")

    def test_without_data__says_what_can_be_given(self, matinee: Run) -> None:
        assert_one_line(matinee("evaluate"), 2, "DATA", "--train FILE and --test FILE")


class TestTune:
    def test_table_has_every_combination_and_the_best(self, matinee: Run, data: Path) -> None:
        result = matinee("tune", data, "--ranks", "1,2", "--regs", "0.05,0.5", "--iterations", "3", "--json")
        found = json.loads(result.stdout)
        assert [(row["rank"], row["reg"]) for row in found["rows"]] == [(1, 0.05), (1, 0.5), (2, 0.05), (2, 0.5)]
        best = min(found["rows"], key=lambda row: row["rmse"])
        assert (found["best"]["rank"], found["best"]["reg"]) == (best["rank"], best["reg"])
        assert found["best"]["iterations"] == 3
        assert "6:2:2" in found["note"]

    def test_als_without_options__tries_the_tutorials_ranks(self, matinee: Run, data: Path) -> None:
        assert [row["rank"] for row in rows(matinee("tune", data, "--json"))] == [4, 8, 12]

    def test_place_that_cannot_be_written__costs_no_result(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        result = matinee("tune", data, "--ranks", "2", "--save", tmp_path / "no" / "best.json", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["best"]["rank"] == 2
        assert "no/best.json: No such file or directory" in result.stderr

    def test_saved_config__is_what_train_uses(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        saved, store = tmp_path / "best.json", tmp_path / "store"
        assert matinee("tune", data, "--ranks", "3,5", "--save", saved).exit_code == 0
        best = json.loads(saved.read_text())["config"]
        made = json.loads(matinee("train", data, "--config", saved, "--store", store, "--json").stdout)
        assert made["rater"]["rank"] == best["rank"]
        assert made["rater"]["reg"] == best["reg"]

    def test_trials__go_on_where_they_stopped_and_are_drawn(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        options = ["--study", tmp_path / "study.sqlite3", "--plot", tmp_path / "tuning.png", "--iterations", "2"]
        first = rows(matinee("tune", data, "--trials", "2", *options, "--json"))
        second = rows(matinee("tune", data, "--trials", "3", *options, "--json"))
        assert (len(first), len(second)) == (2, 3)
        assert [row["rmse"] for row in second[:2]] == [row["rmse"] for row in first]
        assert (tmp_path / "tuning.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--study", "x.sqlite3"], ["--trials N"]),
            (["--ranks", "4;8"], ["--ranks", "4,8,12", "'4;8'"]),
            (["--split", "7:3"], ["validation"]),
            (["--model", "popular", "--ranks", "3"], ["popular", "'rank'"]),
            (["--model", "svd"], ["'svd'"]),
            (["--model", "als,bayes"], ["one model at a time"]),
        ],
    )
    def test_bad_options__are_one_line(self, matinee: Run, data: Path, options: list[str], words: list[str]) -> None:
        assert_one_line(matinee("tune", data, *options), 2, *words)

    @pytest.mark.data
    def test_tutorials_table__comes_out_within_two_hundredths(
        self, matinee: Run, movielens: Callable[[str], Path]
    ) -> None:
        options = ["--ranks", "4,8,12", "--regs", "0.1", "--iterations", "10", "--split", "6:2:2"]
        found = json.loads(matinee("tune", movielens("ml-latest-small-2015-04"), *options, "--json").stdout)
        tutorial = [0.9637, 0.9625, 0.9716]
        assert [row["rmse"] for row in found["rows"]] == pytest.approx(tutorial, abs=0.02)
        assert found["test"] == pytest.approx(0.9723, abs=0.02)


class TestTrain:
    def test_prints_the_test_rmse_and_publishes(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        result = matinee("train", data, "--rater", "als", "--split", "7:3", "--store", tmp_path)
        assert result.exit_code == 0
        assert "Test RMSE 0." in result.stdout
        assert f"Published snapshot {(tmp_path / 'current').read_text().strip()}" in result.stdout

    def test_options_and_settings_reach_the_models(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        options = ["--rater", "als", "--rank", "3", "--iterations", "2", "--reg", "0.2", "--set", "ease.reg=250"]
        result = matinee("train", data, *options, "--no-measure", "--seed", "7", "--store", tmp_path, "--json")
        made = json.loads(result.stdout)
        rater = {name: made["rater"][name] for name in ("model", "rank", "iterations", "reg", "rng")}
        assert rater == {"model": "als", "rank": 3, "iterations": 2, "reg": 0.2, "rng": 7}
        assert made["ranker"]["reg"] == 250
        assert made["metrics"] == {}

    def test_default__is_bayes_with_ease(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        result = matinee("train", data, "--set", "bayes.sweeps=50", "--no-measure", "--store", tmp_path, "--json")
        made = json.loads(result.stdout)
        assert (made["rater"]["model"], made["ranker"]["model"]) == ("bayes", "ease")

    def test_ranker_none__orders_by_stars(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        matinee("train", data, "--rater", "als", "--ranker", "none", "--no-measure", "--store", tmp_path)
        listed = [row["stars"] for row in rows(matinee("recommend", "--user", "1", "--store", tmp_path, "--json"))]
        assert listed == sorted(listed, reverse=True)

    def test_same_seed__gives_the_same_models(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        hashes = []
        for threads in ("1", "2"):
            options = ["--rater", "als", "--no-measure", "--threads", threads, "--store", tmp_path / threads]
            assert matinee("train", data, *options).exit_code == 0
            manifest = json.loads(next((tmp_path / threads).glob("snapshots/*/manifest.json")).read_text())
            hashes.append({name: file["sha256"] for name, file in manifest["files"].items()})
        assert hashes[0] == hashes[1]

    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            (["--rater", "ease"], 2, ["--rater", "bayes, als", "'ease'"]),
            (["--ranker", "als"], 2, ["--ranker", "ease", "none", "'als'"]),
            (["--rater", "bayes", "--reg", "0.1"], 2, ["bayes", "'reg'"]),
            (["--rater", "als", "--set", "bayes.rank=3"], 2, ["bayes", "als, ease"]),
            (["--rater", "als", "--rank", "0"], 2, ["--rank"]),
            (["--rater", "als", "--reg", "-1"], 1, ["reg"]),
            (["--engine", "cloud"], 2, ["--engine", "local"]),
            (["--config", "no-such.json"], 2, ["no-such.json", "matinee tune DATA --save FILE"]),
            (["--rater", "als", "--split", "7"], 2, ["'7'"]),
        ],
    )
    def test_bad_options__leave_the_store_alone(
        self, matinee: Run, data: Path, tmp_path: Path, options: list[str], code: int, words: list[str]
    ) -> None:
        assert_one_line(matinee("train", data, *options, "--store", tmp_path / "store"), code, *words)
        assert not (tmp_path / "store").exists()

    def test_config_and_rater_together__are_refused(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        (tmp_path / "best.json").write_text('{"model": "als"}')
        result = matinee("train", data, "--config", tmp_path / "best.json", "--rater", "bayes")
        assert_one_line(result, 2, "best.json", "--rater")

    def test_store_that_is_a_file__is_refused(self, matinee: Run, data: Path, tmp_path: Path) -> None:
        (tmp_path / "store").touch()
        options = ["--rater", "bias", "--ranker", "none", "--no-measure", "--store", tmp_path / "store"]
        assert_one_line(matinee("train", data, *options), 1, str(tmp_path / "store"), "cannot be written")

    @pytest.mark.parametrize(
        "moment", ["typer", "matinee.cli.options", "numpy", "pyarrow.util", "matinee.models", "pyarrow._csv", "bayes: "]
    )
    def test_ctrl_c__ends_in_one_line_and_leaves_no_snapshot(self, data: Path, tmp_path: Path, moment: str) -> None:
        python = [sys.executable, "-X", "importtime"]  # writes each module when it is loaded
        command = [*python, "-m", "matinee", "train", data, "--set", "bayes.sweeps=1000000", "--no-measure"]
        with subprocess.Popen([*command, "--store", tmp_path / "store"], stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr
            while moment not in (line := running.stderr.readline()):
                assert line, f"it ended before {moment}"
            running.send_signal(signal.SIGINT)
            *_, last = running.communicate(timeout=PATIENCE)[1].splitlines()
        assert last == "stopped by Ctrl-C"
        assert running.returncode == 130
        assert not (tmp_path / "store" / "current").exists()
