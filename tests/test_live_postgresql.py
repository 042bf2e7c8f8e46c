from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from matinee.errors import LiveError
from matinee.live import LiveRatings
from matinee.live.patience import ImpatientConnection
from matinee.live.schema import USERS


def test_a_value_that_postgresql_does_not_take__is_not_called_a_server_that_is_away(postgres):
    with (
        LiveRatings(postgres.database()) as live,
        pytest.raises(LiveError, match="NUL") as raised,
        live.reading() as connection,
    ):
        connection.execute(select(USERS).where(USERS.c.user == "\x00"))
    assert "reached" not in str(raised.value)


@contextmanager
def stopped(postgres):
    """All processes of the server hang, as with a disk that does not answer."""
    main = int((postgres.data / "postmaster.pid").read_text().splitlines()[0])
    children = [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
    for pid in (main, *children):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (*children, main):
            os.kill(pid, signal.SIGCONT)


def test_a_server_that_hangs__is_given_up_and_used_again_when_it_answers(postgres, monkeypatch):
    monkeypatch.setattr(ImpatientConnection, "silence", 1.0)
    with LiveRatings(postgres.database()) as live:
        assert live.rate("ann", {"1": 3}) == 1
        with stopped(postgres):
            start = time.monotonic()
            for ask in (lambda: live.read("ann"), lambda: live.rate("ann", {"1": 4})):
                with pytest.raises(LiveError, match="cannot reach the server"):
                    ask()
            assert time.monotonic() - start < 30
        assert live.rate("ann", {"2": 4}) == 2


def test_a_server_that_stops_in_the_middle_of_a_transaction__is_given_up_too(postgres, monkeypatch):
    monkeypatch.setattr(ImpatientConnection, "silence", 1.0)
    with (
        LiveRatings(postgres.database()) as live,
        pytest.raises(LiveError, match="no answer for 1 seconds"),
        live.reading() as connection,
        stopped(postgres),
    ):
        connection.execute(select(USERS))


def test_a_long_answer__is_waited_for_as_long_as_something_comes(postgres, monkeypatch):
    monkeypatch.setattr(ImpatientConnection, "silence", 1.0)
    with LiveRatings(postgres.database()) as live, live.reading() as connection:
        slowly = "SELECT repeat('x', 20000), pg_sleep(0.1) FROM generate_series(1, 25)"
        assert len(connection.exec_driver_sql(slowly).all()) == 25


def test_a_lock_that_is_waited_for__may_be_held_for_long(postgres, monkeypatch):
    monkeypatch.setattr(ImpatientConnection, "silence", 0.5)
    with LiveRatings(postgres.database()) as live, LiveRatings(live.name) as other, live.lock("refit"):
        waiting = threading.Thread(target=hold, args=(other,))
        waiting.start()
        waiting.join(2)
        assert waiting.is_alive()
    waiting.join()


def hold(live):
    with live.lock("refit"):
        pass


def test_a_database_that_is_not_there__is_said_and_not_called_unreachable(postgres):
    address = postgres.database()
    with pytest.raises(LiveError, match="no such database; create it with createdb"):
        LiveRatings(f"{address}_not")
    with pytest.raises(LiveError, match="the server refuses the user or password"):
        LiveRatings(address.replace(f"//{postgres.user}@", "//nobody-at-all@"))


def test_a_server_with_too_many_clients__says_so(postgres):
    address = postgres.database()
    with ExitStack() as opened:
        with suppress(psycopg.OperationalError):
            for _ in range(200):
                opened.enter_context(psycopg.connect(address.replace("+psycopg", "")))
        with pytest.raises(LiveError, match="too many clients; raise its max_connections"):
            LiveRatings(address)
