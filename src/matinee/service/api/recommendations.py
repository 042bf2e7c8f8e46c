"""Recommendations: what to watch, and why."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from matinee.recommender import Order
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import (
    WHOLE,
    AboutUser,
    Answered,
    FilterQuery,
    IdAsKey,
    ListedMovie,
    MovieId,
    ScaleQuery,
)
from matinee.service.auth.limits import MOST_RATINGS
from matinee.service.rows import about, position_of, told_list
from matinee.service.serving import recommender

MAX_N = 1_000


class ListOptions(FilterQuery):  # type: ignore[misc]
    """What the list is made of and how it is ordered."""

    n: Annotated[int, Field(ge=1, le=MAX_N), WHOLE] = Field(25, description="exactly so many, or the note says why not")
    order: Order = Field("match", description="by the ranker's score, or by predicted stars")
    explain: bool = Field(False, description="add to each movie why it is here")


class UserListOptions(ListOptions):
    """The same for a user."""

    within: Literal["watchlist"] | None = Field(None, description="only movies with this mark")


class RecommendationRequest(ListOptions):
    """One person's ratings, and the options of the list."""

    ratings: dict[IdAsKey, float] = Field(
        max_length=MOST_RATINGS, description="stars by the movies' ids", examples=[{"1": 4.5}]
    )
    within: list[MovieId] | None = Field(None, max_length=MOST_RATINGS, description="only these movies")
    scale: str | None = Field(None, description="of all stars, LOW:HIGH such as 1:10, where not the data's")


class Recommendations(Answered):
    """A list for ratings given by hand."""

    order: Order = Field(description="what orders it: the stars where there is no ranker")
    note: str = Field(description="what must be known of the list, such as why it is short")
    items: list[ListedMovie]


class UserRecommendations(Recommendations, AboutUser):
    """A user's list."""


@route(
    "GET",
    "/users/{user}/recommendations",
    scope="read",
    summary="Recommend movies",
    query=UserListOptions,
    answer=UserRecommendations,
)
def recommend(user: str, query: UserListOptions) -> Fields:
    """Exactly n movies that pass the filters, or the note says why not; never one that was rated, seen or hidden.

    A user without ratings gets the most rated movies, and the note says so.
    """
    found = recommender().recommend(user=user, within=query.within, **_options(query))
    return {**about(user, found), **told_list(found)}


@route(
    "POST",
    "/recommendations",
    scope="read",
    summary="Recommend for ratings in the body",
    query=ScaleQuery,
    body=RecommendationRequest,
    answer=Recommendations,
    problems=(404,),
)
def recommend_for_ratings(query: ScaleQuery, body: RecommendationRequest) -> Fields:
    """Nothing is stored."""
    for movie in (*body.ratings, *(body.within or ())):
        position_of(movie)
    found = recommender().recommend(
        body.ratings, within=body.within, scale=query.scale_of(body.scale), **_options(body)
    )
    return told_list(found)


def _options(asked: ListOptions) -> dict[str, Any]:
    """Return what `Recommender.recommend` is asked by, but for whom and within what."""
    return {name: getattr(asked, name) for name in ListOptions.model_fields}
