"""The steps of a run, judged by what is stored: which are proven, what is missing, what can be started. Pure."""

from __future__ import annotations

from web.clean_start.evidence import Evidence
from web.clean_start.keeping import Keeping
from web.clean_start.replacing import Replacing
from web.clean_start.step import Step, StepState


def steps_of(evidence: Evidence) -> tuple[Step, ...]:
    """Judge all steps: each waits for those before it, but for the report, which can be read at any time."""
    judge = Keeping(evidence) if evidence.run.way == "keep" else Replacing(evidence)
    found: list[Step] = []
    waits_for = ""
    for number, (name, (title, lead)) in enumerate(judge.titles.items(), start=1):
        proofs, acts = judge.step(name)
        passed = bool(proofs) and all(each.holds for each in proofs)
        running = any(each.state == "running" for each in proofs)
        if waits_for and not running and name != "report":
            # What was proven before something changed is told as it is, and waits with the rest.
            closed = f"It opens after “{waits_for}”."
            found.append(Step(name, number, title, lead, "waiting", tuple(proofs), closed=closed))
            continue
        state: StepState = "proven" if passed else "running" if running else "current"
        if name == "report" and waits_for:
            state = "waiting"
        found.append(Step(name, number, title, lead, state, tuple(proofs), tuple(acts)))
        if not passed and not waits_for:
            waits_for = title
    return tuple(found)
