"""The web composition root: pages, API, static files, access, error handlers, on a store and a feed that are open."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import web
from web import api, pages
from web.access import confirmations
from web.access.keys import signing_key
from web.access.requests import Access, protect, publish, require_policies
from web.api import problems
from web.config import Configuration
from web.dashboard import Dashboard
from web.errors import BodyTooLarge, CleanStartError, StoreUnavailable
from web.jobs.feed import Feed
from web.jobs.patience import passes
from web.pages import errors
from web.paths import STATIC
from web.starting.operation import AnyOperation, Operations

logger = logging.getLogger(__name__)

#: Static files are asked for under an address that changes with their content.
FOREVER = "public, max-age=31536000, immutable"
#: Bytes. The largest that anybody sends is a build's manifest: 400 bytes for each of its migrations.
LARGEST_BODY = 4 * 2**20


async def create_app(
    configuration: Configuration,
    store: AsyncEngine,
    feed: Feed,
    *,
    kinds: Sequence[AnyOperation],
    bound_to_loopback: bool,
) -> FastAPI:
    """Build the application on an open, upgraded store and an entered feed; both outlive it."""
    app = FastAPI(
        title="Clean Start",
        version=web.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Included routers would be worked out once more, for every application: a third of a second.
        routes=[*api.router.routes, *pages.router.routes],
    )
    async with store.begin() as connection:
        key = await signing_key(connection, confirmations.PURPOSE)
    app.state.dashboard = Dashboard(configuration, store, Operations(tuple(kinds)), feed, key)
    app.mount("/static", publish(StaticFilesForever(directory=STATIC)), name="static")
    app.add_middleware(HeadAsGet)
    app.add_middleware(LimitedBodies)
    app.add_exception_handler(CleanStartError, _on_error)
    app.add_exception_handler(SQLAlchemyError, _on_store)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_bug)
    access = Access(store, configuration.public_url, bound_to_loopback, configuration.trusted_proxies)
    protect(app, access)
    require_policies(app)
    return app


class StaticFilesForever(StaticFiles):
    """Static files that browsers may keep: their addresses carry the hash of their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file; only an address with a hash is kept for good."""
        response = await super().get_response(path, scope)
        if response.status_code == 200 and b"v=" in scope.get("query_string", b""):
            response.headers["Cache-Control"] = FOREVER
        return response


class LimitedBodies:
    """Refuses a request whose body is larger than anybody's business here, before it is kept or parsed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that ends, or answer 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        said = request.headers.get("content-length", "0")
        if said.isdecimal() and int(said) > LARGEST_BODY:
            await (await _on_error(request, BodyTooLarge(LARGEST_BODY)))(scope, receive, send)
            return
        left = LARGEST_BODY

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(BodyTooLarge.status, str(BodyTooLarge(LARGEST_BODY)))
            return message

        await self.app(scope, limited, send)


class HeadAsGet:
    """Answers HEAD as GET without its body (RFC 9110, 9.3.2); a stream ends where its body would begin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; of a HEAD's answer send status and headers."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        begun = asyncio.Event()

        async def only_begin(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                begun.set()

        answering = asyncio.ensure_future(self.app({**scope, "method": "GET"}, receive, only_begin))
        beginning = asyncio.ensure_future(begun.wait())
        await asyncio.wait({answering, beginning}, return_when=asyncio.FIRST_COMPLETED)
        for each in (answering, beginning):
            each.cancel()
        results = await asyncio.gather(answering, beginning, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CleanStartError)
    return problems.of_error(error) if _is_api(request) else await errors.of_error(request, error)


async def _on_store(request: Request, error: Exception) -> Response:
    if not passes(error):
        return await _on_bug(request, error)
    logger.warning("The store does not answer at %s: %s", request.url.path, type(error).__name__)
    return await _on_error(request, StoreUnavailable())


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problems.of_http(error) if _is_api(request) else await errors.of_http(request, error)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problems.of_validation(error) if _is_api(request) else await errors.of_validation(request, error)


async def _on_bug(request: Request, error: Exception) -> Response:
    return problems.of_bug(request, error) if _is_api(request) else await errors.of_bug(request, error)


# The operating system's table may call scripts text/plain, which nosniff then refuses.
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/svg+xml", ".svg")
