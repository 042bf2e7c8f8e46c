from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.catalog import SCHEMA, Catalog
from matinee.datasets import load
from matinee.datasets.exports import HALF_STARS, MOST_BYTES, read
from matinee.datasets.matching import Matched, match
from matinee.datasets.zips import MOST_RATIO
from matinee.errors import DataError
from matinee.ids import Ids
from matinee.ratings import Scale

FILMS = [
    ("1", "Toy Story", 1995, "tt0114709"),
    ("2", "Seven (Se7en)", 1995, "tt0114369"),
    ("3", "The Matrix", 1999, "tt0133093"),
    ("4", "Amélie (Le Fabuleux Destin d'Amélie Poulain)", 2001, "tt0211915"),
    ("5", "Hamlet", 1996, "tt0116477"),
    ("6", "Hamlet", 1990, "tt0099726"),
    ("7", "Solaris", 1972, "tt0069293"),
    ("8", "Solaris", 2002, "tt0307479"),
    ("9", "Cinderella", 1950, None),
    ("10", "Cinderella", 1950, None),
    ("11", "The Fugitive", None, None),
    ("12", "Star Wars: Episode IV - A New Hope", 1977, None),
    ("13", "Star Wars: Episode V - The Empire Strikes Back", 1980, None),
]
CATALOG = Catalog.of(
    Ids([movie for movie, *_ in FILMS]),
    pa.Table.from_pylist(
        [
            {
                "movie": movie,
                "title": title,
                "year": year,
                "genres": [],
                "tags": [],
                "imdb": imdb,
                "tmdb": "603" if movie == "3" else None,
            }
            for movie, title, year, imdb in FILMS
        ],
        SCHEMA,
    ),
)
IMDB = (
    "Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres,Num Votes,"
    "Release Date,Directors\r\n"
    'tt0133093,9,2024-03-15,"The Matrix, they say",The Matrix,https://www.imdb.com/title/tt0133093/,Movie,8.7,136,1999,'
    '"Action, Sci-Fi",2000000,1999-03-31,"Lana Wachowski, Lilly Wachowski"\r\n'
    "tt0211915,10,2024-03-16,Amélie,Le fabuleux destin d'Amélie Poulain,https://x,Movie,8.3,122,2001,Comedy,1,2001-04-25,"
    "Jean-Pierre Jeunet\r\n"
)
LETTERBOXD = (
    "Date,Name,Year,Letterboxd URI,Rating\n"
    "2024-01-02,Se7en,1995,https://boxd.it/a,4.5\n"
    "2024-01-03,Solaris,1973,https://boxd.it/b,4\n"
    '2024-01-03,"Fugitive, The",1993,https://boxd.it/c,0.5\n'
)
MOVIELENS = (
    "movie_id,imdb_id,tmdb_id,rating,average_rating,title\n"
    "2,0114369,807,4.5,4.1,Seven (a.k.a. Se7en) (1995)\n"
    '3,133093,603,5.0,4.2,"Matrix, The (1999)"\n'
)


def matched(data: str | bytes, scale: Scale = HALF_STARS) -> Matched:
    return match(read(data if isinstance(data, bytes) else data.encode()), CATALOG, scale)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("text", "site", "stars"),
    [
        (IMDB, "IMDb", {"3": 4.5, "4": 5.0}),
        (LETTERBOXD, "Letterboxd", {"2": 4.5, "7": 4.0, "11": 0.5}),
        (MOVIELENS, "MovieLens", {"2": 4.5, "3": 5.0}),
        ("movieId,rating\n3,4\n1,0.5\n", "a table", {"3": 4.0, "1": 0.5}),
        ("userId,movieId,rating,timestamp\n9,3,4.0,964982703\n9,1,2.5,964982703\n", "a table", {"3": 4.0, "1": 2.5}),
    ],
)
@pytest.mark.parametrize("packed", ["as text", "in a zip"])
def test_an_export__is_recognised_and_matched_on_the_datas_scale(
    text: str, site: str, stars: dict[str, float], packed: str
) -> None:
    data = text.encode() if packed == "as text" else zipped({"ratings.csv": text})
    assert read(data).site == site
    found = matched(data)
    assert found.stars == stars
    assert found.unmatched == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_export__may_be_in_latin_1_with_any_line_ends(encoding: str, line_end: str) -> None:
    text = IMDB.replace("tt0211915", "").replace("\r\n", line_end)
    assert matched(text.encode(encoding)).stars == {"3": 4.5, "4": 5.0}


@pytest.mark.parametrize("mark", [";", "\t"])
def test_an_export_that_a_spreadsheet_saved_again__is_read_with_its_separators_and_decimal_commas(mark: str) -> None:
    saved = mark.join(("movieId", "rating")) + "\r\n" + mark.join(("1", "4,5")) + "\r\n"
    assert [(line.movie, line.stars) for line in read(saved.encode()).lines] == [("1", 4.5)]


LETTERBOXDS = {
    "ratings.csv": LETTERBOXD,
    "watched.csv": "Date,Name,Year,Letterboxd URI\n2024-01-02,Se7en,1995,a\n2024-01-02,Toy Story,1995,z\n",
    "diary.csv": "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n"
    "2025-06-01,Se7en,1995,a,1,,,2025-06-01\n2024-02-01,The Matrix,1999,m,5,,,2024-01-30\n"
    "2024-02-01,Hamlet,1996,h,,,,2024-01-30\n",
    "watchlist.csv": "Date,Name,Year,Letterboxd URI\n2024-01-02,Cinderella,1950,c\n2024-01-02,Hamlet,1990,g\n",
    "likes/films.csv": "Date,Name,Year,Letterboxd URI\n2024-01-02,Solaris,2002,s\n",
    "lists/worst.csv": "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n2024-01-01,Worst,,u,\n\n"
    "Position,Name,Year,URL,Description\n1,Toy Story,1995,u,\n",
    "profile.csv": "Date Joined,Username\n2024-01-01,ann\n",
    "deleted/ratings.csv": "Date,Name,Year,Letterboxd URI,Rating\n2024-01-02,Toy Story,1995,z,1\n",
    "__MACOSX/ratings.csv": "\0\0",
}


def test_letterboxds_zip__is_read_whole_and_not_at_what_was_deleted() -> None:
    export = read(zipped(LETTERBOXDS))
    found = match(export, CATALOG, HALF_STARS)
    assert found.stars == {"3": 5.0, "2": 4.5, "7": 4.0, "11": 0.5}
    assert found.marks == {"6": "watchlist", "1": "seen", "5": "seen", "8": "seen"}
    assert found.groups == {"several": 1, "listed": 1}
    assert found.read == {"rated": 5, "watched": 3, "watchlist": 2, "liked": 1, "listed": 1}
    assert found.lines == 12
    assert [name for name, kind in export.files.items() if not kind] == ["profile.csv", "deleted/ratings.csv"]
    assert "1 likes were read; 1 of their movies are here and count as seen" in found.notes[0]


@pytest.mark.parametrize("folder", ["", "letterboxd-ann-2024/"])
def test_a_zip__may_have_all_its_files_in_a_folder(folder: str) -> None:
    found = matched(zipped({folder + name: text for name, text in LETTERBOXDS.items()}))
    assert len(found.stars) == 4


def test_titles__match_without_accents_articles_and_within_a_year() -> None:
    rows = {
        "amelie,2002": "4",
        '"Matrix, The",2000': "3",
        "MATRIX,1999": "3",
        "Hamlet,1991": "6",
        "Solaris,2002": "8",
        "Le fabuleux destin d'Amelie Poulain,2001": "4",
        "Toy Story,": "1",
    }
    text = "Name,Year,Letterboxd URI,Rating\n" + "".join(f"{row},x,3\n" for row in rows)
    assert list(matched(text).stars) == list(dict.fromkeys(rows.values()))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("The Matrix,2001,x,3", "no movie here is The Matrix (2001); there is The Matrix (1999)"),
        ("The Matrix,2003,x,3", "newer than the data, whose newest movie is of 2002"),
        ("Cinderella,1950,x,3", "several movies are called this, name one by its id: 10: Cinderella (1950); 9: Cin"),
        ("Hamlet,,x,3", "several movies are called this"),
        ("Nothing Such,1999,x,3", "no movie here has this title"),
        (",1999,x,3", "the line names no movie"),
        ("Toy Story,1995,x,", "there is no rating on this line"),
        ("Toy Story,1995,x,good", "'good' is not a number of stars"),
        ("Toy Story,1995,x,nan", "'nan' is not a number of stars"),
        ("Toy Story,1995,x,4_5", "'4_5' is not a number of stars"),
        ("Toy Story,1995,x,0", "there is no rating on this line"),
        ("Toy Story,1995", "it has 2 fields where 4 are expected"),
        ('Toy Story,1995,x,"5', "a quote that opens on it is not closed"),
    ],
)
def test_a_line_that_becomes_no_rating__is_reported_with_its_reason(row: str, reason: str) -> None:
    found = matched(f"Name,Year,Letterboxd URI,Rating\nToy Story,1995,x,4\n{row}\n")
    assert found.stars == {"1": 4.0}
    (one,) = found.unmatched
    assert one.line == 3
    assert one.reason.startswith(reason)


@pytest.mark.parametrize(
    ("row", "movie"),
    [
        ("Star Wars,1977,x,5", "12"),
        ("The Empire Strikes Back,1980,x,5", "13"),
        ("Star Wars: The Empire Strikes Back,1980,x,5", "13"),
        ("Star Wars,1980,x,5", "13"),
        ("Star Wars,1999,x,5", None),
        ("A New Hope: Star,1977,x,5", None),
        ("Wars,1977,x,5", None),
    ],
)
def test_a_title__may_be_a_part_of_the_movies_own_in_the_same_year(row: str, movie: str | None) -> None:
    assert list(matched(f"Date,Name,Year,Letterboxd URI,Rating\n2024-01-01,{row}\n").stars) == (
        [movie] if movie else []
    )


def test_the_imdb_id__wins_over_title_and_year_and_contradicts_them() -> None:
    rows = "tt0069293,8,Solaris,2002\ntt9999999,8,The Matrix,1999\ntt9999998,4,Cinderella II,1950\n"
    found = matched(f"Const,Your Rating,Title,Year\n{rows}")
    assert found.stars == {"7": 4.0}
    assert [(one.line, one.what) for one in found.unmatched] == [(3, "The Matrix (1999)"), (4, "Cinderella II (1950)")]


def test_an_imdb_id_that_the_catalogue_lacks__does_not_stop_the_title() -> None:
    assert matched("Const,Your Rating,Title,Year\ntt0106977,2,The Fugitive,1993\n").stars == {"11": 1.0}


def test_an_id_of_another_data_set__does_not_rate_another_movie() -> None:
    assert matched("movieId,title,rating\n1,Hamlet (1996),4\n").stars == {"5": 4.0}
    assert matched("movieId,title,rating\n1,Nothing Such (1996),4\n").stars == {}


def test_a_file_whose_stars_are_off_its_scale__is_refused_whole_and_names_the_scale() -> None:
    text = "movieId,rating\n3,9\n1,4\n2,8\n"
    with pytest.raises(DataError, match=r'line 2: 9 stars are not on the scale .* 1 more; .* `scale="1:10"`'):
        matched(text)
    assert match(read(text.encode(), Scale.parse("1:10")), CATALOG, HALF_STARS).stars == {"3": 4.5, "1": 2.0, "2": 4.0}
    with pytest.raises(DataError, match=r"3.7 stars are not on Letterboxd's scale .* `scale=\"0.5:5\"`"):
        matched("Name,Year,Letterboxd URI,Rating\nToy Story,1995,x,3.7\nSeven,1995,x,0.5\nHeat,1995,x,5\n")
    with pytest.raises(DataError, match=r"80 stars .* `scale=\"0:100\"`"):
        matched("title,year,rating\nToy Story,1995,80\n")


OLD_IMDB = (
    '"position","const","created","modified","description","Title","Title type","Directors","You rated","IMDb Rating",'
    '"Year"\n"1","tt0133093","Sat Apr 23 08:36:35 2011","","","The Matrix","Feature Film","x","10","8.8","1999"\n'
    '"2","tt0114709","Sat Apr 23 08:36:35 2011","","","Toy Story","Feature Film","x","","8.8","1995"\n'
)
TRAKT = (
    "rated_at,type,title,year,trakt_rating,trakt_id,imdb_id,tmdb_id,season_number,episode_title,rating\n"
    "2018-08-24T13:48:52Z,movie,The Matrix,1999,8.3,1,tt0133093,603,,,9\n"
    "2018-08-24T13:48:52Z,episode,Solaris,1972,8.3,1,tt0069293,,1,Pilot,9\n"
)
TRAKT_JSON = """[
 {"rated_at": "2018-08-24", "rating": 9, "type": "movie",
  "movie": {"title": "The Matrix", "year": 1999, "ids": {"trakt": 1, "slug": "x", "imdb": "tt0133093", "tmdb": 603}}},
 {"watched_at": "2018-08-25", "action": "watch", "type": "movie", "movie": {"title": "Toy Story", "year": 1995}},
 {"listed_at": "2018-08-25", "type": "movie", "movie": {"title": "Hamlet", "year": 1996, "ids": {}}},
 {"rated_at": "2018-08-24", "rating": 9, "type": "show", "show": {"title": "Solaris", "year": 1972, "ids": {}}}]"""
SIMKL = """{"movies": [
 {"last_watched_at": "2024-01-01", "status": "completed", "user_rating": 9,
  "movie": {"title": "The Matrix", "year": 1999, "ids": {"simkl": 1, "imdb": "tt0133093"}}},
 {"last_watched_at": null, "status": "plantowatch", "movie": {"title": "Hamlet", "year": 1996, "ids": {"simkl": 2}}},
 {"status": "completed", "last_watched_at": "2024-01-01", "movie": {"title": "Toy Story", "year": 1995, "ids": {}}}],
 "shows": [{"status": "completed", "show": {"title": "Solaris", "year": 1972, "ids": {"simkl": 3}}}]}"""


@pytest.mark.parametrize(
    ("text", "site", "stars", "marks", "groups"),
    [
        (OLD_IMDB, "IMDb", {"3": 5.0}, {"1": "watchlist"}, {}),
        ("Position,Const,Created,Modified,Description,Title,URL,Title Type,Your Rating,Year\n"
         "1,tt0114709,2024-01-01,2024-01-01,,Toy Story,u,Movie,,1995\n"
         "2,tt0133093,2024-01-01,,,The Matrix,u,Movie,8,1999\n",
         "IMDb", {"3": 4.0}, {"1": "watchlist"}, {}),
        (TRAKT, "Trakt", {"3": 4.5}, {}, {"series": 1}),
        (TRAKT_JSON, "Trakt", {"3": 4.5}, {"5": "watchlist", "1": "seen"}, {"series": 1}),
        (SIMKL, "Simkl", {"3": 4.5}, {"5": "watchlist", "1": "seen"}, {"series": 1}),
        ("SIMKL_ID,Title,Type,Year,Watchlist,LastEpWatched,WatchedDate,Rating,Memo,TVDB,TMDB,IMDB\n"
         "1,The Matrix,movie,1999,completed,,2024-01-01,9,,,603,tt0133093\n2,Hamlet,movie,1996,plan to watch,,,,,,,\n",
         "Simkl", {"3": 4.5}, {"5": "watchlist"}, {}),
        ("TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,Date Rated\n"
         "603,tt0133093,movie,The Matrix,1999-03-31,,,8.2,9,2024-01-01\n",
         "TMDB", {"3": 4.5}, {}, {}),
        ("Title,Year,Directors,WatchedDate,Rating,Rating10\nThe Matrix,1999,x,2026-03-06,4.5,9\n"
         "Toy Story,1995,x,2026-03-06,,\n",
         "Letterboxd", {"3": 4.5}, {"1": "seen"}, {}),
        ("imdbID,Title,Year,Rating10\ntt0133093,The Matrix,1999,9\n", "Letterboxd", {"3": 4.5}, {}, {}),
        ("Date,Name,Year,Letterboxd URI\n2017-12-15,The Matrix,1999,u\n", "Letterboxd", {}, {"3": "seen"}, {}),
        ("русскоязычное название\tоригинальное название\tгод\tмоя оценка\nМатрица\tThe Matrix\t1999\t9\n",
         "Kinopoisk", {"3": 4.5}, {}, {}),
        ("标题,个人评分,打分日期,上映日期,IMDb链接\n黑客帝国,5,2024-01-01,1999-03-31,https://www.imdb.com/title/tt0133093/\n",
         "Douban", {"3": 5.0}, {}, {}),
        ("title,year\nThe Matrix,1999\n", "a table", {}, {"3": "seen"}, {}),
        ("title,year,date\nThe Matrix,1999,2024-01-01\n", "a table", {}, {"3": "seen"}, {}),
        ("title,rating\nThe Matrix (1999),4\n", "a table", {"3": 4.0}, {}, {}),
        ("imdb_id,rating\n133093,4\n", "a table", {"3": 4.0}, {}, {}),
        ("tmdb_id,rating\n603.0,4\n", "a table", {"3": 4.0}, {}, {}),
        ("The Matrix,4\n1,5\n", "a table", {"3": 4.0, "1": 5.0}, {}, {}),
        ("movie,stars\nThe Matrix,4\n1,5\n", "a table", {"3": 4.0, "1": 5.0}, {}, {}),
        ('[{"title": "The Matrix", "year": 1999, "rating": 4}]', "a table", {"3": 4.0}, {}, {}),
        ('{"title": "The Matrix", "year": 1999, "rating": 4}\n{"title": "Toy Story", "year": 1995, "rating": 5}\n',
         "a table", {"3": 4.0, "1": 5.0}, {}, {}),
    ],
)  # fmt: skip
def test_a_table_of_any_site_that_names_films__becomes_ratings_and_marks(
    text: str, site: str, stars: dict[str, float], marks: dict[str, str], groups: dict[str, int]
) -> None:
    export = read(text.encode())
    found = match(export, CATALOG, HALF_STARS)
    assert (export.site, found.stars, found.marks, found.groups) == (site, stars, marks, groups)


def test_a_watchlist__is_known_by_its_name_or_by_what_was_said() -> None:
    text = b"Date,Name,Year,Letterboxd URI\n2017-12-15,The Matrix,1999,u\n"
    for export in (read(text, name="watchlist.csv"), read(text, kind="watchlist")):
        assert match(export, CATALOG, HALF_STARS).marks == {"3": "watchlist"}


def test_a_list_of_letterboxd_by_itself__is_brought_in_as_it_was_said() -> None:
    data = LETTERBOXDS["lists/worst.csv"].encode()
    found = match(read(data, kind="watchlist"), CATALOG, HALF_STARS)
    assert found.marks == {"1": "watchlist"}
    assert [line.number for line in read(data).lines] == [6]


def test_another_column_of_ratings__is_not_taken_for_ones_own() -> None:
    assert matched("title,rating,my rating,year\nThe Matrix,1,4,1999\n").stars == {"3": 4.0}
    with pytest.raises(DataError, match="two columns 'rating' and 'Rating'"):
        matched("title,rating,Rating\nThe Matrix,1,4\n")


def test_a_line_that_names_a_movie_again__is_counted() -> None:
    found = matched("movieId,rating\n3,4\n1,2\n3,1\n")
    assert found.notes == ["1 lines name a movie again; the later counts"]


def test_of_two_lines_for_one_movie__the_later_wins() -> None:
    assert matched("movieId,rating\n3,4\n1,2\n3,1\n").stars == {"3": 1.0, "1": 2.0}


def test_movies_besides_those_of_the_catalogue__are_matched_by_their_id() -> None:
    export = read(b"movieId,rating\nnew,4\nother,3\n")
    found = match(export, CATALOG, HALF_STARS, also={"new"})
    assert found.stars == {"new": 4.0}
    assert [one.what for one in found.unmatched] == ["other"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty; send the CSV or the zip"),
        (b"Date,Review\n2024-01-01,Good\n", "the columns 'Date, Review' of the file name no film; rename one to title"),
        (b"userId,movieId,rating\n1,1,5\n2,1,4\n", "the ratings of 2 users; send those of one person"),
        (b"movieId,rating\n1,\x005\n", "not text"),
        (b"movieId,rating" + b",x" * 200 + b"\n", "the file has 202 columns"),
        (zipped({"a.csv": "x", "b.csv": "y"}), "no ratings.csv, nor a single CSV file; its CSV files: a.csv, b.csv"),
        (zipped({"ratings.csv": ""}), "the files of the zip are empty"),
        (zipped({"readme.md": "x"}), "its CSV files: none"),
        (zipped({"ratings.csv": LETTERBOXD})[:-30], "unpacking the zip failed: .*; send the CSV in it"),
        (zipped({f"{number}.csv": "" for number in range(1_001)}), "the zip holds more than 1,000 files"),
    ],
)
def test_what_is_no_export__gets_one_clear_line(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_a_zip_bomb__is_refused_before_it_is_unpacked() -> None:
    bomb = zipped({"ratings.csv": b"movieId,rating\n" + b"1,5\n" * (MOST_BYTES // 2)})
    assert len(bomb) < MOST_BYTES // 100
    with pytest.raises(DataError, match=f"unpacks to more than {MOST_RATIO * 19_475:,} bytes"):
        read(bomb)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_by_a_method_that_unpacks_without_limit__is_refused(method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        file.writestr("ratings.csv", b"movieId,rating\n1,5\n")
    with pytest.raises(DataError, match="a method that is not deflate"):
        read(packed.getvalue())


def test_a_file_of_millions_of_lines__is_read_no_further_than_the_limit() -> None:
    lines = b"movieId,rating\n" + b"1,5\n" * 2_400_000
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 50,000 lines"):
        read(lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000


def test_numbers_and_titles_without_end__are_no_years_and_no_titles() -> None:
    digits, title = "9" * 5_000, "x" * 501
    export = read(f"Const,Your Rating,Title,Year\ntt1,9,Alien,{digits}\ntt2,9,{title},1979\n".encode())
    assert [line.year for line in export.lines] == [None]
    assert export.unread[0].reason == "its title has more than 500 characters"


def test_a_zip_that_lies_about_its_size__is_read_no_further_than_the_limit() -> None:
    honest = zipped({"ratings.csv": b"movieId,rating\n" + b"1,5\n" * (MOST_BYTES // 2)})
    place = honest.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    with pytest.raises(DataError, match=r"unpacking the zip failed|more than"):
        read(honest[:place] + (100).to_bytes(4, "little") + honest[place + 4 :])


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"movieId,rating\n{text}".encode()))
def test_any_bytes__are_an_export_or_a_clear_error(data: bytes) -> None:
    with suppress(DataError):
        export = read(data)
        assert all(export.scale.has(line.stars) for line in export.lines if line.kind == "rated")
        assert len(match(export, CATALOG, HALF_STARS).stars) <= len(export.lines)


@given(st.integers(1, 10), st.integers(1, 10))
def test_stars_on_another_scale__keep_their_order_and_land_on_steps(one: int, other: int) -> None:
    for own in (HALF_STARS, Scale(1, 5, 1), Scale(0, 100)):
        low, high = (Scale(1, 10, 1).convert(stars, own) for stars in sorted((one, other)))
        assert low <= high
        assert own.has(low)
        assert own.has(high)


@given(st.floats(0.5, 5))
def test_stars_of_the_same_range_without_steps__stay_as_they_are(stars: float) -> None:
    assert Scale(0.5, 5).convert(stars, HALF_STARS) == stars


@pytest.mark.data
def test_movielens_titles_and_years__find_nearly_all_of_their_movies(movielens: Callable[[str], Path]) -> None:
    catalog = load(movielens("ml-latest-small")).catalog
    rows = catalog.table.to_pylist()
    lines = [f'"{row["title"].replace(chr(34), chr(34) * 2)}",{row["year"] or ""},x,3' for row in rows]
    found = match(read("\n".join(["Name,Year,Letterboxd URI,Rating", *lines]).encode()), catalog, HALF_STARS)
    assert len(found.stars) > 0.998 * len(catalog)
    assert all(one.reason.startswith("several movies are called this") for one in found.unmatched)


@pytest.mark.parametrize(("name", "guessed"), [("", 2), ("watched.csv", 0), ("watchlist.csv", 0)])
def test_lines_of_which_nothing_says_what_they_are__count_as_watched_and_the_answer_says_so(
    name: str, guessed: int
) -> None:
    table = b"Date,Name,Year,Letterboxd URI\n2024-01-02,Solaris,1972,a\n2024-01-02,Toy Story,1995,b\n"
    found = match(read(table, name=name), CATALOG, HALF_STARS)
    assert (set(found.marks.values()), found.guessed) == ({"watchlist" if "list" in name else "seen"}, guessed)
    assert any("ask for ?kind=watchlist" in note for note in found.notes) == bool(guessed)
    assert match(read(table, kind="watchlist"), CATALOG, HALF_STARS).marks == {"1": "watchlist", "7": "watchlist"}


def test_a_file_without_column_names__is_refused_with_what_to_write() -> None:
    with pytest.raises(DataError, match=r"no line of column names.*such as title,year,rating"):
        read(b"Heat,1995,5\n")
    assert match(read(b"title,year,rating\nSolaris,1972,5\n"), CATALOG, HALF_STARS).stars == {"7": 5.0}
