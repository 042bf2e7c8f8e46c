"""Rooms: people who look for a movie together get one list, and nobody's stars are shown to the others."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from flask import request
from pydantic import Field

from matinee.live import checked_id, rooms
from matinee.live.rooms import Room
from matinee.recommender import Answer, Filters, How
from matinee.recommender.filters import MIN_RATINGS
from matinee.service.api.recommendations import MAX_N
from matinee.service.api.routing import Fields, route
from matinee.service.api.rows import matches, predicted, with_columns
from matinee.service.api.schemas import Answered, Asked, Genres, Id, MovieFacts, Year
from matinee.service.auth import identity
from matinee.service.auth.access import named
from matinee.service.auth.identity import ME
from matinee.service.problems import ForbiddenError, UnauthorizedError
from matinee.service.serving import live, recommender

PAGE = "rooms/{room}"  # of the page, where the link leads
ROUNDED = ("stars", "low", "high", "match")
DECIMALS = 1  # so that hardly anything about one member follows from the numbers


class OpenedRoom(Answered):
    """A room that was opened."""

    room: str = Field(description="what lets others in; told once")
    link: str
    expires: datetime


class RoomFacts(Answered):
    """What everybody who has the link may know of a room."""

    members: int
    joined: bool = Field(description="whether the one who asks is a member")
    expires: datetime


class As(Asked):
    """Who asks."""

    user: Id = Field(ME, description="a user's id, or `me` for whoever asks")


class Together(As):
    """Who asks, how people's opinions are joined, and what the list is made of."""

    how: How = Field("mean", description="by everybody's average, or by the person who will like it least")
    n: int = Field(25, ge=1, le=MAX_N, description="exactly so many, or the note says why not")
    genre: Genres = ()
    not_genre: Genres = Field((), description="may be given several times: none of them")
    year_from: Year | None = None
    year_to: Year | None = None
    rated_since: date | None = Field(
        None, description="count only ratings since this day, UTC, for min_ratings", examples=["2018-01-31"]
    )
    min_ratings: int = Field(MIN_RATINGS, ge=0, description="only movies with at least so many ratings")


class JointMovie(MovieFacts):
    """A movie for all: stars of everybody's mean or of the one who will like it least, to one decimal."""

    stars: float
    low: float | None
    high: float | None
    match: float | None = Field(description="the joint score; null where stars order")
    why: list[str] = Field(description="titles that every member rated highly")


class JointList(Answered):
    """What the members should watch together."""

    how: How
    note: str
    items: list[JointMovie]


@route("POST", "/rooms", scope="write", summary="Open a room", query=As, answer=OpenedRoom)
def open_room(query: As) -> Fields:
    """It is open for 24 hours to everybody who has the link; whoever opens it is its first member."""
    token, room = rooms.open_room(live(), _who(query))
    return {"room": token, "link": request.root_url + PAGE.format(room=token), "expires": _at(room)}


@route(
    "POST", "/rooms/{room}/members",
    scope="write", summary="Join a room", query=As, answer=RoomFacts, problems=(404, 409),
)  # fmt: skip
def join_room(room: str, query: As) -> Fields:
    """Whoever has the link may; who is in already stays in."""
    user = _who(query)
    return _facts(rooms.join(live(), room, user), user)


@route(
    "DELETE", "/rooms/{room}/members",
    scope="write", summary="Leave a room", query=As, answer=RoomFacts, problems=(404,),
)  # fmt: skip
def leave_room(room: str, query: As) -> Fields:
    """Who is not in it stays out; with the last one the room is closed."""
    user = _who(query)
    return _facts(rooms.leave(live(), room, user), user)


@route("GET", "/rooms/{room}", scope="read", summary="A room", query=As, answer=RoomFacts, problems=(404,))
def room_facts(room: str, query: As) -> Fields:
    """How many are in it, for everybody who has the link."""
    return _facts(rooms.find(live(), room), _who(query))


@route(
    "GET", "/rooms/{room}/recommendations",
    scope="read", summary="What the members should watch together", query=Together, answer=JointList, problems=(404,),
)  # fmt: skip
def room_recommendations(room: str, query: Together) -> Fields:
    """For members only. No movie that one of them rated, saw or hid; `why` names only what all of them rated highly."""
    found = rooms.find(live(), room)
    if _who(query) not in found.members:
        raise ForbiddenError("only the members of this room get its list; join it first")
    filters = Filters.of(
        query.genre, query.not_genre, query.year_from, query.year_to, query.rated_since, query.min_ratings
    )
    answer = recommender().recommend_together(
        users=found.members, how=query.how, n=query.n, filters=filters, explain=True
    )
    return {"how": query.how, "note": answer.note, "items": _items(answer)}


def _items(answer: Answer) -> list[dict[str, Any]]:
    rows = predicted(answer)
    with_columns(rows, match=matches(answer), why=answer["why"])
    for row in rows:
        row.update({name: round(row[name], DECIMALS) for name in ROUNDED if row[name] is not None})
    return rows


def _who(query: As) -> str:
    """Return who asks, or for whom a program asks. Raises ForbiddenError where a visitor names somebody else."""
    who = identity()
    if query.user == ME and who.user is None:
        raise UnauthorizedError("nobody is signed in, so there is no 'me'; say who it is about with ?user=")
    user = checked_id(named(query.user, who), "user")
    if not who.owns(user):
        raise ForbiddenError("a visitor opens, joins and asks rooms as 'me', not as somebody else")
    return user


def _facts(found: Room, user: str) -> Fields:
    return {"members": len(found.members), "joined": user in found.members, "expires": _at(found)}


def _at(room: Room) -> str:
    return datetime.fromtimestamp(room.expires, UTC).isoformat()
