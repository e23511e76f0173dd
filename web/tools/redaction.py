"""Takes secrets out of text that somebody else wrote: log lines, errors, statements."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

#: A secret shorter than this is taken out as a whole word only: "a" as a password must not blank every text.
_SHORT = 8


def redaction(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces the secrets, also where they are percent-encoded as in a URL, or in base64."""
    spellings = {form for secret in secrets if secret for form in _forms(secret)}
    if not spellings:
        return lambda text: text
    # The longest first, so that a secret that begins with another one goes as a whole.
    patterns = [
        re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
        for form in sorted(spellings, key=len, reverse=True)
    ]
    pattern = re.compile("|".join(patterns))
    return lambda text: pattern.sub("•••", text)


def _forms(secret: str) -> Iterator[str]:
    """How a secret may be written. In base64 what stands before it decides which of three ways: all are known."""
    yield from (secret, quote(secret, ""), quote_plus(secret))
    raw = secret.encode()
    if len(raw) < _SHORT:
        return
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            # Without the letters that hold bits of a neighbour.
            first = (0, 2, 3)[before]
            last = len(text) - (0 if (before + len(raw)) % 3 == 0 else 1)
            yield text[first:last]
