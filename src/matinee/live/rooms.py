"""Rooms: several people who look for a movie together, for a day, by a link that is too random to guess.

    open_room(ann) -> token  --the link-->  join(token, bob)  -->  members(token, bob) = ann, bob

Only the token's SHA-256 is stored. Everyone with the link can join; only members can read the room.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from matinee.errors import FullRoomError, MissingError
from matinee.live.checks import checked_id
from matinee.live.ratings import LiveRatings
from matinee.live.schema import MEMBERS, ROOMS

GOOD_FOR = 24 * 3600  # seconds
MOST_MEMBERS = 20
TOKEN_BYTES = 16


@dataclass(frozen=True)
class Room:
    """A room's members, in the order in which they joined, and until when it is open (seconds since 1970)."""

    members: tuple[str, ...]
    expires: int


def open_room(live: LiveRatings, user: str) -> tuple[str, Room]:
    """Open a room with its first member; return the token for joining, which is not stored, and the room."""
    token, now = secrets.token_urlsafe(TOKEN_BYTES), int(time.time())
    with live.writing() as connection:
        _close_expired(connection, now)
        connection.execute(ROOMS.insert().values(hash=_hash(token), at=now, expires=now + GOOD_FOR))
        _add(connection, token, user, now)
    return token, Room((user,), now + GOOD_FOR)


def join(live: LiveRatings, token: str, user: str) -> Room:
    """Add a user and return the room; a member who joins again changes nothing.

    Raises FullRoomError for a full room, MissingError for one that does not exist or has expired.
    """
    with live.writing() as connection:
        room = _room(connection, token)
        if user in room.members:
            return room
        if len(room.members) >= MOST_MEMBERS:
            raise FullRoomError(f"the room is full: it has {MOST_MEMBERS} members; open another one")
        _add(connection, token, user, int(time.time()))
    return Room((*room.members, user), room.expires)


def leave(live: LiveRatings, token: str, user: str) -> Room:
    """Remove a user and return the room without them; the last member to leave closes the room.

    Raises MissingError for a room that does not exist or has expired.
    """
    with live.writing() as connection:
        room = _room(connection, token)
        connection.execute(delete(MEMBERS).where(MEMBERS.c.room == _hash(token), MEMBERS.c.user == user))
        others = tuple(member for member in room.members if member != user)
        if not others:
            connection.execute(delete(ROOMS).where(ROOMS.c.hash == _hash(token)))
    return Room(others, room.expires)


def find(live: LiveRatings, token: str) -> Room:
    """Return a room. Raises MissingError for a room that does not exist or has expired."""
    with live.reading() as connection:
        return _room(connection, token)


def _room(connection: Connection, token: str) -> Room:
    expires = connection.execute(select(ROOMS.c.expires).where(ROOMS.c.hash == _hash(token))).scalar()
    if expires is None or expires <= time.time():
        raise MissingError("no such room, or its 24 hours are over; open another one")
    members = select(MEMBERS.c.user).where(MEMBERS.c.room == _hash(token)).order_by(MEMBERS.c.at, MEMBERS.c.user)
    return Room(tuple(connection.execute(members).scalars()), int(expires))


def _add(connection: Connection, token: str, user: str, now: int) -> None:
    connection.execute(MEMBERS.insert().values(room=_hash(token), user=checked_id(user, "user"), at=now))


def _close_expired(connection: Connection, now: int) -> None:
    expired = select(ROOMS.c.hash).where(ROOMS.c.expires <= now)
    connection.execute(delete(MEMBERS).where(MEMBERS.c.room.in_(expired)))
    connection.execute(delete(ROOMS).where(ROOMS.c.expires <= now))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
