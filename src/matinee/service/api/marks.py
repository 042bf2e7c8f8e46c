"""What one person marked: seen and hidden movies are never recommended, a watchlist can be asked within."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from matinee.service import users
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import AboutUser, Asked, MovieFacts
from matinee.service.movies import facts

Mark = Literal["seen", "hidden", "watchlist"]


class MarkedMovie(MovieFacts):
    mark: Mark


class UserMarks(AboutUser):
    items: list[MarkedMovie]


class NewMark(Asked):
    mark: Mark


class StoredMark(AboutUser):
    movie: str
    mark: Mark | None = Field(description="null: there is no mark")


@route("GET", "/users/{user}/marks", scope="read", summary="List marks", answer=UserMarks)
def list_marks(user: str) -> Fields:
    state = users.user_state(user)
    items = [{**row, "mark": state.marks[row["movie"]]} for row in facts(list(state.marks))]
    return {"user": user, "revision": state.revision, "items": items}


@route(
    "PUT", "/users/{user}/marks/{movie}",
    scope="write", summary="Mark a movie", body=NewMark, answer=StoredMark, problems=(404,),
)  # fmt: skip
def mark_movie(user: str, movie: str, body: NewMark) -> Fields:
    """A movie has one mark: the new one takes the place of another."""
    revision = users.mark(user, movie, body.mark)
    return {"user": user, "revision": revision, "movie": movie, "mark": body.mark}


@route(
    "DELETE", "/users/{user}/marks/{movie}",
    scope="write", summary="Delete a mark", answer=StoredMark, problems=(404,),
)  # fmt: skip
def delete_mark(user: str, movie: str) -> Fields:
    """A movie that was not marked stays so."""
    revision = users.delete_mark(user, movie)
    return {"user": user, "revision": revision, "movie": movie, "mark": None}
