"""What a route asks of who comes: its scope, and whether it belongs to the user in its path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from matinee.service.auth.identity import ME, Identity
from matinee.service.problems import ForbiddenError, UnauthorizedError

Scope = Literal["public", "read", "write", "admin"]
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Access:
    """What a route requires: a scope, "public" for none, and whether the route belongs to its `user`."""

    scope: Scope
    owned: bool = False


CLOSED = Access("admin")  # routes without a declaration


def access(scope: Scope, *, owned: bool = False) -> Callable[[View], View]:
    """Declare what a view outside of the route table asks."""

    def declare(view: View) -> View:
        view.access = Access(scope, owned)  # type: ignore[attr-defined]
        return view

    return declare


def access_of(view: Callable[..., Any]) -> Access:
    """Return what a view asks: as in the route table, as declared, or else an admin's scope."""
    route = getattr(view, "route", None)
    return Access(route.scope, route.owned) if route is not None else getattr(view, "access", CLOSED)


def check(who: Identity, asked: Access, path: dict[str, Any] | None) -> None:
    """Let who asks through, with their id in the place of "me".

    Raises UnauthorizedError where a key or a cookie could help, ForbiddenError where this one cannot.
    """
    if asked.scope == "public":
        return
    if who.kind == "nobody":
        raise UnauthorizedError(who.why)
    if asked.scope not in who.scopes:
        raise ForbiddenError(_missing(who, asked.scope))
    if asked.owned and path is not None:
        path["user"] = named(path["user"], who)
        if not who.owns(path["user"]):
            raise ForbiddenError(
                "these are another user's ratings; a visitor reads and changes only those of the user 'me'"
            )


def named(user: str, who: Identity) -> str:
    """Return a user's id, the caller's for "me". Raises UnauthorizedError for "me" without an identity."""
    if user != ME:
        return user
    if who.user is None:
        raise UnauthorizedError("this request has no user, so 'me' has no meaning; name the user in the path")
    return who.user


def _missing(who: Identity, scope: Scope) -> str:
    if who.kind == "visitor":
        return f"visitors may not do this; it takes an API key with the scope {scope}"
    return f"this API key lacks the scope {scope}; `matinee key create --scope {scope}` makes one that has it"
