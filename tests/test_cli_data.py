from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,800000000\n1,20,2.5,800000001\n2,10,5.0,900000000\n"
MOVIES = 'movieId,title,genres\n10,"Matrix, The (1999)",Action|Sci-Fi\n20,Heat (1995),Crime\n30,Heat (1986),Drama\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES)
    return folder


def assert_one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


def test_info__counts_the_data(matinee: Run, data: Path) -> None:
    facts = json.loads(matinee("info", data, "--json").stdout)
    assert (facts["users"], facts["movies"], facts["rated_movies"], facts["ratings"]) == (2, 3, 2, 3)
    assert (facts["scale"], facts["first"], facts["last"]) == ("0.5:5:0.5", "1995-05-09", "1998-07-09")
    assert facts["sparsity"] == pytest.approx(0.5)
    assert [(row["stars"], row["ratings"]) for row in facts["stars"]] == [(2.5, 1), (4.0, 1), (5.0, 1)]


def test_info__draws_the_stars_for_people(matinee: Run, data: Path) -> None:
    result = matinee("info", data)
    assert result.exit_code == 0
    assert "0.5:5:0.5" in result.stdout
    assert "####" in result.stdout
    assert "\x1b" not in result.stdout


def test_info__says_simulated_ratings_of_the_sample(matinee: Run) -> None:
    assert "simulated ratings" in matinee("info", "sample").stdout


def test_movies__are_searched_by_words_of_the_title(matinee: Run, data: Path) -> None:
    rows = json.loads(matinee("movies", data, "matrix", "--json").stdout)["rows"]
    assert [(row["movie"], row["title"], row["year"], row["ratings"], row["mean"]) for row in rows] == [
        ("10", "The Matrix", 1999, 2, 4.5)
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["10", "20", "30"]),
        (["--sort", "year"], ["10", "20", "30"]),
        (["--sort", "mean"], ["10", "20", "30"]),
        (["--min-ratings", "1"], ["10", "20"]),
        (["--genre", "crime"], ["20"]),
        (["heat"], ["20", "30"]),
        (["heat", "--sort", "year", "-n", "1"], ["20"]),
        (["no such film"], []),
    ],
)
def test_movies__are_filtered_and_ordered(matinee: Run, data: Path, options: list[str], expected: list[str]) -> None:
    rows = json.loads(matinee("movies", data, *options, "--json").stdout)["rows"]
    assert [row["movie"] for row in rows] == expected


def test_movies__say_how_many_there_are(matinee: Run, data: Path) -> None:
    assert "1 of 3 movies" in matinee("movies", data, "-n", "1").stdout


def test_unknown_genre__lists_those_of_the_data(matinee: Run, data: Path) -> None:
    assert_one_line(matinee("movies", data, "--genre", "Noir"), 2, "'Noir'", "Action, Crime, Drama, Sci-Fi")


def test_unknown_order__is_bad_usage(matinee: Run, data: Path) -> None:
    assert_one_line(matinee("movies", data, "--sort", "length"), 2, "count, mean, year")


def test_wrong_path__says_what_data_can_be(matinee: Run) -> None:
    assert_one_line(matinee("info", "no/such/place"), 1, "no/such/place", "ml-latest-small")


def test_release_not_here__says_how_to_get_it(matinee: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_line(matinee("info", "ml-1m"), 1, "`matinee fetch ml-1m`")


def test_folder_without_ratings__says_what_it_holds(matinee: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert_one_line(matinee("info", tmp_path), 1, "notes.txt", "ratings.csv")


def test_empty_file__is_refused(matinee: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert_one_line(matinee("info", tmp_path / "empty.csv"), 1, "empty.csv is empty")


def test_wrong_columns__are_named_with_the_option_that_helps(matinee: Run, data: Path) -> None:
    assert_one_line(matinee("info", data / "movies.csv"), 1, "no column for user", "movieId, title, genres", "--user")


def test_columns__are_named_by_options_and_variables(matinee: Run, tmp_path: Path) -> None:
    file = tmp_path / "marks.csv"
    file.write_text("who,film,mark\nann,x,7\nbob,x,9\n")
    options = ["--user", "who", "--movie", "film", "--scale", "1:10"]
    facts = json.loads(matinee("info", file, *options, "--json", MATINEE_RATING_COLUMN="mark").stdout)
    assert (facts["users"], facts["ratings"], facts["mean"], facts["scale"]) == (2, 2, 8.0, "1:10")


def test_bad_row__names_file_line_value_and_rule(matinee: Run, data: Path) -> None:
    (data / "ratings.csv").write_text(RATINGS + "3,10,7.0,900000000\n")
    assert_one_line(matinee("info", data), 1, "ratings.csv line 5", "7", "0.5 to 5")


def test_bad_row__is_skipped_and_counted_on_demand(matinee: Run, data: Path) -> None:
    (data / "ratings.csv").write_text(RATINGS + "3,10,7.0,900000000\n")
    facts = json.loads(matinee("info", data, "--on-bad-rows", "skip", "--json").stdout)
    assert (facts["ratings"], facts["skipped"]) == (3, 1)


def test_file_cut_in_the_middle__names_the_line(matinee: Run, data: Path) -> None:
    (data / "ratings.csv").write_text(RATINGS[:-15])
    assert_one_line(matinee("info", data), 1, "ratings.csv line 4")


def test_zip_cut_in_the_middle__is_refused(matinee: Run, data: Path) -> None:
    archive = Path(shutil.make_archive(str(data), "zip", data.parent, "tiny"))
    archive.write_bytes(archive.read_bytes()[:200])
    assert_one_line(matinee("info", archive), 1, "not a complete zip file")


def test_zip__is_read_like_its_folder(matinee: Run, data: Path) -> None:
    archive = shutil.make_archive(str(data), "zip", data.parent, "tiny")
    assert json.loads(matinee("info", archive, "--json").stdout)["ratings"] == 3


def test_impossible_path__says_why(matinee: Run, tmp_path: Path) -> None:
    assert_one_line(matinee("info", tmp_path / ("x" * 300)), 1, "File name too long")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-command"], ["no-such-command", "matinee --help"]),
        (["info"], ["DATA", "matinee info --help"]),
        (["info", "sample", "--nope"], ["--nope"]),
        (["movies", "sample", "-n", "0"], ["--top"]),
        (["movies", "sample", "-n", "many"], ["--top"]),
        (["info", "sample", "--on-bad-rows", "cry"], ["--on-bad-rows", "error or skip"]),
    ],
)
def test_bad_usage__is_one_line_and_exit_code_2(matinee: Run, arguments: list[str], words: list[str]) -> None:
    assert_one_line(matinee(*arguments), 2, *words)


def test_debugging__shows_where_an_error_comes_from(matinee: Run) -> None:
    result = matinee("info", "no/such/place", MATINEE_DEBUG="1")
    assert "no/such/place" in str(result.exception)


def test_without_a_command__help_is_shown(matinee: Run) -> None:
    result = matinee()
    assert result.exit_code == 0
    assert "matinee demo" in result.stdout


def test_letters_that_the_terminal_lacks__do_no_harm(data: Path) -> None:
    (data / "movies.csv").write_text("movieId,title,genres\n10,Amélie (2001),Comedy\n", encoding="utf-8")
    command = [sys.executable, "-m", "matinee", "movies", data]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "Am?lie" in shown.stdout
    shown = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["rows"][0]["title"] == "Amélie"


def test_help__loads_nothing_heavy() -> None:
    program = "import sys, matinee.cli; print({'numpy', 'pyarrow', 'flask', 'rich.table'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_closed_pipe__ends_quietly(data: Path) -> None:
    shell = f'"{sys.executable}" -m matinee movies "{data}" | true'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert result.stderr == ""


@pytest.mark.data
def test_movies_of_the_real_release__have_the_tutorials_counts(matinee: Run, movielens: Callable[[str], Path]) -> None:
    facts = json.loads(matinee("info", movielens("ml-latest-small"), "--json").stdout)
    assert (facts["users"], facts["movies"], facts["ratings"]) == (610, 9742, 100_836)
    rows = json.loads(matinee("movies", movielens("ml-latest-small"), "-n", 1, "--json").stdout)["rows"]
    assert (rows[0]["title"], rows[0]["ratings"]) == ("Forrest Gump", 329)


def test_fetch__takes_a_file_that_one_has(matinee: Run, data: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(data), "zip", data.parent, "tiny")
    target = tmp_path / "here"
    answer = json.loads(matinee("fetch", "ml-latest-small", "--from", archive, "--to", target, "--json").stdout)
    assert answer["folder"] == str(target / "ml-latest-small")
    assert json.loads(matinee("info", target / "ml-latest-small", "--json").stdout)["ratings"] == 3


def test_fetch__refuses_unknown_names_and_missing_files(matinee: Run, tmp_path: Path) -> None:
    assert_one_line(matinee("fetch", "ml-2m", "--to", tmp_path), 2, "'ml-2m'", "ml-latest-small")
    missing = tmp_path / "none.zip"
    assert_one_line(matinee("fetch", "ml-1m", "--from", missing, "--to", tmp_path), 1, "none.zip")
