"""Visitors' cookies: the user's id, signed and dated, so that a visitor cannot become another user.

On https their names begin with `__Host-`, so that no sibling of our host can set them, and what is signed for such a
name is good under no other: a sibling may still set the plain name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

NAME = "matinee"
HOST_PREFIX = "__Host-"
MOST_TRIED = 8  # cookies of our name
LONGEST = 2_000  # characters of one
SALTS = {False: "matinee visitor", True: "matinee visitor, of one host"}
LIFETIME = 400 * 24 * 3600  # seconds; browsers keep none for longer
REMEMBERED = 10_000  # cookies whose signature need not be computed again


class Cookies:
    """Signs with the last of the secrets, and accepts what any of them signed.

    secure   whether it is for https: what was signed for http is good there too, but not the other way round

    >>> old, new = Cookies(["first"]), Cookies(["first", "second"])
    >>> new.user(old.sign("ann")), old.user(new.sign("ann")), new.user(new.sign("ann", secure=True))
    ('ann', None, None)
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._serializers = {
            secure: URLSafeTimedSerializer(list(secrets), salt, signer_kwargs=signer) for secure, salt in SALTS.items()
        }
        self._read = lru_cache(REMEMBERED)(self._verified)

    def sign(self, user: str, *, secure: bool = False) -> str:
        """Return the cookie's value for a user, good from now on."""
        return str(self._serializers[secure].dumps(user))

    def user(self, value: str, *, secure: bool = False) -> str | None:
        """Return the user whom a cookie's value names, None where it is forged, too old or damaged."""
        user, expires = self._read(value, secure) if len(value) <= LONGEST else (None, 0.0)
        return user if time.time() < expires else None

    def user_of(self, environ: Mapping[str, Any]) -> str | None:
        """Return the user whom one of a request's cookies names.

        On https a cookie of this very host wins; one of the plain name is of a visitor who came before there were such.
        """
        header, secure = environ.get("HTTP_COOKIE", ""), environ["wsgi.url_scheme"] == "https"
        tried = [(value, secure) for value in values_in(header, name_at(NAME, environ))]
        tried += [(value, False) for value in values_in(header, NAME)] if secure else []
        users = (self.user(value, secure=bound) for value, bound in tried)
        return next((user for user in users if user is not None), None)

    def _verified(self, value: str, secure: bool) -> tuple[str | None, float]:
        try:
            user, signed = self._serializers[secure].loads(value, return_timestamp=True)
        except BadData:
            return None, 0.0
        return str(user), signed.timestamp() + LIFETIME


def name_at(name: str, environ: Mapping[str, Any]) -> str:
    """Return the name under which a browser keeps a cookie for where it asked.

    A cookie of one host has no path: below a proxy's prefix, that is in its name.

    >>> name_at("matinee", {"wsgi.url_scheme": "https", "SCRIPT_NAME": "/films"})
    '__Host-matinee+films'
    """
    if environ["wsgi.url_scheme"] != "https":
        return name
    return f"{HOST_PREFIX}{name}{environ.get('SCRIPT_NAME', '').replace('/', '+')}"


def path_at(environ: Mapping[str, Any]) -> str:
    """Return the path of a cookie."""
    return "/" if environ["wsgi.url_scheme"] == "https" else environ.get("SCRIPT_NAME") or "/"


def values_in(header: str, name: str) -> list[str]:
    """Return the first values of a name in a Cookie header: a browser sends several where others set some, too.

    >>> values_in("a=1; matinee=abc; xmatinee=0; matinee=d", "matinee")
    ['abc', 'd']
    """
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return list(islice((value for found, _, value in pairs if found == name), MOST_TRIED))
