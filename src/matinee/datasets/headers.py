"""Headers: the names that data sets and sites give to the columns we know.

A name is compared without case, spaces, `_`, `-`, `.` and RecBole's `:type`: "User-ID", "user_id" and "userId:token"
are one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matinee.errors import DataError

COLUMNS: dict[str, tuple[str, ...]] = {
    "user": (
        "userid", "user", "uid", "custid", "customerid", "reviewerid", "member", "memberid", "profileid", "viewerid",
        "person", "personid", "accountid", "visitorid", "rater", "raterid", "uname", "username",
    ),
    "movie": (
        "movieid", "movie", "filmid", "film", "itemid", "item", "iid", "parentasin", "asin", "productid", "animeid",
        "bookid", "isbn", "showid", "mid", "contentid", "titleid", "imdbid",
        "tconst", "tmdbid",
    ),
    "rating": (
        "rating", "stars", "score", "ratings", "yourrating", "yourated", "bookrating", "userrating", "myrating",
        "eventvalue", "overall", "star", "points", "preference", "value", "ratingscore",
    ),
    "timestamp": (
        "timestamp", "time", "date", "unixreviewtime", "ratingtimestamp", "ratedat", "daterated", "eventtime",
        "createdat", "dateadded", "datetime", "ts", "unixtime", "reviewtime", "ratingdate", "dateupdated",
    ),
    "title": ("title", "name", "movietitle", "primarytitle", "booktitle", "filmtitle"),
    "original_title": ("originaltitle", "titleoriginal"),
    "year": (
        "year", "releaseyear", "startyear", "movieyear", "yearofrelease", "yearofpublication", "publicationyear",
        "originalpublicationyear", "titleyear",
    ),
    "release": ("releasedate", "released", "release", "premiered"),
    "genres": ("genres", "genre", "genrenames"),
    "imdb": ("imdbid", "imdb", "const", "tconst", "imdbtitleid"),
    "tmdb": ("tmdbid", "tmdb", "themoviedbid"),
}  # fmt: skip
"""Our column -> its usual names as `plain` writes them, the likeliest first."""

TYPE = re.compile(r":\w+$")
IGNORED = re.compile(r"[\s_.\-]+")


def plain(name: str) -> str:
    """Return what of a column's name counts.

    >>> plain("User-ID"), plain("user_id:token"), plain("Unnamed: 0")
    ('userid', 'userid', 'unnamed:0')
    """
    return IGNORED.sub("", TYPE.sub("", name.strip())).casefold()


def listed(header: Sequence[str]) -> str:
    """Return the names of columns for a message."""
    return ", ".join(name if name.isprintable() else repr(name) for name in header)


def find(where: str, header: Sequence[str], column: str) -> str | None:
    """Return how a header writes one of our columns, None where it has no such column.

    Raises DataError where two columns have the same usual name.

    >>> find("ratings.csv", ["Book-Rating", "ISBN"], "rating")
    'Book-Rating'
    """
    names = [plain(name) for name in header]
    for usual in COLUMNS[column]:
        if usual in names:
            return single(where, header, header[names.index(usual)])
    return None


def single(where: str, header: Sequence[str], name: str) -> str:
    """Return the name of a column. Raises DataError where the header has it twice."""
    same = [other for other in header if plain(other) == plain(name)]
    if len(same) > 1:
        raise DataError(f"{where} has two columns {same[0]!r} and {same[1]!r}; rename or remove one of them")
    return name


def choose(where: str, header: Sequence[str], named: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return {our column: the header's name of it}: the named ones, and where None is named, those with a usual name.

    Raises DataError where a named column is missing or two columns have the same name.
    """
    return {column: _named(where, header, column, name) for column, name in named.items()}


def _named(where: str, header: Sequence[str], column: str, name: str | None) -> str | None:
    if name is None:
        return find(where, header, column)
    if name in header:
        if list(header).count(name) > 1:
            raise DataError(f"{where} has two columns {name!r}; rename or remove one of them")
        return name
    alike = [other for other in header if plain(other) == plain(name)]
    if len(alike) == 1:
        return alike[0]
    raise DataError(f"{where} has no column {name!r} for {column}: its columns are {listed(header)}")
