"""The tutorial's three URLs, with its shapes and without its faults.

GET  /<user>/ratings/top/<n>    [[title, stars, number of ratings], ...]   best first, never a rated movie
GET  /<user>/ratings/<movie>    the same, one row, or none for a movie nobody knows
POST /<user>/ratings            lines "movieId,rating"  ->  [[user, movie, stars], ...]   all or none
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import UnsupportedMediaType

from matinee.datasets.delimited import number
from matinee.errors import DataError, UnknownMovieError, UsageError
from matinee.live import checked_id
from matinee.ratings import Scale
from matinee.service import bodies, border
from matinee.service.auth import access
from matinee.service.auth.limits import checked_length
from matinee.service.serving import live, recommender, serving_of
from matinee.table import Table
from matinee.titles import with_year

MAX_N = 1_000
DECIMALS = 4  # of stars in answers
MIN_RATINGS = 25  # as in the tutorial
BODY_TYPES = ("application/x-www-form-urlencoded", "text/csv", "text/plain")  # the first is what curl says by itself

routes = Blueprint("tutorial", __name__)


@dataclass(frozen=True)
class Line:
    """One rating as it was posted; stars on the scale of the poster."""

    number: int
    movie: str
    stars: float


@routes.get("/<user>/ratings/top/<n>")
@access("read", owned=True)
def top(user: str, n: str) -> Response:
    table = recommender().recommend(
        user=checked_id(user, "user"), n=whole_number(n), min_ratings=MIN_RATINGS, order="stars", scale=scale()
    )
    return jsonify(rows(table))


@routes.get("/<user>/ratings/<movie>")
@access("read", owned=True)
def one(user: str, movie: str) -> Response:
    if movie not in recommender().dataset.catalog.ids:
        return jsonify([])
    table = recommender().predict(user=checked_id(user, "user"), movies=[movie], scale=scale())
    return jsonify(rows(table))


@routes.post("/<user>/ratings")
@access("write", owned=True)
def rate(user: str) -> Response:
    lines = {line.movie: line for line in parse(posted_text(), scale())}
    checked_length(len(lines))
    catalog = recommender().dataset.catalog
    for line in lines.values():
        if line.movie not in catalog.ids:
            raise UnknownMovieError(line.movie, hint=f"line {line.number} names it; nothing was stored")
    live().rate(user, dict(zip(lines, stored([line.stars for line in lines.values()]), strict=True)))
    return jsonify([[user, line.movie, line.stars] for line in lines.values()])


def rows(table: Table) -> list[tuple[str, float, int]]:
    titles = map(with_year, table["title"], table["year"])
    return list(zip(titles, map(short, table["stars"]), table["ratings"], strict=True))


def short(stars: float) -> float:
    return round(stars, DECIMALS)


def whole_number(text: str) -> int:
    number = border.whole_number(text, 1, MAX_N)
    if number is None:
        raise UsageError(f"n is a whole number from 1 to {MAX_N:,}, not {text[:40]!r}")
    return number


def posted_text() -> str:
    if request.mimetype and request.mimetype not in BODY_TYPES:
        raise UnsupportedMediaType(
            f"ratings are posted as {BODY_TYPES[0]}, text/csv or text/plain with lines movieId,rating, not as "
            f"{request.mimetype}; with curl: --data-binary @user_ratings.file"
        )
    try:
        return bodies.content().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the body is not UTF-8: byte {error.start + 1} cannot be read; nothing was stored") from None


def parse(text: str, scale: Scale) -> Iterator[Line]:
    """Read lines of movieId,rating; blank ones are skipped.

    Raises DataError naming the first line that breaks a rule.

    >>> list(parse("260,9\\r\\n\\r\\n1,8\\n", Scale(1, 10)))
    [Line(number=1, movie='260', stars=9.0), Line(number=3, movie='1', stars=8.0)]
    """
    for place, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            yield _line(place, row, scale)


def _line(line: int, row: str, scale: Scale) -> Line:
    parts = [part.strip() for part in row.split(",")]
    if len(parts) != 2:
        joined = "; send the file with --data-binary, as --data joins its lines" if len(parts) > 2 else ""
        raise _bad(line, f"{row[:60]!r} is not movieId,rating{joined}")
    movie, text = parts
    try:
        checked_id(movie, "movie")
        stars = number(text)
    except UsageError as error:
        raise _bad(line, str(error)) from None
    except ValueError:
        raise _bad(line, f"rating {text[:40]!r} is not a number; send lines such as 260,4 without a header") from None
    if rule := scale.check(stars):
        raise _bad(line, rule)
    return Line(line, movie, stars)


def _bad(line: int, what: str) -> DataError:
    return DataError(f"line {line}: {what}; nothing was stored")


def scale() -> Scale:
    """Return the scale on which these URLs speak of stars."""
    return serving_of(current_app).tutorial_scale or recommender().dataset.ratings.scale


def stored(stars: Sequence[float]) -> list[float]:
    """Return stars of these URLs on the scale of the data."""
    own = recommender().dataset.ratings.scale
    return [scale().convert(value, own) for value in stars]
