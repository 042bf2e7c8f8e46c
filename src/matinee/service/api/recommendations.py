"""Recommendations: what to watch, and why."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from matinee.defaults import DEFAULT_MIN_RATINGS
from matinee.recommender import Order
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import WHOLE, AboutUser, Answered, Asked, Genres, IdAsKey, ListedMovie, MovieId, Year
from matinee.service.auth.limits import MOST_RATINGS
from matinee.service.rows import about, position_of, told_list
from matinee.service.serving import recommender

MAX_N = 1_000


class ListOptions(Asked):
    """What the list is made of and how it is ordered."""

    n: Annotated[int, Field(ge=1, le=MAX_N), WHOLE] = Field(25, description="exactly so many, or the note says why not")
    order: Order = Field("match", description="by the ranker's score, or by predicted stars")
    genre: Genres = ()
    not_genre: Genres = Field((), description="may be given several times: none of them")
    year_from: Year | None = None
    year_to: Year | None = None
    rated_since: date | None = Field(
        None, description="count only ratings since this day, UTC, for min_ratings", examples=["2018-01-31"]
    )
    min_ratings: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None,
        description=f"only movies with at least so many ratings; by default {DEFAULT_MIN_RATINGS}, or 0 with within",
    )
    explain: bool = Field(False, description="add to each movie why it is here")


class UserListOptions(ListOptions):
    """The same for a user."""

    within: Literal["watchlist"] | None = Field(None, description="only movies with this mark")


class GivenRatings(ListOptions):
    """Somebody's ratings, and what list they want."""

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
    summary="What to watch",
    query=UserListOptions,
    answer=UserRecommendations,
)
def recommendations(user: str, query: UserListOptions) -> Fields:
    """Exactly n movies that pass the filters, or the note says why not; never one that was rated, seen or hidden.

    Somebody who has rated nothing gets the most rated movies, and the note says so.
    """
    found = recommender().recommend(user=user, within=query.within, **_options(query))
    return {**about(user, found), **told_list(found)}


@route(
    "POST",
    "/recommendations",
    scope="read",
    summary="What to watch, for ratings in the body",
    body=GivenRatings,
    answer=Recommendations,
    problems=(404,),
)
def recommendations_for(body: GivenRatings) -> Fields:
    """Nothing is stored."""
    for movie in (*body.ratings, *(body.within or ())):
        position_of(movie)
    found = recommender().recommend(body.ratings, within=body.within, scale=body.scale, **_options(body))
    return told_list(found)


def _options(asked: ListOptions) -> dict[str, Any]:
    """Return what `Recommender.recommend` is asked by, but for whom and within what."""
    return {name: getattr(asked, name) for name in ListOptions.model_fields}
