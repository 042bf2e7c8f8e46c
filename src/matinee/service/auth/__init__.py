"""Who may do what: the identity of a request, and the one check before every view.

    proxies    where a request comes from          origins   whether a write comes from our own page
    recent     keys and cookie secrets, cached     cookies   visitors' signed cookie
    identity   who asks                            access    what a route asks
    limits     how much one client may ask for

The rules: without any API key, programs of this machine have full access and other clients none. With keys, the scopes
of a key apply, and a visitor of the page may read and write their ratings. A route without a declaration needs the
admin scope. `matinee.service.policy` has the operator's choices.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from flask import Flask, Response, current_app, g, request

from matinee.live import LiveRatings
from matinee.service.auth import cookies, proxies
from matinee.service.auth.access import Access, access, access_of, check, named
from matinee.service.auth.identity import ME, Identity, identify, visitor
from matinee.service.auth.key_cache import Recent
from matinee.service.auth.limits import Rate
from matinee.service.auth.origins import check_origin
from matinee.service.hosts import client
from matinee.service.policy import DEFAULT_POLICY, Policy

__all__ = [
    "DEFAULT_POLICY",
    "Access",
    "Identity",
    "Policy",
    "access",
    "access_of",
    "ensure_visitor",
    "identity",
    "install",
    "new_visitor",
    "sign_in",
    "takes_visitors",
    "user",
]

VISITOR = "~"  # begins the ids of visitors, and no other ids
VISITOR_BYTES = 16
WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})  # by programs that know addresses, not names


@dataclass(frozen=True)
class _Door:
    policy: Policy
    recent: Recent
    rate: Rate


def install(app: Flask, live: LiveRatings, policy: Policy) -> None:
    """Check every request of this application before its view."""
    app.extensions["matinee-auth"] = _Door(policy, Recent(live), Rate(policy.rate_limit))
    if policy.behind_proxy:
        proxies.trust(app, policy.behind_proxy)
    app.before_request(_admit)


def _admit() -> None:
    if request.path in WATCHED:
        return
    door, environ = _door(), request.environ
    door.policy.check_host(environ)
    who = identity()
    if who.kind != "local" or not proxies.is_local(environ):
        door.rate.spend(who.key or client(environ.get("REMOTE_ADDR", "")))
    check_origin(environ)
    if request.url_rule is not None:
        check(who, access_of(current_app.view_functions[request.url_rule.endpoint]), request.view_args)


def identity() -> Identity:
    """Return who sent this request."""
    if "identity" not in g:
        door = _door()
        g.identity = identify(request.environ, door.policy, door.recent)
    found: Identity = g.identity
    return found


def user(value: str) -> str:
    """Return the user that a path names, where "me" is who asks.

    Raises UnauthorizedError for "me" without an identity.
    """
    return named(value, identity())


def ensure_visitor(answer: Response) -> Response:
    """Let the browser that gets this answer be a visitor from now on: the one it is, or a new one.

    Sets no cookie where visitors would not be answered.
    """
    if not takes_visitors():
        return answer
    name = identity().user
    return sign_in(answer, new_visitor() if name is None or name == ME else name)


def new_visitor() -> str:
    """Return the id of a new visitor."""
    return VISITOR + secrets.token_urlsafe(VISITOR_BYTES)


def sign_in(answer: Response, name: str) -> Response:
    """Let the browser that gets this answer be this user from now on."""
    g.identity = replace(identity(), user=name) if identity().kind == "local" else visitor(name)
    answer.set_cookie(
        cookies.name_at(cookies.NAME, request.environ),
        _door().recent.cookies.sign(name, secure=request.is_secure),
        max_age=cookies.LIFETIME,
        path=cookies.path_at(request.environ),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def takes_visitors() -> bool:
    """Return whether who sent this request would be answered as a visitor."""
    return identity().kind == "local" or bool(_door().recent.identities().keys)


def _door() -> _Door:
    found: _Door = current_app.extensions["matinee-auth"]
    return found
