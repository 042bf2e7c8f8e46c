"""One film: what is known of it, what you would give it and why, and what is like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, render_template

from matinee.errors import MissingError, UnknownMovieError
from matinee.service.auth import access
from matinee.service.movies import described, facts, known_movie
from matinee.service.pages.blueprint import routes, texts
from matinee.service.pages.formatting import Film
from matinee.service.pages.visitors import own, visitor, welcomed
from matinee.service.rows import movie_rows, predicted
from matinee.service.serving import recommender
from matinee.service.users import UserState

LEAST_ADDED = 0.005  # stars: less is written as 0.00
MOST_REASONS = 6
SIMILAR = 8


@routes.get("/films/<movie>")
@access("public")
def film(movie: str) -> Response:
    """Show one film."""
    said = own()
    in_data = known_film(movie) in recommender().dataset.catalog.ids
    shown: dict[str, Any] = _shown(movie, said) if in_data else {"film": facts([movie])[0]}
    return welcomed(render_template("film.html", movie=movie, said=said, **shown))


def known_film(movie: str) -> str:
    """Return the id of a film that is here. Raises MissingError, in words for visitors, for another."""
    try:
        return known_movie(movie)
    except UnknownMovieError:
        t = texts()["error"]
        raise MissingError(str(t["film"]).format(movie=movie)) from None


def _shown(movie: str, said: UserState) -> dict[str, Any]:
    user = visitor()
    asked: dict[str, Any] = {"ratings": {}} if user is None else {"user": user}
    [stars] = predicted(recommender().predict(**asked, movies=[movie]))
    return {
        "film": {**described(movie), **stars},
        "reasons": _reasons(asked, movie) if said.stars and movie not in said.stars else [],
        "similar": movie_rows().of(recommender().similar(movie, SIMILAR).positions),
    }


def _reasons(asked: Mapping[str, Any], movie: str) -> Sequence[Film]:
    """Return what a person's ratings add to the stars of a film, the largest first and none that is next to nothing."""
    _, *rows = recommender().explain(**asked, movie=movie, of="stars")
    return [row for row in rows[:MOST_REASONS] if abs(row["contribution"]) >= LEAST_ADDED]
