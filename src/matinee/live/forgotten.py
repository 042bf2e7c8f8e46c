"""Forgotten users: only a hash of the id stays, and the number of the forget, a count that does not use a clock.

A snapshot records up to which forget it leaves users out (`Forgotten.mark`). Users who were forgotten later, or in
another database, which counts separately, may be in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from matinee.live.schema import FORGOTTEN, SCHEMA


def hashed(user: str) -> str:
    """Return what stays of a forgotten user's id: its SHA-256 in hex."""
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Forgotten:
    """Users whose earlier ratings no longer count.

    database   which database counted
    numbers    {hash of the id: the number of the forget}; 0 where an older Matinee recorded it
    """

    database: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection) -> Forgotten:
        """Read them in this transaction."""
        database = connection.execute(select(SCHEMA.c.database)).scalar_one()
        return cls(database, {row.hash: row.number for row in connection.execute(select(FORGOTTEN))})

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def __contains__(self, user: str) -> bool:
        return hashed(user) in self.numbers

    def among(self, users: Iterable[str]) -> NDArray[np.bool_]:
        """(n,) which of these users are forgotten."""
        return np.array([user in self for user in users], bool)

    @property
    def mark(self) -> dict[str, Any]:
        """The database and its number of forgets, as a manifest has it."""
        return {"database": self.database, "number": max(self.numbers.values(), default=0)}

    def since(self, mark: Mapping[str, Any] | None) -> Forgotten:
        """Return the users who were forgotten after a mark: all, without a mark or with another database's."""
        if mark is None or mark["database"] != self.database:
            return self
        later = {person: number for person, number in self.numbers.items() if number > mark["number"]}
        return Forgotten(self.database, later)
