"""The rehearsal: the pending migrations run in a scratch copy of the target's schema, every statement recorded.

The copy holds the target's schema and version rows, and no other rows: what depends on data is not exercised.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from web import words
from web.backups.contents import read_contents
from web.config import Project
from web.errors import CleanStartError, Conflict, FencedOff, SeveralHeads, TargetChanged
from web.plans.hazards import HazardWatch
from web.plans.plan import Plan, PlannedMigration, RehearsalFailure, executed, plan_from_json
from web.postgres.connections import Connection, connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.identity import read_identity
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.ddl.statement import Statement
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.snapshot import read_schema
from web.store.tables import EnvironmentStateRow, ObservationRow, PlanRow
from web.tools.confinement import in_scratch
from web.tools.ending import UpgradeResult, UpgradeStopped
from web.tools.events import (
    Committed,
    RevisionFinished,
    RolledBack,
    RunnerEvent,
    StatementFinished,
    StatementRefused,
)
from web.tools.history import History, Migration
from web.tools.protocol import MigrationTool
from web.tools.registry import tool_of

#: Counted up when plans are made in another way.
_FORMAT = 2
_ROWS = re.compile(r"\s*(?:with\b.*?\)\s*)?(update|delete|insert|merge)\b", re.IGNORECASE | re.DOTALL)
_MISSING_ROLE = re.compile(r'role "((?:[^"]|"")+)" does not exist')

#: SQLSTATE classes that say nothing about a migration: connection, resources, an operator, the system.
_PASSING = ("08", "53", "57", "58")

Tell = Callable[[str], Awaitable[None]]
#: Gives the project whose code is run, for the length of a block.
RunAs = Callable[[], AbstractAsyncContextManager[Project]]
#: Whether a stored rehearsal of the same key is taken rather than another one held.
Keeps = Callable[[Plan], bool]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where rehearsals are held."""

    store: AsyncEngine
    scratch: ScratchServers
    programs: Sequence[Programs]
    application_name: str = "cleanstart/rehearsal"


def successes(plan: Plan) -> bool:
    """What may always be taken again: files, schema and code are the same, and it came to its end."""
    return plan.succeeded


def all_but_passing(plan: Plan) -> bool:
    """What the schedule takes: nothing that it depends on has changed, so a failure would be the same."""
    return plan.failure is None or not plan.failure.passing


def nothing(plan: Plan) -> bool:
    """What a person gets who asks for it: it is held."""
    return False


async def rehearse(
    stage: Stage,
    project: Project,
    environment_id: int,
    history: History,
    connection: Connection,
    url: str,
    *,
    tell: Tell | None = None,
    keeps: Keeps = successes,
    run_as: RunAs | None = None,
) -> Plan:
    """Rehearse what a migrate to the history's head would do on the target of `connection`, and store the plan.

    `run_as` gives the project whose code is run, where that is not the project itself. A rehearsal that fails, or that
    cannot be held, is a plan with a failure. What `keeps` says yes to is not held again where everything that it stands
    on is the same.

    Raises:
        SeveralHeads: which head to go to is not guessed.
        Conflict: the target has revisions that the history lacks.
        TargetChanged: its version rows changed meanwhile, so nothing can be said.
    """
    if history.is_ambiguous:
        raise SeveralHeads(history.heads, separate=not history.share_a_base)
    say = tell or _silent
    target = await read_identity(connection)
    applied = (await tool_of(project).applied(project, connection)).revisions
    if unknown := history.unknown(applied):
        raise Conflict(
            f"The database has {', '.join(unknown)}, which no migration of the project has.",
            hint="Take a source that has these revisions, or stamp the database at one that is known, with "
            "`cleanstart stamp`.",
        )
    schema = await read_schema(connection)
    pending = history.pending(applied)
    files = {step.revision: step.digest for step in pending}
    inputs = await asyncio.to_thread(tool_of(project).digest_of_inputs, project)
    key = _cache_key(inputs, files, applied, history.heads, target.major, fingerprint(schema))
    known = await _cached(stage, environment_id, key)
    if known is not None and inputs is not None and keeps(known):
        await say("These migrations were rehearsed on this very schema before.")
        if not known.succeeded and known.observed != (seen := await _observed(stage, environment_id)):
            # So that the schedule does not ask again because of what changed nothing.
            await _store(stage, environment_id, key, replace(known, observed=seen))
        return known
    recorder = _Recorder(history, tool_of(project), applied)
    try:
        async with run_as() if run_as is not None else nullcontext(project) as run:
            failure = await _hold(
                stage, run, recorder, connection, url, applied, pending, schema, target.major, say
            )
    except FencedOff:
        raise
    except CleanStartError as error:
        # Neither a migration nor the project's code had its turn.
        failure = RehearsalFailure(None, str(error), None, held=False, hint=error.hint, passing=True)
    now = (await tool_of(project).applied(project, connection)).revisions
    if set(now) != set(applied):
        raise TargetChanged(
            f"While it was rehearsed, the database itself went from {', '.join(applied) or 'no revision'} to "
            f"{', '.join(now) or 'no revision'}.",
            hint="See whether somebody applied them, or env.py connects to a database of its own choice.",
        )
    plan = replace(
        recorder.plan(applied, files, failure),
        inputs=inputs,
        observed=await _observed(stage, environment_id),
        tries=0 if failure is None or failure.held else (known.tries if known is not None else 0) + 1,
    )
    await _store(stage, environment_id, key, plan)
    return plan


async def _hold(
    stage: Stage,
    project: Project,
    recorder: _Recorder,
    connection: Connection,
    url: str,
    applied: Sequence[str],
    pending: Sequence[Migration],
    schema: Schema,
    major: int,
    say: Tell,
) -> RehearsalFailure | None:
    """Hold it in a copy of the schema. Raises ScratchUnavailable and whatever else keeps a copy from being made."""
    contents = await read_contents(connection)
    extensions = [extension.name for extension in contents.extensions]
    known_roles = set(contents.roles)
    while True:
        async with stage.scratch.database(major, roles=sorted(known_roles), extensions=extensions) as copy:
            await say("Copying the schema into a scratch database")
            await _copy_schema(stage, url, copy.url, major)
            await _copy_versions(project, copy.url, applied)
            await say(f"Running {words.plural(len(pending), 'migration')} there")
            recorder.restart()
            failure = await _run(stage, project, copy, recorder, from_nothing=schema.is_empty)
        role = _missing_role(failure)
        if role is None or role in known_roles:
            return failure
        # Definitions only need it to exist.
        known_roles.add(role)


async def _run(
    stage: Stage, project: Project, copy: ScratchDatabase, recorder: _Recorder, *, from_nothing: bool
) -> RehearsalFailure | None:
    async with copy.connect(application_name=stage.application_name) as side:
        recorder.watch = HazardWatch(side)
        await recorder.watch.begin()
        try:
            confinement = await in_scratch(project, copy)
            if from_nothing:
                # As a migrate does it in an empty database: its prelude first.
                made = await tool_of(project).replay(
                    project,
                    confinement=confinement,
                    revisions=(),
                    application_name=stage.application_name,
                )
                recorder.made = made.applied
            result = await tool_of(project).upgrade(
                project,
                confinement=confinement,
                revisions=recorder.history.targets,
                on_event=recorder.hear,
                application_name=stage.application_name,
                step_by_step=True,
            )
        except UpgradeStopped as error:
            return _stopped(error)
        except CleanStartError as error:
            # Its interpreter, its driver or its prelude.
            return RehearsalFailure(None, str(error), None, held=False, hint=error.hint)
    return recorder.missed(result)


def _stopped(error: UpgradeStopped) -> RehearsalFailure:
    """Whether the migrations failed, or the rehearsal: decided by what was seen to run."""
    passing = error.cut_off or (error.sqlstate or "").startswith(_PASSING)
    held = error.begun and not passing
    return RehearsalFailure(error.revision, str(error), error.sqlstate, held=held, passing=passing)


@dataclass(slots=True)
class _Recorder:
    """Collects what a run executes, by revision."""

    history: History
    tool: MigrationTool
    applied: tuple[str, ...] = ()
    statements: list[tuple[str, int, Statement]] = field(default_factory=list)
    watch: HazardWatch | None = None
    #: Version rows that a prelude left.
    made: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list)

    def restart(self) -> None:
        """Forget the run that ended."""
        self.statements.clear()
        self.ran.clear()
        self.made, self.watch = (), None

    def missed(self, result: UpgradeResult) -> RehearsalFailure | None:
        """What was to be rehearsed and was not seen to run, or the other way round."""
        wanted = {step.revision for step in self.history.pending(self.made or self.applied)}
        if result.cut_off:
            said, passing = f"It was ended before it was done. {result.remark}", True
        elif left := sorted(wanted - set(self.ran)):
            said, passing = f"{self.tool.title} came to its end, but {', '.join(left)} was not run.", False
        elif others := sorted(set(self.ran) - wanted):
            said, passing = (
                f"{self.tool.title} ran {', '.join(others)}, which the project's history does not have.",
                False,
            )
        elif not self.history.is_at_head(result.applied):
            said, passing = (
                f"{self.tool.title} came to its end at {self.history.place(result.applied)}.",
                False,
            )
        else:
            return None
        hint = "" if passing else self.tool.astray
        return RehearsalFailure(None, said, None, held=False, hint=hint, passing=passing)

    async def hear(self, event: RunnerEvent) -> None:
        match event:
            case RevisionFinished(revision):
                self.ran.append(revision)
            case StatementFinished(statement, seconds) | StatementRefused(statement, seconds):
                if statement.bookkeeping or statement.revision is None:
                    return
                self.statements.append(
                    (
                        statement.revision,
                        statement.number,
                        executed(statement.sql, seconds, in_transaction=statement.in_transaction),
                    )
                )
                if self.watch is not None and isinstance(event, StatementFinished):
                    await self.watch.after_statement(statement.number, statement.sql, statement.pid)
                    if not statement.in_transaction:
                        await self.watch.after_commit(statement.pid)
            case Committed(pid) if self.watch is not None:
                await self.watch.after_commit(pid)
            case RolledBack(pid) if self.watch is not None:
                self.watch.after_rollback(pid)
            case _:
                pass

    def plan(self, applied: Sequence[str], files: dict[str, str], failure: RehearsalFailure | None) -> Plan:
        found = self.watch.found if self.watch is not None else {}
        by_revision: dict[str, list[Statement]] = {}
        for revision, number, each in self.statements:
            assert each.seconds is not None
            hazards = tuple(found.get(number, ()))
            with_hazards = executed(each.sql, each.seconds, hazards, in_transaction=not each.alone)
            by_revision.setdefault(revision, []).append(with_hazards)
        steps = self.history.pending(applied)
        return Plan(
            from_revisions=tuple(sorted(applied)),
            to_revisions=tuple(sorted(self.history.heads)),
            migrations=tuple(
                PlannedMigration(step.revision, step.message, tuple(by_revision.get(step.revision, ())))
                for step in steps
            ),
            files=files,
            failure=failure,
            ran=tuple(self.ran),
            not_exercised=tuple(
                f"{revision}: {' '.join(each.sql.split())[:80]}"
                for revision, _, each in self.statements
                if _ROWS.match(each.sql)
            ),
        )


async def _copy_schema(stage: Stage, url: str, scratch_url: str, major: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cleanstart-rehearsal-") as folder:
        file = Path(folder) / "schema.dump"
        await dump_database(
            stage.programs,
            url,
            file,
            server_major=major,
            application_name=stage.application_name,
            schema_only=True,
        )
        await restore_database(
            stage.programs,
            scratch_url,
            file,
            server_major=major,
            application_name=stage.application_name,
            schema_only=True,
        )


async def _copy_versions(project: Project, scratch_url: str, applied: Sequence[str]) -> None:
    if not applied:
        return
    async with connect(scratch_url, application_name="cleanstart/rehearsal") as connection:
        await tool_of(project).put_applied(project, connection, applied)


async def _cached(stage: Stage, environment_id: int, key: str) -> Plan | None:
    query = (
        select(PlanRow.from_revisions, PlanRow.to_revisions, PlanRow.content, PlanRow.made_at)
        .where(PlanRow.environment_id == environment_id, PlanRow.cache_key == key)
        .order_by(PlanRow.id.desc())
        .limit(1)
    )
    async with stage.store.connect() as connection:
        row = (await connection.execute(query)).one_or_none()
    return plan_from_json(*row) if row is not None else None


async def _observed(stage: Stage, environment_id: int) -> str | None:
    """The fingerprint of the target as the last look found it, by which the schedule tells that it changed."""
    query = (
        select(ObservationRow.fingerprint)
        .join(EnvironmentStateRow, EnvironmentStateRow.observation_id == ObservationRow.id)
        .where(EnvironmentStateRow.environment_id == environment_id)
    )
    async with stage.store.connect() as connection:
        return await connection.scalar(query)


async def _store(stage: Stage, environment_id: int, key: str, plan: Plan) -> None:
    async with stage.store.begin() as connection:
        await connection.execute(
            insert(PlanRow).values(
                environment_id=environment_id,
                hash=plan.hash,
                cache_key=key,
                from_revisions=list(plan.from_revisions),
                to_revisions=list(plan.to_revisions),
                content=plan.to_json(),
                made_at=plan.made_at,
            )
        )


def _cache_key(
    inputs: str | None,
    files: dict[str, str],
    applied: Sequence[str],
    heads: Sequence[str],
    major: int,
    schema: str,
) -> str:
    content = {
        "format": _FORMAT,
        "inputs": inputs,
        "files": files,
        "from": sorted(applied),
        "to": sorted(heads),
        "major": major,
        "schema": schema,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _missing_role(failure: RehearsalFailure | None) -> str | None:
    if failure is None or failure.sqlstate != "42704":
        return None
    missing = _MISSING_ROLE.search(failure.message)
    return missing.group(1).replace('""', '"') if missing else None


async def _silent(_: str) -> None:
    """For callers that want the plan only."""
