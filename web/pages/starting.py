"""`…/jobs/new/{kind}` and `…/jobs/{kind}`: the dialog before a job, and starting it. One road for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from web.access.confirmations import ConfirmationExpired
from web.access.requests import csrf_token
from web.config import Environment
from web.dashboard import Board, Dashboard, InEnvironment, Store, Who, in_project, permission_of_kind
from web.errors import CleanStartError, ConfirmationMismatch, Invalid, TargetChanged
from web.inspection.environment import read_backups
from web.inspection.gate import enforced
from web.jobs.kind import AnyKind
from web.operations.fate import Fate as PreparedFate
from web.operations.preparation import Preparation, prepare
from web.operations.starting import Wish, kind_for, start_job
from web.pages import addresses, words
from web.pages.drift import shown_repair
from web.pages.environment_head import ICONS
from web.pages.planned import hazards_of, statements_of
from web.pages.presenting import check, error_view, ref
from web.pages.render import partial
from web.pages.shell import Framed, go_to, is_swap, make_frame, now
from web.pages.views.dialogs import (
    Confirmation,
    Dialog,
    Fate,
    FateLine,
    Field,
    PendingMigration,
    TableFate,
    Target,
)
from web.pages.views.marks import Check, Fact, Link, Mark, Option

router = APIRouter(prefix="/projects/{project}/environments/{environment}/jobs")

#: Tables that a dialog names; the others are counted.
TABLES = 200
#: Names of the form's own fields; all others are the job's parameters.
OWN_FIELDS = frozenset(
    {"csrf_token", "confirmation", "signed", "seen_fingerprint", "seen_revisions", "plan_hash"}
)
#: What leaves the dialog says: what is kept.
KEEP = {
    "reset": "Keep the data",
    "migrate": "Leave it as it is",
    "revert": "Leave it as it is",
    "stamp": "Leave it as it is",
}


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
    view = await _dialog(store, prepared, dict(request.query_params), now())
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
        view = await _dialog(store, prepared, {k: str(v) for k, v in form.items()}, now())
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


async def _dialog(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str], moment: datetime
) -> Dialog:
    kind, environment, seen = prepared.kind, prepared.environment, prepared.view
    count = len(seen.verdict.pending)
    heading, submit = f"{kind.verb} {environment.label}?", f"{kind.verb} {environment.label}"
    if kind.name == "migrate":
        submit = f"Apply {words.plural(count, 'migration')}"
        heading = f"{submit} to {environment.label}?"
    if kind.name == "adopt":
        heading, submit = f"{kind.verb} {environment.label}?", "Write the migration"
    if kind.name == "plan-revert":
        heading, submit = f"{kind.verb} {environment.label}?", "Plan the revert"
    hidden = [("signed", prepared.confirmation or "")] if kind.destructive else []
    if seen.observation is not None and not kind.destructive and kind.mutating:
        hidden += [
            ("seen_fingerprint", seen.observation.fingerprint or ""),
            ("seen_revisions", " ".join(seen.observation.revisions)),
            ("plan_hash", prepared.plan_hash or ""),
        ]
    return Dialog(
        environment=ref(environment),
        kind=kind.name,
        heading=heading,
        lead=_lead(prepared),
        submit=submit,
        keep=KEEP.get(kind.name, "Not now"),
        icon=ICONS.get(kind.name, "list-checks"),
        danger=kind.destructive or (prepared.repair is not None and prepared.repair.loses),
        # A verification does not touch the environment's database.
        target=None if kind.name == "verify" else _target(prepared),
        pending=_pending(prepared) if kind.name == "migrate" else None,
        pending_account=_plan_account(prepared, moment) if kind.name == "migrate" else "",
        fate=_fate(prepared, prepared.fate) if prepared.fate is not None else None,
        repair=shown_repair(prepared.repair) if prepared.repair is not None else None,
        checks=_checks(prepared, moment),
        fields=await _fields(store, prepared, chosen),
        confirmation=Confirmation(prepared.expected, "Type") if prepared.expected else None,
        hidden=tuple(hidden),
        closed=" ".join(prepared.closed)
        or (None if kind.name != "migrate" or count else "Nothing is pending."),
    )


def _lead(prepared: Preparation) -> str:
    if prepared.kind.destructive:
        return "Everything in this database goes and cannot be brought back except from a backup."
    if prepared.kind.name == "migrate":
        return "The job streams every statement; it can be cancelled, and it ends in its true state."
    if prepared.kind.name == "revert":
        return (
            "The statements below run on the database itself, in the transactions in which they were proven, "
            "and only if its schema is still the one that they were made for."
        )
    if prepared.kind.name == "adopt":
        return (
            "A migration is written in the project's own style that gives what this database has, and run in scratch "
            "after the old head. The database is only read, and nothing is written into the source."
        )
    if prepared.kind.name == "stamp":
        return (
            "The revision is recorded as applied, and nothing is run. It is refused where the schema is not what the "
            "migrations up to it give."
        )
    if prepared.kind.name == "plan-revert":
        return (
            "The database is compared with its migrations, and what leads it back is run on a scratch copy. "
            "The database itself is only read."
        )
    if prepared.kind.name == "verify":
        return (
            "The backup is restored into a scratch database, and there every row is counted and compared. "
            f"The database of {prepared.environment.label} is not touched."
        )
    return "It runs as a background job; this page may be left."


def _target(prepared: Preparation) -> Target | None:
    observation, record, facts = prepared.view.observation, prepared.view.record, prepared.facts
    if observation is None:
        return None
    found = [
        Fact("Database", observation.database or "not known", mono=True),
        Fact("Server", observation.host or "not known", mono=True),
    ]
    if record and record.identity:
        found.append(Fact("Identity", record.identity, mono=True))
    if facts:
        found += [
            Fact("Size", words.size(facts.size)),
            Fact("Rows", f"about {words.estimate(facts.rows)} in {words.plural(len(facts.stored), 'table')}"),
            Fact("Sessions", str(facts.sessions.total)),
        ]
    found.append(Fact("Last looked at", moment=observation.observed_at))
    mark = (
        Mark("ok", "Pinned identity, checked again by the job")
        if record and record.pinned and observation.reachable
        else Mark("unknown", "Not reached at the last look")
    )
    return Target(tuple(found), mark)


def _fate(prepared: Preparation, fate: PreparedFate) -> Fate:
    facts = prepared.facts
    tables = facts.stored if facts else ()
    rows = f"about {words.estimate(facts.rows if facts else None)} rows"
    lines = [
        FateLine(
            words.plural(number, kind, kind.removesuffix("y") + "ies" if kind.endswith("y") else None),
            rows if kind == "table" else ", ".join(fate.schemas[:5]) if kind == "schema" else "",
        )
        for kind, number in fate.goes
    ]
    stays = [FateLine(*each) for each in fate.stays]
    return Fate(
        goes=tuple(lines),
        stays=tuple(stays),
        tables=tuple(
            TableFate(f"{each.schema}.{each.name}", each.rows, each.size or 0) for each in tables[:TABLES]
        ),
        more_tables=max(0, len(tables) - TABLES),
        last_write=facts.last_write if facts else None,
    )


def _pending(prepared: Preparation) -> tuple[PendingMigration, ...]:
    planned = {each["revision"]: each for each in (prepared.plan or {}).get("migrations", ())}
    return tuple(
        PendingMigration(
            revision=step.revision,
            message=step.message or step.revision,
            file=step.path,
            hazards=hazards_of(planned.get(step.revision)),
            statements=statements_of(planned.get(step.revision)),
        )
        for step in prepared.view.verdict.pending
    )


def _plan_account(prepared: Preparation, moment: datetime) -> str:
    rehearsed = prepared.view.rehearsed
    if rehearsed is None:
        return "Not rehearsed: the SQL is not known yet"
    if not rehearsed.succeeded:
        return f"The rehearsal failed: {rehearsed.message}"
    return f"As rehearsed {words.ago(rehearsed.made_at, moment)}"


def _checks(prepared: Preparation, moment: datetime) -> tuple[Check, ...]:
    found = []
    if prepared.gate is not None:
        found = [
            check(
                each,
                warning=prepared.kind.name == "migrate" and not enforced(each, prepared.environment),
                now=moment,
                link=_proof(prepared) if each.name == "verified backup" and each.state != "met" else None,
            )
            for each in prepared.gate.conditions
        ]
    if not prepared.live_workers:
        found.append(Check(Mark("warn", "No worker is alive"), account="The job waits until one is."))
    return tuple(found)


#: For a parameter that may be left to the environment's policy.
_THREE_ANSWERS = (("", "As the environment's policy says"), ("true", "Yes"), ("false", "No"))


def _proof(prepared: Preparation) -> Link:
    """The way to a verified backup: verify the one that is there, or take one."""
    environment, record = prepared.environment, prepared.view.record
    if record and record.backup and record.backup.state == "unverified":
        return Link(
            "Verify the newest backup", addresses.new_job(environment.project, environment.name, "verify")
        )
    return Link("See backups", addresses.environment(environment.project, environment.name, "backups"))


async def _fields(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str]
) -> tuple[Field, ...]:
    """A field for each parameter that a person may choose, from the kind's own description of it."""
    found = []
    for name, field in prepared.kind.parameters.model_fields.items():
        title = field.title or name.replace("_", " ").capitalize()
        hint = field.description or ""
        if name == "backup":
            found.append(
                Field(name, title, "select", options=await _backups(store, prepared, chosen), hint=hint)
            )
        elif field.annotation is bool:
            ticked = chosen.get(name, str(field.default).lower()) == "true"
            found.append(Field(name, title, "check", value="true", checked=ticked, hint=hint))
        elif field.annotation == bool | None:
            options = tuple(Option(*each, each[0] == chosen.get(name, "")) for each in _THREE_ANSWERS)
            found.append(Field(name, title, "select", options=options, hint=hint))
        else:
            value = chosen.get(name, "" if field.default is None else str(field.default))
            number = field.annotation is int
            found.append(Field(name, title, "number" if number else "text", value=value, hint=hint))
    return tuple(found)


async def _backups(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str]
) -> tuple[Option, ...]:
    record = prepared.view.record
    stored = await read_backups(store, record.environment_id) if record else ()
    return tuple(
        Option(
            each.id,
            f"{words.exact(each.created_at)}, {words.size(each.size)}, {each.state}",
            each.id == chosen.get("backup"),
        )
        for each in stored
    )
