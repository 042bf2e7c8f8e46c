"""Rooms: tonight together, by a link or the QR code of it."""

from __future__ import annotations

from typing import Any

from flask import Response, render_template, request, url_for

from matinee.live import rooms
from matinee.live.rooms import Room
from matinee.recommender import Answer
from matinee.service.api.rows import predicted, with_columns
from matinee.service.auth import access
from matinee.service.pages.blueprint import routes
from matinee.service.pages.codes import code, is_local
from matinee.service.pages.visitors import known_visitor, on_to, own, part, visitor, welcomed
from matinee.service.serving import live, recommender

HOW = ("mean", "least-misery")
LISTED = 12


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
    link = url_for("pages.room", token=token, _external=True)
    return welcomed(render_template("room.html", link=link, code=code(link), **_room(token)))


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


def _room(token: str) -> dict[str, Any]:
    found = rooms.find(live(), token)
    how = request.args.get("how", "")
    how = how if how in HOW else HOW[0]
    joined = visitor() in found.members
    return {
        "token": token,
        "joined": joined,
        "members": len(found.members),
        "rated": bool(own().stars),
        "hows": HOW,
        "how": how,
        "films": _films(found, how) if joined else [],
        "local": is_local(),
    }


def _films(found: Room, how: Any) -> list[dict[str, Any]]:
    answer: Answer = recommender().recommend_together(users=found.members, how=how, n=LISTED, explain=True)
    return with_columns(predicted(answer), shared=answer["why"])
