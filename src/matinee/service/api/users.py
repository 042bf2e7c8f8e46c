"""All that is kept of one person: handed out whole, or forgotten at once."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from matinee.ratings import Scale
from matinee.service import users
from matinee.service.api.marks import Mark
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import AboutUser, Answered
from matinee.service.movies import facts
from matinee.service.serving import recommender
from matinee.service.users import UserState, user_state


class ExportedRating(BaseModel):
    movie: str
    title: str
    year: int | None
    imdb: str | None
    stars: float


class ExportedMark(BaseModel):
    movie: str
    title: str
    year: int | None
    imdb: str | None
    mark: Mark


class ExportedUser(AboutUser):
    """Can be sent back as it is, by POST to the user's ratings, here or elsewhere."""

    scale: str = Field(description="of the stars, LOW:HIGH or LOW:HIGH:STEP", examples=["0.5:5:0.5"])
    ratings: list[ExportedRating]
    marks: list[ExportedMark]


class ForgottenUser(Answered):
    user: str
    forgotten: bool


@route("GET", "/users/{user}/export", scope="read", summary="Export a user's data", answer=ExportedUser)
def export_user(user: str) -> Fields:
    state = user_state(user)
    return {
        "user": user,
        "revision": state.revision,
        "scale": str(_scale_of(state, recommender().dataset.ratings.scale)),
        "ratings": [{**row, "stars": state.stars[row["movie"]]} for row in _named(state.stars)],
        "marks": [{**row, "mark": state.marks[row["movie"]]} for row in _named(state.marks)],
    }


@route("DELETE", "/users/{user}", scope="write", summary="Forget a user", answer=ForgottenUser)
def forget_user(user: str) -> Fields:
    """At once: ratings, marks, links and rooms are gone, and what the data says of the user is not used any more."""
    users.forget(user)
    return {"user": user, "forgotten": True}


def _named(movies: Any) -> list[dict[str, Any]]:
    return [{name: row[name] for name in ("movie", "title", "year", "imdb")} for row in facts(list(movies))]


def _scale_of(state: UserState, own: Scale) -> Scale:
    """Return the data's scale, without steps where a rating lies between two, as from an older scale."""
    return own if all(map(own.has, state.stars.values())) else Scale(own.low, own.high)
