"""Signing in and out, and the theme."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from web import addresses
from web.access import requests, sessions
from web.access.requests import (
    access_of,
    csrf_token,
    drop_session,
    keep_signed_in,
    optional_principal,
    presented_session,
    public,
)
from web.dashboard import Board
from web.errors import NotSignedIn, TooManyAttempts
from web.pages.presenting import error_view
from web.pages.render import page
from web.pages.shell import THEME_COOKIE, address_of, is_swap, theme_of
from web.pages.views.errors import ErrorView
from web.pages.views.shell import Shell
from web.pages.views.sign_in import SignIn

router = APIRouter()

YEAR = 365 * 24 * 3600


@router.get("/sign-in", dependencies=[public()])
async def show(request: Request, token: Annotated[str, Depends(csrf_token)], next: str = "/") -> Response:
    """The form; who is signed in already goes on at once."""
    if await optional_principal(request) is not None:
        return RedirectResponse(own_path(next), 303)
    return _form(request, SignIn(token, own_path(next)))


@router.post("/sign-in", dependencies=[public()])
async def enter(
    request: Request,
    token: Annotated[str, Depends(csrf_token)],
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in, or show the form again with the reason."""
    try:
        entered = await requests.enter(request, name, password)
    except (NotSignedIn, TooManyAttempts) as refused:
        view = error_view(refused)
        if isinstance(refused, NotSignedIn):
            view = ErrorView(401, "That did not work", str(refused), "Check both and try again.")
        again = _form(request, SignIn(token, own_path(next), name=name, refusal=view), view.status)
        if isinstance(refused, TooManyAttempts):
            again.headers["Retry-After"] = str(refused.retry_after)
        return again
    response = RedirectResponse(own_path(next), 303)
    keep_signed_in(response, access_of(request), name, entered)
    return response


@router.post("/sign-out", dependencies=[public()])
async def leave(request: Request, board: Board) -> Response:
    """Sign out."""
    session = presented_session(request)
    if session is not None:
        await sessions.sign_out(board.store, session)
    response = RedirectResponse(addresses.sign_in(), 303)
    drop_session(response, access_of(request))
    return response


@router.post("/theme", dependencies=[public()])
async def choose_theme(
    request: Request,
    theme: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Keep the choice of light or dark in a cookie, so that the server renders it and nothing flashes."""
    response = Response(status_code=204) if is_swap(request) else RedirectResponse(own_path(next), 303)
    if theme in ("light", "dark"):
        secure = access_of(request).https
        response.set_cookie(
            THEME_COOKIE, theme, max_age=YEAR, path="/", secure=secure, httponly=True, samesite="lax"
        )
    else:
        response.delete_cookie(THEME_COOKIE, path="/")
    return response


def own_path(path: str) -> str:
    """A path of this dashboard to go on at; anything that may lead elsewhere becomes the overview."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path else "/"


def _form(request: Request, view: SignIn, status: int = 200) -> HTMLResponse:
    shell = Shell(view.csrf_token, address_of(request), theme=theme_of(request))
    return HTMLResponse(page("sign_in/show.html", view, shell), status)
