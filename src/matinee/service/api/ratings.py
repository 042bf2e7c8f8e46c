"""What one person rated: read, written one by one, and brought in from other places."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from matinee.datasets import exports, matching
from matinee.datasets.exports import Export, Line, Unmatched
from matinee.datasets.matching import GROUPS, Matched
from matinee.datasets.sites import Kind
from matinee.errors import UsageError
from matinee.ratings import Scale
from matinee.remedies import over_http
from matinee.service import users
from matinee.service.api.marks import Mark
from matinee.service.api.reading import Upload
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import WHOLE, AboutUser, Asked, MovieFacts, MovieId, ScaleQuery, Year
from matinee.service.auth.limits import MOST_RATINGS, checked_length
from matinee.service.movies import added, facts
from matinee.service.serving import live, recommender

MOST_EXAMPLES = 100
KINDS: Mapping[Mark, Kind] = {"seen": "watched", "hidden": "hidden", "watchlist": "watchlist"}
UPLOADS = ("text/csv", "application/zip", "application/x-zip-compressed", "application/vnd.ms-excel")


class RatingsQuery(Asked):
    limit: int = Field(100, ge=1, le=1_000, description="how many at most")
    cursor: str | None = Field(None, description="`next` of the page before")


class RatedMovie(MovieFacts):
    stars: float


class RatingsPage(AboutUser):
    items: list[RatedMovie]
    next: str | None = Field(description="cursor of the next page, null on the last")


class Rating(AboutUser):
    movie: str
    title: str
    year: int | None
    stars: float


class NewRating(Asked):
    stars: float = Field(description="on the scale of the data")


class StoredRating(AboutUser):
    movie: str
    stars: float | None = Field(description="null: there is no rating")


class ImportedMovie(Asked):
    """A movie by its id, its IMDb id, or its title, with the year where it is known."""

    movie: MovieId | None = None
    imdb: str | None = Field(None, max_length=16)
    title: str | None = Field(None, max_length=500)
    year: Year | None = None

    def line(self, number: int, stars: float = 0.0) -> Line:
        """Return the movie as a line to be matched."""
        return Line(number, stars, self.movie, self.imdb, (self.title,) if self.title else (), self.year)


class ImportedRating(ImportedMovie):
    stars: float


class ImportedMark(ImportedMovie):
    mark: Mark


class RatingsImport(Asked):
    """Ratings and marks; what an export holds can be sent back as it is."""

    ratings: list[ImportedRating] = Field(max_length=MOST_RATINGS, examples=[[{"movie": "1", "stars": 4}]])
    marks: list[ImportedMark] = Field([], max_length=MOST_RATINGS)
    scale: str | None = Field(None, description="of these stars, such as 1:10; by default the data's")
    snapshot: str | None = Field(None, description="as in an export; of no effect")
    user: str | None = Field(None, description="as in an export; of no effect")
    revision: Annotated[int, WHOLE] | None = Field(None, description="as in an export; of no effect")


class FileScale(ScaleQuery):
    scale: str | None = Field(None, description="of the stars, where a file's are not on its site's scale")
    kind: Literal["watched", "watchlist"] | None = Field(
        None, description="what lines without stars are; by default what the file's name or columns say, else watched"
    )


class UnmatchedLine(BaseModel):
    line: int = Field(description="of a file, or the place in the list of ratings, counted from 1")
    file: str = Field(description="of a zip, empty for a single file")
    what: str
    reason: str


class UnmatchedGroup(BaseModel):
    """Lines that became nothing for one reason."""

    kind: Literal["newer", "unknown", "another year", "several", "nameless", "series", "stars", "listed", "unreadable"]
    reason: str = Field(examples=["newer than the data"])
    lines: int


class LooseLine(BaseModel):
    """A line that means a movie in all likelihood."""

    line: int
    file: str = Field(description="of a zip, empty for a single file")
    what: str
    movie: str
    title: str
    why: str = Field(description="what differs")


class ImportReport(AboutUser):
    site: str = Field(description="whose file it was taken for")
    scale: str = Field(description="of its stars")
    lines: int = Field(description="how many were read")
    stored: int = Field(description="how many movies were rated")
    marked: dict[Mark, int] = Field(description="how many movies were marked as what")
    groups: list[UnmatchedGroup] = Field(description="of all lines that became nothing, the largest first")
    unmatched: list[UnmatchedLine] = Field(description=f"the first {MOST_EXAMPLES} lines that became nothing")
    loose: list[LooseLine] = Field(description=f"the first {MOST_EXAMPLES} lines whose movie is not certain")
    loose_lines: int = Field(description="how many there are of these")
    not_read: list[str] = Field(description="files of a zip that say nothing of movies, or nothing that is kept")
    notes: list[str] = Field(description="what is probably not meant, and what became of likes, lists and marks")


@route("GET", "/users/{user}/ratings", scope="read", summary="List ratings", query=RatingsQuery, answer=RatingsPage)
def list_ratings(user: str, query: RatingsQuery) -> Fields:
    """Ratings of the data and live ones, in the order of the movies' ids."""
    state = users.user_state(user)
    movies = list(state.stars)
    start = _behind(query.cursor, movies) if query.cursor is not None else 0
    page = movies[start : start + query.limit]
    items = [{**row, "stars": state.stars[row["movie"]]} for row in facts(page)]
    more = page[-1] if start + query.limit < len(movies) else None
    return {"user": user, "revision": state.revision, "items": items, "next": more}


def _behind(cursor: str, movies: list[str]) -> int:
    """Return the place behind the movie that a page ended with, though its rating may be gone by now."""
    if cursor not in movies and cursor not in recommender().dataset.catalog.ids and cursor not in added():
        raise UsageError(f"the cursor {cursor[:40]!r} is not of this list; begin again without a cursor")
    return bisect_right(movies, cursor)


@route(
    "GET", "/users/{user}/ratings/{movie}",
    scope="read", summary="Get a rating", answer=Rating, problems=(404,),
)  # fmt: skip
def get_rating(user: str, movie: str) -> Fields:
    """404 where there is no such movie, or the user has not rated it."""
    revision, stars = users.stars_of(user, movie)
    [row] = facts([movie])
    named = {name: row[name] for name in ("movie", "title", "year")}
    return {"user": user, "revision": revision, **named, "stars": stars}


@route(
    "PUT", "/users/{user}/ratings/{movie}",
    scope="write", summary="Rate a movie", body=NewRating, answer=StoredRating, problems=(404,),
)  # fmt: skip
def rate_movie(user: str, movie: str, body: NewRating) -> Fields:
    """Answered when the rating is on disk; the same rating again changes nothing."""
    revision = users.rate(user, movie, body.stars)
    return {"user": user, "revision": revision, "movie": movie, "stars": body.stars}


@route(
    "DELETE", "/users/{user}/ratings/{movie}",
    scope="write", summary="Delete a rating", answer=StoredRating, problems=(404,),
)  # fmt: skip
def delete_rating(user: str, movie: str) -> Fields:
    """Whether it was live or came with the data; a movie that was not rated stays so."""
    revision = users.delete_rating(user, movie)
    return {"user": user, "revision": revision, "movie": movie, "stars": None}


@route(
    "POST", "/users/{user}/ratings",
    scope="write", summary="Import ratings", query=FileScale, body=RatingsImport, uploads=UPLOADS,
    answer=ImportReport,
)  # fmt: skip
def import_ratings(user: str, query: FileScale, body: RatingsImport | Upload, name: str = "") -> Fields:
    """JSON of this interface, or the file that another site exports: CSV, zip, or the JSON of Trakt and Simkl.

    Movies are found by IMDb id, TMDB id, id, or title and year, and stars are mapped onto the data's scale. Watched
    movies are marked as seen, a watchlist as watchlist. Every line that became nothing is counted by its reason. Stars
    off their scale refuse the whole body.
    """
    data = recommender().dataset
    own = data.ratings.scale
    export = _read(body.content, query, own, name) if isinstance(body, Upload) else _written(body, own, query)
    found = matching.match(export, data.catalog, own, _also(export.lines), data.ratings.movie_counts)
    revision = live().bring(user, found.stars, found.marks)
    return {"user": user, "revision": revision, **report(export, found)}


def report(export: Export, found: Matched) -> Fields:
    """Return what an import became."""
    return {
        "site": export.site,
        "scale": str(export.scale),
        "lines": found.lines,
        "stored": len(found.stars),
        "marked": Counter(found.marks.values()),
        "groups": [{"kind": kind, "reason": GROUPS[kind], "lines": n} for kind, n in found.groups.items()],
        "unmatched": [_unmatched(one) for one in found.unmatched[:MOST_EXAMPLES]],
        "loose": [*map(asdict, found.loose[:MOST_EXAMPLES])],
        "loose_lines": len(found.loose),
        "not_read": [file for file, kind in export.files.items() if not kind],
        "notes": list(map(over_http, found.notes)),
    }


def _unmatched(one: Unmatched) -> Fields:
    return {"line": one.line, "file": one.file, "what": one.what, "reason": one.reason}


def _also(lines: Iterable[Line]) -> Collection[str]:
    """Return the movies added since the data, where a line may mean one."""
    ids = recommender().dataset.catalog.ids
    return added() if any(line.movie and line.movie not in ids for line in lines) else ()


def _read(content: bytes, query: FileScale, own: Scale, name: str) -> Export:
    scale = None if query.scale is None else Scale.parse(query.scale)
    export = exports.read(content, scale, own=own, kind=query.kind, name=name)
    checked_length(len(export.lines))
    return export


def _written(body: RatingsImport, own: Scale, query: FileScale) -> Export:
    """Return ratings from JSON as lines, on the scale that the body or the query names.

    Raises UsageError for stars that are not on their scale.
    """
    named = query.scale_of(body.scale)
    scale = Scale.parse(named) if named else own
    lines = []
    for number, one in enumerate(body.ratings, 1):
        if rule := scale.check(one.stars):
            raise UsageError(f"rating {number}: {rule}; nothing was stored")
        lines.append(one.line(number, one.stars))
    lines += [one.line(number)._replace(kind=KINDS[one.mark], file="marks") for number, one in enumerate(body.marks, 1)]
    return Export(matching.OWN, scale, tuple(lines))
