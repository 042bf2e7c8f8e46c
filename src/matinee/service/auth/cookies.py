"""Visitors' cookies: the user's id, signed and dated, so that nobody can become somebody else."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache

from itsdangerous import BadData, URLSafeTimedSerializer

NAME = "matinee"
LIFETIME = 400 * 24 * 3600  # seconds; browsers keep none for longer
REMEMBERED = 10_000  # cookies whose signature need not be computed again


class Cookies:
    """Signs with the last of the secrets, and accepts what any of them signed.

    >>> old, new = Cookies(["first"]), Cookies(["first", "second"])
    >>> new.user(old.sign("ann")), old.user(new.sign("ann"))
    ('ann', None)
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._serializer = URLSafeTimedSerializer(list(secrets), "matinee visitor", signer_kwargs=signer)
        self._read = lru_cache(REMEMBERED)(self._verified)

    def sign(self, user: str) -> str:
        """Return the cookie's value for a user, good from now on."""
        return str(self._serializer.dumps(user))

    def user(self, value: str) -> str | None:
        """Return the user whom a cookie's value names, None where it is forged, too old or damaged."""
        user, expires = self._read(value)
        return user if time.time() < expires else None

    def _verified(self, value: str) -> tuple[str | None, float]:
        try:
            user, signed = self._serializer.loads(value, return_timestamp=True)
        except BadData:
            return None, 0.0
        return str(user), signed.timestamp() + LIFETIME


def value_in(header: str) -> str:
    """Return our cookie's value in a Cookie header, "" where it is not there.

    >>> value_in("a=1; matinee=abc; b=2"), value_in("xmatinee=abc")
    ('abc', '')
    """
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == NAME:
            return value
    return ""
