"""`…/jobs/new/{kind}` and `…/jobs/{kind}`: the dialog before a job, and starting it. One road for every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import FormData

from web import addresses
from web.access.confirmations import ConfirmationExpired
from web.access.requests import csrf_token
from web.config import Environment
from web.dashboard import Board, Dashboard, InEnvironment, Store, Who, in_project, permission_of_kind
from web.errors import CleanStartError, ConfirmationMismatch, Invalid, TargetChanged
from web.jobs.kind import AnyKind
from web.operations.preparation import prepare
from web.operations.starting import Wish, kind_for, start_job
from web.pages.dialog import read_dialog
from web.pages.presenting import error_view
from web.pages.render import partial
from web.pages.shell import Framed, go_to, is_swap, make_frame, now
from web.pages.views.dialogs import Dialog
from web.pages.views.marks import Link, Mark

router = APIRouter(prefix="/projects/{project}/environments/{environment}/jobs")

#: Names of the form's own fields; all others are the job's parameters.
OWN_FIELDS = frozenset(
    {"csrf_token", "confirmation", "signed", "seen_fingerprint", "seen_revisions", "plan_hash"}
)


@router.get("/new/{kind}", dependencies=[in_project("view")])
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
    wanted = kind_for(board.kinds, environment, kind)
    prepared = await prepare(
        store, board.configuration, wanted, environment, frame.who, key=board.key, histories=board.histories
    )
    view = await read_dialog(store, prepared, dict(request.query_params), now())
    if is_swap(request):
        return HTMLResponse(partial("dialogs/_dialog.html", dialog=view, csrf_token=token))
    return _page(frame, view)


@router.post("/{kind}", dependencies=[in_project(permission_of_kind)])
async def start(
    request: Request,
    board: Board,
    who: Who,
    environment: InEnvironment,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Start the job and go to it; a look stays where the person is. A refusal comes back into the dialog."""
    wanted = kind_for(board.kinds, environment, kind)
    form = await request.form()
    try:
        job = await start_job(
            board.store,
            board.configuration,
            board.kinds,
            environment,
            who,
            _wish(wanted, form),
            key=board.key,
        )
    except (ConfirmationExpired, ConfirmationMismatch, Invalid, TargetChanged) as refused:
        return await _again(request, board, who, environment, wanted, form, refused, token)
    board.overviews.forget()
    if kind == "observe":
        return _looked(request, environment, job)
    return go_to(request, addresses.job(job))


def _looked(request: Request, environment: Environment, job: int) -> Response:
    """After asking for a look: the page that the person came from shows it when it is there."""
    if is_swap(request):
        toast = partial(
            "shell/_toast.html",
            mark=Mark("running", f"Looking at {environment.label}"),
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
    who: Who,
    environment: Environment,
    kind: AnyKind,
    form: FormData,
    refused: CleanStartError,
    token: str,
) -> Response:
    """The dialog once more, with what is there now and why the last try was refused."""
    async with board.store.connect() as store:
        prepared = await prepare(
            store, board.configuration, kind, environment, who, key=board.key, histories=board.histories
        )
        view = await read_dialog(store, prepared, {k: str(v) for k, v in form.items()}, now())
        if isinstance(refused, ConfirmationMismatch) and view.confirmation is not None:
            typed = str(form.get("confirmation", ""))
            view = replace(view, confirmation=replace(view.confirmation, typed=typed, error=str(refused)))
        else:
            view = replace(view, refusal=error_view(refused))
        # 422 swaps the dialog as a whole, whatever the reason: the true status is the page's.
        if is_swap(request):
            html = partial("dialogs/_dialog.html", dialog=view, csrf_token=token)
            return HTMLResponse(html, 422)
        return _page(await make_frame(request, board, who, store, token), view, refused.status)


def _page(frame: Any, view: Dialog, status: int = 200) -> HTMLResponse:
    where = view.environment
    project = frame.board.configuration.project(where.project)
    shown: HTMLResponse = frame.show(
        "dialogs/show.html",
        view,
        here=view.heading,
        section="project",
        crumbs=(Link(project.title, addresses.project(project.name)), Link(where.name, where.path)),
        project=where.project,
        environment=where,
        tier=where.tier,
        status=status,
    )
    return shown


def _wish(kind: AnyKind, form: FormData) -> Wish:
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
        plan_hash=_text(form, "plan_hash"),
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None
