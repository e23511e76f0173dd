"""The steps of a run, judged by what is stored: which are proven, what is missing, what can be started. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from web.clean_start import keeping, replacing
from web.clean_start.evidence import Evidence
from web.clean_start.keeping import Keeping
from web.clean_start.replacing import Replacing
from web.clean_start.runs import Run
from web.clean_start.step import Proof, Step, StepState


def steps_of(evidence: Evidence) -> tuple[Step, ...]:
    """Judge all steps: each waits for those before it, but for the report, which can be read at any time.

    Those of a run that has ended are as its report tells them: what changes later says nothing of it.
    """
    if evidence.run.report is not None:
        return _told_steps(evidence.run, evidence.run.report)
    judge = Keeping(evidence) if evidence.run.way == "keep" else Replacing(evidence)
    found: list[Step] = []
    waits_for = ""
    for number, (name, (title, lead)) in enumerate(judge.titles.items(), start=1):
        proofs, acts = judge.step(name)
        passed = bool(proofs) and all(each.holds for each in proofs)
        running = any(each.state == "running" for each in proofs)
        if waits_for and name != "report":
            # What was proven before something changed, and what runs, is told as it is, and waits with the rest.
            closed = f"It opens after “{waits_for}”."
            told = tuple(replace(each, acts=()) for each in proofs)
            found.append(Step(name, number, title, lead, "waiting", told, closed=closed))
            continue
        state: StepState = "proven" if passed else "running" if running else "current"
        if name == "report" and waits_for:
            state = "waiting"
        found.append(Step(name, number, title, lead, state, tuple(proofs), tuple(acts)))
        if not passed and not waits_for:
            waits_for = title
    return tuple(found)


def _told_steps(run: Run, report: Mapping[str, Any]) -> tuple[Step, ...]:
    titles = keeping.TITLES if run.way == "keep" else replacing.TITLES
    told = {each["step"]: each for each in report["steps"]}
    found = []
    for number, (name, (title, lead)) in enumerate(titles.items(), start=1):
        if name == "report":
            ended = Proof("The clean start has ended", "met", at=run.ended_at)
            found.append(Step(name, number, title, lead, "proven", (ended,)))
        elif name in told:
            proofs = tuple(_told(run, proof) for proof in told[name]["proofs"])
            found.append(Step(name, number, title, lead, told[name]["state"], proofs))
    return tuple(found)


def _told(run: Run, proof: Mapping[str, Any]) -> Proof:
    about = proof.get("about", "")
    return Proof(
        proof["title"],
        proof["state"],
        proof["detail"],
        proof["environment"],
        proof["job"],
        datetime.fromisoformat(proof["at"]) if proof["at"] else None,
        about,
        run.acceptances.get(about),
        risky=proof["risky"],
    )
