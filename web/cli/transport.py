"""The API's client, over one of two transports: HTTP, or the application inside this process.

On the host the request passes through the same application with the same checks as any other; only who asks is
said by the process itself: the operating system's user, who can read configuration and store anyway.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from web.access.csrf import HEADER, token_for
from web.access.permissions import Principal, local_admin
from web.config import Configuration, is_loopback
from web.errors import CleanStartError, Invalid

#: Seconds that a request may take, on top of what it asked to wait.
PATIENCE = 30.0
#: What to do about bytes that are no text.
ENCODED = "Write it in UTF-8; a terminal or a file with another encoding gives other bytes."
Json = dict[str, Any]
T = TypeVar("T")


class Problem(CleanStartError):
    """The API answered with an error."""

    def __init__(self, status: int, title: str, detail: str, hint: str = "", kind: str = "") -> None:
        self.status, self.title, self.kind = status, title, kind
        super().__init__(detail, hint=hint)


class Unreachable(CleanStartError):
    """The dashboard gives no answer."""

    status = 503
    title = "The dashboard cannot be reached"


class AddressInvalid(CleanStartError):
    """CLEANSTART_URL or CLEANSTART_TOKEN cannot be used."""

    title = "The dashboard's address is not valid"


class Answer(Json):
    """An object in the answer of a server that may be anything: what it lacks is no mistake of ours."""

    def __missing__(self, key: str) -> object:
        raise _not_understood(f"The answer came without “{key}”")


class Api:
    """Requests to `/api/v1`; every method returns the answer's JSON or raises what the API says."""

    def __init__(self, client: httpx.AsyncClient, place: str, read_object: type[Json] = Json) -> None:
        """Objects of the answers become what `read_object` makes of them."""
        self._client, self._read_object = client, read_object
        #: Where the answers come from, for people.
        self.place = place

    async def get(self, *segments: object, wait: float = 0, **query: object) -> Json:
        """Ask. `segments` are the path's, unquoted; `wait` is how long the server may take to answer."""
        parameters = _utf8({key: str(value) for key, value in query.items() if value is not None})
        if wait:
            parameters["wait"] = str(wait)
        return await self._request("GET", segments, params=parameters, timeout=PATIENCE + wait)

    async def post(self, *segments: object, body: Mapping[str, object] | None = None) -> Json:
        """Make something."""
        return await self._request("POST", segments, json=_utf8(body or {}))

    async def patch(self, *segments: object, body: Mapping[str, object]) -> Json:
        """Change something."""
        return await self._request("PATCH", segments, json=_utf8(body))

    async def delete(self, *segments: object) -> Json:
        """End something."""
        return await self._request("DELETE", segments)

    async def _request(self, method: str, segments: tuple[object, ...], **more: Any) -> Json:
        try:
            response = await self._client.request(method, _path(segments), **more)
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self.place}: {_reason(error)}", hint="Check CLEANSTART_URL, and whether it is up."
            ) from error
        return _content(response, self._read_object)


def _path(segments: tuple[object, ...]) -> str:
    names = [str(segment) for segment in segments]
    if bad := [name for name in names if name in ("", ".", "..")]:
        raise Invalid(f"“{bad[0]}” is not a name.")
    return "/api/v1/" + "/".join(quote(_utf8({"name": name})["name"], safe="") for name in names)


def _utf8(given: Mapping[str, T]) -> dict[str, T]:
    """Return what is to be sent. Raises Invalid where bytes came in that are no text, which may be a password."""
    for name, value in given.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Invalid(f"The {name.replace('_', ' ')} is not UTF-8 text.", hint=ENCODED) from None
    return dict(given)


def _content(response: httpx.Response, read_object: type[Json]) -> Json:
    try:
        content = response.json(object_hook=read_object)
    except ValueError:
        content = None
    # No answer of the API is empty; printed as JSON it would look like one.
    if response.is_success and isinstance(content, dict) and content:
        return content
    if not response.is_success and isinstance(content, dict) and "title" in content:
        raise Problem(
            response.status_code,
            str(content["title"]),
            str(content.get("detail") or ""),
            str(content.get("hint") or ""),
            str(content.get("type") or ""),
        )
    status = response.status_code
    raise _not_understood(
        f"Status {status} came without the JSON of an answer", status if response.is_error else 502
    )


def _not_understood(fact: str, status: int = 502) -> Problem:
    return Problem(
        status,
        "The answer is not understood",
        f"{fact}: this server does not speak this version of Clean Start's API.",
        "Check that CLEANSTART_URL is the dashboard's own address, what lies in between, and both versions.",
    )


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncIterator[Api]:
    """Speak to a dashboard elsewhere, with an API token."""
    origin = _origin(url)
    local = is_loopback(urlsplit(origin).hostname or "")
    async with httpx.AsyncClient(
        base_url=origin,
        headers={"Authorization": f"Bearer {_header_safe(token)}"},
        timeout=PATIENCE,
        # The system's certificates: an internal dashboard's come from an internal authority.
        verify=ssl.create_default_context(),
        # A proxy must not see the token of a dashboard on this machine, which is spoken to without TLS.
        trust_env=not local,
    ) as client:
        yield Api(client, origin, Answer)


def _origin(url: str) -> str:
    wanted = "expected https://HOST or https://HOST:PORT"
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressInvalid(f"CLEANSTART_URL: {wanted}.") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise AddressInvalid(f"CLEANSTART_URL: {wanted}.", hint="The token goes into CLEANSTART_TOKEN.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise AddressInvalid(f"CLEANSTART_URL: {wanted}, without a path.")
    if parts.scheme == "http" and not is_loopback(host):
        raise AddressInvalid("CLEANSTART_URL: plain http would show the token to everybody in between.")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _header_safe(token: str) -> str:
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AddressInvalid("CLEANSTART_TOKEN is no token: it has characters that no token has.")
    return token


@asynccontextmanager
async def in_process(configuration: Configuration) -> AsyncIterator[Api]:
    """Run the application on the store, in this process, for the length of a block.

    Raises:
        StoreNotReady: there is no store, it cannot be reached, or it is not upgraded.
    """
    # Only here: a command that speaks HTTP does without loading the application.
    from web.app import create_app
    from web.cli.store_place import running_url
    from web.jobs.feed import Feed
    from web.operations import KINDS
    from web.store.database import open_store, require_upgraded

    engine = open_store(running_url(configuration), pool_size=4)
    try:
        await require_upgraded(engine)
        origin = configuration.public_url or "http://localhost"
        secret = secrets.token_urlsafe(32)
        async with Feed(engine) as feed:
            app = await create_app(configuration, engine, feed, kinds=KINDS, bound_to_loopback=True)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(Asking(app, local_admin(login()), secret)),
                base_url=origin,
                headers={"Origin": origin, HEADER: token_for(secret)},
            ) as client:
                yield Api(client, "this machine")
    finally:
        await engine.dispose()


class Asking:
    """Says who makes the requests of this process, as a session would; everything else is checked as ever."""

    def __init__(self, app: Any, who: Principal, secret: str) -> None:
        self.app, self.who, self.secret = app, who, secret

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on with its principal."""
        scope.setdefault("state", {}).update(principal=self.who, csrf_secret=self.secret)
        await self.app(scope, receive, send)


def login() -> str:
    """The operating system's user that runs this process; variables such as LOGNAME are not believed."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
