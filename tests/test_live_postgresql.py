from __future__ import annotations

import pytest
from sqlalchemy import select

from matinee.errors import LiveError
from matinee.live import LiveRatings
from matinee.live.schema import USERS


def test_a_value_that_postgresql_does_not_take__is_not_called_a_server_that_is_away(postgres):
    with (
        LiveRatings(postgres.database()) as live,
        pytest.raises(LiveError, match="NUL") as raised,
        live.reading() as connection,
    ):
        connection.execute(select(USERS).where(USERS.c.user == "\x00"))
    assert "reached" not in str(raised.value)
