"""The sign-in page."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.errors import ErrorView


@dataclass(frozen=True, slots=True)
class SignIn:
    """The form; after a refusal with the name that was given, never with the password."""

    csrf_token: str
    #: Where to go afterwards.
    next: str
    name: str = ""
    refusal: ErrorView | None = None
    #: For the demo: who there is.
    hint: str = ""
