from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.dataset import Dataset
from matinee.datasets import load
from matinee.datasets.movielens import GENRES_100K
from matinee.datasets.scales import infer_scale
from matinee.errors import DataError
from matinee.ratings import Scale

Rating = tuple[int, int, float, int]

RATINGS: list[Rating] = [(1, 10, 4.0, 1000), (1, 2, 5.0, 1001), (3, 10, 1.0, 1002)]
MOVIES = {
    2: ("Casino, The (1995)", ["Crime", "Drama"]),
    10: ('Say "Hi", Papa (1999)', []),
    11: ("Élan (2001)", ["War"]),
}


def write_modern(folder: Path, ratings: list[Rating]) -> None:
    lines = "".join(f"{u},{m},{r},{t}\r\n" for u, m, r, t in ratings)
    (folder / "ratings.csv").write_bytes(b"userId,movieId,rating,timestamp\r\n" + lines.encode())
    frame = pd.DataFrame(
        {
            "movieId": list(MOVIES),
            "title": [title for title, _ in MOVIES.values()],
            "genres": ["|".join(genres) or "(no genres listed)" for _, genres in MOVIES.values()],
        }
    )
    frame.to_csv(folder / "movies.csv", index=False, lineterminator="\r\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\r\n2,0112641,524\r\n10,0000001,\r\n", newline="")
    (folder / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\r\n1,2,Mafia,1\r\n2,2,mafia,2\r\n2,2,long,3\r\n", newline=""
    )


def write_dat(folder: Path, ratings: list[Rating]) -> None:
    lines = [f"{u}::{m}::{r:g}::{t}\n" for u, m, r, t in ratings]
    (folder / "ratings.dat").write_text("".join(lines))
    movies = [f"{m}::{title}::{'|'.join(genres) or '(no genres listed)'}\n" for m, (title, genres) in MOVIES.items()]
    (folder / "movies.dat").write_text("".join(movies), encoding="latin-1")


def write_100k(folder: Path, ratings: list[Rating]) -> None:
    (folder / "u.data").write_text("".join(f"{u}\t{m}\t{r:g}\t{t}\n" for u, m, r, t in ratings))
    lines = []
    for movie, (title, genres) in MOVIES.items():
        flags = "|".join("1" if genre in genres else "0" for genre in GENRES_100K)
        lines.append(f"{movie}|{title}|01-Jan-1995||http://example.org/|{flags}\n")
    (folder / "u.item").write_text("".join(lines), encoding="latin-1")


FORMATS: dict[str, Callable[[Path, list[Rating]], None]] = {
    "modern": write_modern,
    "dat": write_dat,
    "100k": write_100k,
}


def as_triples(dataset: Dataset) -> dict[tuple[str, str], tuple[float, int]]:
    ratings = dataset.ratings
    users, movies = list(ratings.users), list(ratings.movies)
    times = ratings.timestamps if ratings.timestamps is not None else np.zeros(ratings.n, np.int64)
    entries = zip(
        ratings.by_user.row_of_each(),
        ratings.by_user.indices,
        ratings.by_user.values.tolist(),
        times.tolist(),
        strict=True,
    )
    return {(users[u], movies[m]): (stars, time) for u, m, stars, time in entries}


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return path


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    ratings=st.lists(
        st.tuples(
            st.integers(1, 99),
            st.sampled_from([2, 10, 11]),
            st.integers(1, 5).map(float),
            st.integers(100_000_000, 2_000_000_000),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_load__reads_back_what_was_written_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, form: str, packed: bool, ratings: list[Rating]
) -> None:
    folder = tmp_path_factory.mktemp("release")
    FORMATS[form](folder, ratings)
    dataset = load(zipped(folder) if packed else folder)
    expected: dict[tuple[str, str], tuple[float, int]] = {}
    for user, movie, stars, time in ratings:
        if time >= expected.get((str(user), str(movie)), (0.0, 0))[1]:
            expected[str(user), str(movie)] = (stars, time)
    assert as_triples(dataset) == expected
    assert dataset.facts.duplicates == len(ratings) - len(expected)
    assert [dataset.catalog.title(movie) for movie in range(3)] == [
        'Say "Hi", Papa (1999)',
        "Élan (2001)",
        "The Casino (1995)",
    ]
    assert dataset.catalog.table["genres"].to_pylist() == [[], ["War"], ["Crime", "Drama"]]


def test_load__reads_links_and_the_most_used_tags_of_a_modern_release(tmp_path: Path) -> None:
    write_modern(tmp_path, RATINGS)
    table = load(tmp_path).catalog.table
    assert table["imdb"].to_pylist() == ["tt0000001", None, "tt0112641"]
    assert table["tmdb"].to_pylist() == [None, None, "524"]
    assert table["tags"].to_pylist() == [[], [], ["mafia", "long"]]


BAD_ROWS = [
    ("1,2,7.0,5", r"7 stars are not on the scale from 0\.5 to 5 in steps of 0\.5; use `scale='LOW:HIGH'`"),
    ("1,2,x,5", "rating 'x' is not a number"),
    ("1,2,nan,5", "rating 'nan' is not a number"),
    ("1,2,,5", "rating '' is not a number"),
    ("1,2,3.0", r"it has 3 fields where 4 are expected \(userId, movieId, rating, timestamp\)"),
    ("1,2,3.0,5,6", "it has 5 fields where 4 are expected"),
    (",2,3.0,5", "user id '' must be printable text and not empty"),
    ("~ab,2,3.0,5", "user id '~ab' begins with ~, which is kept for visitors"),
    ("1,2,3.0,yesterday", "timestamp 'yesterday' is neither seconds since 1970 nor a date"),
    ("1,2,3.0,-5", "timestamp -5 is not a time after 1970"),
    ("1," + "9" * 300 + ",3.0,5", "is longer than 256 characters"),
    ("1,2\x00,3.0,5", "must be printable text"),
]


@pytest.mark.parametrize(("row", "rule"), BAD_ROWS)
def test_load__names_file_line_value_and_rule_of_a_bad_row(tmp_path: Path, row: str, rule: str) -> None:
    write_modern(tmp_path, RATINGS)
    with (tmp_path / "ratings.csv").open("a", newline="") as file:
        file.write(row + "\r\n")
    with pytest.raises(DataError, match=rf"ratings\.csv line 5: .*{rule}"):
        load(tmp_path)


@pytest.mark.parametrize("write", [write_modern, write_dat, write_100k])
@pytest.mark.parametrize("scale", ["1:10", "1:5:1", "0:5"])
def test_load__reads_a_release_on_the_scale_that_is_given(
    tmp_path: Path, write: Callable[[Path, list[Rating]], None], scale: str
) -> None:
    write(tmp_path, RATINGS)
    assert load(tmp_path, scale=scale).ratings.scale == Scale.parse(scale)
    write(tmp_path, [*RATINGS, (7, 2, 9.0, 1003)])
    if scale == "1:10":
        assert as_triples(load(tmp_path, scale=scale))["7", "2"][0] == 9
    else:
        with pytest.raises(DataError, match="9 stars are not on the scale"):
            load(tmp_path, scale=scale)


@pytest.mark.parametrize("option", ["user", "movie", "rating", "timestamp", "movies", "scale"])
def test_load__refuses_what_it_would_not_heed(tmp_path: Path, option: str) -> None:
    write_modern(tmp_path, RATINGS)
    refused = f"{option} says how to read a table; .* is read without it"
    with pytest.raises(DataError, match=refused):
        load("sample", **{option: "1:10"})
    if option != "scale":
        for release in (tmp_path, zipped(tmp_path)):
            with pytest.raises(DataError, match=refused):
                load(release, **{option: "1:10"})


def test_load__skips_and_counts_bad_rows_when_told_to(tmp_path: Path) -> None:
    write_modern(tmp_path, RATINGS)
    good = as_triples(load(tmp_path))
    with (tmp_path / "ratings.csv").open("a", newline="") as file:
        file.writelines(row + "\r\n" for row, _ in BAD_ROWS)
    dataset = load(tmp_path, on_bad_rows="skip", skip_at_most=1)
    assert dataset.facts.skipped == len(BAD_ROWS)
    assert as_triples(dataset) == good


def test_load__refuses_bytes_that_are_not_text(tmp_path: Path) -> None:
    write_modern(tmp_path, RATINGS)
    with (tmp_path / "ratings.csv").open("ab") as file:
        file.write(b"1,\xff\xfe,3.0,5\n")
    with pytest.raises(DataError, match=r"line 5: movie id .* must be printable text"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; it should begin with a line of column names"),
        ("userId,movieId,rating,timestamp\n", "holds no ratings"),
        (
            "who,what,stars\n1,2,3\n",
            "ratings.csv has no column for user: its columns are who, what, stars; name it with `user=COLUMN`",
        ),
    ],
)
def test_load__says_what_is_wrong_with_a_file_of_ratings(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "ratings.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_load__says_what_to_do_where_there_is_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"get it with `mt.fetch\('ml-1m'\)`"):
        load("ml-1m")
    with pytest.raises(DataError, match="there is no file or folder nowhere"):
        load("nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"nor another table but notes\.txt; name a CSV, TSV, JSON"):
        load(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match=r"other\.zip holds no table but a\.txt; unpack it"):
        load("other.zip")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(DataError, match="not a complete zip file"):
        load("broken.zip")


def test_load__finds_a_release_by_name_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    write_modern(folder, RATINGS)
    assert load("ml-latest-small").facts.name == "ml-latest-small"
    zipped(folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert load("ml-latest-small").ratings.n == 3


FRAME = {"who": ["007", "7", "007"], "film": [1, 2, 2], "mark": [1, 10, 5]}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_load__takes_any_data_frame_that_speaks_arrow(make: Callable[[dict[str, list[object]]], object]) -> None:
    movies = make({"movieId": [1, 2], "title": ["Up (2009)", "Heat"], "year": [2009, 1995], "genres": ["A|B", "C"]})
    dataset = load(make(FRAME), user="who", movie="film", rating="mark", movies=movies)
    assert as_triples(dataset) == {("007", "1"): (1, 0), ("7", "2"): (10, 0), ("007", "2"): (5, 0)}
    assert dataset.ratings.scale == Scale(1, 10, 1)
    assert [dataset.catalog.title(movie) for movie in range(2)] == ["Up (2009)", "Heat (1995)"]
    assert dataset.catalog.table["genres"].to_pylist() == [["A", "B"], ["C"]]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_load__reads_a_table_file_with_named_columns_and_keeps_leading_zeros(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"marks{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(FRAME), path)
    else:
        pd.DataFrame(FRAME).to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    dataset = load(path, user="who", movie="film", rating="mark", scale="1:10")
    assert as_triples(dataset) == {("007", "1"): (1, 0), ("7", "2"): (10, 0), ("007", "2"): (5, 0)}
    with pytest.raises(
        DataError, match=r"no column for user: its columns are who, film, mark; name it with `user=COLUMN`"
    ):
        load(path)
    with pytest.raises(DataError, match=r"no column 'nobody' for user"):
        load(path, user="nobody")
    with pytest.raises(DataError, match="10 stars are not on the scale from 1 to 5"):
        load(path, user="who", movie="film", rating="mark", scale="1:5")


def test_load__knows_parquet_by_its_content_and_refuses_what_is_no_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": ["007"], "movie": ["1"], "rating": [3]}), tmp_path / "ratings")
    assert as_triples(load(tmp_path / "ratings")) == {("007", "1"): (3, 0)}
    (tmp_path / "binary.csv").write_bytes(b"ORC\x15\x00\r\x04,rating\n")
    with pytest.raises(DataError, match=r"binary.csv is not text; name a CSV, TSV, JSON or Parquet file"):
        load(tmp_path / "binary.csv")


def test_load__reads_dates_as_timestamps() -> None:
    frame = pd.DataFrame({"user": ["a"], "movie": ["b"], "rating": [3], "date": pd.to_datetime(["2015-04-01"])})
    assert as_triples(load(frame)) == {("a", "b"): (3, 1427846400)}


def test_load__refuses_what_is_no_table() -> None:
    with pytest.raises(DataError, match="data of type set is neither a path nor a table"):
        load({1, 2, 3})


def test_load__refuses_a_file_that_was_cut_in_the_middle(tmp_path: Path) -> None:
    write_modern(tmp_path, RATINGS)
    whole = (tmp_path / "ratings.csv").read_bytes()
    (tmp_path / "ratings.csv").write_bytes(whole[:-9])
    with pytest.raises(DataError, match=r"ratings\.csv line 4"):
        load(tmp_path)
    pq.write_table(pa.table(FRAME), tmp_path / "cut.parquet")
    data = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut\.parquet is not a complete Parquet file"):
        load(tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 5], Scale(1, 5, 1)),
        ([0.5, 3], Scale(0.5, 5, 0.5)),
        ([7], Scale(1, 10, 1)),
        ([0], Scale(0, 1)),
        ([-10, 10], Scale(-10, 10, 20)),
        ([], Scale(0.5, 5, 0.5)),
    ],
)
def test_infer_scale__takes_the_common_one_that_holds_every_value(values: list[float], scale: Scale) -> None:
    assert infer_scale(np.array(values, np.float32)) == scale


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "users", "movies", "rated", "ratings"),
    [("ml-latest-small", 610, 9742, 9724, 100_836), ("ml-latest-small-2015-04", 706, 8570, 8552, 100_023)],
)
def test_load__reads_the_real_releases_whole(
    movielens: Callable[[str], Path], name: str, users: int, movies: int, rated: int, ratings: int
) -> None:
    dataset = load(movielens(name))
    assert (len(dataset.ratings.users), len(dataset.catalog), dataset.ratings.n) == (users, movies, ratings)
    assert (dataset.ratings.movie_counts > 0).sum() == rated
    assert dataset.catalog.title(dataset.catalog.resolve("Matrix, The")) == "The Matrix (1999)"
    assert len(dataset.catalog.genre_names) == 19


def test_load__reads_a_file_without_header_as_movielens_writes_its_folds(tmp_path: Path) -> None:
    write_100k(tmp_path, RATINGS)
    (tmp_path / "u.data").rename(tmp_path / "u1.base")
    dataset = load(tmp_path / "u1.base", timestamp="timestamp", movies=tmp_path / "u.item")
    assert as_triples(dataset) == {(str(u), str(m)): (stars, time) for u, m, stars, time in RATINGS}
    assert dataset.ratings.scale == Scale(1, 5, 1)
    assert dataset.catalog.title(dataset.catalog.resolve("The Casino")) == "The Casino (1995)"
    (tmp_path / "three.csv").write_text("7,8,4\n7,9,2\n")
    assert as_triples(load(tmp_path / "three.csv")) == {("7", "8"): (4, 0), ("7", "9"): (2, 0)}
