"""What Matinee makes of each kind of table: the lines of the table in docs/data.md."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from matinee.dataset import Dataset
from matinee.datasets import load, read
from matinee.errors import DataError, PlausibilityWarning

Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Input:
    """A line of the table: the kind of input, what Matinee makes of it, and the check of that in an empty folder."""

    kind: str
    outcome: str
    check: Callable[[Path], object]


def written(folder: Path, files: str | bytes | Files, name: str = "ratings.csv") -> Path:
    """Write files into a folder and return the first one's path, that of the folder where the first name ends in /."""
    named = files if isinstance(files, Mapping) else {name: files}
    for file, content in named.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    first = next(iter(named))
    return folder / first.split("/")[0]


def stars(dataset: Dataset) -> dict[tuple[str, str], float]:
    ratings = dataset.ratings
    users, movies = list(ratings.users), list(ratings.movies)
    rows = zip(ratings.by_user.row_of_each(), ratings.by_user.indices, ratings.by_user.values.tolist(), strict=True)
    return {(users[user], movies[movie]): round(value, 5) for user, movie, value in rows}


def reads(kind: str, outcome: str, files: Any, expected: dict[tuple[str, str], float], **options: Any) -> Input:
    """Return an input that gives these ratings."""

    def check(folder: Path) -> None:
        assert stars(load(given(folder, files), **options)) == expected

    return Input(kind, outcome, check)


def given(folder: Path, files: Any) -> Any:
    return written(folder, files) if isinstance(files, str | bytes | Mapping) else files


def refuses(kind: str, outcome: str, files: Any, rule: str, left: int | None = None, **options: Any) -> Input:
    """Return an input that is refused with a rule; `left` ratings are left of it without its bad rows."""

    def check(folder: Path) -> None:
        data = given(folder, files)
        with pytest.raises(DataError, match=rule):
            load(data, **options)
        if left is not None:
            dataset = load(data, on_bad_rows="skip", **options)
            assert dataset.ratings.n == left
            assert dataset.facts.skipped > 0

    return Input(kind, outcome, check)


def titles(kind: str, outcome: str, movies: Any, expected: list[dict[str, Any]], **options: Any) -> Input:
    """Return a movie table that says this of the movies that are rated."""

    def check(folder: Path) -> None:
        ratings = written(folder, "userId,movieId,rating\na,1,4\nb,2,5\n", "rated.csv")
        table = load(ratings, movies=given(folder, movies), **options).catalog.table.to_pylist()
        found = [{name: row[name] for name in want} for row, want in zip(table, expected, strict=True)]
        assert found == expected

    return Input(kind, outcome, check)


def refuses_movies(kind: str, outcome: str, movies: Any, rule: str) -> Input:
    """Return a movie table with one bad row, which is refused or skipped and counted."""

    def check(folder: Path) -> None:
        ratings, table = written(folder, "userId,movieId,rating\na,1,4\nb,2,5\n", "rated.csv"), given(folder, movies)
        with pytest.raises(DataError, match=rule):
            load(ratings, movies=table)
        assert load(ratings, movies=table, on_bad_rows="skip").facts.skipped_movies == 1

    return Input(kind, outcome, check)


def zipped(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return packed.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


ONE = {("1", "10"): 4.0}
TWO = {("1", "10"): 4.0, ("2", "10"): 5.0}
CSV = "userId,movieId,rating\n1,10,4\n2,10,5\n"


def tmdb_ids(folder: Path) -> None:
    ratings = written(folder, "userId,movieId,rating\na,1,4\nb,2,5\n", "rated.csv")
    films = "id,title,original_language\n1,Ariel,fi\n2,Nowhere,fi\n862,Toy Story,en\n8844,Jumanji,en\n"
    written(folder, films, "movies_metadata.csv")
    metadata = folder / "movies_metadata.csv"

    def shown(**options: str) -> tuple[list[str], list[str]]:
        dataset = read(ratings, movies=metadata, **options)
        found = [one.kind for one in dataset.facts.findings if one.kind == "movies-by-tmdb-id"]
        return dataset.catalog.table["title"].to_pylist()[:2], found

    assert shown() == (["Ariel", "Nowhere"], ["movies-by-tmdb-id"])
    assert shown(movie_columns="movie=id") == (["Ariel", "Nowhere"], [])
    written(folder, "movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,8844\n", "links.csv")
    assert shown() == (["Toy Story", "Jumanji"], ["movies-by-tmdb-id"])


def scale_of(text: str, expected: str) -> Callable[[Path], object]:
    def check(folder: Path) -> None:
        dataset = load(written(folder, text))
        assert str(dataset.ratings.scale) == expected
        assert all(map(dataset.ratings.scale.has, dataset.ratings.by_user.values.tolist()))

    return check


def finds(kind: str, outcome: str, files: Any, finding: str, **options: Any) -> Input:
    """Return an input that is read, with one finding."""

    def check(folder: Path) -> None:
        with pytest.warns(PlausibilityWarning):
            dataset = load(given(folder, files), **options)
        assert [found.kind for found in dataset.facts.findings] == [finding]

    return Input(kind, outcome, check)


def rated(stars: list[float], times: str = "") -> str:
    """Return a file in which a few users rate a few movies."""
    header = "userId,movieId,rating" + (",time" if times else "")
    rows = (f"{at % 4},{at // 4},{one:g}" + (f",{at}{times}" if times else "") for at, one in enumerate(stars))
    return "\n".join([header, *rows, ""])


def with_header(header: str, row: str = "1,10,4", delimiter: str = ",") -> str:
    return f"{header}\n{row}\n".replace(",", delimiter)


def unused_categories(folder: Path) -> None:
    frame = pd.DataFrame({"userId": ["a", "b"], "movieId": ["x", "y"], "rating": [4, 5]})
    kept = frame.astype({"userId": "category", "movieId": "category"}).query("userId != 'b'")
    dataset = load(kept)
    assert (list(dataset.ratings.users), list(dataset.ratings.movies)) == (["a"], ["x"])


def links_of_pandas(folder: Path) -> None:
    release = {
        "r/ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
        "r/movies.csv": "movieId,title,genres\n1,Toy Story (1995),Comedy\n",
        "r/links.csv": "movieId,imdbId,tmdbId\n1,114709,862.0\n",
    }
    [row] = load(written(folder, release)).catalog.table.to_pylist()
    assert (row["imdb"], row["tmdb"]) == ("tt0114709", "862")


INPUTS = [
    reads(
        "MovieLens columns in another order and spelling",
        "read by their names",
        "Rating,movie_id,USER-ID\n4,10,1\n",
        ONE,
    ),
    reads(
        "RecBole's `user_id:token`, tabs",
        "read",
        with_header("user_id:token,item_id:token,rating:float", delimiter="\t"),
        ONE,
    ),
    reads(
        "Amazon Personalize's `USER_ID,ITEM_ID,EVENT_VALUE`", "read", with_header("USER_ID,ITEM_ID,EVENT_VALUE"), ONE
    ),
    reads(
        "Amazon reviews, JSON lines with `reviewerID`, `asin`, `overall`",
        "read",
        {"reviews.json": json.dumps({"reviewerID": "1", "asin": "10", "overall": 4.0, "vote": [2]}) + "\n"},
        ONE,
    ),
    refuses(
        "Amazon ratings without a line of names",
        "refused; the message names `columns=`, which reads it",
        "AX1,0017,5.0,1365811200\n",
        r"no line of column names.*`columns='user,movie,rating,timestamp'`",
    ),
    reads(
        "the same with `columns=`",
        "read",
        "AX1,0017,5.0,1365811200\n",
        {("AX1", "0017"): 5.0},
        columns="user,movie,rating,timestamp",
    ),
    reads(
        "`ratings.dat` of MovieLens 1M as a file",
        "read: four numbers are user, movie, stars and time",
        {"ml.dat": "1::1193::5::978300760\n"},
        {("1", "1193"): 5.0},
    ),
    reads(
        "a fourth column without a name that holds no times", "read without times", "1\t10\t4\t1\n2\t10\t5\t4\n", TWO
    ),
    reads(
        'Book-Crossing\'s `"User-ID";"ISBN";"Book-Rating"`',
        "read",
        '"User-ID";"ISBN";"Book-Rating"\r\n"1";"034545104X";"5"\r\n',
        {("1", "034545104X"): 5.0},
    ),
    reads("Goodreads' and anime sets' columns", "read", with_header("user_id,anime_id,rating"), ONE),
    reads(
        "Netflix Prize as it comes: `1:`, and below it `1488844,3,2005-09-06`",
        "read",
        "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n1488844,4,2005-09-06\n",
        {("1488844", "1"): 3.0, ("822109", "1"): 5.0, ("1488844", "2"): 4.0},
    ),
    reads(
        "Netflix Prize as a table: `Cust_Id,Movie_Id,Rating,Date`",
        "read, dates as times",
        with_header("Cust_Id,Movie_Id,Rating,Date", "1,10,4,2005-09-06"),
        ONE,
    ),
    reads("semicolons and decimal commas", "read", "userId;movieId;rating\n1;10;4,5\n", {("1", "10"): 4.5}),
    reads("tabs, pipes or `::` between columns", "read", "userId::movieId::rating\n1::10::4\n", ONE),
    reads(
        "quoted fields with delimiters and line ends",
        "read",
        'userId,movieId,rating,review\n1,10,4,"good, really\n""good"""\n2,10,5,ok\n',
        TWO,
    ),
    reads("a byte order mark, or UTF-16", "read", CSV.encode("utf-16"), TWO),
    reads("gzip", "read", {"ratings.csv.gz": gzip.compress(CSV.encode())}, TWO),
    reads("a zip with one table", "read", {"mine.zip": zipped({"a/mine.csv": CSV, "README.txt": "hello"})}, TWO),
    refuses(
        "a zip with several tables",
        "refused, with their names",
        {"mine.zip": zipped({"a.csv": CSV, "b.csv": CSV})},
        r"mine.zip holds several tables a.csv, b.csv; unpack it",
    ),
    reads(
        "a folder of CSV parts",
        "read as one table",
        {"parts/1.csv": "userId,movieId,rating\n1,10,4\n", "parts/2.csv": "rating,userId,movieId\n5,2,10\n"},
        TWO,
    ),
    reads(
        "a folder of Parquet parts",
        "read as one table",
        {
            "parts/1.parquet": parquet(pd.DataFrame({"userId": [1], "movieId": [10], "rating": [4]})),
            "parts/2.parquet": parquet(pd.DataFrame({"userId": [2], "movieId": [10], "rating": [5]})),
        },
        TWO,
    ),
    refuses(
        "a folder of tables with different columns",
        "refused, with their names",
        {"mine/a.csv": CSV, "mine/b.csv": "movieId,title\n1,Up\n"},
        r"tables with different columns \(a.csv, b.csv\)",
    ),
    reads(
        "`ratings.csv` of a folder without timestamps", "read", {"mine/ratings.csv": CSV, "mine/links.csv": "x\n"}, TWO
    ),
    refuses(
        "a quote that is not closed",
        "an error that names the line; skipped and counted, it costs its own row only",
        'userId,movieId,rating,review\n1,10,4,"unclosed\n2,10,5,ok\n3,10,5,ok\n',
        "line 2: a quote that opens",
        2,
    ),
    refuses(
        "a line with more or fewer fields",
        "an error that names the line",
        CSV + "3,10,4,9\n",
        "line 4: it has 4 fields where 3 are expected",
        2,
    ),
    refuses(
        "`4_5`, or any other that is no number",
        "an error that names the line",
        CSV + "3,10,4_5\n",
        "line 4: rating '4_5' is not a number",
        2,
    ),
    refuses(
        "two columns `rating`",
        "refused",
        "userId,movieId,rating,rating\na,1,4,5\n",
        "two columns 'rating' and 'rating'",
    ),
    refuses("a file that is no text", "refused", b"ORC\x15\x00\r\x04,rating\n", "is not text"),
    reads(
        "ids `31`, `31.0` and ` 31`",
        "one id",
        "userId,movieId,rating\n1,31,1\n1.0,31.0,2\n 1, 31,4\n",
        {("1", "31"): 4.0},
    ),
    reads(
        "ids `007` and `7`", "two ids", "userId,movieId,rating\n007,1,4\n7,1,5\n", {("007", "1"): 4.0, ("7", "1"): 5.0}
    ),
    reads(
        "whole numbers of 64 bits as ids",
        "read digit by digit",
        pd.DataFrame({"userId": [2**60 + 1, 2**60 + 2], "movieId": [1, 1], "rating": [4, 5]}),
        {(str(2**60 + 1), "1"): 4.0, (str(2**60 + 2), "1"): 5.0},
    ),
    refuses(
        "floats above 2^53 as ids",
        "refused: digits are lost",
        pd.DataFrame({"userId": [2.0**60, 7], "movieId": [1, 1], "rating": [4, 5]}),
        "row 1: .*digits are lost",
        1,
    ),
    refuses(
        "missing ids: null, empty, `nan`, `None`",
        "refused and counted",
        pd.DataFrame({"userId": ["a", None, "nan"], "movieId": [1, 1, 1], "rating": [4, 5, 3]}),
        r"row 2: .*no user id \(2 rows break a rule\)",
        1,
    ),
    reads(
        "`é` in two Unicode normal forms",
        "two ids: no form is applied",
        "userId,movieId,rating\n\u00e9,1,4\ne\u0301,1,5\n",
        {("\u00e9", "1"): 4.0, ("e\u0301", "1"): 5.0},
    ),
    Input("categories of pandas that no row has", "neither users nor movies", unused_categories),
    reads(
        "two ratings of a movie in one second",
        "the later counts, to the fraction",
        "userId,movieId,rating,date\na,1,5,2020-02-01 10:00:00.9\na,1,4,2020-02-01 10:00:00.1\n",
        {("a", "1"): 5.0},
    ),
    Input(
        "stars in tenths",
        "a scale in steps of 0.1",
        scale_of("userId,movieId,rating\na,1,4.4\na,2,1\na,3,4.5\n", "1:4.5:0.1"),
    ),
    Input(
        "stars 0, 40 and 100",
        "a scale without steps: they do not lie on one",
        scale_of("userId,movieId,rating\na,1,0\na,2,40\na,3,100\n", "0:100"),
    ),
    finds(
        "-1 among stars from 1 to 10",
        "read, with the finding `not-rated`; `not_rated=-1` leaves these rows out",
        rated([-1, 8, 10, -1, 1, 7] * 2),
        "not-rated",
    ),
    finds(
        "implicit ratings of Book-Crossing, 0 beside 1 to 10",
        "read, with the finding `not-rated`",
        rated([0, 0, 5, 0, 8, 0, 10, 0, 1, 0]),
        "not-rated",
    ),
    finds("one value for every rating", "read, with the finding `likes`", rated([1] * 12), "likes"),
    finds(
        "three values such as 0, 40 and 100 for every rating",
        "read, with the finding `few-values`",
        rated([0, 40, 100] * 8),
        "few-values",
    ),
    finds(
        "times in ms, us or ns",
        "converted to seconds, with the finding `times-converted`",
        "userId,movieId,rating,time\n1,10,4,1700000000900\n1,11,3,1700000000100\n2,10,5,1700000002000\n",
        "times-converted",
    ),
    finds(
        "a column `time` that holds no times",
        "read without times, with the finding `no-times`",
        rated([1, 2, 3, 4, 5] * 2, "0"),
        "no-times",
    ),
    finds(
        "another user in every row",
        "read, with the finding `as-many-users-as-rows`",
        "userId,movieId,rating\n" + "".join(f"{row},{row % 3},{row % 5 + 1}\n" for row in range(20)),
        "as-many-users-as-rows",
    ),
    finds(
        "a movie table with other ids than the ratings",
        "read, with the finding `movies-do-not-meet`",
        rated([1, 2, 3, 4, 5] * 2),
        "movies-do-not-meet",
        movies={"movieId": ["tt1", "tt2"], "title": ["Up", "Heat"]},
    ),
    titles(
        "`movies.csv` with columns in another order",
        "read by their names",
        {"m.csv": "title,genres,movieId\nUp (2009),Comedy,1\nHeat,Crime,2\n"},
        [{"title": "Up", "year": 2009, "genres": ["Comedy"]}, {"title": "Heat", "genres": ["Crime"]}],
    ),
    titles(
        "a movie table whose columns are named otherwise",
        "read with `movie_columns=`",
        {"m.csv": "no,label\n1,Up\n2,Heat\n"},
        [{"title": "Up"}, {"title": "Heat"}],
        movie_columns="movie=no,title=label",
    ),
    titles(
        "movie ids that pandas made floats, years `1999.0`",
        "1 and 1999",
        {"m.csv": "movieId,title,year\n1.0,Up,1999.0\n2.0,Heat,\n"},
        [{"title": "Up", "year": 1999}, {"title": "Heat", "year": None}],
    ),
    titles(
        "genres as `A, B`, JSON or Python lists, also of `{'name': ...}`",
        "a list of genres",
        {"m.csv": "movieId,title,genres\n1,Up,\"Drama, Comedy\"\n2,Heat,\"[{'id': 1, 'name': 'Crime'}]\"\n"},
        [{"genres": ["Comedy", "Drama"]}, {"genres": ["Crime"]}],
    ),
    titles(
        "Kaggle's `movies_metadata.csv`",
        "`id`, `title`, `release_date`, `imdb_id` and the genres' names",
        {
            "m.csv": "genres,id,imdb_id,release_date,title\n"
            "\"[{'id': 16, 'name': 'Animation'}]\",1,tt114709,1995-10-30,Toy Story\n[],2,,,Heat\n"
        },
        [
            {"title": "Toy Story", "year": 1995, "genres": ["Animation"], "imdb": "tt0114709"},
            {"title": "Heat", "year": None},
        ],
    ),
    Input(
        "the same with MovieLens ratings",
        "its `id` is TMDB's: joined by the `links.csv` beside it, else a warning that titles may be wrong",
        tmdb_ids,
    ),
    refuses_movies(
        "a movie table with a year such as 99999",
        "an error that names the line; skipped and counted",
        {"m.csv": "movieId,title,year\n1,Up,2009\n2,Heat,99999\n"},
        "m.csv line 3: year '99999'",
    ),
    refuses_movies(
        "bad rows of Kaggle's `movies_metadata.csv`",
        "bad rows: an error that names the line; skipped and counted",
        {"m.csv": "movieId,title,genres,year\n1,Up,,2009\n1997-08-20,,,Beware Of Frost Bites\n"},
        "m.csv line 3: ",
    ),
    refuses_movies(
        "a movie without an id",
        "a bad row",
        pd.DataFrame({"movieId": [1, None], "title": ["Up", "Heat"]}),
        "the movie table row 2: movie id",
    ),
    Input("`links.csv` that pandas saved anew", "IMDb ids of seven digits, TMDB ids without `.0`", links_of_pandas),
]
