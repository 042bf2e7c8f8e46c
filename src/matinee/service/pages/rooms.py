"""Rooms: tonight together, by a link or the QR code of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, render_template, request, url_for

from matinee.errors import MissingError
from matinee.live import rooms
from matinee.live.rooms import Room
from matinee.service.auth import access
from matinee.service.pages.blueprint import routes
from matinee.service.pages.codes import code, is_local
from matinee.service.pages.cookies import MOST_ROOMS, ROOMS, keep, kept
from matinee.service.pages.formatting import Film
from matinee.service.pages.tonight import CANDIDATES, doubtful_last
from matinee.service.pages.visitors import known_visitor, on_to, own, part, visitor, welcomed
from matinee.service.rows import predicted
from matinee.service.serving import live, recommender

HOW = ("mean", "least-misery")
LISTED = 12


@dataclass(frozen=True)
class OwnRoom:
    """A room that the visitor is in: what opens it, and how many are in it."""

    token: str
    members: int


@routes.post("/rooms")
@access("write")
def open_room() -> Response:
    """Open a room and show it."""
    token, _ = rooms.open_room(live(), known_visitor())
    return on_to(url_for("pages.room", token=token))


@routes.get("/rooms/<token>")
@access("public")
def room(token: str) -> Response:
    """Show a room: to its members the list and how others get in, to others the door."""
    link, shown = url_for("pages.room", token=token, _external=True), _room(token)
    answer = welcomed(render_template("room.html", link=link, code=code(link), **shown))
    if not shown["joined"]:
        return answer
    others = [one for one in kept(ROOMS) if one != token]
    return keep(answer, ROOMS, [token, *others][:MOST_ROOMS], rooms.GOOD_FOR)


@routes.get("/rooms/mine/<int:nth>")
@access("public")
def own_room(nth: int) -> Response:
    """Lead to a room that the visitor is in: other pages do not show what opens it."""
    found = own_rooms()
    if nth >= len(found):
        raise MissingError("you are not in this room any more; open another one")
    return on_to(url_for("pages.room", token=found[nth].token))


@routes.get("/parts/rooms/<token>")
@access("public")
def room_part(token: str) -> Response:
    """The members and their list alone."""
    return part(render_template("together.html", **_room(token)))


@routes.post("/rooms/<token>/join")
@access("write")
def join_room(token: str) -> Response:
    """Join a room."""
    rooms.join(live(), token, known_visitor())
    return on_to(url_for("pages.room", token=token))


@routes.post("/rooms/<token>/leave")
@access("write")
def leave_room(token: str) -> Response:
    """Leave a room."""
    rooms.leave(live(), token, known_visitor())
    return on_to(url_for("pages.home", tab="tonight"))


@routes.app_template_global("own_rooms")
def own_rooms() -> Sequence[OwnRoom]:
    """Return the open rooms that the visitor is in, as far as this browser opened them, the last first."""
    user = visitor()
    found = [(token, room) for token in kept(ROOMS) if (room := _open(token)) is not None]
    return [OwnRoom(token, len(room.members)) for token, room in found if user in room.members]


def _open(token: str) -> Room | None:
    try:
        return rooms.find(live(), token)
    except MissingError:
        return None


def _room(token: str) -> dict[str, Any]:
    found = rooms.find(live(), token)
    how = request.args.get("how", "")
    how = how if how in HOW else HOW[0]
    joined = visitor() in found.members
    return {
        "token": token,
        "joined": joined,
        "members": len(found.members),
        "said": own(),
        "hows": HOW,
        "how": how,
        "films": _films(found, how) if joined else [],
        "local": is_local(),
    }


def _films(found: Room, how: Any) -> list[Film]:
    """Return the films that suit all, with the visitor's predicted stars, not other members'."""
    n = CANDIDATES * LISTED
    answer = recommender().recommend_together(users=found.members, how=how, n=n)
    chosen = [film["movie"] for film in doubtful_last(predicted(answer))[:LISTED]]
    return [*predicted(recommender().predict(user=visitor(), movies=chosen))] if chosen else []
