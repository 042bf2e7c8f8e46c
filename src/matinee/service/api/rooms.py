"""Rooms: people who look for a movie together get one list, and members do not see each other's stars.

Whatever is computed from everybody's ratings tells something of each: the order of the list alone does here. So there
are two short lists, one for each `how`, without filters and without a number or reason that comes from another member.
tests/test_rooms_privacy.py measures what the lists tell.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from flask import request
from pydantic import Field

from matinee.live import checked_id, rooms
from matinee.live.rooms import Room
from matinee.recommender import How
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import WHOLE, Answered, Asked, Id, PredictedMovie
from matinee.service.auth import identity
from matinee.service.auth.access import named
from matinee.service.auth.identity import ME
from matinee.service.problems import ForbiddenError, UnauthorizedError
from matinee.service.rows import predicted
from matinee.service.serving import live, recommender

PAGE = "rooms/{room}"  # of the page, where the link leads
LONGEST = 25  # movies of a list


class OpenedRoom(Answered):
    """A room that was opened."""

    room: str = Field(description="the token for joining; returned only once")
    link: str
    expires: datetime


class RoomFacts(Answered):
    """The facts of a room that everyone with the link may read."""

    members: int
    joined: bool = Field(description="whether the one who asks is a member")
    expires: datetime


class MemberQuery(Asked):
    """Who asks."""

    user: Id = Field(ME, description="a user's id, or `me` for the caller")


class RoomListQuery(MemberQuery):
    """Who asks, how people's opinions are joined, and how long the list is."""

    how: How = Field("mean", description="by the average of all members, or by the one who will like it least")
    n: Annotated[int, Field(ge=1, le=LONGEST), WHOLE] = Field(
        LONGEST, description="exactly so many, or the note says why not"
    )


class JointMovie(PredictedMovie):
    """A movie for all, with the stars that the one who asks would give."""


class RoomRecommendations(Answered):
    """What the members should watch together."""

    how: How
    note: str
    items: list[JointMovie]


@route("POST", "/rooms", scope="write", summary="Open a room", query=MemberQuery, answer=OpenedRoom)
def open_room(query: MemberQuery) -> Fields:
    """The room is open for 24 hours to everyone with the link; its first member is the user who opens it."""
    token, room = rooms.open_room(live(), _who(query))
    return {"room": token, "link": request.root_url + PAGE.format(room=token), "expires": _at(room)}


@route(
    "POST", "/rooms/{room}/members",
    scope="write", summary="Join a room", query=MemberQuery, answer=RoomFacts, problems=(404, 409),
)  # fmt: skip
def join_room(room: str, query: MemberQuery) -> Fields:
    """Everyone with the link may join; joining again changes nothing."""
    user = _who(query)
    return _facts(rooms.join(live(), room, user), user)


@route(
    "DELETE", "/rooms/{room}/members",
    scope="write", summary="Leave a room", query=MemberQuery, answer=RoomFacts, problems=(404,),
)  # fmt: skip
def leave_room(room: str, query: MemberQuery) -> Fields:
    """Who is not in it stays out; with the last one the room is closed."""
    user = _who(query)
    return _facts(rooms.leave(live(), room, user), user)


@route("GET", "/rooms/{room}", scope="read", summary="Get a room", query=MemberQuery, answer=RoomFacts, problems=(404,))
def get_room(room: str, query: MemberQuery) -> Fields:
    """The number of members, for everyone with the link."""
    return _facts(rooms.find(live(), room), _who(query))


@route(
    "GET", "/rooms/{room}/recommendations",
    scope="read", summary="Recommend for a room", query=RoomListQuery, answer=RoomRecommendations, problems=(404,),
)  # fmt: skip
def recommend_for_room(room: str, query: RoomListQuery) -> Fields:
    """For members only. No movie that one of them rated, saw or hid; people without ratings do not affect the order.

    Stars and interval are those of who asks: no number or reason comes from another member. The list itself tells
    that nobody rated what is on it, and from its order, most easily in a room of two, another member's taste can be
    guessed; who rates otherwise and asks again, or asks while others rate, learns more of what the others rated.
    """
    found, user = rooms.find(live(), room), _who(query)
    if user not in found.members:
        raise ForbiddenError("only the members of this room get its list; join it first")
    joint = recommender().recommend_together(users=found.members, how=query.how, n=query.n)
    if not len(joint):
        return {"how": query.how, "note": _fewer(0, query.n), "items": []}
    own = recommender().predict(user=user, movies=joint["movie"])
    note = "\n".join(filter(None, (_fewer(len(joint), query.n), own.note)))
    return {"how": query.how, "note": note, "items": predicted(own)}


def _fewer(listed: int, n: int) -> str:
    """Return why the list is short, without a count of what the members rated."""
    return "" if listed == n else f"{listed} instead of {n}: members rated, saw or hid all other movies"


def _who(query: MemberQuery) -> str:
    """Return the caller, or the user a program names. Raises ForbiddenError where a visitor names another user."""
    who = identity()
    if query.user == ME and who.user is None:
        raise UnauthorizedError("this request has no user, so 'me' has no meaning; name the user with ?user=")
    user = checked_id(named(query.user, who), "user")
    if not who.owns(user):
        raise ForbiddenError("a visitor opens, joins and reads rooms as 'me', not as another user")
    return user


def _facts(found: Room, user: str) -> Fields:
    return {"members": len(found.members), "joined": user in found.members, "expires": _at(found)}


def _at(room: Room) -> str:
    return datetime.fromtimestamp(room.expires, UTC).isoformat()
