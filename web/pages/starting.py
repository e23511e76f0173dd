"""`…/jobs/new/{kind}` and `…/jobs/{kind}` of an environment and of a project: the dialog before a job, and its start.

One road for every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from web import addresses
from web.access.confirmations import ConfirmationExpired
from web.access.permissions import Principal
from web.access.requests import csrf_token
from web.clean_start.acting import OfStep
from web.config import Environment, Project
from web.dashboard import (
    Board,
    Dashboard,
    InEnvironment,
    InProject,
    Store,
    Who,
    in_project,
    permission_of_kind,
)
from web.errors import CleanStartError, ConfirmationMismatch, Invalid, TargetChanged
from web.pages.dialog import read_dialog, read_project_dialog
from web.pages.presenting import error_view, ref
from web.pages.render import partial
from web.pages.shell import Frame, Framed, go_to, is_swap, make_frame, now
from web.pages.views.dialogs import Dialog
from web.pages.views.marks import Link, Mark
from web.starting.operation import AnyOperation, Where, project_of
from web.starting.preparation import prepare, prepare_for_project
from web.starting.start import Wish, kind_for, start_job

router = APIRouter(prefix="/projects/{project}")
ON_ENVIRONMENT = "/environments/{environment}/jobs"

#: The step of a clean start that a job is started for.
STEP = "step"
#: Names of the form's own fields; all others are the job's parameters.
OWN_FIELDS = frozenset(
    {"csrf_token", "confirmation", "signed", "seen_fingerprint", "seen_revisions", "shown_hash", STEP}
)


@router.get(ON_ENVIRONMENT + "/new/{kind}", dependencies=[in_project("view")])
async def ask(
    request: Request,
    board: Board,
    store: Store,
    frame: Framed,
    environment: InEnvironment,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> HTMLResponse:
    """What the person has to know and confirm, as a dialog over the page or as a page."""
    return await _ask(request, board, store, frame, environment, kind, token)


@router.get("/jobs/new/{kind}", dependencies=[in_project("view")])
async def ask_of_project(
    request: Request,
    board: Board,
    store: Store,
    frame: Framed,
    project: InProject,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> HTMLResponse:
    """The same before a job of the whole project."""
    return await _ask(request, board, store, frame, project, kind, token)


async def _ask(
    request: Request,
    board: Dashboard,
    store: AsyncConnection,
    frame: Frame,
    where: Where,
    kind: str,
    token: str,
) -> HTMLResponse:
    wanted = kind_for(board.kinds, where, kind)
    chosen: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        # What may be given more than once is one field.
        chosen[name] = f"{chosen[name]}, {value}" if name in chosen else value
    view = await _dialog(board, store, frame.who, where, wanted, chosen)
    if is_swap(request):
        return HTMLResponse(partial("dialogs/_dialog.html", dialog=view, csrf_token=token))
    return _page(frame, view, where)


@router.post(ON_ENVIRONMENT + "/{kind}", dependencies=[in_project(permission_of_kind)])
async def start(
    request: Request,
    board: Board,
    who: Who,
    environment: InEnvironment,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Start the job and go to it; a look stays where the person is. A refusal comes back into the dialog."""
    return await _start(request, board, who, environment, kind, token)


@router.post("/jobs/{kind}", dependencies=[in_project(permission_of_kind)])
async def start_on_project(
    request: Request,
    board: Board,
    who: Who,
    project: InProject,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """The same for a job of the whole project."""
    return await _start(request, board, who, project, kind, token)


async def _start(
    request: Request, board: Dashboard, who: Principal, where: Where, kind: str, token: str
) -> Response:
    wanted = kind_for(board.kinds, where, kind)
    form = await request.form()
    step = _text(form, STEP)
    try:
        job = await start_job(
            board.store,
            board.configuration,
            board.kinds,
            where,
            who,
            _wish(wanted, form),
            key=board.key,
            within=OfStep(board.configuration, who, step or None, board.histories),
        )
    except (ConfirmationExpired, ConfirmationMismatch, Invalid, TargetChanged) as refused:
        return await _again(request, board, who, where, wanted, form, refused, token)
    board.overviews.forget()
    if wanted.observes and isinstance(where, Environment):
        return _looked(request, where, job)
    if step:
        return go_to(request, addresses.clean_start(project_of(where)))
    return go_to(request, addresses.job(job))


async def _dialog(
    board: Dashboard,
    store: AsyncConnection,
    who: Principal,
    where: Where,
    kind: AnyOperation,
    chosen: Mapping[str, str],
) -> Dialog:
    hidden = ((STEP, chosen[STEP]),) if chosen.get(STEP) else ()
    if isinstance(where, Project):
        prepared_for = await prepare_for_project(store, kind, where, who, chosen)
        dialog = await read_project_dialog(store, prepared_for, chosen)
        return replace(dialog, hidden=(*dialog.hidden, *hidden))
    prepared = await prepare(
        store, board.configuration, kind, where, who, key=board.key, histories=board.histories
    )
    dialog = await read_dialog(store, board.kinds, prepared, chosen, now())
    return replace(dialog, hidden=(*dialog.hidden, *hidden))


def _looked(request: Request, environment: Environment, job: int) -> Response:
    """After asking for a look: the page that the person came from shows it when it is there."""
    if is_swap(request):
        toast = partial(
            "shell/_toast.html",
            mark=Mark("running", f"Checking {environment.label}"),
            account="The page shows what is found as soon as it is known.",
            link=None,
            follows=job,
        )
        html = f'<hx-partial hx-target="#toasts" hx-swap="beforeend">{toast}</hx-partial>'
        return HTMLResponse(html)
    return go_to(request, addresses.environment(environment.project, environment.name))


async def _again(
    request: Request,
    board: Dashboard,
    who: Principal,
    where: Where,
    kind: AnyOperation,
    form: FormData,
    refused: CleanStartError,
    token: str,
) -> Response:
    """The dialog once more, with what is there now and why the last try was refused."""
    async with board.store.connect() as store:
        chosen = {name: str(value) for name, value in form.items()}
        view = await _dialog(board, store, who, where, kind, chosen)
        if isinstance(refused, ConfirmationMismatch) and view.confirmation is not None:
            typed = str(form.get("confirmation", ""))
            view = replace(view, confirmation=replace(view.confirmation, typed=typed, error=str(refused)))
        else:
            view = replace(view, refusal=error_view(refused))
        # 422 swaps the dialog as a whole, whatever the reason: the true status is the page's.
        if is_swap(request):
            html = partial("dialogs/_dialog.html", dialog=view, csrf_token=token)
            return HTMLResponse(html, 422)
        return _page(await make_frame(request, board, who, store, token), view, where, refused.status)


def _page(frame: Frame, view: Dialog, where: Where, status: int = 200) -> HTMLResponse:
    project = where if isinstance(where, Project) else frame.board.configuration.project(where.project)
    environment = None if isinstance(where, Project) else ref(where)
    shown: HTMLResponse = frame.show(
        "dialogs/show.html",
        view,
        here=view.heading,
        section="project",
        crumbs=(
            Link(project.title, addresses.project(project.name)),
            *([Link(environment.name, environment.path)] if environment is not None else []),
        ),
        project=project.name,
        environment=environment,
        tier=environment.tier if environment is not None else None,
        status=status,
    )
    return shown


def _wish(kind: AnyOperation, form: FormData) -> Wish:
    if any("\0" in value for value in form.values() if isinstance(value, str)):
        raise Invalid("A field holds a character that cannot be stored.")
    parameters: dict[str, Any] = {
        name: value
        for name, value in form.items()
        if name not in OWN_FIELDS
        and isinstance(value, str)
        and (field := kind.parameters.model_fields.get(name)) is not None
        # An empty field leaves to the kind what may be left to it.
        and not (value == "" and field.default is None)
    }
    for name, field in kind.parameters.model_fields.items():
        # A box without a tick is not in the form at all.
        if field.annotation is bool:
            parameters[name] = form.get(name) == "true"
    revisions = form.get("seen_revisions")
    return Wish(
        kind=kind.name,
        parameters=parameters,
        typed=_text(form, "confirmation"),
        confirmation=_text(form, "signed"),
        seen_fingerprint=_text(form, "seen_fingerprint"),
        seen_revisions=tuple(revisions.split()) if isinstance(revisions, str) else None,
        shown_hash=_text(form, "shown_hash"),
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None
