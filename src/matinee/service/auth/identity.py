"""The caller of a request: a program of this machine, an API key, a visitor with our cookie, or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from matinee.live.identities import SCOPES, hashed
from matinee.service.auth.key_cache import Recent
from matinee.service.auth.proxies import Environ, is_local
from matinee.service.policy import Policy

Kind = Literal["local", "key", "visitor", "nobody"]
BEARER = "bearer "
ME = "me"  # in a path: who asks; and who a program of this machine is
ALL, OWN = frozenset(SCOPES), frozenset({"read", "write"})


@dataclass(frozen=True)
class Identity:
    """Who asks and what they may do.

    user     the user that "me" means, or None; a program of this machine is the user with the id "me"
    scopes   of read, write and admin; a visitor's apply only to their ratings
    key      name of the API key
    why      for an unknown caller: the cause, and the remedy
    """

    kind: Kind
    user: str | None = None
    scopes: frozenset[str] = frozenset()
    key: str | None = None
    why: str = ""

    def owns(self, user: str) -> bool:
        """Return whether what belongs to a user may be asked by this one."""
        return self.kind in ("local", "key") or (self.user is not None and user == self.user)


UNKNOWN_KEY = Identity("nobody", why="this API key is unknown or revoked; `matinee key create` makes one")
STRANGER = Identity(
    "nobody", why="this request has no API key or cookie: send a key as Authorization: Bearer, or open the page"
)
SHUT_OUT = Identity(
    "nobody",
    why="without an API key the service answers only programs of this machine, on localhost and without a proxy; "
    "its operator makes a key with `matinee key create`",
)


def identify(environ: Environ, policy: Policy, recent: Recent) -> Identity:
    """Return who asks."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if header[: len(BEARER)].lower() == BEARER:
        return _of_key(header[len(BEARER) :].strip(), recent)
    known = recent.identities()
    user = recent.cookies.user_of(environ) if "HTTP_COOKIE" in environ else None
    if policy.no_auth or not (known.keys or policy.behind_proxy or not is_local(environ)):
        return local(user or ME)
    if not known.keys:
        return SHUT_OUT
    return visitor(user) if user is not None else STRANGER


@lru_cache
def local(user: str) -> Identity:
    return Identity("local", user, ALL)


def visitor(user: str) -> Identity:
    return Identity("visitor", user, OWN)


def _of_key(secret: str, recent: Recent) -> Identity:
    found = recent.identities().keys.get(hashed(secret))
    return UNKNOWN_KEY if found is None else Identity("key", scopes=found.scopes, key=found.name)
