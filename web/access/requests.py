"""The web side of access: who makes a request, may they, and did our own page send it.

Every route declares an `AccessPolicy` (`public()`, `signed_in()` or `permission(…)`); one that does not is
refused, and `routes_without_policy` finds it before. What is decided is decided in `permissions` and `csrf`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, cast

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import RouteContext, iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.access.csrf import FIELD, HEADER, SAFE_METHODS, check_origin, check_token, token_for
from web.access.devices import LIFETIME, cookie_suffix
from web.access.headers import SecurityHeaders
from web.access.permissions import PERMISSIONS, Principal, local_admin, require
from web.access.proxies import client_address, is_trusted
from web.access.sessions import ABSOLUTE, SignedIn, find_session, sign_in
from web.access.tokens import find_token
from web.access.turns import Turns
from web.access.users import any_users
from web.config import Network, is_loopback
from web.errors import NotSignedIn

#: A proxy in front: then loopback is the proxy's, and says nothing about who is there.
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
VISIT = re.compile(r"[A-Za-z0-9_-]{43}")
#: The only body that is looked into for a form's token: no page uploads files, and those need closing.
FORM = "application/x-www-form-urlencoded"

#: What a request says about the thing it is for: its project, or the permission that its kind of job needs.
Ask = Callable[[Request], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Access:
    """What the request side needs to know; the web composition root puts it in place with `protect`."""

    engine: AsyncEngine
    public_url: str | None
    bound_to_loopback: bool
    trusted_proxies: tuple[Network, ...] = ()
    #: Whose password this process checks next.
    turns: Turns = field(default_factory=Turns)

    @property
    def https(self) -> bool:
        """Whether browsers reach the dashboard by https, and so send `__Host-` cookies."""
        return self.public_url is not None and self.public_url.startswith("https://")

    def cookie(self, name: Literal["session", "visit", "device"], suffix: str = "") -> str:
        """The cookie's name: bound to host and https wherever there is https."""
        whole = f"cleanstart-{name}-{suffix}" if suffix else f"cleanstart-{name}"
        return f"__Host-{whole}" if self.https else whole


def protect(app: FastAPI, access: Access) -> None:
    """Put access in place around the whole application, its error responses included."""
    app.state.access = access
    build = app.build_middleware_stack

    def protected() -> ASGIApp:
        # Outside of what add_middleware reaches: the answer to an unexpected error gets the headers too.
        return SecurityHeaders(Visits(DenyByDefault(build(), app), access), https=access.https)

    app.build_middleware_stack = protected  # type: ignore[method-assign]


def access_of(request: Request) -> Access:
    """The application's access, as `protect` put it there."""
    return cast(Access, request.app.state.access)


async def optional_principal(request: Request) -> Principal | None:
    """Who makes this request; None where nobody is signed in. Looked up once for each request.

    Raises:
        NotSignedIn: an API token was given that is not in force; there is no falling back to a cookie.
    """
    if not hasattr(request.state, "principal"):
        request.state.principal, request.state.csrf_secret = await _identify(request)
    return cast("Principal | None", request.state.principal)


async def principal(request: Request) -> Principal:
    """Who makes this request; `NotSignedIn` where nobody is. A dependency for routes that need to know."""
    who = await optional_principal(request)
    if who is None:
        raise NotSignedIn
    return who


async def csrf_token(request: Request) -> str:
    """The token for this page's forms: of the session, or of the visit while nobody is signed in."""
    await optional_principal(request)
    if request.state.csrf_secret is None:
        request.state.csrf_secret = request.state.new_visit = secrets.token_urlsafe(32)
    return token_for(request.state.csrf_secret)


async def enter(request: Request, name: str, password: str) -> SignedIn:
    """Sign in whoever makes this request; every way in that takes a password goes through here.

    Raises what `sessions.sign_in` does.
    """
    access = access_of(request)
    return await sign_in(
        access.engine,
        access.turns,
        name=name,
        password=password,
        address=address_of_client(request),
        user_agent=request.headers.get("user-agent"),
        replacing=presented_session(request),
        device=request.cookies.get(_device_cookie(access, name)),
    )


def keep_signed_in(response: Response, access: Access, name: str, signed_in: SignedIn) -> None:
    """Give the browser its session, and what it is known by under this name after the session."""
    _give(response, access, access.cookie("session"), signed_in.session_id, ABSOLUTE)
    _give(response, access, _device_cookie(access, name), signed_in.device, LIFETIME)


def _give(response: Response, access: Access, cookie: str, value: str, age: timedelta) -> None:
    response.set_cookie(
        cookie,
        value,
        max_age=int(age.total_seconds()),
        path="/",
        secure=access.https,
        httponly=True,
        samesite="lax",
    )


def _device_cookie(access: Access, name: str) -> str:
    return access.cookie("device", cookie_suffix(name.strip().lower()))


def drop_session(response: Response, access: Access) -> None:
    """Make the browser forget its session."""
    response.delete_cookie(
        access.cookie("session"), path="/", secure=access.https, httponly=True, samesite="lax"
    )


def presented_session(request: Request) -> str | None:
    """The session id that the browser came with, live or not."""
    return request.cookies.get(access_of(request).cookie("session"))


def address_of_client(request: Request) -> str | None:
    """The address that the request comes from, behind trusted proxies too."""
    return client_address(
        request.client.host if request.client else None,
        request.headers.getlist("x-forwarded-for"),
        access_of(request).trusted_proxies,
    )


async def path_project(request: Request) -> str | None:
    """The project in the request's path; None where its route has none."""
    return request.path_params.get("project")


class AccessPolicy:
    """Who may use a route; itself a dependency. Checks sign-in, the page's origin and token, the role."""

    def __init__(
        self,
        kind: Literal["public", "signed in", "permission"],
        permission: str | Ask = "",
        project: Ask | None = None,
    ) -> None:
        if isinstance(permission, str) and kind == "permission" and permission not in PERMISSIONS:
            raise ValueError(f"there is no permission {permission!r}")
        self.kind, self.permission, self.project = kind, permission, project or path_project

    def __repr__(self) -> str:
        return f"AccessPolicy({self.kind!r}, {self.permission!r})"

    async def __call__(self, request: Request) -> None:
        """Let the request pass, or raise what it lacks."""
        if self.kind == "public" and request.method in SAFE_METHODS:
            # Without asking the store: health answers while the store is away.
            return
        who = await optional_principal(request)
        if who is None and self.kind != "public":
            raise NotSignedIn
        await _refuse_cross_site(request, who)
        if self.kind == "permission":
            asked = self.permission if isinstance(self.permission, str) else await self.permission(request)
            require(who, asked or "", await self.project(request))


def public() -> Any:
    """A route for everybody: sign-in, health. What it changes is still asked of our own pages only."""
    return Depends(AccessPolicy("public"))


def signed_in() -> Any:
    """A route for whoever is signed in; it has to show each of them only what they may see."""
    return Depends(AccessPolicy("signed in"))


def permission(name: str | Ask, *, project: Ask | None = None) -> Any:
    """A route that takes this permission on the project in its path.

    `name` and `project` may be functions of the request where the path does not tell: the permission of a
    job's kind, the project of a job. A project of None means all projects.
    """
    return Depends(AccessPolicy("permission", name, project))


def publish(app: ASGIApp) -> ASGIApp:
    """Declare a mounted application (the static files) public, and return it."""
    app.access_policy = AccessPolicy("public")  # type: ignore[attr-defined]
    return app


def policy_of(route: RouteContext) -> AccessPolicy | None:
    """The policy that a route declares, itself or by a router it is in; the last one is the narrowest."""
    declared = [each.dependency for each in getattr(route, "dependencies", None) or ()]
    declared += [getattr(getattr(route, name, None), "access_policy", None) for name in ("endpoint", "app")]
    return next((each for each in reversed(declared) if isinstance(each, AccessPolicy)), None)


def routes_without_policy(app: FastAPI) -> tuple[str, ...]:
    """Every route that declares no policy, as `METHODS path`; there must be none."""
    return tuple(
        f"{','.join(sorted(route.methods or ())) or 'ANY'} {route.path}" for route in _undeclared(app)
    )


def require_policies(app: FastAPI) -> None:
    """Fail at start when a route has no policy: the last thing that the web composition root does."""
    if missing := routes_without_policy(app):
        raise RuntimeError(f"routes without an access policy: {'; '.join(missing)}")


class DenyByDefault:
    """Refuses what would reach a route without a policy.

    Looked for at the first request and whenever the application has got more routes: walking over a hundred
    routes takes longer than many a page does. `require_policies` at start is what keeps the list empty.
    """

    def __init__(self, app: ASGIApp, routes_of: FastAPI) -> None:
        self.app, self.routes_of = app, routes_of
        self.looked_at = -1
        self.undeclared: list[RouteContext] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass the request on."""
        if scope["type"] == "http":
            if self.looked_at != len(self.routes_of.routes):
                self.undeclared = _undeclared(self.routes_of)
                self.looked_at = len(self.routes_of.routes)
            for route in self.undeclared:
                if route.matches(scope)[0] is not Match.NONE:
                    refusal = PlainTextResponse("This route declares no access policy.\n", status_code=403)
                    await refusal(scope, receive, send)
                    return
        await self.app(scope, receive, send)


class Visits:
    """Gives a visitor the cookie that `csrf_token` made a token from."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the cookie to its response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})

        async def give(message: Message) -> None:
            if message["type"] == "http.response.start" and "new_visit" in state:
                cookie = f"{self.access.cookie('visit')}={state['new_visit']}; Path=/; HttpOnly; SameSite=Lax"
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", f"{cookie}; Secure" if self.access.https else cookie)
            await send(message)

        await self.app(scope, receive, give)


async def _identify(request: Request) -> tuple[Principal | None, str | None]:
    """Who makes the request, and the secret that its forms' tokens are made from, where there is one."""
    access = access_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        who = await find_token(access.engine, token.strip())
        if who is None:
            raise NotSignedIn("This API token is not known, has expired or was revoked.")
        return who, None
    session_id = presented_session(request)
    session = await find_session(access.engine, session_id) if session_id else None
    if session is not None:
        return session.principal, session.csrf_secret
    visit = request.cookies.get(access.cookie("visit"), "")
    secret = visit if VISIT.fullmatch(visit) else None
    return (local_admin("loopback") if await _is_local(request, access) else None), secret


async def _is_local(request: Request, access: Access) -> bool:
    """Whether this is somebody at this machine while there are no users.

    The Host header is looked at because a hostile page may have pointed its own name at 127.0.0.1.
    """
    return (
        access.bound_to_loopback
        and request.client is not None
        and is_loopback(request.client.host)
        and not is_trusted(request.client.host, access.trusted_proxies)
        and is_loopback(request.url.hostname or "")
        and not any(header in request.headers for header in PROXY_HEADERS)
        and not await any_users(access.engine)
    )


async def _refuse_cross_site(request: Request, who: Principal | None) -> None:
    if request.method in SAFE_METHODS or (who is not None and who.source == "token"):
        return
    check_origin(request.headers, access_of(request).public_url or _origin_of(request))
    presented = request.headers.get(HEADER)
    if (
        presented is None
        and request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
    ):
        field = (await request.form()).get(FIELD)
        presented = field if isinstance(field, str) else None
    check_token(request.state.csrf_secret, presented)


def _origin_of(request: Request) -> str:
    """The dashboard's own origin where no public_url says it: what the browser asked for."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _undeclared(app: FastAPI) -> list[RouteContext]:
    return [route for route in iter_route_contexts(app.routes) if policy_of(route) is None]
