"""Refuses requests that another site made a browser send. Pure functions; `requests` brings the request.

Both have to hold for every request that may change something and is not made with an API token (which no
browser sends by itself): the form's token belongs to the session, and the browser says the page was ours.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from web.errors import CrossSiteRequest

#: Methods that change nothing (RFC 9110, 9.2.1); TRACE is not among them because nothing here answers it.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


def token_for(secret: str) -> str:
    """The token of a session's secret, or of a visitor's cookie before sign-in."""
    return hmac.new(secret.encode(), b"cleanstart csrf token", hashlib.sha256).hexdigest()


def check_token(secret: str | None, presented: str | None) -> None:
    """Refuse a token that is not the one of this secret; compared in constant time."""
    if not secret or not presented:
        raise CrossSiteRequest("The form carries no token of this session.")
    if not hmac.compare_digest(token_for(secret).encode(), presented.encode("utf-8", "replace")):
        raise CrossSiteRequest("The form's token is not of this session.")


def check_origin(headers: Mapping[str, str], own_origin: str) -> None:
    """Refuse a request that does not say it comes from our own pages.

    Browsers send `Origin` with every unsafe request and cannot be made to lie; `Sec-Fetch-Site` likewise.
    Whichever is there has to agree, and one has to be there. `headers` is looked up in lower case.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        raise CrossSiteRequest("The request does not say which page it comes from.")
    # `none` is the person's own doing, such as sending a form once more; another page cannot cause it.
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSiteRequest("The request comes from another site.")
    if origin is not None and origin != own_origin:
        raise CrossSiteRequest(
            "The request comes from another site.",
            hint=f"Open the dashboard at {own_origin}, and set public_url if that is not its address.",
        )
