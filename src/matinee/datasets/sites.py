"""Sites: whose file it is, by the names of its columns, and what its lines say of their films.

A file is rated on its site's scale, and on the data's where no site is known. A line with stars is a rating; what one
without is, the file's name says, or else its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from matinee.datasets import headers
from matinee.errors import DataError
from matinee.ratings import Scale

Kind = Literal["rated", "watched", "liked", "watchlist", "hidden", "listed"]
HALF_STARS, TEN = Scale(0.5, 5, 0.5), Scale(1, 10, 1)

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "stars": (
        "yourrating", "yourated", "myrating", "userrating", "мояоценка", "我的评分", "个人评分", "rating", "stars",
        "score", "rating10", "bookrating", "overall",
    ),
    "movie": ("movieid", "movie", "filmid", "film", "itemid", "item"),
    "imdb": ("const", "imdbid", "tconst", "imdb", "imdbtitleid", "imdburl", "imdb链接"),
    "tmdb": ("tmdbid", "tmdb", "themoviedbid", "tmdbmovieid"),
    "title": (
        "title", "name", "movietitle", "filmtitle", "русскоязычноеназвание", "название", "标题", "片名", "电影名",
    ),
    "original": ("originaltitle", "titleoriginal", "оригинальноеназвание", "原名", "外文名", "英文名"),
    "year": ("year", "releaseyear", "startyear", "movieyear", "год", "年份", "上映年份"),
    "released": ("releasedate", "released", "releasedate(month/day/year)", "上映日期"),
    "watched": ("watcheddate", "watchedat", "lastwatchedat", "lastwatched", "datewatched"),
    "listed": ("listedat", "addedtowatchlist", "addedtowatchlistat"),
    "date": (
        "ratedat", "daterated", "userratedat", "датаивремя", "打分日期", "创建时间", "date", "timestamp", "created",
        "dateadded",
    ),
    "type": ("titletype", "type", "mediatype", "тип"),
    "status": ("status", "watchlist", "状态"),
    "user": ("userid", "user", "username"),
}  # fmt: skip
"""Our column -> its usual names as `headers.plain` writes them, one's own rating before that of everybody."""

STATUSES: Mapping[str, Kind] = {
    "completed": "watched", "watching": "watched", "dropped": "watched", "hold": "watched", "on hold": "watched",
    "plantowatch": "watchlist", "plan to watch": "watchlist", "notinteresting": "hidden", "not interested": "hidden",
}  # fmt: skip
SERIES = ("series", "episode", "season", "show", "game", "podcast", "сериал")
EPISODES = ("episode", "season")


@dataclass(frozen=True)
class Site:
    """A site, the scale of its stars, and columns that only its files have, each alone or together with others."""

    name: str
    scale: Scale | None
    marks: tuple[frozenset[str], ...]


SITES = (
    Site("Trakt", TEN, (frozenset({"traktid"}), frozenset({"traktrating"}))),
    Site("Simkl", TEN, (frozenset({"simklid"}),)),
    Site("TMDB", Scale(0.5, 10, 0.5), (frozenset({"tmdbid", "yourrating"}),)),
    Site("IMDb", TEN, (frozenset({"const"}),)),
    Site("Letterboxd", HALF_STARS, (frozenset({"letterboxduri"}), frozenset({"watcheddate", "rating"}))),
    Site("Kinopoisk", TEN, (frozenset({"мояоценка"}),)),
    Site("Douban", Scale(1, 5, 1), (frozenset({"我的评分"}), frozenset({"个人评分"}))),
    Site("MovieLens", HALF_STARS, (frozenset({"movieid", "imdbid", "averagerating"}),)),
    Site("Letterboxd", TEN, (frozenset({"rating10"}),)),
)


@dataclass(frozen=True)
class Layout:
    """What stands where in a table: {our column: place}, whose it is, and what a line without stars says.

    kind    None where each line says it: Simkl's by its status, Trakt's by its date
    """

    site: Site | None
    columns: Mapping[str, int]
    kind: Kind | None

    def cell(self, fields: Sequence[str], column: str) -> str:
        """Return what a row has in one of our columns, "" where it has no such column."""
        place = self.columns.get(column)
        return fields[place] if place is not None else ""

    def said_by(self, fields: Sequence[str]) -> Kind:
        """Return what a row without stars says."""
        if self.kind is not None:
            return self.kind
        if status := STATUSES.get(self.cell(fields, "status").lower()):
            return status
        return "watchlist" if self.cell(fields, "listed") and not self.cell(fields, "watched") else "watched"

    def is_guess(self, fields: Sequence[str]) -> bool:
        """Return whether nothing in a row without stars says what it says."""
        is_known = self.kind is not None or self.cell(fields, "status").lower() in STATUSES
        return not (is_known or self.cell(fields, "listed") or self.cell(fields, "watched"))


def layout(where: str, header: Sequence[str], kind: Kind | None = None) -> Layout:
    """Find whose table it is and which column is which; `kind` is what a line without stars says, where it is known.

    Raises DataError where no column says which film a line is about.
    """
    names = [headers.plain(name) for name in header]
    columns = {column: places[0] for column in COLUMNS if (places := _places(where, header, names, column))}
    if not columns.keys() & {"movie", "imdb", "tmdb", "title", "original"}:
        listed = ", ".join(header)[:160]
        raise DataError(
            f"the columns {listed!r} of {where} name no film; rename one to title, imdb_id, tmdb_id or movieId, and "
            "where there are a year and a rating, one to year and one to rating"
        )
    site = next((one for one in SITES if any(mark <= set(names) for mark in one.marks)), None)
    is_imdb_list = "const" in names and "position" in names
    return Layout(site, columns, kind or ("watchlist" if is_imdb_list else None))


def _places(where: str, header: Sequence[str], names: Sequence[str], column: str) -> list[int]:
    for usual in COLUMNS[column]:
        if usual in names:
            headers.single(where, header, header[names.index(usual)])
            return [names.index(usual)]
    return []


def kind_of_file(name: str) -> Kind | None:
    """Return what a file's name says of its lines without stars, None where it says nothing.

    >>> kind_of_file("watchlist.csv"), kind_of_file("letterboxd/likes/films.csv"), kind_of_file("ratings-movies.json")
    ('watchlist', 'liked', 'rated')
    """
    path = PurePosixPath(name.lower().replace("\\", "/"))
    stem, folders = path.stem, path.parts[:-1]
    if "likes" in folders:
        return "liked"
    if "watchlist" in stem or stem.endswith("wish"):
        return "watchlist"
    if "lists" in folders or stem.startswith("lists"):
        return "listed"
    if any(word in stem for word in ("watched", "history", "diary", "seen")):
        return "watched"
    return "rated" if "rating" in stem else None
