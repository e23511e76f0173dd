"""Errors as pages and as notes inside a page; the status is always the true one, a traceback never shows."""

from __future__ import annotations

import logging
import secrets

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from web import addresses
from web.access.requests import csrf_token, optional_principal
from web.dashboard import Dashboard
from web.errors import CleanStartError, NotSignedIn, StoreUnavailable
from web.pages.presenting import error_view
from web.pages.render import page, partial
from web.pages.shell import address_of, is_swap, make_frame, theme_of
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Link
from web.pages.views.shell import Shell

logger = logging.getLogger(__name__)

TITLES = {404: "Not found", 405: "This page takes no such request"}


async def of_error(request: Request, error: CleanStartError) -> Response:
    """An expected error. Who is not signed in is led to the sign-in page instead."""
    if isinstance(error, NotSignedIn) and request.method in ("GET", "HEAD"):
        where = addresses.sign_in(None if request.url.path == "/" else address_of(request))
        if is_swap(request):
            return Response(status_code=401, headers={"HX-Redirect": where})
        return RedirectResponse(where, 303)
    if isinstance(error, StoreUnavailable):
        return await respond(request, error_view(error), plain=True)
    view = error_view(error)
    if isinstance(error, NotSignedIn):
        view = ErrorView(
            view.status, view.title, "Your session has ended.", links=(Link("Sign in", addresses.sign_in()),)
        )
    return await respond(request, view)


async def of_http(request: Request, error: HTTPException) -> Response:
    """What the framework refuses by itself."""
    if error.status_code == 404:
        view = ErrorView(404, "Not found", "There is no such page.")
    else:
        view = ErrorView(
            error.status_code, TITLES.get(error.status_code, "It did not work"), str(error.detail)
        )
    response = await respond(request, view)
    response.headers.update(error.headers or {})
    return response


async def of_validation(request: Request, error: RequestValidationError) -> Response:
    """A request that is not what the route takes: an address with a word where a number belongs."""
    if any(each["loc"][0] == "path" for each in error.errors()):
        return await respond(request, ErrorView(404, "Not found", "There is no such page."))
    said = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return await respond(request, ErrorView(422, "This cannot be done as asked", said))


async def of_bug(request: Request, error: Exception) -> Response:
    """A 500: always a bug. The log holds it under the reference that the page names."""
    reference = secrets.token_hex(6)
    logger.error("Unexpected error %s at %s", reference, request.url.path, exc_info=error)
    view = ErrorView(
        500,
        "Something went wrong",
        "This is a mistake in Clean Start, not yours. Nothing was started that the page does not show.",
        reference=reference,
    )
    return await respond(request, view, plain=True)


async def respond(request: Request, view: ErrorView, *, plain: bool = False) -> HTMLResponse:
    """The error as a note where htmx asked, else as a page; without navigation if even that fails."""
    if is_swap(request):
        return HTMLResponse(partial("errors/_note.html", error=view), view.status)
    if not plain:
        try:
            return await _framed(request, view)
        except Exception as again:
            logger.warning("The page around an error could not be made: %s", type(again).__name__)
    shell = Shell(csrf_token="", address=address_of(request), theme=theme_of(request))
    return HTMLResponse(page("errors/plain.html", view, shell), view.status)


async def _framed(request: Request, view: ErrorView) -> HTMLResponse:
    board: Dashboard = request.app.state.dashboard
    who = await optional_principal(request)
    if who is None:
        shell = Shell(await csrf_token(request), address_of(request), theme=theme_of(request))
        return HTMLResponse(page("errors/plain.html", view, shell), view.status)
    async with board.store.connect() as store:
        frame = await make_frame(request, board, who, store, await csrf_token(request))
    return frame.show("errors/show.html", view, here=view.title, status=view.status)
