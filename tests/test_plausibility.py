from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from matinee import datasets
from matinee.dataset import Finding
from matinee.datasets import exports, load, matching, plausibility
from matinee.datasets.exports import HALF_STARS
from matinee.errors import DataError, PlausibilityWarning
from matinee.live import LiveRatings
from matinee.models.baselines import Bias
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.refit import refit
from matinee.snapshot import Store

Run = Callable[..., Result]


def findings(stars: dict[float, int]) -> list[Finding]:
    values = sorted(stars)
    return plausibility.of_stars(np.array(values, float), np.array([stars[value] for value in values], int))


@pytest.mark.parametrize(
    ("stars", "value"),
    [
        ({-1: 2, 8: 1, 10: 1}, -1),  # watched, not rated
        ({-1: 5, 0: 1, 1: 3, 5: 9}, -1),
        ({0: 2, 5: 1}, 0),  # implicit feedback beside explicit
        ({0: 60, 1: 1, 2: 2, 5: 30, 10: 9}, 0),
        ({0: 1, 3: 2, 4: 2, 5: 9}, 0),
        ({-9: 1, 1: 5, 5: 5}, -9),
        ({-10: 4, 0.5: 2, 10: 5, 99: 50}, 99),
        ({1: 3, 2: 3, 5: 3, 999: 1}, 999),
    ],
)
def test_a_number_that_often_means_not_rated__is_named_with_both_ways_out(stars: dict[float, int], value: int) -> None:
    [found] = findings(stars)
    assert (found.kind, found.numbers["value"], found.numbers["rows"]) == ("not-rated", value, stars[value])
    assert f"`not_rated={value}`" in found.remedy
    assert f"`scale='{min(stars):g}:{max(stars):g}'`" in found.remedy


@pytest.mark.parametrize(
    "stars",
    [
        {1: 1, 2: 1, 3: 5, 4: 5, 5: 9},
        {0.5: 1, 1: 1, 5: 9},
        {0: 1, 1: 2, 2: 2, 3: 9, 5: 9},  # a scale that has 0
        {0: 3, 40: 3, 100: 3},
        {1: 50, 2: 50, 3: 50},
        {-10: 3, -1: 4, 0: 4, 10: 9},
        {3: 1, 5: 1},
        {4: 1},
        {},
    ],
)
def test_stars_on_a_scale__are_not_suspected(stars: dict[float, int]) -> None:
    assert findings(stars) == []


@pytest.mark.parametrize("stars", [{1: 50}, {5: 3}, {0: 2, 1: 1}, {-1: 9, 1: 9}, {-1: 1, 0: 1, 1: 1}, {4: 10, 5: 10}])
def test_one_value_or_two__look_like_likes(stars: dict[float, int]) -> None:
    [found] = findings(stars)
    assert found.kind == "likes"
    assert "`scale=" in found.remedy


@pytest.mark.parametrize("stars", [{0: 511, 40: 553, 100: 536}, {1: 9, 4: 9, 5: 9}])
def test_three_values_in_uneven_steps__are_few(stars: dict[float, int]) -> None:
    [found] = findings(stars)
    assert found.kind == "few-values"
    assert f"`scale='{min(stars)}:{max(stars)}'`" in found.remedy


@pytest.mark.parametrize(
    ("users", "movies", "rows", "kinds"),
    [
        (100, 20, 100, ["as-many-users-as-rows"]),
        (95, 20, 100, ["as-many-users-as-rows"]),
        (20, 100, 100, ["as-many-movies-as-rows"]),
        (80, 80, 100, []),
        (1, 100, 100, []),  # one person's ratings
        (5, 3, 5, []),  # too few to tell
    ],
)
def test_another_id_in_every_row__is_named(users: int, movies: int, rows: int, kinds: list[str]) -> None:
    assert [found.kind for found in plausibility.of_ids(users, movies, rows)] == kinds


def test_movies_without_titles__are_counted() -> None:
    [found] = plausibility.of_titles(1, 3, ["tt1", "tt2"])
    assert str(found).startswith(
        "1 of 3 rated movies have a title: the movie table has other ids, such as 'tt1', 'tt2';"
    )
    assert plausibility.of_titles(2, 3, ["1"]) == []


def test_rows_left_out__are_a_share() -> None:
    [found] = plausibility.of_rows(3, 120, "a.csv line 7: rating 'x' is not a number; use it")
    assert "3 of 120 rows (2.5%) are left out; the first: a.csv line 7: rating 'x' is not a number" in str(found)
    assert plausibility.of_rows(0, 120, "") == []


INPUTS = {
    "watched, not rated": "user_id,anime_id,rating\n1,20,-1\n1,24,-1\n1,8074,10\n3,20,8\n",
    "implicit": '"User-ID";"ISBN";"Book-Rating"\n"11";"034545104X";"0"\n"12";"0155061224";"5"\n"13";"0446520802";"0"\n',
    "likes": "userId,movieId,rating\n1,10,1\n1,11,1\n2,10,1\n",
    "milliseconds": "userId,movieId,rating,time\n1,10,4,1700000000900\n1,10,3,1700000000100\n2,10,5,1700000002000\n",
    "nanoseconds": "userId,movieId,rating,timestamp\n1,10,4,1700000000000000000\n2,10,5,1700000002000000000\n",
    "no times": "userId,movieId,rating,time\n1,10,4,5\n1,11,3,1\n2,10,5,3\n",
    "no times, no header": "1\t1800029486\t1\t1\n1\t1800059535\t11\t4\n2\t1800029486\t13\t5\n",
    "another user in every row": "userId,movieId,rating\n"
    + "".join(f"{row},{row % 3},{row % 5 + 1}\n" for row in range(20)),
}


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str], Path]:
    def written(kind: str) -> Path:
        path = tmp_path / "ratings.csv"
        path.write_text(INPUTS[kind])
        return path

    return written


KINDS = {
    "watched, not rated": "not-rated",
    "implicit": "not-rated",
    "likes": "likes",
    "milliseconds": "times-converted",
    "nanoseconds": "times-converted",
    "no times": "no-times",
    "no times, no header": "no-times",
    "another user in every row": "as-many-users-as-rows",
}


@pytest.mark.parametrize("kind", KINDS)
def test_load__warns_of_what_is_probably_not_meant(at: Callable[[str], Path], kind: str) -> None:
    with pytest.warns(PlausibilityWarning) as warned:
        dataset = load(at(kind))
    [found] = dataset.facts.findings
    assert (found.kind, str(warned[0].message)) == (KINDS[kind], str(found))
    assert "--" not in str(found)


SETTLED: dict[str, dict[str, Any]] = {
    "watched, not rated": {"not_rated": -1},
    "implicit": {"scale": "0:5"},
    "likes": {"scale": "0:1"},
    "milliseconds": {"timestamp": "-"},
    "no times": {"timestamp": "time"},
    "no times, no header": {"timestamp": "timestamp"},
}


@pytest.mark.parametrize("kind", SETTLED)
def test_what_a_finding_names__settles_it(at: Callable[[str], Path], matinee: Run, kind: str) -> None:
    assert load(at(kind), **SETTLED[kind]).facts.findings == ()
    options = [word for name, value in SETTLED[kind].items() for word in (f"--{name.replace('_', '-')}", value)]
    assert json.loads(matinee("info", at(kind), *options, "--json").stdout)["findings"] == []


def test_rows_that_are_not_rated__are_left_out_and_counted(at: Callable[[str], Path]) -> None:
    dataset = load(at("watched, not rated"), not_rated=-1)
    assert (dataset.ratings.n, dataset.facts.unrated, str(dataset.ratings.scale)) == (2, 2, "1:10:1")
    frame = pd.read_csv(at("watched, not rated"))
    assert load(frame, not_rated=-1).facts.unrated == 2


def test_times__are_converted_and_the_later_of_two_in_one_second_counts(at: Callable[[str], Path]) -> None:
    with pytest.warns(PlausibilityWarning, match="are in milliseconds"):
        dataset = load(at("milliseconds"))
    assert dataset.ratings.timestamps is not None
    assert dataset.ratings.timestamps.tolist() == [1_700_000_000, 1_700_000_002]
    assert dataset.ratings.by_user.values.tolist() == [4, 5]
    assert (dataset.facts.times, dataset.facts.duplicates) == ("ms", 1)


@pytest.mark.parametrize("numbers", [[1_700_000_000, 1_700_000_000_000], [2**62, 2**62 + 1]])
def test_times_on_different_scales__are_refused_with_a_way_out(tmp_path: Path, numbers: list[int]) -> None:
    frame = {"userId": [1, 2], "movieId": [1, 1], "rating": [3, 4], "timestamp": numbers}
    with pytest.raises(DataError, match=r"leave the times out with `timestamp='-'`"):
        load(frame)
    assert load(frame, timestamp="-").ratings.timestamps is None


def test_days_in_one_number__are_dates() -> None:
    frame = {"userId": [1, 2], "movieId": [1, 1], "rating": [3, 4], "date": [20200101, 20200102]}
    dataset = load(frame)
    assert dataset.ratings.timestamps is not None
    assert dataset.ratings.timestamps.tolist() == [1_577_836_800, 1_577_923_200]


def test_info__shows_what_was_taken_for_what_and_every_finding(at: Callable[[str], Path], matinee: Run) -> None:
    shown = matinee("info", at("no times"))
    assert "user: userId, movie: movieId, rating: rating, timestamp: time" in shown.stdout
    assert "warning: column time holds numbers from 1 to 5, which are no times" in shown.stdout
    facts = json.loads(matinee("info", at("no times"), "--json").stdout)
    assert facts["columns"] == {"user": "userId", "movie": "movieId", "rating": "rating", "timestamp": "time"}
    [finding] = facts["findings"]
    assert (finding["kind"], finding["numbers"]) == ("no-times", {"lowest": 1, "highest": 5})
    assert finding["remedy"].endswith("--timestamp time")


def test_train__warns_and_the_snapshot_remembers(at: Callable[[str], Path], matinee: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    asked = ["--rater", "bias", "--ranker", "none", "--no-measure"]
    trained = matinee("train", at("another user in every row"), "--store", store, *asked)
    assert trained.exit_code == 0
    assert "warning: 20 users in 20 rows" in trained.stderr
    [finding] = json.loads(matinee("info", store, "--json").stdout)["findings"]
    assert finding["kind"] == "as-many-users-as-rows"


def test_many_rows_left_out__stop_unless_that_is_asked_for(tmp_path: Path, matinee: Run) -> None:
    path = tmp_path / "ratings.csv"
    rows = [f"{row % 9},{row % 7},{'x' if row % 10 == 0 else row % 5 + 1}\n" for row in range(100)]
    path.write_text("userId,movieId,rating\n" + "".join(rows))
    with pytest.raises(DataError, match=r"10 of 100 rows \(10.0%\) are left out.*line 2.*`skip_at_most=1`"):
        load(path, on_bad_rows="skip")
    refused = matinee("info", path, "--on-bad-rows", "skip")
    assert (refused.exit_code, refused.stderr.rstrip().endswith("--skip-at-most 1")) == (1, True)
    facts = json.loads(matinee("info", path, "--on-bad-rows", "skip", "--skip-at-most", "1", "--json").stdout)
    assert (facts["skipped"], facts["skipped_share"]) == (10, 0.1)
    assert [found["kind"] for found in facts["findings"]] == ["skipped-rows"]


def lines_of_a_person(stars: list[float], date: str = "2024-01-01") -> str:
    return "title,year,rating,date\n" + "".join(f"Film {at},2000,{one},{date}\n" for at, one in enumerate(stars))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (lines_of_a_person([1] * 10), ["likes"]),
        (lines_of_a_person([1] * 3), []),
        (lines_of_a_person([4, 5, 3]), []),
        (lines_of_a_person([4, 5, 0, -1]), ["not-rated"]),
        ("title,year,rating\nHeat,1995,4\nUp,2009,-1\n", ["not-rated"]),
        (lines_of_a_person([4, 5, 3], "1700000000000"), ["times-converted"]),
        (lines_of_a_person([4, 5, 3], "1700000000000000000"), ["times-converted"]),
        (lines_of_a_person([4, 5, 3], "1700000000"), []),
    ],
)
def test_an_export__has_findings_of_its_own(text: str, kinds: list[str]) -> None:
    assert [found.kind for found in exports.read(text.encode()).findings] == kinds


def test_what_a_finding_of_an_export_names__settles_it() -> None:
    likes = lines_of_a_person([1] * 10).encode()
    [found] = exports.read(likes).findings
    assert "`scale='0:1'`" in found.remedy
    assert exports.read(likes, Scale(0, 1)).findings == ()


def test_dates_in_milliseconds__order_the_lines_of_an_export() -> None:
    text = "movieId,rating,date\n1,5,1700000002000\n1,3,1700000001000\n"
    catalog = load({"userId": [1, 2], "movieId": [1, 2], "rating": [3, 4]}).catalog
    found = matching.match(exports.read(text.encode()), catalog, HALF_STARS)
    assert found.stars == {"1": 5.0}
    assert "2 dates are numbers in milliseconds" in found.notes[0]


def test_recommend__says_what_in_a_file_is_probably_not_meant(matinee: Run, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("movieId,rating\n" + "".join(f"{movie},1\n" for movie in range(1, 13)))
    shown = matinee("recommend", "--store", store, "--ratings", file, "-n", 1)
    assert "every rating is 1, which looks like likes" in shown.stderr
    assert "--scale 0:1" in shown.stderr
    assert matinee("recommend", "--store", store, "--ratings", file, "-n", 1, "--scale", "0:1").exit_code == 0


def test_a_refit__keeps_the_findings_of_the_data(at: Callable[[str], Path], tmp_path: Path) -> None:
    dataset = datasets.read(at("another user in every row"))
    Recommender.fit(dataset, rater=Bias(), ranker=None).publish(tmp_path / "store")
    with LiveRatings(tmp_path / "store" / "live.sqlite3") as live:
        live.rate("0", {"1": 3.0})
        live.rate("new", {"2": 4.0})
        outcome = refit(Store(tmp_path / "store"), live, force=True)
    opened = Store(tmp_path / "store").open()
    assert (outcome.result, opened.dataset.facts.findings) == ("published", dataset.facts.findings)


def test_a_movie_table_with_other_ids__is_named() -> None:
    frame = {"userId": [1, 2, 3], "movieId": [1, 2, 3], "rating": [3, 4, 5]}
    movies = {"movieId": ["tt1", "tt2", "3"], "own": [1, 2, 3], "title": ["Up", "Heat", "Alien"]}
    with pytest.warns(PlausibilityWarning, match="1 of 3 rated movies have a title: .* such as 'tt1', 'tt2'"):
        assert load(frame, movies=movies).facts.titled == 1
    assert load(frame, movies=movies, movie_columns="movie=own").facts.titled == 3


def test_a_licence__is_named_for_what_is_in_the_data_only(tmp_path: Path) -> None:
    titles = ["Toy Story (1995)", "Jumanji (1995)", "Grumpier Old Men (1995)"]
    frame = {"userId": [1, 2, 3], "movieId": [1, 2, 3], "rating": [3, 4, 5]}
    assert "MovieLens" in load(frame, movies={"movieId": [1, 2, 3], "title": titles}).facts.licence
    assert load(frame, movies={"movieId": [1, 2, 3], "title": ["Up", "Heat", "Alien"]}).facts.licence == ""
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,1000\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Up (2009),Drama\n")
    assert load(tmp_path).facts.licence == ""
