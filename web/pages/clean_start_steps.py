"""The steps of a clean start as its page shows them: proofs, buttons, differences, links. No page of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from web import addresses
from web.access.permissions import Principal, may
from web.answers.strategy import Strategy, Way, strategies_of
from web.clean_start.acting import in_words
from web.clean_start.evidence import Evidence
from web.clean_start.runs import why_not
from web.clean_start.step import Act, Proof, Step
from web.config import Project
from web.dashboard import Dashboard
from web.pages.presenting import ref
from web.pages.views.clean_start import (
    ShownDifference,
    ShownEnvironment,
    ShownProof,
    ShownStep,
)
from web.pages.views.marks import Action, Link, Mark, Option, Status
from web.starting.start import kind_for

#: Differences that a step lists to be accepted one by one; the proof's page has all of them.
LISTED = 30
PROOF_MARKS: dict[str, Status] = {
    "met": "ok",
    "accepted": "warn",
    "running": "running",
    "not met": "pending",
    "not known": "unknown",
}
#: What the marks say.
PROOF_STATES: dict[str, str] = {
    "met": "Proven",
    "accepted": "Accepted",
    "running": "Running",
    "not met": "Missing",
    "not known": "Not proven",
}


def shown_environment(
    project: Project,
    name: str,
    strategy: Strategy,
    reasons: tuple[str, ...],
    undo: str,
    *,
    choosing: bool,
    way: Way = "clean start",
) -> ShownEnvironment:
    """What a run does with an environment, and what it could do instead."""
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


def shown_step(
    board: Dashboard, who: Principal, project: Project, evidence: Evidence, step: Step, *, changes: bool
) -> ShownStep:
    """A step with what has to be so in it, and the buttons that lead on."""
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
        tuple(
            _proof(
                each,
                changes=changes and step.state != "waiting",
                ways=tuple(_ways(board, who, project, step, each)) if evidence.run.is_open else (),
            )
            for each in step.proofs
        )
        if step.name != "report"
        else (),
        tuple(_actions(board, who, project, step)) if evidence.run.is_open else (),
        differences[:LISTED] if changes else (),
        max(0, len(differences) - LISTED),
        tuple(_links(evidence, step)),
        chooses=step.number == 1,
    )


def _proof(proof: Proof, *, changes: bool, ways: tuple[Action, ...] = ()) -> ShownProof:
    status: Status = "failed" if proof.risky and proof.state != "met" else PROOF_MARKS[proof.state]
    accepted = proof.acceptance
    return ShownProof(
        Mark(status, proof.title),
        proof.detail,
        proof.job_id,
        proof.at,
        proof.about if changes and accepted is None else "",
        accepted_by(accepted.by, accepted.reason, proof.asks) if accepted is not None else "",
        PROOF_STATES[proof.state],
        proof.asks,
        ways,
    )


def accepted_by(by: str | None, reason: str | None, asks: str = "") -> str:
    """Who answers for it, and why; empty: nobody."""
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
            yield _asked(board, who, project, step, act, primary=first)
            first = False


def _ways(board: Dashboard, who: Principal, project: Project, step: Step, proof: Proof) -> Iterator[Action]:
    """What can be started for one thing alone; what somebody may not is not repeated for each of them."""
    for act in proof.acts:
        way = _asked(board, who, project, step, act, primary=False)
        if way.closed is None:
            yield way


def _asked(
    board: Dashboard, who: Principal, project: Project, step: Step, act: Act, *, primary: bool
) -> Action:
    """A button that opens the dialog of an act."""
    given = {**act.parameters, "step": step.name}
    path = (
        addresses.new_job(project.name, act.environment, act.kind, **given)
        if act.environment
        else addresses.new_project_job(project.name, act.kind, **given)
    )
    return _action(board, who, project, act, f"{act.words}…", path, "dialog", primary=primary)


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
