"""One person's ratings from a file: lines MOVIE,STARS, where MOVIE is an id or a title."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from matinee.errors import DataError

HEADINGS = {"movie", "movieid", "movie_id", "title"}


def read_ratings(path: Path) -> dict[str, float]:
    """Return {movie as written: stars}; a first line of column names is left out, blank lines too.

    Raises DataError naming the line that breaks a rule.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write('movie,stars\\n260,9\\n"Matrix, The",8.5\\n')
    ...     file.flush()
    ...     read_ratings(Path(file.name))
    {'260': 9.0, 'Matrix, The': 8.5}
    """
    found: dict[str, float] = {}
    for number, movie, stars in _lines(path, _text(path)):
        if movie in found:
            raise DataError(f"{path} line {number}: {movie!r} is rated twice; leave one of the lines out")
        found[movie] = stars
    if not found:
        raise DataError(f"{path} holds no ratings; it needs lines MOVIE,STARS such as 260,4.5")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: byte {error.start + 1} cannot be read") from None


def _lines(path: Path, text: str) -> Iterator[tuple[int, str, float]]:
    rows = csv.reader(io.StringIO(text))
    for row in rows:
        fields = [field.strip() for field in row]
        if not any(fields) or (rows.line_num == 1 and fields[0].lower() in HEADINGS):
            continue
        yield rows.line_num, *_rating(f"{path} line {rows.line_num}", fields)


def _rating(place: str, fields: list[str]) -> tuple[str, float]:
    if len(fields) != 2 or not fields[0]:
        raise DataError(
            f'{place}: {",".join(fields)!r} is not MOVIE,STARS; quote a title with a comma: "Matrix, The",5'
        )
    try:
        return fields[0], float(fields[1])
    except ValueError:
        raise DataError(f"{place}: {fields[1]!r} is not a number of stars") from None
