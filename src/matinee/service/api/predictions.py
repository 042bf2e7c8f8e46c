"""Predictions: stars a user would give, what they come from, and what to ask for to know better."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from matinee.errors import ModelError
from matinee.recommender import Order
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import AboutUser, Asked, MovieFacts, MovieId, PredictedMovie
from matinee.service.rows import FINE, about, movie_rows, position_of, predicted, rounded, with_columns
from matinee.service.serving import recommender

MAX_MOVIES = 200  # asked about at once
MAX_QUESTIONS = 100


class PredictionQuery(Asked):
    """Which movies."""

    movie: Annotated[tuple[MovieId, ...], Field(min_length=1, max_length=MAX_MOVIES)]


class Predictions(AboutUser):
    """Stars this user would give."""

    note: str
    items: list[PredictedMovie]


class ExplanationQuery(Asked):
    """What to explain."""

    of: Order = Field("stars", description="the stars, or the match that orders a list")


class Contribution(BaseModel):
    """One of the user's ratings, and what it adds."""

    movie: str
    title: str
    stars: float
    contribution: float


class ScoreExplanation(AboutUser):
    """Why a score is what it is: base and contributions sum to the total."""

    movie: str
    of: Order
    note: str
    base: float
    total: float
    items: list[Contribution]


class QuestionQuery(Asked):
    """How many movies to ask about."""

    n: int = Field(1, ge=1, le=MAX_QUESTIONS)
    unknown: tuple[MovieId, ...] = Field((), max_length=MAX_MOVIES, description="asked about before and not known")


class AskedMovie(MovieFacts):
    """A movie worth asking about."""

    known: float = Field(description="how likely the user knows it")


class NextToRate(AboutUser):
    """The movies whose ratings would tell most."""

    note: str
    items: list[AskedMovie]


@route(
    "GET",
    "/users/{user}/predictions",
    scope="read",
    summary="Predict stars",
    query=PredictionQuery,
    answer=Predictions,
    problems=(404,),
)
def predict_stars(user: str, query: PredictionQuery) -> Fields:
    """With the interval that holds 90 % of ratings."""
    for movie in query.movie:
        position_of(movie)
    found = recommender().predict(user=user, movies=query.movie)
    return {**about(user, found), "note": found.note, "items": predicted(found)}


@route(
    "GET",
    "/users/{user}/explanations/{movie}",
    scope="read",
    summary="Explain a prediction or a place",
    query=ExplanationQuery,
    answer=ScoreExplanation,
    problems=(404, 422),
)
def explain_movie(user: str, movie: str, query: ExplanationQuery) -> Fields:
    """What each rating of the user adds, the largest first."""
    position_of(movie)
    found = recommender().explain(user=user, movie=movie, of=query.of)
    base, *items = found
    if not np.isfinite(base["contribution"]):
        raise ModelError(f"movie {movie!r} has too few ratings to be ranked, so no match to explain; ask for of=stars")
    return {
        **about(user, found),
        "movie": movie,
        "of": query.of,
        "note": found.note,
        "base": base["contribution"],
        "total": sum(row["contribution"] for row in (base, *items)),
        "items": items,
    }


@route(
    "GET",
    "/users/{user}/next-to-rate",
    scope="read",
    summary="List movies to ask about",
    query=QuestionQuery,
    answer=NextToRate,
    problems=(404,),
)
def list_questions(user: str, query: QuestionQuery) -> Fields:
    """The movies whose rating would tell most, among those the user is likely to know."""
    for movie in query.unknown:
        position_of(movie)
    found = recommender().next_to_rate(user=user, n=query.n, unknown=query.unknown)
    rows = with_columns(movie_rows().of(found.positions), known=rounded(found.values["known"], FINE))
    return {**about(user, found), "note": found.note, "items": rows}
