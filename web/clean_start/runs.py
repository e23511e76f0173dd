"""Runs as they are stored: begun, changed, accepted in, ended. One may be open for a project.

What people do is kept in order and for ever; whether a step is passed is for `web.clean_start.steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import audit
from web.access.permissions import Principal, require
from web.answers.stored_surveys import newest_survey
from web.answers.strategy import Strategy, Way, strategies_of
from web.config import Environment, Project
from web.errors import Conflict, Invalid, NotFound
from web.jobs.events import announce_change
from web.store.tables import AcceptanceRow, RunEventRow, RunRow

#: Characters of a reason.
LENGTH = 1000
StepName = Literal["survey", "back-up", "baseline", "proof", "rehearsal", "apply", "cut-over", "report"]
#: In the order in which they are gone through.
STEP_NAMES: tuple[StepName, ...] = get_args(StepName)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a person answers for although it is not as it should be."""

    about: str
    step: str
    environment: str | None
    what: str
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that was done in a run."""

    sort: str
    step: str | None
    environment: str | None
    job_id: int | None
    detail: Mapping[str, Any]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A project's clean start."""

    id: int
    project: str
    #: Whether the history is replaced or kept.
    way: Way
    #: By environment, as somebody chose them.
    strategies: Mapping[str, Strategy]
    begun_by: str
    begun_at: datetime
    ended: Literal["done", "stopped"] | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    why: str | None = None
    report: Mapping[str, Any] | None = None
    #: By what they are about.
    acceptances: Mapping[str, Acceptance] = field(default_factory=dict)
    happenings: tuple[Happening, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.ended is None


async def begin(
    connection: AsyncConnection,
    project: Project,
    who: Principal,
    wanted: Mapping[str, str],
    *,
    way: Way = "clean start",
) -> int:
    """Begin a run with the strategies of the newest survey, but for those that are `wanted`; return its number.

    Where the history is kept, what differs is repaired unless something else is wanted.

    Raises:
        NotSignedIn, OperationNotAllowed: the person may not.
        Conflict: a run is open, or the project was never surveyed.
        Invalid, NotFound: a strategy that there is not, for such an environment or at all.
    """
    require(who, "baseline", project.name)
    found = await newest_survey(connection, project.name)
    if found is None:
        raise Conflict(
            f"{project.name} was never surveyed, so that nothing can be recommended for its environments.",
            hint=f"Survey it first: `cleanstart survey {project.name}`.",
        )
    chosen: dict[str, str] = {
        seen.environment: by.strategy
        for seen, by in found.strategies
        if seen.environment in project.environments
    }
    for name in project.environments:
        chosen.setdefault(name, "leave-out")
    if way == "keep":
        chosen = {name: "repair" if each != "leave-out" else each for name, each in chosen.items()}
    for name, strategy in wanted.items():
        chosen[name] = _strategy(project, name, strategy, way)
    if set(chosen.values()) <= {"leave-out"}:
        raise Invalid(
            "A clean start that leaves every environment out would do nothing.",
            hint="Choose a strategy for one of them: "
            f"{', '.join(name for name in strategies_of(way) if name != 'leave-out')}.",
        )
    row = (
        await connection.execute(
            insert_or(RunRow)
            .values(project=project.name, way=way, strategies=chosen, begun_by=who.name)
            .on_conflict_do_nothing(index_elements=["project"], index_where=RunRow.ended_at.is_(None))
            .returning(RunRow.id)
        )
    ).one_or_none()
    if row is None:
        raise Conflict(
            f"A clean start of {project.name} is open already.", hint="Go on with it, or stop it first."
        )
    await note(
        connection, row.id, "begun", by=who.name, detail={"strategies": chosen, "survey": found.job_id}
    )
    await _audit(connection, who, "clean start begun", project.name, {"run": row.id, "strategies": chosen})
    return cast(int, row.id)


async def choose(
    connection: AsyncConnection, project: Project, who: Principal, environment: str, strategy: str
) -> None:
    """Choose another strategy for an environment of the open run.

    Raises NotSignedIn, OperationNotAllowed, NotFound, Invalid.
    """
    require(who, "baseline", project.name)
    run = await open_run(connection, project.name, lock=True)
    chosen = _strategy(project, environment, strategy, run.way)
    before = run.strategies.get(environment)
    strategies = {**run.strategies, environment: chosen}
    if set(strategies.values()) <= {"leave-out"}:
        raise Invalid(
            "A clean start that leaves every environment out would do nothing.", hint="Stop it instead."
        )
    await connection.execute(update(RunRow).where(RunRow.id == run.id).values(strategies=strategies))
    await note(
        connection,
        run.id,
        "strategy",
        by=who.name,
        environment=environment,
        detail={"before": before, "after": chosen},
    )
    await _audit(
        connection,
        who,
        "clean start: strategy",
        f"{project.name}/{environment}",
        {"run": run.id, "before": before, "after": chosen},
    )


async def accept(
    connection: AsyncConnection,
    who: Principal,
    run: Run,
    *,
    about: str,
    step: str,
    environment: str | None,
    what: str,
    reason: str,
) -> None:
    """Answer for something that is not as it should be; `what` says it in words. Raises Invalid, Conflict."""
    require(who, "baseline", run.project)
    reason = reason.strip()
    if not reason:
        raise Invalid("Accepting it takes a reason.", hint="Say why it may be so, for who comes after you.")
    if len(reason) > LENGTH:
        raise Invalid(f"A reason has at most {LENGTH:,} characters.")
    row = (
        await connection.execute(
            insert_or(AcceptanceRow)
            .values(
                run_id=run.id,
                about=about,
                step=step,
                environment=environment,
                what=what,
                reason=reason,
                accepted_by=who.name,
            )
            .on_conflict_do_nothing(index_elements=["run_id", "about"])
            .returning(AcceptanceRow.id)
        )
    ).one_or_none()
    if row is None:
        raise Conflict("This is accepted already.")
    detail = {"about": about, "what": what, "reason": reason}
    await note(connection, run.id, "accepted", by=who.name, step=step, environment=environment, detail=detail)
    where = f"{run.project}/{environment}" if environment else run.project
    await _audit(connection, who, "clean start: accepted", where, {"run": run.id, **detail})


async def end(
    connection: AsyncConnection,
    who: Principal,
    run: Run,
    how: Literal["done", "stopped"],
    *,
    why: str = "",
    report: Mapping[str, Any],
) -> None:
    """End the run; its report stays as it is now. Raises NotSignedIn, OperationNotAllowed, Conflict."""
    require(who, "baseline", run.project)
    row = (
        await connection.execute(
            update(RunRow)
            .where(RunRow.id == run.id, RunRow.ended_at.is_(None))
            .values(
                ended=how,
                ended_at=datetime.now(UTC),
                ended_by=who.name,
                why=why.strip()[:LENGTH] or None,
                report=dict(report),
            )
            .returning(RunRow.id)
        )
    ).one_or_none()
    if row is None:
        raise Conflict("This clean start has ended already.")
    await note(connection, run.id, "ended", by=who.name, detail={"how": how, "why": why.strip()})
    await _audit(connection, who, f"clean start {how}", run.project, {"run": run.id, "why": why.strip()})


async def note(
    connection: AsyncConnection,
    run: int,
    sort: str,
    *,
    by: str,
    step: str | None = None,
    environment: str | None = None,
    job_id: int | None = None,
    detail: Mapping[str, Any],
) -> None:
    """Keep what was done, and tell open pages."""
    await connection.execute(
        insert(RunEventRow).values(
            run_id=run,
            sort=sort,
            step=step,
            environment=environment,
            job_id=job_id,
            detail=dict(detail),
            by=by,
        )
    )
    await announce_change(connection, None)


async def is_open(connection: AsyncConnection, project: str) -> bool:
    """Whether a run of a project goes on."""
    query = select(RunRow.id).where(RunRow.project == project, RunRow.ended_at.is_(None))
    return await connection.scalar(query) is not None


async def open_run(connection: AsyncConnection, project: str, *, lock: bool = False) -> Run:
    """The run that goes on; with `lock` nobody else changes it until this transaction ends. Raises NotFound."""
    query = select(RunRow.id).where(RunRow.project == project, RunRow.ended_at.is_(None))
    number = await connection.scalar(query.with_for_update() if lock else query)
    if number is None:
        raise NotFound(
            f"No clean start of {project} is open.",
            hint=f"Begin one: `cleanstart clean-start begin {project}`.",
        )
    return await read_run(connection, project, number)


async def newest_run(connection: AsyncConnection, project: str) -> Run | None:
    """The run that goes on, else the one that ended last; None: there was none."""
    query = select(RunRow.id).where(RunRow.project == project).order_by(RunRow.id.desc()).limit(1)
    number = await connection.scalar(query)
    return await read_run(connection, project, number) if number is not None else None


async def read_run(connection: AsyncConnection, project: str, number: int) -> Run:
    """One run with everything that was done in it. Raises NotFound."""
    row = (
        await connection.execute(
            select(RunRow.__table__).where(RunRow.id == number, RunRow.project == project)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"{project} has no clean start {number}.")
    accepted = await connection.execute(
        select(AcceptanceRow.__table__).where(AcceptanceRow.run_id == number).order_by(AcceptanceRow.id)
    )
    done = await connection.execute(
        select(RunEventRow.__table__).where(RunEventRow.run_id == number).order_by(RunEventRow.id)
    )
    return Run(
        row.id,
        row.project,
        row.way,
        row.strategies,
        row.begun_by,
        row.begun_at,
        row.ended,
        row.ended_at,
        row.ended_by,
        row.why,
        row.report,
        {
            each.about: Acceptance(
                each.about,
                each.step,
                each.environment,
                each.what,
                each.reason,
                each.accepted_by,
                each.accepted_at,
            )
            for each in accepted
        },
        tuple(
            Happening(each.sort, each.step, each.environment, each.job_id, each.detail, each.by, each.at)
            for each in done
        ),
    )


async def is_of_open_run(connection: AsyncConnection, job_id: int) -> bool:
    """Whether a job was started for a run that goes on."""
    query = (
        select(RunRow.id)
        .join(RunEventRow, RunEventRow.run_id == RunRow.id)
        .where(RunEventRow.job_id == job_id, RunRow.ended_at.is_(None))
    )
    return await connection.scalar(query) is not None


async def list_runs(connection: AsyncConnection, project: str) -> list[tuple[int, datetime, str | None]]:
    """Number, beginning and end of a project's runs, the newest first."""
    query = (
        select(RunRow.id, RunRow.begun_at, RunRow.ended)
        .where(RunRow.project == project)
        .order_by(RunRow.id.desc())
    )
    return [(row.id, row.begun_at, row.ended) for row in await connection.execute(query)]


def why_not(environment: Environment, strategy: Strategy) -> str | None:
    """Why an environment cannot have a strategy; None: it can."""
    if strategy == "reset":
        if environment.tier == "production":
            return "Production is never reset."
        if environment.reset is None:
            return f"The configuration has no reset for {environment.label}."
    return None


def _strategy(project: Project, name: str, strategy: str, way: Way) -> Strategy:
    environment = project.environments.get(name)
    if environment is None:
        raise NotFound(f"The project {project.name} has no environment {name}.")
    if strategy not in (known := strategies_of(way)):
        raise Invalid(f"“{strategy[:50]}” is no strategy here.", hint=f"There is {', '.join(known)}.")
    chosen: Strategy = strategy
    if reason := why_not(environment, chosen):
        raise Invalid(
            f"{environment.label} cannot be reset. {reason}", hint="Choose another strategy for it."
        )
    return chosen


async def _audit(
    connection: AsyncConnection, who: Principal, action: str, where: str, detail: Mapping[str, Any]
) -> None:
    await audit.append(connection, actor=who.actor, action=action, object=where, detail=dict(detail))
