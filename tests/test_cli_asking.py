from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from matinee import datasets
from matinee.live import FILE_NAME, LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender

Run = Callable[..., Result]
TEN_RATINGS = {"260": 9, "1": 8, "16": 7, "25": 8, "32": 9, "335": 4, "379": 3, "296": 7, "858": 10, "50": 8}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("asking") / "store"
    Recommender.fit(datasets.load("sample"), rater=ALS(intervals=False)).publish(path)
    return path


@pytest.fixture
def ask(matinee: Run, store: Path) -> Run:
    return lambda *arguments, **variables: matinee(*arguments, "--store", store, **variables)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


def assert_one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert all(word in line for word in words), line


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([*lines, ""]))
    return path


def test_recommend__lists_what_this_user_has_not_rated(ask: Run) -> None:
    rated = datasets.load("sample").ratings
    history = rated.get("1")
    assert history is not None
    listed = rows(ask("recommend", "--user", "1", "-n", "10", "--json"))
    assert len(listed) == 10
    assert not {row["movie"] for row in listed} & set(rated.movies.take(history.movies))


def test_recommend__names_its_snapshot_and_that_ratings_are_simulated(ask: Run, store: Path) -> None:
    answer = json.loads(ask("recommend", "--user", "1", "--json").stdout)
    assert answer["snapshot"] == (store / "current").read_text().strip()
    assert "simulated ratings" in answer["note"]
    assert "simulated ratings" in ask("recommend", "--user", "1").stdout


def test_recommend__filters_before_it_counts(ask: Run) -> None:
    options = ["--genre", "Drama", "--not-genre", "War", "--year-from", "1990", "--year-to", "1999", "-n", "15"]
    listed = rows(ask("recommend", "--user", "1", *options, "--json"))
    assert len(listed) == 15
    assert all("Drama" in row["genres"] and "War" not in row["genres"] for row in listed)
    assert all(1990 <= row["year"] <= 1999 for row in listed)


def test_recommend__says_why_there_are_fewer(ask: Run) -> None:
    result = ask("recommend", "--user", "1", "--year-from", "1994", "--year-to", "1994", "-n", "500")
    assert "instead of 500" in result.stdout


def test_order_stars__is_the_tutorials_order(ask: Run) -> None:
    stars = [row["stars"] for row in rows(ask("recommend", "--user", "1", "--order", "stars", "--json"))]
    assert stars == sorted(stars, reverse=True)
    assert stars != [row["stars"] for row in rows(ask("recommend", "--user", "1", "--json"))]


def test_explain__names_rated_movies(ask: Run) -> None:
    assert all(row["why"] for row in rows(ask("recommend", "--user", "1", "--explain", "--json")))


def test_ratings_file__takes_titles_a_heading_and_blank_lines(ask: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "mine.csv", "movie,stars", "The Matrix,5", "", '"Godfather, The (1972)",4.5')
    by_title = rows(ask("recommend", "--ratings", file, "--json"))
    assert by_title
    assert not {"The Matrix", "The Godfather"} & {row["title"] for row in by_title}


def test_scale__is_that_of_the_stars_in_and_out(ask: Run, tmp_path: Path) -> None:
    five = written(tmp_path / "five.csv", "The Matrix,5", "Toy Story,2", "Heat,4", "Fargo,0.5")
    ten = written(tmp_path / "ten.csv", "The Matrix,10", "Toy Story,4", "Heat,8", "Fargo,1")
    [plain] = rows(ask("predict", "Alien", "--ratings", five, "--json"))
    [scaled] = rows(ask("predict", "Alien", "--ratings", ten, "--scale", "1:10", "--json"))
    assert scaled["stars"] == pytest.approx(2 * plain["stars"], abs=1e-3)


def test_predict__answers_ids_and_titles_in_the_order_asked(ask: Run) -> None:
    alien = rows(ask("predict", "Alien", "--user", "1", "--json"))[0]["movie"]
    listed = rows(ask("predict", "The Matrix", alien, "--user", "1", "--json"))
    assert [row["title"] for row in listed] == ["The Matrix", "Alien"]


def test_similar__lists_the_nearest(ask: Run) -> None:
    listed = rows(ask("similar", "the matrix (1999)", "-n", "3", "--json"))
    assert len(listed) == 3
    assert "The Matrix" not in {row["title"] for row in listed}


def test_live_ratings__count_at_once(ask: Run, store: Path) -> None:
    with LiveRatings(store / FILE_NAME) as live:
        live.rate("~visitor", {rows(ask("predict", "Alien", "--user", "1", "--json"))[0]["movie"]: 5})
    listed = rows(ask("recommend", "--user", "~visitor", "-n", "5", "--json"))
    assert "Alien" not in {row["title"] for row in listed}
    assert_one_line(ask("recommend", "--user", "nobody"), 1, "unknown user 'nobody'")
    (store / FILE_NAME).unlink()


def test_store__also_comes_from_the_environment(matinee: Run, store: Path) -> None:
    assert rows(matinee("recommend", "--user", "1", "-n", "2", "--json", MATINEE_STORE=str(store)))
    assert len(rows(matinee("similar", "Alien", "--json", MATINEE_STORE=str(store), MATINEE_TOP="4"))) == 4


def test_data_may_be_a_store(matinee: Run, store: Path) -> None:
    assert json.loads(matinee("info", store, "--json").stdout)["simulated"] is True
    assert_one_line(matinee("info", store, "--user", "who"), 2, "--user", "is a store")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["recommend"], 2, ["--user ID", "--ratings FILE.csv"]),
        (["recommend", "--user", "1", "--ratings", "x.csv"], 2, ["--user ID", "--ratings FILE.csv"]),
        (["recommend", "--user", "99999"], 1, ["unknown user '99999'"]),
        (["recommend", "--user", "1", "--genre", "Noir"], 2, ["'Noir'", "Drama"]),
        (["recommend", "--user", "1", "--order", "age"], 2, ["--order", "match or stars"]),
        (["recommend", "--user", "1", "--rated-since", "lately"], 2, ["'lately'"]),
        (["recommend", "--user", "1", "--year-from", "2000", "--year-to", "1990"], 2, ["2000", "1990"]),
        (["recommend", "--user", "1", "--scale", "ten"], 1, ["'ten'", "1:10"]),
        (["recommend", "--user", "1", "--snapshot", "nope"], 1, ["nope", "matinee snapshot list"]),
        (["recommend", "--user", "1", "--snapshot", "../x"], 2, ["'../x'"]),
        (["recommend", "--ratings", "no-such-file.csv"], 1, ["no-such-file.csv", "No such file"]),
        (["predict", "The Matrix"], 2, ["--user ID"]),
        (["predict", "--user", "1"], 2, ["MOVIE..."]),
        (["predict", "Matrix Refurbished", "--user", "1"], 1, ["Matrix Refurbished"]),
        (["similar", "no such film at all"], 1, ["no such film at all"]),
    ],
)
def test_wrong_question__is_answered_in_one_line(ask: Run, arguments: list[str], code: int, words: list[str]) -> None:
    assert_one_line(ask(*arguments), code, *words)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ["is empty"]),
        (["movie,stars"], ["holds no ratings", "MOVIE,STARS"]),
        (["The Matrix"], ["'The Matrix'", "name no film"]),
        (["The Matrix,five"], ["'The Matrix, five'", "name no film"]),
        (["movie,stars", "The Matrix,five"], ["line 2", "'five' is not a number"]),
        (["Heat,11"], ["line 1: 11 stars are not on the scale from 0.5 to 5", "--scale 0:100"]),
        (["No Such Film,4"], ["line 1", "No Such Film", "no movie here has this title"]),
    ],
)
def test_a_ratings_file_without_a_rating__names_the_line(
    ask: Run, tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    file = written(tmp_path / "mine.csv", *lines) if lines else tmp_path / "mine.csv"
    file.touch()
    assert_one_line(ask("recommend", "--ratings", file), 1, *words)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["Heat,4", "Godfather, The,5"],
            ["1 of 2 lines were not used", "line 2: 'Godfather, The,5': it has 3"],
        ),
        (["Heat,4", "Heat,5"], ["1 lines name a movie again; the later counts"]),
        (["Heat,4", "No Such Film,4"], ["1 not in the data", "line 2: 'No Such Film': no movie here has this title"]),
        (["title,year,stars", "Heat,1996,4"], ["line 2: Heat (1996) is Heat (1995) (the years differ by one)"]),
    ],
)
def test_a_ratings_file__says_what_became_of_other_lines(
    ask: Run, tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    result = ask("recommend", "--ratings", written(tmp_path / "mine.csv", *lines), "--json")
    assert rows(result)
    assert all(word in result.stderr for word in words), result.stderr


def test_a_ratings_file__may_be_what_another_site_exports(ask: Run, tmp_path: Path) -> None:
    seen = rows(ask("predict", "Alien", "--ratings", written(tmp_path / "mine.csv", "The Matrix,5"), "--json"))
    imdb = ("Const,Your Rating,Title,Year", "tt0000000,10,The Matrix,1999")
    assert rows(ask("predict", "Alien", "--ratings", written(tmp_path / "imdb.csv", *imdb), "--json")) == seen
    watched = written(tmp_path / "watched.csv", "Date,Name,Year,Letterboxd URI", "2024-01-01,Alien,1979,u")
    assert "Alien" not in {row["title"] for row in rows(ask("recommend", "--ratings", watched, "-n", "500", "--json"))}


def test_no_store_yet__says_how_to_make_one(matinee: Run, tmp_path: Path) -> None:
    result = matinee("recommend", "--user", "1", "--store", tmp_path / "none")
    assert_one_line(result, 1, "no snapshot", "matinee train")
    assert not (tmp_path / "none").exists()


def test_ambiguous_title__lists_the_candidates(matinee: Run, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,0\n1,2,5,0\n2,1,3,0\n2,3,2,0\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Heat (1995),Crime\n2,Heat (1986),Drama\n3,Fargo,\n")
    data = datasets.load(tmp_path)
    Recommender.fit(data, rater=ALS(intervals=False), ranker=None).publish(tmp_path / "store")
    result = matinee("similar", "heat", "--store", tmp_path / "store")
    assert_one_line(result, 1, "1: Heat (1995)", "2: Heat (1986)")


class TestSnapshots:
    def test_list__says_which_one_is_served(self, ask: Run, store: Path) -> None:
        [row] = rows(ask("snapshot", "list", "--json"))
        assert (row["snapshot"], row["served"]) == ((store / "current").read_text().strip(), "yes")
        assert (row["data"], row["rater"], row["ranker"]) == ("sample", "als", "ease")

    def test_show__tells_what_it_was_made_of(self, ask: Run) -> None:
        known = json.loads(ask("snapshot", "show", "--json").stdout)
        assert (known["data"]["name"], known["rater"]["model"], known["rater"]["rank"]) == ("sample", "als", 8)
        assert "rater rank" in ask("snapshot", "show").stdout

    def test_verify__finds_a_damaged_file(self, matinee: Run, store: Path, tmp_path: Path) -> None:
        assert "intact" in matinee("snapshot", "verify", "--store", store).stdout
        copy = tmp_path / "copy"
        shutil.copytree(store, copy)
        file = next(copy.glob("snapshots/*/ratings.arrow"))
        file.write_bytes(file.read_bytes()[:-100] + bytes(100))
        assert_one_line(matinee("snapshot", "verify", "--store", copy), 1, "ratings.arrow")

    def test_activate__switches_back_and_forth(self, matinee: Run, tmp_path: Path) -> None:
        data = datasets.load("sample")
        fitted = Recommender.fit(data, rater=ALS(rank=2, iterations=1, intervals=False), ranker=None)
        first, second = (fitted.publish(tmp_path).id for _ in range(2))
        assert (tmp_path / "current").read_text().strip() == second
        assert first in matinee("snapshot", "activate", first, "--store", tmp_path).stdout
        assert (tmp_path / "current").read_text().strip() == first
        assert_one_line(matinee("snapshot", "activate", "gone", "--store", tmp_path), 1, "gone")

    def test_list__names_a_damaged_snapshot_and_lists_the_others(self, matinee: Run, tmp_path: Path) -> None:
        fitted = Recommender.fit(datasets.load("sample"), rater=ALS(rank=2, iterations=1, intervals=False), ranker=None)
        first, second = (fitted.publish(tmp_path) for _ in range(2))
        (first.path / "manifest.json").write_text("{")
        answer = json.loads(matinee("snapshot", "list", "--store", tmp_path, "--json").stdout)
        assert [row["snapshot"] for row in answer["rows"]] == [second.id]
        assert f"{first.id}/manifest.json is damaged" in answer["note"]

    def test_empty_store__has_no_snapshots(self, matinee: Run, tmp_path: Path) -> None:
        assert "no snapshots" in matinee("snapshot", "list", "--store", tmp_path).stdout
        assert_one_line(matinee("snapshot", "show", "--store", tmp_path), 1, "no snapshot", "matinee train")

    def test_without_a_command__help_is_shown(self, matinee: Run) -> None:
        assert "activate" in matinee("snapshot").stdout


@pytest.mark.data
def test_tutorials_ten_ratings__give_a_list_on_the_tutorials_scale(
    matinee: Run, movielens: Callable[[str], Path], tmp_path: Path
) -> None:
    Recommender.fit(datasets.load(movielens("ml-latest-small")), rater=ALS()).publish(tmp_path / "store")
    file = written(tmp_path / "user_ratings.file", *(f"{movie},{stars}" for movie, stars in TEN_RATINGS.items()))
    asked = ["recommend", "--ratings", file, "--scale", "1:10", "--order", "stars", "--store", tmp_path / "store"]
    listed = rows(matinee(*asked, "--json"))
    assert len(listed) == 25
    assert all(row["ratings"] >= 25 and 1 <= row["stars"] <= 10 for row in listed)
    assert not {row["movie"] for row in listed} & TEN_RATINGS.keys()
