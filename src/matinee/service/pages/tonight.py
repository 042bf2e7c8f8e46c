"""The films of a list: one large pick, the rows behind it, and the notes on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.recommender import Answer, Filters
from matinee.service.pages.blueprint import texts
from matinee.service.pages.choice import OLDEST, Choice
from matinee.service.pages.formatting import FORMAT, Film, main_title
from matinee.service.rows import listed, movie_rows
from matinee.service.serving import recommender
from matinee.service.users import UserState

LISTED = 25
CANDIDATES = 4
"""Films by match for each that is listed, so that enough of them are expected to be liked."""
SEARCHED_FOR_LESS_KNOWN = 500
BECAUSE = 2
STRONG = 0.25
"""Of the largest contribution: what a film that is named as a reason adds at least."""
FEW = 10
"""Ratings below which a list is a rough guess."""


@dataclass(frozen=True)
class Tonight:
    """`pick` is None where no film is left; `films` are the rows behind it.

    rated   films the person rated, of the `enough` that make more of a list than a rough guess
    """

    pick: Film | None
    films: Sequence[Film]
    rated: int
    note: str
    enough: int = FEW

    @property
    def personal(self) -> bool:
        """Whether it is the person's own list."""
        return self.rated > 0


def tonight(user: str | None, said: UserState, choice: Choice) -> Tonight:
    """Return the list for a person, None for a new visitor."""
    films = aside_last(doubtful_last(listed(_answer(user, choice))), choice.without)[:LISTED]
    told = [_told(film, said, BECAUSE if place == 0 else 1) for place, film in enumerate(films)]
    return Tonight(told[0] if told else None, told[1:], len(said.stars), _note(len(said.stars), len(films), choice))


def _told(film: Film, said: UserState, n: int) -> Film:
    """Return a film with the words for its reasons, up to n of them, and each reason with the stars given to it."""
    why = film.get("why", ())
    most = sum(abs(one["contribution"]) for one in why) or 1.0
    with_stars = [
        {**one, "stars": said.stars[one["movie"]], "share": one["contribution"] / most}
        for one in why
        if one["movie"] in said.stars
    ]
    return {**film, "because": _because(film, said, n), "why": with_stars}


def aside_last(films: Sequence[Film], aside: Sequence[str]) -> list[Film]:
    """Return films in their order, but behind the others those that were put aside, the first of them first."""
    places = {movie: place for place, movie in enumerate(aside, 1)}
    return sorted(films, key=lambda film: places.get(film["movie"], 0))


def doubtful_last(films: Sequence[Film]) -> list[Film]:
    """Return films in their order, but those that are expected to be disliked behind the others.

    A match says what people with such ratings watch, not what they like. Doubtful are stars below the middle of the
    scale; where most of the films are expected to get less than that, stars below their median.
    """
    if not films:
        return []
    scale = recommender().dataset.ratings.scale
    least = min((scale.low + scale.high) / 2, float(np.median([film["stars"] for film in films])))
    return sorted(films, key=lambda film: bool(film["stars"] < least))


def _answer(user: str | None, choice: Choice) -> Answer:
    asked: dict[str, Any] = {"ratings": {}} if user is None else {"user": user}
    asked |= choice.filters
    if choice.less_known:
        found = recommender().recommend(**asked, n=SEARCHED_FOR_LESS_KNOWN)
        counts = recommender().dataset.ratings.movie_counts
        unknown = found.positions[counts[found.positions] <= _middle()][: CANDIDATES * LISTED]
        asked["within"] = movie_rows().ids(unknown)
    return recommender().recommend(**asked, n=CANDIDATES * LISTED, explain=True)


def _middle() -> float:
    """Return how many ratings the film in the middle has, of those that can be listed."""
    counts = recommender().dataset.ratings.movie_counts
    eligible = counts[counts >= DEFAULT_MIN_RATINGS]
    return float(np.median(eligible)) if len(eligible) else 0.0


def _because(film: Film, said: UserState, n: int) -> str:
    """Return up to n rated films that add most to a film's place: those that were loved, or else the first.

    A film that the person likes less than their others, or not at all, is no reason to watch another.
    """
    scale, reasons = recommender().dataset.ratings.scale, film.get("why", ())
    strong = [one for one in reasons if one["contribution"] >= STRONG * reasons[0]["contribution"]]
    loved = [main_title(one["title"]) for one in strong if said.stars.get(one["movie"], 0) >= scale.liked][:n]
    t = texts()["why"]
    if loved:
        return str(t["loved"]).format(titles=t["and"].join(loved))
    least = max((scale.low + scale.high) / 2, fmean(said.stars.values())) if said.stars else scale.high
    fair = [main_title(one["title"]) for one in strong if said.stars.get(one["movie"], 0) >= least]
    return str(t["rated"]).format(title=fair[0]) if fair else ""


def _note(n_rated: int, n_films: int, choice: Choice) -> str:
    t = texts()["tonight"]
    if n_films < LISTED and choice.is_narrow:
        return str(t["narrow"] if n_films else t["none_match"]).format(n=n_films, es="es" if n_films == 1 else "")
    if not n_films:
        return str(t["none_left"])
    if not n_rated:
        return str(t["nobody"])
    return str(t["rough"] if n_rated < FEW else t["from"]).format(n=n_rated, s="" if n_rated == 1 else "s")


def chips() -> dict[str, Sequence[Any]]:
    """Return the genres and decades that some film to list has, commonest genre first, latest decade first."""
    dataset = recommender().dataset
    allowed = recommender().allowed(Filters())
    flags, years = dataset.catalog.genre_flags[allowed], dataset.catalog.years[allowed]
    counts = flags.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    decades = np.unique(np.maximum(years[years > 0] // 10 * 10, OLDEST))
    names = [dataset.catalog.genre_names[at] for at in order if counts[at]]
    return {
        "genres": [name for name in names if name != FORMAT],
        "decades": decades[::-1].tolist(),
    }
