"""Plausibility: what in a data set is probably not meant, and the option that settles it. Pure functions.

stars     a value that often means "not rated"; one single value or two, which are likes and not stars
ids       as many users or movies as ratings; rated movies without a title
times     numbers in other units than seconds, or that are no times
rows      the share that was left out
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.dataset import Finding

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

UNITS = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SENTINELS = (-1.0, 0.0, -9.0, -99.0, -999.0, 99.0, 999.0, 9999.0)
"""Numbers that stand for "not rated" in many data sets."""
HIGHEST_STARS = 10.0
FAR = 2
"""Of the others' range: how far a number beyond every scale stands apart."""
OFTEN = 3
"""Times as often as the lowest stars: 0 is then no rating."""
FEWEST_LIKES = 3
FEWEST_OF_TWO = 20
FEW = 3
"""Numbers that no scale of stars has so few of, where they are not in steps."""
FEWEST_OF_ONE_PERSON = 10
FEWEST_IDS = 10
NEARLY = 0.9
HARDLY = 0.5


def of_stars(values: Values, counts: Counts) -> list[Finding]:
    """Return what is odd about the different numbers of stars, ascending, and how often each was given."""
    values = np.asarray(values, np.float64).round(6)
    likes = _likes(values, counts) or _few(values, counts)
    return [likes] if likes else [one for one in (_not_rated(values, counts, at) for at in _ends(values)) if one]


def of_export(values: Values, counts: Counts) -> list[Finding]:
    """Return whether one person's stars look like likes; a few that are alike mean nothing."""
    found = _likes(values, counts) or _few(values, counts)
    return [found] if found and counts.sum() >= FEWEST_OF_ONE_PERSON else []


def of_unrated(rows: int) -> list[Finding]:
    """Return how many lines of an export have stars off its scale that mean "not rated"."""
    if not rows:
        return []
    return [
        Finding(
            "not-rated",
            f"{rows:,} lines have 0 or -1 stars, which are off the scale and count as not rated",
            "if they are stars, say on which scale, such as `scale='0:5'`",
            {"rows": rows},
        )
    ]


def of_dates(unit: str, rows: int) -> list[Finding]:
    """Return how many dates of an export are numbers in another unit than seconds."""
    if not rows:
        return []
    return [
        Finding(
            "times-converted",
            f"{rows:,} dates are numbers in {UNITS[unit]}, and are converted",
            "if they are something else, remove their column",
            {"rows": rows},
        )
    ]


def of_ids(users: int, movies: int, rows: int) -> list[Finding]:
    """Return whether a column has nearly another id in every row."""
    found = []
    for what, ids, others in (("user", users, movies), ("movie", movies, users)):
        if rows >= FEWEST_IDS and ids >= NEARLY * rows and others > 1:
            found.append(
                Finding(
                    f"as-many-{what}s-as-rows",
                    f"{ids:,} {what}s in {rows:,} rows: the column of {what}s seems to be another one",
                    f"name it with `{what}=COLUMN`",
                    {f"{what}s": ids, "rows": rows},
                )
            )
    return found


def of_titles(titled: int, rated: int, examples: Sequence[str]) -> list[Finding]:
    """Return whether the ids of the ratings hardly meet those of the movie table, of which some are shown."""
    if titled >= HARDLY * rated:
        return []
    shown = ", ".join(map(repr, examples))
    return [
        Finding(
            "movies-do-not-meet",
            f"{titled:,} of {rated:,} rated movies have a title: the movie table has other ids, such as {shown}",
            "name its column of ids with `movie_columns='movie=COLUMN'`, or the ratings' with `movie=COLUMN`",
            {"titled": titled, "rated": rated},
        )
    ]


def of_movies(rows: int, ids: int) -> list[Finding]:
    """Return whether rows of a movie table share an id."""
    if rows == ids:
        return []
    return [
        Finding(
            "movies-again",
            f"{rows - ids:,} of {rows:,} rows of the movie table have an id that a later row has; the later counts",
            "if they are different movies, name the column of ids with `movie_columns='movie=COLUMN'`",
            {"rows": rows, "ids": ids},
        )
    ]


def of_times(column: str | None, lowest: int, highest: int, written: str) -> list[Finding]:
    """Return what was made of a column of numbers, where they are not seconds since 1970."""
    numbers = {"lowest": lowest, "highest": highest}
    if column is None or written == "s":
        return []
    if not written:
        return [
            Finding(
                "no-times",
                f"column {column} holds numbers from {lowest} to {highest}, which are no times: it is not read",
                f"if they are seconds since 1970, say so with `timestamp='{column}'`",
                numbers,
            )
        ]
    if written == "date":
        return []
    unit = UNITS[written]
    return [
        Finding(
            "times-converted",
            f"times of column {column} are in {unit}, and are converted to seconds",
            "if they are something else, leave them out with `timestamp='-'`",
            numbers,
        )
    ]


def of_rows(skipped: int, rows: int, first: str) -> list[Finding]:
    """Return how many rows were left out, and the first of them."""
    if not skipped:
        return []
    return [
        Finding(
            "skipped-rows",
            f"{skipped:,} of {rows:,} rows ({skipped / rows:.1%}) are left out; the first: {first.partition(';')[0]}",
            "stop there with `on_bad_rows='error'`",
            {"skipped": skipped, "rows": rows},
        )
    ]


def _likes(values: Values, counts: Counts) -> Finding | None:
    """One value, or two of which no scale of stars has so few."""
    rows = int(counts.sum())
    thumbs = bool(np.isin(values, (-1, 0, 1)).all())
    fewest = FEWEST_LIKES if len(values) == 1 or thumbs else FEWEST_OF_TWO
    if not 0 < len(values) <= (3 if thumbs else 2) or rows < fewest:
        return None
    if not thumbs and len(values) == 2 and _not_rated(values, counts, 0):
        return None
    shown = " or ".join(f"{value:g}" for value in values)
    low, high = (values[0], values[-1]) if len(values) > 1 else (0.0, max(values[0], 1.0))
    return Finding(
        "likes",
        f"every rating is {shown}, which looks like likes and not stars",
        f"if these are stars, say on which scale, such as `scale='{low:g}:{high:g}'`",
        {"values": len(values), "rows": rows},
    )


def _few(values: Values, counts: Counts) -> Finding | None:
    """Three values in uneven steps, or beyond every scale of stars."""
    rows, steps = int(counts.sum()), np.diff(values)
    is_scale = len(values) and values[-1] <= HIGHEST_STARS and np.allclose(steps, steps[:1])
    if len(values) != FEW or rows < FEWEST_OF_TWO or is_scale or any(_not_rated(values, counts, at) for at in (0, -1)):
        return None
    return Finding(
        "few-values",
        f"every rating is {', '.join(f'{value:g}' for value in values[:-1])} or {values[-1]:g}, which looks like what "
        "somebody did and not like stars",
        f"if these are stars, say on which scale, such as `scale='{values[0]:g}:{values[-1]:g}'`",
        {"values": len(values), "rows": rows},
    )


def _ends(values: Values) -> list[int]:
    return [0, len(values) - 1] if len(values) > 1 else []


def _not_rated(values: Values, counts: Counts, at: int) -> Finding | None:
    """The lowest or highest number, where it is one that stands apart from the others."""
    value, others = float(values[at]), np.delete(values, at)
    if value not in SENTINELS or not _stands_apart(value, others, int(counts[at]), np.delete(counts, at)):
        return None
    rows = int(counts.sum())
    named, low, high = f"{value:g}", min(value, float(others[0])), max(value, float(others[-1]))
    return Finding(
        "not-rated",
        f"rating {named} stands apart from the others ({others[0]:g} to {others[-1]:g}) in {counts[at]:,} of {rows:,} "
        "rows, and often means not rated",
        f"leave these rows out with `not_rated={named}`, or keep them with `scale='{low:g}:{high:g}'`",
        {"value": value, "rows": int(counts[at]), "share": float(counts[at] / rows)},
    )


def _stands_apart(value: float, others: Values, count: int, counts: Counts) -> bool:
    if value == -1:
        return bool(others[0] >= 0)
    if value == 0:
        if others[0] < 0 or others[-1] > HIGHEST_STARS:
            return False
        step = float(np.diff(others).min()) if len(others) > 1 else 0.0
        return bool(others[0] > step or count >= OFTEN * counts[0])
    gap = min(abs(value - others[0]), abs(value - others[-1]))
    return bool(gap > FAR * max(others[-1] - others[0], 1.0))
