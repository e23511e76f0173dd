"""`…/environments/{e}/doubts/{job}/settlement`: the question before somebody settles what a job left, and doing it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from web import addresses
from web.access.requests import csrf_token
from web.answers.gate import way_out
from web.config import Environment
from web.dashboard import LARGEST, Board, Dashboard, InEnvironment, Store, Who, in_project
from web.errors import Invalid, NotFound
from web.observation.records import Doubt
from web.pages.presenting import error_view, ref
from web.pages.render import partial
from web.pages.shell import Frame, Framed, go_to, is_swap, make_frame
from web.pages.views.doubts import Settlement
from web.pages.views.marks import Link
from web.remedies.doubts import LENGTH, read_doubt, settle_doubt

router = APIRouter(
    prefix="/projects/{project}/environments/{environment}/doubts/{job}", dependencies=[in_project("settle")]
)


@router.get("/settlement")
async def ask(
    request: Request,
    store: Store,
    frame: Framed,
    environment: InEnvironment,
    job: int,
    token: Annotated[str, Depends(csrf_token)],
) -> HTMLResponse:
    """What is in doubt, and the field for the reason."""
    view = _view(environment, await read_doubt(store, environment, _number(job)))
    if is_swap(request):
        return HTMLResponse(partial("dialogs/_settlement_dialog.html", settlement=view, csrf_token=token))
    return _page(frame, environment, view)


@router.post("/settlement")
async def settle(
    request: Request,
    board: Board,
    who: Who,
    environment: InEnvironment,
    job: int,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Settle it and go to the environment. A reason that will not do comes back into the question."""
    reason = str((await request.form()).get("reason", ""))
    try:
        async with board.store.begin() as store:
            await settle_doubt(store, environment, who, _number(job), reason)
    except Invalid as refused:
        return await _again(request, board, who, environment, job, reason, refused, token)
    board.overviews.forget()
    return go_to(request, addresses.environment(environment.project, environment.name))


async def _again(
    request: Request,
    board: Dashboard,
    who: Who,
    environment: Environment,
    job: int,
    reason: str,
    refused: Invalid,
    token: str,
) -> Response:
    async with board.store.connect() as store:
        view = replace(
            _view(environment, await read_doubt(store, environment, job)),
            reason=reason,
            refusal=error_view(refused),
        )
        if is_swap(request):
            html = partial("dialogs/_settlement_dialog.html", settlement=view, csrf_token=token)
            return HTMLResponse(html, refused.status)
        frame = await make_frame(request, board, who, store, token)
        return _page(frame, environment, view, refused.status)


def _number(job: int) -> int:
    if not 0 < job <= LARGEST:
        raise NotFound(f"There is no job {job}.")
    return job


def _view(environment: Environment, doubt: Doubt) -> Settlement:
    return Settlement(
        environment=ref(environment),
        number=doubt.job_id,
        heading=f"Vouch for what job {doubt.job_id} ({doubt.kind}) left?",
        what=doubt.what,
        way=way_out((doubt,)),
        longest=LENGTH,
    )


def _page(frame: Frame, environment: Environment, view: Settlement, status: int = 200) -> HTMLResponse:
    where = ref(environment)
    return frame.show(
        "dialogs/settlement.html",
        view,
        here="Settle",
        section="project",
        crumbs=(
            Link(frame.board.configuration.project(where.project).title, addresses.project(where.project)),
            Link(where.name, where.path),
        ),
        project=where.project,
        environment=where,
        tier=where.tier,
        status=status,
    )
