"""`/projects/{p}/clean-start`: the guided clean start of a project, live; its choices; its report."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import Principal, may
from web.answers.stored_surveys import newest_survey
from web.answers.strategy import Recommended, Strategy, Way, strategies_of
from web.clean_start.acting import OfStep, accept_in_run, end_run, in_words
from web.clean_start.evidence import Evidence, read_evidence
from web.clean_start.report import as_markdown, report_of, undo_of
from web.clean_start.runs import STEP_NAMES, Run, begin, choose, list_runs, newest_run, read_run, why_not
from web.clean_start.step import Act, Proof, Step
from web.clean_start.steps import steps_of
from web.config import Project
from web.dashboard import Board, Dashboard, Id, InProject, Store, Text, Who, in_project
from web.errors import Invalid, NotFound
from web.jobs.patience import patiently
from web.pages.parts import Part, rail_parts, render
from web.pages.presenting import project_actions, ref
from web.pages.shell import Frame, Framed, go_to, seen_by
from web.pages.streams import Message, stream_response
from web.pages.views.clean_start import (
    CleanStartPage,
    NoCleanStartPage,
    ReportPage,
    ShownDifference,
    ShownEnvironment,
    ShownProof,
    ShownStep,
)
from web.pages.views.marks import Action, Fact, Link, Mark, Option, Status
from web.starting.start import Wish, kind_for, start_job

router = APIRouter(prefix="/projects/{project}/clean-start")

#: Differences that a step lists to be accepted one by one; the proof's page has all of them.
LISTED = 30
#: What `anext` gives at the end of changes.
_ENDED: Any = object()
_PROOF_MARKS: dict[str, Status] = {
    "met": "ok",
    "accepted": "warn",
    "running": "running",
    "not met": "pending",
    "not known": "unknown",
}
#: What the marks say.
_PROOF_STATES: dict[str, str] = {
    "met": "Proven",
    "accepted": "Accepted",
    "running": "Running",
    "not met": "Missing",
    "not known": "Not proven",
}


@router.get("", dependencies=[in_project("view")])
async def show(
    board: Board, store: Store, frame: Framed, project: InProject, run: Id | None = None
) -> HTMLResponse:
    """The run that goes on, or one that has ended; where there is none, how one begins."""
    found = await (newest_run(store, project.name) if run is None else read_run(store, project.name, run))
    if found is None:
        return await _invite(board, store, frame, project)
    evidence = await read_evidence(store, board.configuration, found, histories=board.histories)
    steps = steps_of(evidence)
    view = await _page(board, store, frame.who, project, evidence, steps)
    return frame.show(
        "clean_start/show.html",
        view,
        here="Clean start",
        section="project",
        crumbs=(Link("Overview", addresses.overview()), Link(project.title, addresses.project(project.name))),
        project=project.name,
        stream=addresses.clean_start_stream(project.name, mark_of(evidence, steps))
        if found.is_open
        else None,
    )


@router.get("/new", dependencies=[in_project("view")])
async def new(request: Request, board: Board, store: Store, frame: Framed, project: InProject) -> Response:
    """How another run begins; where one goes on, that one."""
    found = await newest_run(store, project.name)
    if found is not None and found.is_open:
        return go_to(request, addresses.clean_start(project.name))
    return await _invite(board, store, frame, project)


@router.get("/stream", dependencies=[in_project("view")])
async def stream(board: Board, who: Who, project: InProject, seen: str = "") -> Response:
    """A word whenever the run is not as the page has it."""
    return stream_response(board, who, "view", project.name, _changes(board, who, project, seen))


async def _changes(board: Dashboard, who: Principal, project: Project, mark: str) -> AsyncGenerator[Message]:
    feed = board.feed.changes()
    # It hears from now on, so that nothing falls between the page and its stream.
    upcoming = asyncio.ensure_future(anext(feed, _ENDED))
    before: dict[str, Part] = {}
    try:
        while True:
            read = await patiently(board.overviews.fresh_for_streams)
            parts = {part.id: part for part in rail_parts(seen_by(who, read.overview), project.name)}
            if changed := [part for key, part in parts.items() if before.get(key) != part]:
                yield Message("".join(map(render, changed)))
            before = parts
            now = await patiently(partial(_mark, board, project))
            if now != mark:
                mark = now
                yield Message("", event="page-changed")
            if await upcoming is _ENDED:
                return
            upcoming = asyncio.ensure_future(anext(feed, _ENDED))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await feed.aclose()


async def _mark(board: Dashboard, project: Project) -> str:
    async with board.store.connect() as store:
        run = await newest_run(store, project.name)
        if run is None:
            return ""
        evidence = await read_evidence(store, board.configuration, run, histories=board.histories)
    return mark_of(evidence, steps_of(evidence))


def mark_of(evidence: Evidence, steps: tuple[Step, ...]) -> str:
    """Names what a page shows of a run."""
    shown = repr((evidence.run.strategies, evidence.run.ended, steps))
    return hashlib.blake2s(shown.encode(), digest_size=8).hexdigest()


@router.post("", dependencies=[in_project("baseline")])
async def start(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Begin a run, with a strategy for each environment."""
    form = await request.form()
    way: Way = "keep" if _field(form, "way") == "keep" else "clean start"
    wanted = {
        name.removeprefix("strategy-"): str(value)
        for name, value in form.items()
        # What is chosen on the page is for the other way.
        if name.startswith("strategy-") and way == "clean start"
    }
    async with board.store.begin() as connection:
        await begin(connection, project, who, wanted, way=way)
    return go_to(request, addresses.clean_start(project.name))


@router.post("/strategies", dependencies=[in_project("baseline")])
async def choose_strategy(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Do something else with an environment."""
    form = await request.form()
    async with board.store.begin() as connection:
        await choose(connection, project, who, _field(form, "environment"), _field(form, "strategy"))
    return go_to(request, addresses.clean_start(project.name))


@router.post("/acceptances", dependencies=[in_project("baseline")])
async def accept(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Answer for something that is not as it should be."""
    form = await request.form()
    async with board.store.begin() as connection:
        await accept_in_run(
            connection,
            board.configuration,
            project,
            who,
            _field(form, "about"),
            _field(form, "reason"),
            histories=board.histories,
        )
    board.overviews.forget()
    return go_to(request, addresses.clean_start(project.name))


@router.post("/steps/{step}", dependencies=[in_project("backup")])
async def start_step(
    request: Request,
    board: Board,
    who: Who,
    project: InProject,
    step: str,
    kind: Text = "",
    environment: Text = "",
) -> Response:
    """Start what a step wants and nothing has to be asked about, on one environment or on all."""
    if step not in STEP_NAMES:
        raise NotFound(f"“{step[:50]}” is no step of a clean start.")
    async with board.store.connect() as store:
        run = await newest_run(store, project.name)
        if run is None or not run.is_open:
            raise NotFound(f"No clean start of {project.name} is open.")
        evidence = await read_evidence(store, board.configuration, run, histories=board.histories)
        (wanted,) = [each for each in steps_of(evidence) if each.name == step]
    acts = [
        each
        for each in wanted.acts
        if not each.asks
        and (not kind or each.kind == kind)
        and (not environment or each.environment == environment)
    ]
    if not acts:
        raise Invalid(
            f"“{wanted.title}” has nothing to start now. {wanted.closed}".strip(),
            hint="Somebody may have been quicker: look at the page again.",
        )
    for act in acts:
        where = project.environments[act.environment] if act.environment else project
        await start_job(
            board.store,
            board.configuration,
            board.kinds,
            where,
            who,
            Wish(act.kind, parameters=dict(act.parameters)),
            key=board.key,
            within=OfStep(board.configuration, who, step, board.histories),
        )
    board.overviews.forget()
    return go_to(request, addresses.clean_start(project.name))


@router.post("/end", dependencies=[in_project("baseline")])
async def finish(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """End the run: as done, or stopped where it is."""
    form = await request.form()
    how: Literal["done", "stopped"] = "done" if _field(form, "how") == "done" else "stopped"
    async with board.store.begin() as connection:
        told = await end_run(
            connection,
            board.configuration,
            project,
            who,
            how,
            why=_field(form, "why"),
            histories=board.histories,
        )
    board.overviews.forget()
    return go_to(request, addresses.clean_start_report(project.name, told["run"]))


@router.get("/report", dependencies=[in_project("view")])
async def report(
    board: Board, store: Store, frame: Framed, project: InProject, run: Id | None = None, form: Text = ""
) -> Response:
    """The report of the run that goes on, or of one that has ended: a page, or Markdown."""
    found = await (newest_run(store, project.name) if run is None else read_run(store, project.name, run))
    if found is None:
        raise NotFound(f"There was no clean start of {project.name} yet.")
    told = found.report
    if told is None:
        evidence = await read_evidence(store, board.configuration, found, histories=board.histories)
        told = report_of(evidence, steps_of(evidence))
    if form == "markdown":
        return Response(
            as_markdown(told),
            media_type="text/markdown; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="clean-start-{found.id}.md"'},
        )
    return frame.show(
        "clean_start/report.html",
        _report(told),
        here="Report",
        section="project",
        crumbs=(
            Link("Overview", addresses.overview()),
            Link(project.title, addresses.project(project.name)),
            Link("Clean start", addresses.clean_start(project.name, found.id)),
        ),
        project=project.name,
    )


def _field(form: Any, name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        return ""
    if "\0" in value:
        raise Invalid("A field holds a character that cannot be stored.")
    return value


async def _invite(board: Dashboard, store: AsyncConnection, frame: Frame, project: Project) -> HTMLResponse:
    survey = await newest_survey(store, project.name)
    way, reasons = survey.way if survey is not None else ("", ())
    recommended = {seen.environment: by for seen, by in survey.strategies} if survey is not None else {}
    changes = may(frame.who, "baseline", project.name)
    view = NoCleanStartPage(
        project.name,
        project.title,
        None
        if survey is None
        else Mark("ahead", "A clean start is recommended")
        if way == "clean start"
        else Mark("ok", "The history can be kept"),
        reasons,
        Link("Survey", addresses.survey(survey.job_id)) if survey and survey.job_id else None,
        tuple(
            _environment(project, each, by.strategy, by.reasons, "", choosing=changes)
            for each in project.environments
            if (by := recommended.get(each, Recommended("leave-out", ()))) is not None
        )
        if survey is not None
        else (),
        project_actions(board.kinds, "clean start", frame.who, project.name, primary=survey is None),
        changes,
    )
    return frame.show(
        "clean_start/none.html",
        view,
        here="Clean start",
        section="project",
        crumbs=(Link("Overview", addresses.overview()), Link(project.title, addresses.project(project.name))),
        project=project.name,
    )


async def _page(
    board: Dashboard,
    store: AsyncConnection,
    who: Principal,
    project: Project,
    evidence: Evidence,
    steps: tuple[Step, ...],
) -> CleanStartPage:
    run, survey = evidence.run, evidence.survey
    permitted = may(who, "baseline", project.name)
    changes = run.is_open and permitted
    reasons = {seen.environment: by.reasons for seen, by in survey.strategies} if survey else {}
    current = next((each for each in steps if each.state in ("current", "running")), None)
    proven = sum(each.state == "proven" for each in steps if each.name != "report")
    replaced = survey.history.migrations if survey is not None else None
    others = [each for each in await list_runs(store, project.name) if each[0] != run.id]
    return CleanStartPage(
        project=project.name,
        title=project.title,
        heading=f"{'Repair' if run.way == 'keep' else 'Clean start'} of {project.title}",
        lead=_lead(run, replaced),
        run=run.id,
        open=run.is_open,
        ended=_ended(run),
        begun_at=run.begun_at,
        begun_by=run.begun_by,
        steps=tuple(_step(board, who, project, evidence, each, changes=changes) for each in steps),
        standing=f"Step {current.number} of {len(steps)}" if current is not None else "Every step is proven",
        proven=proven,
        environments=tuple(
            _environment(
                project,
                name,
                run.strategies.get(name, "leave-out"),
                reasons.get(name, ()),
                undo_of(run.strategies.get(name, "leave-out"), view.environment, evidence)
                if run.way == "clean start"
                else "",
                choosing=changes,
                way=run.way,
            )
            for name, view in evidence.views.items()
        ),
        changes=changes,
        complete=all(each.state == "proven" for each in steps if each.name != "report"),
        another=permitted and not run.is_open,
        others=tuple(
            Link(f"{words.day(begun)}, {ended or 'open'}", addresses.clean_start(project.name, number))
            for number, begun, ended in others
        ),
    )


def _lead(run: Run, migrations: int | None) -> str:
    each = "Each step opens when the proof of the one before it holds."
    if migrations is None:
        return each
    count = words.plural(migrations, "migration")
    if run.way == "keep":
        return f"The {count} stay, and every database is brought to what they give. {each}"
    return f"From {count} to one fresh baseline. {each}"


def _ended(run: Run) -> str:
    if run.is_open:
        return ""
    how = "It is done" if run.ended == "done" else "It was stopped"
    return f"{how}, by {run.ended_by}." + (f" {run.why}" if run.why else "")


def _environment(
    project: Project,
    name: str,
    strategy: Strategy,
    reasons: tuple[str, ...],
    undo: str,
    *,
    choosing: bool,
    way: Way = "clean start",
) -> ShownEnvironment:
    environment, strategies = project.environments[name], strategies_of(way)
    return ShownEnvironment(
        ref(environment),
        strategies[strategy],
        reasons,
        undo,
        tuple(
            Option(each, words_.partition(":")[0], each == strategy)
            for each, words_ in strategies.items()
            if why_not(environment, each) is None
        )
        if choosing
        else (),
    )


def _step(
    board: Dashboard, who: Principal, project: Project, evidence: Evidence, step: Step, *, changes: bool
) -> ShownStep:
    look, mark = {
        "proven": ("ok", Mark("ok", f"Proven, {step.held} of {len(step.proofs)}")),
        "running": ("current", Mark("running", "Running")),
        "current": ("current", Mark("pending", f"{step.held} of {len(step.proofs)} proven")),
        "waiting": ("locked", Mark("queued", step.closed or "Waiting")),
    }[step.state]
    if step.name == "report":
        look, mark = ("ok" if step.state == "proven" else look), Mark("queued", "To be read at any time")
    differences = (
        tuple(_differences(evidence))
        if step.name == "proof" and step.state != "waiting" and evidence.run.way == "clean start"
        else ()
    )
    return ShownStep(
        step.number,
        step.name,
        step.title,
        step.lead,
        look,
        mark,
        tuple(_proof(each, changes=changes and step.state != "waiting") for each in step.proofs)
        if step.name != "report"
        else (),
        tuple(_actions(board, who, project, step)) if evidence.run.is_open else (),
        differences[:LISTED] if changes else (),
        max(0, len(differences) - LISTED),
        tuple(_links(evidence, step)),
        chooses=step.number == 1,
    )


def _proof(proof: Proof, *, changes: bool) -> ShownProof:
    status: Status = "failed" if proof.risky and proof.state != "met" else _PROOF_MARKS[proof.state]
    accepted = proof.acceptance
    return ShownProof(
        Mark(status, proof.title),
        proof.detail,
        proof.job_id,
        proof.at,
        proof.about if changes and accepted is None else "",
        _accepted(accepted.by, accepted.reason, proof.asks) if accepted is not None else "",
        _PROOF_STATES[proof.state],
        proof.asks,
    )


def _accepted(by: str | None, reason: str | None, asks: str = "") -> str:
    return f"{'Said' if asks.startswith('Say') else 'Accepted'} by {by}: {reason}" if by else ""


def _differences(evidence: Evidence) -> Iterator[ShownDifference]:
    """Those that are neither gone nor accepted, where somebody has to answer for them."""
    proof, run = evidence.proof, evidence.run
    for against in proof.against if proof is not None else ():
        if against.sort == "environment" and run.strategies.get(against.name) != "stamp":
            continue
        for each in against.differences:
            about = against.id_of(each)
            if about not in run.acceptances:
                sides = f"{each.a or 'nothing'} → {each.b or 'nothing'}" if each.a or each.b else ""
                yield ShownDifference(about, in_words(against, each), sides[:300])


def _actions(board: Dashboard, who: Principal, project: Project, step: Step) -> Iterator[Action]:
    at_once: dict[str, list[Act]] = {}
    for act in step.acts:
        if not act.asks:
            at_once.setdefault(act.kind, []).append(act)
    # What leads back from a step that is proven leads nowhere on.
    first = step.state != "proven"
    for acts in at_once.values():
        act = acts[0]
        label = act.words if len(acts) == 1 else f"{board.kinds.by_name[act.kind].verb} all {len(acts)}"
        path = addresses.clean_start_step(
            project.name, step.name, kind=act.kind, environment=act.environment if len(acts) == 1 else None
        )
        yield _action(board, who, project, act, label, path, "post", primary=first)
        first = False
    for act in step.acts:
        if act.asks:
            given = {**act.parameters, "step": step.name}
            path = (
                addresses.new_job(project.name, act.environment, act.kind, **given)
                if act.environment
                else addresses.new_project_job(project.name, act.kind, **given)
            )
            yield _action(board, who, project, act, f"{act.words}…", path, "dialog", primary=first)
            first = False


def _action(
    board: Dashboard,
    who: Principal,
    project: Project,
    act: Act,
    label: str,
    path: str,
    method: Literal["post", "dialog"],
    *,
    primary: bool,
) -> Action:
    where = project.environments[act.environment] if act.environment else project
    kind = kind_for(board.kinds, where, act.kind)
    allowed = may(who, kind.permission, project.name)
    return Action(
        label,
        path,
        kind.icon,
        method=method,
        primary=primary,
        danger=kind.destructive,
        closed=None if allowed else "Your role does not allow it.",
    )


def _links(evidence: Evidence, step: Step) -> Iterator[Link]:
    project, made = evidence.project.name, evidence.baseline
    match step.name:
        case "survey" if evidence.survey is not None and evidence.survey.job_id is not None:
            yield Link("See the survey", addresses.survey(evidence.survey.job_id))
        case "baseline" if made is not None:
            yield Link("See the baseline", addresses.baseline(made.job_id))
        case "proof" if (
            evidence.proof is not None
            and evidence.proof.job_id is not None
            and evidence.run.way == "clean start"
        ):
            yield Link("See the proof", addresses.proof(evidence.proof.job_id))
        case "rehearsal":
            if evidence.rehearsal is not None and evidence.rehearsal.job_id is not None:
                yield Link("See the rehearsal", addresses.clean_start_rehearsal(evidence.rehearsal.job_id))
            if made is not None:
                yield Link("Download the patch", addresses.change_set(made.job_id, "patch"))
        case "cut-over" if evidence.cut_over is not None and evidence.cut_over.job_id is not None:
            yield Link("See the places and the task", addresses.cut_over(evidence.cut_over.job_id))
        case "report":
            yield Link("Read the report", addresses.clean_start_report(project, evidence.run.id))
        case _:
            pass


def _report(told: Any) -> ReportPage:
    before, after = told["before"], told["after"]
    state: dict[str, Mark] = {
        "done": Mark("ok", "Done"),
        "stopped": Mark("cancelled", "Stopped"),
        "open": Mark("running", "Not ended yet"),
    }
    facts = [
        Fact(
            "Migrations",
            f"{before['migrations'] or 'not known'} before, {after['migrations'] or 'not known'} now",
        ),
        Fact("Baseline", after["baseline"] or "none yet", mono=True),
        Fact("From empty to head", f"{_took(before['seconds'])} before, {_took(after['seconds'])} now"),
        Fact("Begun", f"by {told['begun_by']}", moment=datetime.fromisoformat(told["begun_at"])),
    ]
    if told["ended_at"]:
        facts.append(Fact("Ended", f"by {told['ended_by']}", moment=datetime.fromisoformat(told["ended_at"])))
    return ReportPage(
        project=told["project"],
        title=told["title"],
        run=told["run"],
        mark=state[told["state"]],
        facts=tuple(facts),
        environments=tuple(
            (
                each["environment"],
                strategies_of(told["way"])[each["strategy"]],
                each["now"],
                each["undo"] if told["way"] == "clean start" else "",
            )
            for each in told["environments"]
        ),
        steps=tuple(
            (
                each["title"],
                tuple(
                    ShownProof(
                        Mark(
                            "failed"
                            if one["risky"] and one["state"] != "met"
                            else _PROOF_MARKS[one["state"]],
                            one["title"],
                        ),
                        one["detail"],
                        one["job"],
                        datetime.fromisoformat(one["at"]) if one["at"] else None,
                        accepted=_accepted(one["accepted_by"], one["reason"]),
                        state=_PROOF_STATES[one["state"]],
                    )
                    for one in each["proofs"]
                ),
            )
            for each in told["steps"]
        ),
        accepted=tuple(
            (each["what"], each["reason"], f"{each['by']}, {each['at'][:16].replace('T', ' ')} UTC")
            for each in told["accepted"]
        ),
        done=tuple(
            (
                datetime.fromisoformat(each["at"]),
                each["by"],
                " on ".join(part for part in (each["kind"] or each["what"], each["environment"]) if part),
                each["job"],
            )
            for each in told["done"]
        ),
        keeps=tuple(told["keeps"]),
        archive=after["archive"] or "",
    )


def _took(seconds: float | None) -> str:
    return "not known" if seconds is None else words.duration(seconds)
