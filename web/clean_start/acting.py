"""What people do in a run: start the job of a step, answer for what is not as it should be, end it.

Everything is judged anew in the transaction of the act, with the run locked: two who click at once are one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from web import words
from web.access.permissions import Principal
from web.clean_start.evidence import Evidence, read_evidence
from web.clean_start.replacing import set_id
from web.clean_start.report import report_of
from web.clean_start.runs import Run, accept, end, is_open, note, open_run
from web.clean_start.step import Proof, Step
from web.clean_start.steps import steps_of
from web.config import Configuration, Environment, Project
from web.errors import Conflict, Invalid, JobAlreadyRunning, NotFound, OperationNotAllowed
from web.observation.history_cache import Histories
from web.remedies.ignoring import LONGEST, NewRule, add_rule
from web.remedies.stored_proofs import Against
from web.schema.difference import Difference
from web.starting.operation import AnyOperation, Where, project_of

#: Differences that are named where all of a comparison are accepted at once.
NAMED = 50


@dataclass
class OfStep:
    """A job that a step of the open run wants: `web.starting.start` asks it, and tells it what was started.

    Without a step it was started elsewhere, as from an approval's page. Then nothing is refused, and where a step wants
    such a job, it is one of the run's.
    """

    configuration: Configuration
    who: Principal
    step: str | None
    histories: Histories | None = None
    #: Found by `require`.
    run: Run | None = None
    environment: str | None = None
    kind: str = ""

    async def require(
        self, connection: AsyncConnection, kind: AnyOperation, where: Where, parameters: BaseModel
    ) -> None:
        """Refuse what the step does not want now, and keep what was proven until here.

        Raises NotFound, Invalid, OperationNotAllowed, JobAlreadyRunning.
        """
        if self.step is None:
            await self._find(connection, kind, where, parameters)
            return
        run = await open_run(connection, project_of(where), lock=True)
        evidence = await read_evidence(connection, self.configuration, run, histories=self.histories)
        steps = steps_of(evidence)
        step = next((each for each in steps if each.name == self.step), None)
        if step is None:
            there = ", ".join(each.name for each in steps)
            raise Invalid(f"“{self.step[:50]}” is no step of this clean start.", hint=f"There is {there}.")
        self.run, self.kind = run, kind.name
        self.environment = where.name if isinstance(where, Environment) else None
        if step.state == "waiting":
            raise OperationNotAllowed(
                f"“{step.title}” is not open yet. {step.closed}", hint=first_missing(steps)
            )
        if not step.wants(kind.name, self.environment, parameters):
            if (job := evidence.running(kind.name, self.environment)) is not None:
                raise JobAlreadyRunning(job.id, job.kind, job.label)
            label = where.label if isinstance(where, Environment) else project_of(where)
            missing = next((each for each in step.proofs if not each.holds), None)
            raise OperationNotAllowed(
                f"“{step.title}” does not want a {kind.noun or kind.name} of {label} now.",
                hint=f"{missing.title}. {missing.detail}".strip() if missing else "It is proven already.",
            )
        await keep_proven(connection, run, steps, self.who)

    async def _find(
        self, connection: AsyncConnection, kind: AnyOperation, where: Where, parameters: BaseModel
    ) -> None:
        if kind.observes:
            return
        if not await is_open(connection, project_of(where)):
            return
        run = await open_run(connection, project_of(where), lock=True)
        evidence = await read_evidence(connection, self.configuration, run, histories=self.histories)
        steps, name = steps_of(evidence), where.name if isinstance(where, Environment) else None
        wanted = next((each for each in steps if each.wants(kind.name, name, parameters)), None)
        if wanted is not None:
            self.run, self.kind, self.environment, self.step = run, kind.name, name, wanted.name
            await keep_proven(connection, run, steps, self.who)

    async def started(self, connection: AsyncConnection, job_id: int) -> None:
        """Keep it among what was done in the run."""
        if self.run is None:
            return
        await note(
            connection,
            self.run.id,
            "started",
            by=self.who.name,
            step=self.step,
            environment=self.environment,
            job_id=job_id,
            detail={"kind": self.kind},
        )


def first_missing(steps: Sequence[Step]) -> str:
    """What keeps the first open step from being passed, in a sentence."""
    for step in steps:
        for proof in step.proofs:
            if step.state != "waiting" and not proof.holds:
                detail = f" {proof.detail}" if proof.detail else ""
                return f"Step {step.number}, {step.title.lower()}: {proof.title}.{detail}"
    return ""


async def keep_proven(connection: AsyncConnection, run: Run, steps: Sequence[Step], who: Principal) -> None:
    """Keep the proofs of passed steps as they are now; what is kept already is not kept twice."""
    known = {each.detail.get("digest") for each in run.happenings if each.sort == "proven"}
    for step in steps:
        if step.state != "proven" or step.name == "report":
            continue
        proofs = [_kept(each) for each in step.proofs]
        digest = hashlib.sha256(json.dumps([step.name, proofs], sort_keys=True).encode()).hexdigest()[:16]
        if digest not in known:
            await note(
                connection,
                run.id,
                "proven",
                by=who.name,
                step=step.name,
                detail={"digest": digest, "proofs": proofs},
            )


def _kept(proof: Proof) -> dict[str, object]:
    return {
        "title": proof.title,
        "state": proof.state,
        "detail": proof.detail,
        "environment": proof.environment,
        "job": proof.job_id,
        "at": proof.at.isoformat() if proof.at else None,
    }


async def accept_in_run(
    connection: AsyncConnection,
    configuration: Configuration,
    project: Project,
    who: Principal,
    about: str,
    reason: str,
    *,
    histories: Histories | None = None,
) -> None:
    """Answer for a difference, for all of one comparison, or for a risk, in the open run.

    Differences of a database that keeps its data become ignore rules as well, so that its drift page and the exchange
    of its rows say the same. Raises NotFound, Invalid, Conflict, NotSignedIn, OperationNotAllowed.
    """
    run = await open_run(connection, project.name, lock=True)
    evidence = await read_evidence(connection, configuration, run, histories=histories)
    steps = steps_of(evidence)
    for step in steps:
        for proof in step.proofs:
            if proof.about == about:
                against = _against(evidence, about)
                what = f"{proof.title}. {proof.detail}".strip() if against is None else _all_in_words(against)
                await accept(
                    connection,
                    who,
                    run,
                    about=about,
                    step=step.name,
                    environment=proof.environment,
                    what=what,
                    reason=reason,
                )
                if against is not None:
                    await _ignore(connection, evidence, who, against, against.differences, reason)
                return
    for against in evidence.proof.against if evidence.proof is not None else ():
        for each in against.differences:
            if against.id_of(each) == about:
                await accept(
                    connection,
                    who,
                    run,
                    about=about,
                    step="proof",
                    environment=against.name or None,
                    what=in_words(against, each),
                    reason=reason,
                )
                await _ignore(connection, evidence, who, against, [each], reason)
                return
    raise NotFound(
        f"Nothing in this clean start is called “{about[:80]}”, or it is not so any more.",
        hint=f"`cleanstart clean-start show {project.name}` lists what can be accepted.",
    )


def in_words(against: Against, difference: Difference) -> str:
    """A difference with where it is."""
    return f"{against.key}: {_said(difference)}"


def _all_in_words(against: Against) -> str:
    """All differences of a comparison, so that it can be read later what was accepted."""
    said = [_said(each) for each in against.differences[:NAMED]]
    more = len(against.differences) - len(said)
    count = words.plural(len(against.differences), "difference")
    return f"{against.key}: {count}: {'; '.join(said)}{f', and {more} more' if more else ''}."


def _said(difference: Difference) -> str:
    attribute = f", {difference.attribute}" if difference.attribute else ""
    return f"{difference.kind} {difference.object}{attribute} {difference.change}"


def _against(evidence: Evidence, about: str) -> Against | None:
    return next(
        (each for each in (evidence.proof.against if evidence.proof else ()) if set_id(each) == about), None
    )


async def _ignore(
    connection: AsyncConnection,
    evidence: Evidence,
    who: Principal,
    against: Against,
    differences: Sequence[Difference],
    reason: str,
) -> None:
    if against.sort != "environment":
        return
    for each in differences:
        rule = NewRule(
            each.object,
            f"Accepted in the clean start: {reason.strip()}"[:500],
            datetime.now(UTC) + LONGEST - (LONGEST / 366),
            environment=against.name,
            kind=each.kind,
            attribute=each.attribute,
        )
        await add_rule(connection, evidence.project, who, rule)


async def end_run(
    connection: AsyncConnection,
    configuration: Configuration,
    project: Project,
    who: Principal,
    how: Literal["done", "stopped"],
    *,
    why: str = "",
    histories: Histories | None = None,
) -> Mapping[str, Any]:
    """End the open run and keep its report, which is returned.

    Raises NotFound, NotSignedIn, OperationNotAllowed, and Conflict where it is not done.
    """
    run = await open_run(connection, project.name, lock=True)
    evidence = await read_evidence(connection, configuration, run, histories=histories)
    steps = steps_of(evidence)
    if how == "done" and any(each.state != "proven" for each in steps if each.name != "report"):
        raise Conflict("Not every step of this clean start is proven.", hint=first_missing(steps))
    await keep_proven(connection, run, steps, who)
    ended = replace(run, ended=how, ended_at=datetime.now(UTC), ended_by=who.name, why=why.strip() or None)
    report = report_of(replace(evidence, run=ended), steps)
    await end(connection, who, run, how, why=why, report=report)
    return report
