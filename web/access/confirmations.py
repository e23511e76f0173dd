"""Signed, expiring, single-use confirmations of destructive jobs (docs/decisions/0005).

A confirmation binds a person, an environment, a job kind and the state of the target that the person saw.
That it is used once is the store's doing: `job.confirmation` is unique.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from web.errors import Conflict, Refused

#: How long a person may take between opening the dialog and pressing its button.
LIFETIME = timedelta(minutes=15)
#: Names their signing key.
PURPOSE = "confirmations"


class ConfirmationInvalid(Refused):
    """This confirmation was not made for this; open the dialog again."""

    title = "The confirmation is not valid"
    hint = "Open the dialog again and confirm what it shows."


class ConfirmationExpired(Conflict):
    """The dialog was open for too long; what it showed may not hold any more."""

    title = "The confirmation has expired"
    hint = "Open the dialog again and confirm what it shows."


@dataclass(frozen=True, slots=True)
class Seen:
    """What the person saw when they confirmed."""

    actor: str
    environment: str
    kind: str
    identity: str
    fingerprint: str | None
    revisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmation as it came back: what was seen, and the number that is used once."""

    seen: Seen
    number: str


def sign(key: bytes, seen: Seen) -> str:
    """Make the value that the dialog carries."""
    return _serializer(key).dumps({**asdict(seen), "number": secrets.token_urlsafe(18)})


def verify(key: bytes, value: str, *, actor: str, environment: str, kind: str) -> Confirmation:
    """Read a confirmation back.

    Raises:
        ConfirmationInvalid: forged, or made for somebody or something else.
        ConfirmationExpired: older than `LIFETIME`.
    """
    try:
        content = _serializer(key).loads(value, max_age=int(LIFETIME.total_seconds()))
    except SignatureExpired as error:
        raise ConfirmationExpired from error
    except BadData as error:
        raise ConfirmationInvalid from error
    number = content.pop("number")
    seen = Seen(**{**content, "revisions": tuple(content["revisions"])})
    if (seen.actor, seen.environment, seen.kind) != (actor, environment, kind):
        raise ConfirmationInvalid
    return Confirmation(seen, number)


def _serializer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=PURPOSE)
