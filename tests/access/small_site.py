"""A small application with every sort of route policy, and who uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.ext.asyncio import AsyncEngine

from web.access import requests
from web.access.permissions import Principal
from web.access.requests import (
    Access,
    access_of,
    csrf_token,
    drop_session,
    keep_signed_in,
    permission,
    presented_session,
    principal,
    protect,
    public,
    signed_in,
)
from web.access.sessions import sign_out
from web.config import Network
from web.errors import CleanStartError

PASSWORD = "correct horse battery"

CreateUser = Callable[..., Awaitable[int]]
SignIn = Callable[[httpx.AsyncClient, str], Awaitable[str]]


@dataclass
class Site:
    """The small application and what its routes did."""

    app: FastAPI
    engine: AsyncEngine
    done: list[str] = field(default_factory=list)

    def browser(self, *, origin: str = "http://localhost:8000", peer: str = "127.0.0.1") -> httpx.AsyncClient:
        """A client with a cookie jar, as a browser that looks at this origin from this address."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 40_000)),
            base_url=origin,
        )


def build(
    engine: AsyncEngine,
    *,
    public_url: str | None = None,
    loopback: bool = True,
    trusted_proxies: tuple[Network, ...] = (),
) -> Site:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    site = Site(app, engine)
    protect(app, Access(engine, public_url, loopback, trusted_proxies))

    @app.exception_handler(CleanStartError)
    async def answer(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, CleanStartError)
        return JSONResponse({"title": error.title, "message": str(error)}, status_code=error.status)

    @app.get("/sign-in", dependencies=[public()])
    async def show(request: Request) -> HTMLResponse:
        return HTMLResponse(await csrf_token(request))

    @app.post("/sign-in", dependencies=[public()])
    async def enter(
        request: Request, response: Response, name: Annotated[str, Form()], password: Annotated[str, Form()]
    ) -> None:
        entered = await requests.enter(request, name, password)
        keep_signed_in(response, access_of(request), name, entered)

    @app.post("/sign-out", dependencies=[signed_in()])
    async def leave(request: Request, response: Response) -> None:
        await sign_out(engine, presented_session(request) or "")
        drop_session(response, access_of(request))

    @app.get("/me", dependencies=[signed_in()])
    async def me(who: Annotated[Principal, Depends(principal)]) -> dict[str, str]:
        return {"actor": who.actor}

    projects = APIRouter(prefix="/projects/{project}")

    @projects.get("", dependencies=[permission("view")])
    async def view(project: str) -> str:
        return project

    @projects.api_route(
        "/thing", methods=["POST", "PUT", "PATCH", "DELETE"], dependencies=[permission("migrate")]
    )
    async def change(request: Request, project: str) -> None:
        site.done.append(f"{request.method} {project}")

    @projects.post("/environments/{environment}/jobs/{kind}", dependencies=[permission(kind_permission)])
    async def start(kind: str, project: str) -> None:
        site.done.append(f"{kind} {project}")

    app.include_router(projects)

    @app.get("/jobs/{job}", dependencies=[permission("view", project=job_project)])
    async def job(job: int) -> int:
        return job

    @app.get("/audit", dependencies=[permission("read-audit")])
    async def audit() -> None: ...

    @app.get("/broken", dependencies=[public()])
    async def broken() -> None:
        raise ZeroDivisionError

    return site


async def kind_permission(request: Request) -> str | None:
    return {"backup": "backup", "reset": "reset"}.get(request.path_params["kind"])


async def job_project(request: Request) -> str | None:
    return "clinic" if int(request.path_params["job"]) < 100 else "shop"
