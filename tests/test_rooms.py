from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from matinee.errors import FullRoomError, MissingError, UsageError
from matinee.live import LiveRatings, rooms
from matinee.live.schema import MEMBERS, ROOMS


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRatings]:
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


def expire(live: LiveRatings) -> None:
    with live.writing() as connection:
        connection.execute(ROOMS.update().values(expires=int(time.time())))


def test_a_room__holds_who_opened_it_and_who_joined(live: LiveRatings) -> None:
    token, opened = rooms.open_room(live, "ann")
    assert opened.members == ("ann",)
    assert opened.expires == pytest.approx(time.time() + 24 * 3600, abs=5)
    assert rooms.join(live, token, "bob").members == ("ann", "bob")
    assert sorted(rooms.find(live, token).members) == ["ann", "bob"]


def test_joining_again__changes_nothing(live: LiveRatings) -> None:
    token, opened = rooms.open_room(live, "ann")
    assert rooms.join(live, token, "ann") == opened


def test_who_leaves__is_out_and_the_last_one_closes_the_room(live: LiveRatings) -> None:
    token, opened = rooms.open_room(live, "ann")
    other, _ = rooms.open_room(live, "ann")
    rooms.join(live, token, "bob")
    assert rooms.leave(live, token, "ann") == rooms.Room(("bob",), opened.expires)
    assert rooms.leave(live, token, "ann").members == ("bob",)
    assert rooms.find(live, token).members == ("bob",)
    assert rooms.leave(live, token, "bob").members == ()
    with pytest.raises(MissingError):
        rooms.find(live, token)
    assert rooms.find(live, other).members == ("ann",)


def test_rooms__know_nothing_of_each_other(live: LiveRatings) -> None:
    first, _ = rooms.open_room(live, "ann")
    second, _ = rooms.open_room(live, "bob")
    assert first != second
    assert rooms.find(live, first).members == ("ann",)
    assert rooms.find(live, second).members == ("bob",)


def test_a_room_that_is_not_there_or_has_expired__lets_nobody_in(live: LiveRatings) -> None:
    token, _ = rooms.open_room(live, "ann")
    expire(live)
    for unknown in (token, "guessed", ""):
        with pytest.raises(MissingError, match="no such room, or its 24 hours are over"):
            rooms.find(live, unknown)
        with pytest.raises(MissingError):
            rooms.join(live, unknown, "bob")


def test_an_expired_room__is_gone_when_the_next_is_opened(live: LiveRatings) -> None:
    rooms.open_room(live, "ann")
    expire(live)
    token, _ = rooms.open_room(live, "bob")
    with live.reading() as connection:
        assert len(connection.execute(select(ROOMS.c.hash)).all()) == 1
        assert connection.execute(select(MEMBERS.c.user)).scalars().all() == ["bob"]
    assert rooms.find(live, token).members == ("bob",)


def test_the_database__does_not_hold_what_opens_the_door(live: LiveRatings) -> None:
    token, _ = rooms.open_room(live, "ann")
    with live.reading() as connection:
        (stored,) = connection.execute(select(ROOMS.c.hash)).scalars()
    assert token not in stored
    assert len(token) >= 22
    with pytest.raises(MissingError):
        rooms.find(live, stored)


def test_a_full_room__takes_nobody_else_even_where_all_come_at_once(live: LiveRatings) -> None:
    token, _ = rooms.open_room(live, "0")

    def come(number: int) -> bool:
        try:
            rooms.join(live, token, str(number))
        except FullRoomError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(come, range(1, 40)))
    assert sum(came) == rooms.MOST_MEMBERS - 1
    assert len(rooms.find(live, token).members) == rooms.MOST_MEMBERS


def test_who_cannot_be__cannot_be_in_a_room(live: LiveRatings) -> None:
    with pytest.raises(UsageError, match="is not a valid user id"):
        rooms.open_room(live, "two\nlines")
