"""`/approvals`: what waits for somebody's consent, and deciding; `…/approvals/new/{kind}`: asking for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access import approvals
from web.access.approval_requests import Request as Asked
from web.access.approval_requests import RequestState, person, read_requests
from web.access.permissions import PHRASES, Principal, may, visible_projects
from web.access.requests import csrf_token, signed_in
from web.config import Environment
from web.dashboard import (
    Board,
    Dashboard,
    Id,
    InEnvironment,
    OneRequest,
    Store,
    Who,
    in_project,
    on_request,
    permission_of_kind,
)
from web.errors import CleanStartError, Conflict, Invalid, TargetChanged
from web.pages.dialog import read_dialog
from web.pages.presenting import environments, error_view, ref
from web.pages.render import partial
from web.pages.shell import Frame, Framed, go_to, is_swap, make_frame, now
from web.pages.views.approvals import Asking, RequestList, RequestPage, RequestRow, ShownDecision
from web.pages.views.marks import Action, EnvironmentRef, Link, Mark, Pages
from web.starting.asking import as_asked, ask, needed, read_true_request, true_open_requests
from web.starting.operation import AnyOperation
from web.starting.preparation import Preparation, prepare
from web.starting.start import kind_for, parameters_of

router = APIRouter()
IN_ENVIRONMENT = "/projects/{project}/environments/{environment}/approvals"
PAGE = 50

MARKS: dict[RequestState, Mark] = {
    "open": Mark("queued", "Waiting"),
    "approved": Mark("ok", "Approved"),
    "rejected": Mark("failed", "Rejected"),
    "withdrawn": Mark("unknown", "Withdrawn"),
    "void": Mark("unknown", "Void"),
    "expired": Mark("unknown", "Expired"),
    "used": Mark("ok", "Used"),
}


@router.get("/approvals", dependencies=[signed_in()])
async def index(board: Board, who: Who, frame: Framed, before: Id | None = None) -> HTMLResponse:
    """Every request, those that wait first."""
    projects = visible_projects(who, board.configuration.projects)
    known = environments(board.configuration)
    async with board.store.connect() as store:
        waiting = (
            ()
            if before
            else await true_open_requests(store, board.configuration, board.kinds, projects, board.histories)
        )
        found = await read_requests(store, projects, before=before, limit=PAGE + 1)
    ended = [each for each in found[:PAGE] if each.state != "open"]
    view = RequestList(
        waiting=tuple(_row(each, known) for each in waiting),
        ended=tuple(_row(each, known) for each in ended),
        pages=Pages(
            words.plural(len(ended), "request"),
            newer=addresses.approvals() if before else None,
            older=addresses.approvals(before=found[PAGE - 1].id) if len(found) > PAGE else None,
        ),
    )
    return frame.show("approvals/index.html", view, here="Approvals", section="approvals")


@router.get("/approvals/{request_number}", dependencies=[on_request("view")])
async def show(board: Board, frame: Framed, asked: OneRequest) -> HTMLResponse:
    """One request, with what would run if it were approved."""
    return await _page(board, frame, asked.id)


@router.post("/approvals/{request_number}/decisions", dependencies=[on_request("approve")])
async def decide(
    request: Request,
    board: Board,
    who: Who,
    asked: OneRequest,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Approve or reject it. What cannot be done comes back with the page."""
    form = await request.form()
    try:
        async with board.store.connect() as store:
            true = await read_true_request(store, board.configuration, board.kinds, asked.id, board.histories)
        if not true.living:
            raise Conflict(_over(true))
        async with board.store.begin() as store:
            approves = str(form.get("decision", "")) == "approve"
            await approvals.decide(store, who, asked.id, approves=approves, note=str(form.get("note", "")))
    except (Conflict, Invalid) as refused:
        return await _again(request, board, who, asked, refused, token)
    board.overviews.forget()
    return go_to(request, addresses.approval(asked.id))


@router.post("/approvals/{request_number}/withdrawal", dependencies=[on_request("view")])
async def withdraw(
    request: Request,
    board: Board,
    who: Who,
    asked: OneRequest,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Take it back."""
    try:
        async with board.store.begin() as store:
            await approvals.withdraw(store, who, asked.id)
    except Conflict as refused:
        return await _again(request, board, who, asked, refused, token)
    board.overviews.forget()
    return go_to(request, addresses.approval(asked.id))


@router.get(IN_ENVIRONMENT + "/new/{kind}", dependencies=[in_project("view")])
async def prepare_asking(
    request: Request,
    board: Board,
    store: Store,
    frame: Framed,
    environment: InEnvironment,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> HTMLResponse:
    """What others are asked to approve, and the field for the reason."""
    wanted = kind_for(board.kinds, environment, kind)
    view = await _asking(store, board, frame.who, environment, wanted, dict(request.query_params))
    if is_swap(request):
        return HTMLResponse(partial("dialogs/_asking_dialog.html", asking=view, csrf_token=token, now=now()))
    return _asking_page(frame, view)


@router.post(IN_ENVIRONMENT + "/{kind}", dependencies=[in_project(permission_of_kind)])
async def ask_others(
    request: Request,
    board: Board,
    who: Who,
    environment: InEnvironment,
    kind: str,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Ask them and go to the request. A refusal comes back into the question."""
    wanted = kind_for(board.kinds, environment, kind)
    form = await request.form()
    given = {name: str(value) for name, value in form.items()}
    try:
        async with board.store.begin() as store:
            number = await ask(
                store,
                board.configuration,
                wanted,
                environment,
                who,
                parameters_of(wanted, _chosen(wanted, given)),
                reason=given.get("reason", ""),
                shown_hash=given.get("shown_hash") or None,
                key=board.key,
                histories=board.histories,
            )
    except (Conflict, Invalid, TargetChanged) as refused:
        return await _ask_again(request, board, who, environment, wanted, given, refused, token)
    board.overviews.forget()
    return go_to(request, addresses.approval(number))


def _chosen(kind: AnyOperation, given: dict[str, str]) -> dict[str, object]:
    """The bound parameters as the form brought them; a box without a tick is not in the form at all."""
    chosen: dict[str, object] = {**as_asked(kind, given)}
    for name in kind.approved_for or ():
        if kind.parameters.model_fields[name].annotation is bool:
            chosen[name] = given.get(name) == "true"
    return chosen


async def _asking(
    store: AsyncConnection,
    board: Dashboard,
    who: Principal,
    environment: Environment,
    kind: AnyOperation,
    given: dict[str, str],
) -> Asking:
    prepared = await _prepared(store, board, kind, environment, who)
    dialog = await read_dialog(store, board.kinds, prepared, given, now())
    bound = kind.approved_for or ()
    condition = prepared.before.approval
    count = needed(environment, prepared.before)
    return Asking(
        where=ref(environment),
        path=addresses.ask_approval(environment.project, environment.name, kind.name),
        heading=f"Ask for approval: {dialog.heading.removesuffix('?')}",
        lead=f"{words.plural(count, 'other person has', 'other people have')} to approve exactly this within "
        f"{words.span(environment.approvals_last)}. It is void as soon as what would run changes.",
        dialog=replace(
            dialog,
            fields=tuple(each for each in dialog.fields if each.name in bound),
            hidden=(("shown_hash", prepared.before.shown_hash or ""),),
            checks=tuple(dialog.checks),
            confirmation=None,
        ),
        longest=approvals.LENGTH,
        reason=given.get("reason", ""),
        reason_needed=prepared.before.gate is not None
        and any(
            each.name == "rehearsal" and each.state == "not met" for each in prepared.before.gate.conditions
        ),
        closed=_closed(prepared, condition is not None),
    )


def _closed(prepared: Preparation, wanted: bool) -> str | None:
    """Why others cannot be asked."""
    kind, environment = prepared.kind, prepared.environment
    if not may(prepared.who, kind.permission, environment.project):
        return f"Your role on {environment.project} does not allow you to {PHRASES[kind.permission]}."
    if not wanted:
        return f"{kind.title} needs nobody's approval on {environment.label}."
    if prepared.before.pointless:
        return prepared.before.pointless
    return "There is nothing to approve yet." if prepared.before.shown_hash is None else None


async def _prepared(
    store: AsyncConnection, board: Dashboard, kind: AnyOperation, environment: Environment, who: Principal
) -> Preparation:
    return await prepare(
        store, board.configuration, kind, environment, who, key=board.key, histories=board.histories
    )


async def _page(
    board: Dashboard, frame: Frame, number: int, refused: CleanStartError | None = None
) -> HTMLResponse:
    who = frame.who
    async with board.store.connect() as store:
        asked = await read_true_request(store, board.configuration, board.kinds, number, board.histories)
        where = environments(board.configuration).get(asked.label)
        kind = board.kinds.by_name.get(asked.kind)
        dialog, onward = None, None
        if asked.living and kind is not None and where is not None:
            environment = board.configuration.environment(asked.project, asked.environment)
            prepared = await _prepared(store, board, kind, environment, who)
            dialog = await read_dialog(store, board.kinds, prepared, {}, now())
            if asked.state == "approved" and may(who, kind.permission, asked.project):
                path = addresses.new_job(
                    asked.project,
                    asked.environment,
                    kind.name,
                    **{name: _as_text(value) for name, value in asked.parameters.items()},
                )
                onward = Action(f"{dialog.submit}…", path, kind.icon, primary=True, danger=dialog.danger)
    view = _view(asked, where, kind, who)
    view = replace(view, asked=dialog, onward=onward)
    shown: HTMLResponse = frame.show(
        "approvals/show.html",
        view,
        here=f"Request {number}",
        section="approvals",
        crumbs=(Link("Approvals", addresses.approvals()),),
        project=asked.project,
        environment=where,
        tier=where.tier if where is not None else None,
        stream=addresses.environment_stream(asked.project, asked.environment) if dialog is not None else None,
        refusal=error_view(refused) if refused is not None else None,
        status=refused.status if refused is not None else 200,
    )
    return shown


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _view(
    asked: Asked, where: EnvironmentRef | None, kind: AnyOperation | None, who: Principal
) -> RequestPage:
    fields = kind.parameters.model_fields if kind is not None else {}
    reason = approvals.may_not_decide(who, asked)
    if reason is None and not may(who, "approve", asked.project):
        reason = f"Your role on {asked.project} does not allow you to {PHRASES['approve']}."
    decided = any(each.by == who.actor for each in asked.decisions)
    mine = asked.asked_by == who.actor or may(who, "manage-users", asked.project)
    return RequestPage(
        number=asked.id,
        title=asked.title,
        where=where or EnvironmentRef(asked.project, asked.environment, "development"),
        mark=MARKS[asked.state],
        given=f"{asked.given} of {words.plural(asked.needed, 'approval')}",
        reason=asked.reason,
        asked_by=person(asked.asked_by),
        asked_at=asked.asked_at,
        expires_at=asked.expires_at,
        hash=asked.shown_hash,
        parameters=tuple(
            (
                (field.title if (field := fields.get(name)) else None) or name,
                {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value),
            )
            for name, value in asked.parameters.items()
        ),
        decisions=tuple(
            ShownDecision(
                Mark("ok", "Approved") if each.approves else Mark("failed", "Rejected"),
                person(each.by),
                each.at,
                each.note,
            )
            for each in asked.decisions
        ),
        decide=addresses.approval_decisions(asked.id)
        if asked.state == "open" and reason is None and not decided
        else None,
        may_not=("You have decided already." if decided else reason) if asked.state == "open" else None,
        withdraw=addresses.approval_withdrawal(asked.id) if asked.living and mine else None,
        why=asked.why or "",
        job=asked.job_id,
        longest=approvals.LENGTH,
    )


def _row(asked: Asked, known: dict[str, EnvironmentRef]) -> RequestRow:
    return RequestRow(
        number=asked.id,
        mark=MARKS[asked.state],
        title=asked.title,
        where=known.get(asked.label) or EnvironmentRef(asked.project, asked.environment, "development"),
        asked_by=person(asked.asked_by),
        asked_at=asked.asked_at,
        given=f"{asked.given} of {asked.needed}",
    )


def _over(asked: Asked) -> str:
    return f"Request {asked.id} is {asked.state}. {asked.why or ''}".strip()


async def _again(
    request: Request, board: Dashboard, who: Principal, asked: Asked, refused: CleanStartError, token: str
) -> Response:
    if is_swap(request):
        raise refused
    async with board.store.connect() as store:
        frame = await make_frame(request, board, who, store, token)
    return await _page(board, frame, asked.id, refused)


async def _ask_again(
    request: Request,
    board: Dashboard,
    who: Principal,
    environment: Environment,
    kind: AnyOperation,
    given: dict[str, str],
    refused: CleanStartError,
    token: str,
) -> Response:
    async with board.store.connect() as store:
        view = replace(
            await _asking(store, board, who, environment, kind, given), refusal=error_view(refused)
        )
        if is_swap(request):
            html = partial("dialogs/_asking_dialog.html", asking=view, csrf_token=token, now=now())
            return HTMLResponse(html, 422)
        return _asking_page(await make_frame(request, board, who, store, token), view, refused.status)


def _asking_page(frame: Frame, view: Asking, status: int = 200) -> HTMLResponse:
    where = view.where
    shown: HTMLResponse = frame.show(
        "dialogs/asking.html",
        view,
        here="Ask for approval",
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
    return shown
