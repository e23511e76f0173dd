"""Takes secrets out of text that somebody else wrote: log lines, errors, statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

#: A secret shorter than this is taken out as a whole word only: "a" as a password must not blank every text.
_SHORT = 8


def redaction(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces the secrets, also where they are percent-encoded as in a URL."""
    spellings = {
        form for secret in secrets if secret for form in (secret, quote(secret, ""), quote_plus(secret))
    }
    if not spellings:
        return lambda text: text
    # The longest first, so that a secret that begins with another one goes as a whole.
    patterns = [
        re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
        for form in sorted(spellings, key=len, reverse=True)
    ]
    pattern = re.compile("|".join(patterns))
    return lambda text: pattern.sub("•••", text)
