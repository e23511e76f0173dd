"""Device cookies: a browser that somebody has signed in with is told from a stranger's (docs/decisions/0013).

A cookie proves nothing about who is there; the limiter counts by it. Nothing of it is stored: it is signed, names its
user, and holds until it is too old or the user's devices are forgotten (`users.forget_devices`).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from itsdangerous import BadData, URLSafeTimedSerializer

#: Names the signing key.
PURPOSE = "devices"
#: Since the last sign-in with this browser; each gives a new cookie.
LIFETIME = timedelta(days=180)


def cookie_suffix(name: str) -> str:
    """What tells the cookies of several users of one browser apart; it holds nothing of the name itself."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def make_device(key: bytes, name: str, generation: int) -> str:
    """Make the cookie of a browser that this user has just signed in with."""
    return _serializer(key).dumps([name, generation, secrets.token_urlsafe(18)])


def read_device(key: bytes, cookie: str | None, name: str, generation: int) -> str | None:
    """The number of the device; None where the cookie was not made for this user, or holds no more."""
    try:
        given = (cookie or "").encode("utf-8", "replace")
        content = _serializer(key).loads(given, max_age=int(LIFETIME.total_seconds()))
    except BadData:
        return None
    whose, made_in, number = content
    return str(number) if (whose, made_in) == (name, generation) else None


def _serializer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=PURPOSE)
