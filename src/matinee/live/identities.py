"""Authentication data: API keys of programs, secrets that sign visitors' cookies, links that open a user's ratings.

    create_key() -> "mk_..."       printed once; only its SHA-256 is stored
    identities() -> Identities     the keys and secrets of one moment, which a service caches for seconds
    open_link("ann") -> token      one per user; only its SHA-256 is stored, and a new one replaces the old one

A new cookie secret is accepted at once and signs a little later, when every process of the service has read it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select

from matinee.errors import MissingError, UsageError
from matinee.live.checks import checked_id
from matinee.live.ratings import LiveRatings
from matinee.live.schema import KEYS, LINKS, SECRETS

SCOPES = ("read", "write", "admin")
PREFIX = "mk_"
SECRET_BYTES, LINK_BYTES, NAME_BYTES = 32, 16, 4
SETTLES_IN = 10  # seconds until a new cookie secret signs
KEPT = 2  # cookie secrets that are accepted after a rotation


@dataclass(frozen=True)
class Key:
    """An API key as it is listed: its name, what it may do, what it is for, when it was made. Not the key itself."""

    name: str
    scopes: frozenset[str]
    note: str
    at: datetime


@dataclass(frozen=True)
class Identities:
    """The API keys and cookie secrets of one moment.

    keys      by the SHA-256 of the key, in hex
    secrets   that sign cookies; all are accepted, the last one signs
    """

    keys: Mapping[str, Key]
    secrets: tuple[str, ...]


def create_key(live: LiveRatings, scopes: Collection[str], note: str = "") -> tuple[str, Key]:
    """Make an API key; return the key that its program sends, which is not stored, and its entry in the list.

    Raises UsageError for an unknown scope.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise UsageError(f"{scope!r} is not a scope; the scopes are {', '.join(SCOPES)}")
    if not scopes:
        raise UsageError(f"a key needs at least one scope; the scopes are {', '.join(SCOPES)}")
    now = int(time.time())
    secret, name = PREFIX + secrets.token_urlsafe(SECRET_BYTES), secrets.token_hex(NAME_BYTES)
    written = " ".join(scope for scope in SCOPES if scope in scopes)
    with live.writing() as connection:
        connection.execute(KEYS.insert().values(key=name, hash=hashed(secret), scopes=written, note=note, at=now))
    return secret, Key(name, frozenset(scopes), note, datetime.fromtimestamp(now, UTC))


def keys(live: LiveRatings) -> list[Key]:
    """Return the API keys, the oldest first."""
    with live.reading() as connection:
        return sorted(_keys(connection).values(), key=lambda key: (key.at, key.name))


def revoke_key(live: LiveRatings, name: str) -> None:
    """Revoke an API key. Raises MissingError where no key has this name."""
    with live.writing() as connection:
        if not connection.execute(delete(KEYS).where(KEYS.c.key == name)).rowcount:
            raise MissingError(f"no API key {name!r}; `matinee key list` lists the keys")


def identities(live: LiveRatings) -> Identities:
    """Return the current keys and cookie secrets; makes the first secret if needed."""
    with live.reading() as connection:
        found = _keys(connection), _secrets(connection)
    if found[1]:
        return Identities(*found)
    with live.writing() as connection:
        if not _secrets(connection):
            _add_secret(connection)
    return identities(live)


def rotate_secrets(live: LiveRatings, keep: int = KEPT) -> int:
    """Make a new cookie secret, and accept it and the `keep - 1` before it; return how many are accepted now.

    Cookies that older secrets signed become invalid; with `keep=1`, all cookies.
    Raises UsageError for a `keep` below 1.
    """
    if keep < 1:
        raise UsageError(f"keep must be 1 or more, not {keep}: the new secret counts")
    with live.writing() as connection:
        _add_secret(connection)
        known = connection.execute(select(SECRETS.c.secret).order_by(SECRETS.c.at, SECRETS.c.secret)).scalars().all()
        connection.execute(delete(SECRETS).where(SECRETS.c.secret.in_(known[:-keep])))
    return len(known[-keep:])


def open_link(live: LiveRatings, user: str) -> str:
    """Return the token of a new link to a user's ratings, which is not stored; the former link is revoked."""
    token = secrets.token_urlsafe(LINK_BYTES)
    with live.writing() as connection:
        connection.execute(delete(LINKS).where(LINKS.c.user == checked_id(user, "user")))
        connection.execute(LINKS.insert().values(hash=hashed(token), user=user, at=int(time.time())))
    return token


def close_link(live: LiveRatings, user: str) -> None:
    """Revoke a user's link, if there is one."""
    with live.writing() as connection:
        connection.execute(delete(LINKS).where(LINKS.c.user == user))


def user_of_link(live: LiveRatings, token: str) -> str:
    """Return the id of the user whose ratings a link opens. Raises MissingError for an unknown link."""
    with live.reading() as connection:
        user: str | None = connection.execute(select(LINKS.c.user).where(LINKS.c.hash == hashed(token))).scalar()
    if user is None:
        raise MissingError("unknown link: it was replaced or revoked; make a new one on the page where you rate")
    return user


def has_link(live: LiveRatings, user: str) -> bool:
    """Return whether there is a link to a user's ratings."""
    with live.reading() as connection:
        return connection.execute(select(LINKS.c.hash).where(LINKS.c.user == user)).first() is not None


def opens(live: LiveRatings, token: str, user: str | None) -> bool:
    """Return whether a link opens this user's ratings."""
    with live.reading() as connection:
        mine = select(LINKS.c.hash).where(LINKS.c.hash == hashed(token), LINKS.c.user == user)
        return connection.execute(mine).first() is not None


def hashed(secret: str) -> str:
    """Return the stored form of a secret: its SHA-256 in hex. It has too many random bits to be guessed from that."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _keys(connection: Connection) -> dict[str, Key]:
    rows = connection.execute(select(KEYS.c.hash, KEYS.c.key, KEYS.c.scopes, KEYS.c.note, KEYS.c.at))
    return {
        found: Key(name, frozenset(scopes.split()), note, datetime.fromtimestamp(at, UTC))
        for found, name, scopes, note, at in rows
    }


def _secrets(connection: Connection) -> tuple[str, ...]:
    """Return the cookie secrets, last the one that signs: the newest that has settled, or else the oldest."""
    rows = connection.execute(select(SECRETS.c.secret, SECRETS.c.at).order_by(SECRETS.c.at, SECRETS.c.secret)).all()
    settled = time.time() - SETTLES_IN
    signing = next((row.secret for row in reversed(rows) if row.at <= settled), rows[0].secret if rows else None)
    return tuple(sorted((row.secret for row in rows), key=lambda secret: secret == signing))


def _add_secret(connection: Connection) -> None:
    newest = connection.execute(select(SECRETS.c.at).order_by(SECRETS.c.at.desc())).scalar() or 0
    at = max(int(time.time()), newest + 1)
    connection.execute(SECRETS.insert().values(secret=secrets.token_urlsafe(SECRET_BYTES), at=at))
