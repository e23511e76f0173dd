"""The rehearsal: the pending migrations run in a scratch copy of the target's schema, every statement recorded.

The copy holds the target's schema and version rows, and no other rows: what depends on data is not exercised.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from web.backups.contents import read_contents
from web.config import Project
from web.errors import CleanStartError, Conflict, MigrationFailed, SeveralHeads
from web.plans.hazards import HazardWatch
from web.plans.plan import Plan, PlannedMigration, PlannedStatement, RehearsalFailure, plan_from_json
from web.postgres.connections import Connection, connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.identity import read_identity
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.fingerprint import fingerprint
from web.schema.snapshot import read_schema
from web.store.tables import PlanRow
from web.tools.alembic_applied import version_table
from web.tools.confinement import in_scratch
from web.tools.events import (
    Committed,
    RolledBack,
    RunnerEvent,
    StatementFinished,
    StatementRefused,
)
from web.tools.history import History
from web.tools.protocol import tool_of

#: Counted up when plans are made in another way.
_FORMAT = 1
_ROWS = re.compile(r"\s*(?:with\b.*?\)\s*)?(update|delete|insert|merge)\b", re.IGNORECASE | re.DOTALL)
_MISSING_ROLE = re.compile(r'role "((?:[^"]|"")+)" does not exist')

Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where rehearsals are held."""

    store: AsyncEngine
    scratch: ScratchServers
    programs: Sequence[Programs]
    application_name: str = "cleanstart/rehearsal"


async def rehearse(
    stage: Stage,
    project: Project,
    environment_id: int,
    history: History,
    connection: Connection,
    url: str,
    *,
    tell: Tell | None = None,
) -> Plan:
    """Rehearse what a migrate to the history's head would do on the target of `connection`, and store the plan.

    A rehearsal that fails is a plan with a failure. The same files on the same schema are not rehearsed twice.

    Raises:
        SeveralHeads: which head to go to is not guessed.
        Conflict: the target has revisions that the history lacks.
        ScratchUnavailable, ExtensionsMissing, ProgramMissing: it cannot be held.
    """
    if len(history.heads) > 1:
        raise SeveralHeads(history.heads)
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
    key = _cache_key(project, files, applied, history.heads, target.major, fingerprint(schema))
    if (known := await _cached(stage, environment_id, key)) is not None:
        await say("These migrations were rehearsed on this very schema before.")
        return known
    contents = await read_contents(connection)
    extensions = [extension.name for extension in contents.extensions]
    known_roles = set(contents.roles)
    while True:
        async with stage.scratch.database(
            target.major, roles=sorted(known_roles), extensions=extensions
        ) as copy:
            await say("Copying the schema into a scratch database")
            await _copy_schema(stage, url, copy.url, target.major)
            await _copy_versions(project, copy.url, applied)
            await say(f"Running {len(pending)} migrations there")
            recorder = _Recorder(history)
            failure = await _run(stage, project, copy, recorder, from_nothing=schema.is_empty)
        role = _missing_role(failure)
        if role is None or role in known_roles:
            break
        # Definitions only need it to exist.
        known_roles.add(role)
    plan = recorder.plan(applied, files, failure)
    await _store(stage, environment_id, key, plan)
    return plan


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
                await tool_of(project).replay(
                    project,
                    confinement=confinement,
                    revisions=(),
                    application_name=stage.application_name,
                )
            await tool_of(project).upgrade(
                project,
                confinement=confinement,
                revision="heads",
                on_event=recorder.hear,
                application_name=stage.application_name,
                step_by_step=True,
            )
        except MigrationFailed as error:
            return RehearsalFailure(error.revision, str(error), error.sqlstate)
        except CleanStartError as error:
            return RehearsalFailure(None, str(error), None)
    return None


@dataclass(slots=True)
class _Recorder:
    """Collects what a run executes, by revision."""

    history: History
    statements: list[tuple[str, int, PlannedStatement]] = field(default_factory=list)
    watch: HazardWatch | None = None

    async def hear(self, event: RunnerEvent) -> None:
        match event:
            case StatementFinished(statement, seconds) | StatementRefused(statement, seconds):
                if statement.bookkeeping or statement.revision is None:
                    return
                self.statements.append(
                    (
                        statement.revision,
                        statement.number,
                        PlannedStatement(statement.sql, statement.in_transaction, seconds),
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
        by_revision: dict[str, list[PlannedStatement]] = {}
        for revision, number, each in self.statements:
            with_hazards = PlannedStatement(
                each.sql, each.in_transaction, each.seconds, tuple(found.get(number, ()))
            )
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
    statement = sql.SQL("INSERT INTO {} (version_num) SELECT unnest(%s::text[])").format(
        version_table(project.alembic)
    )
    async with connect(scratch_url, application_name="cleanstart/rehearsal") as connection:
        await connection.execute(statement, [list(applied)])


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
    project: Project,
    files: dict[str, str],
    applied: Sequence[str],
    heads: Sequence[str],
    major: int,
    schema: str,
) -> str:
    tool = project.alembic
    content = {
        "format": _FORMAT,
        "tool": ["alembic", tool.section, tool.version_table, tool.version_table_schema],
        "files": files,
        "from": sorted(applied),
        "to": sorted(heads),
        "major": major,
        "schema": schema,
        "prelude": str(project.alembic.prelude),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _missing_role(failure: RehearsalFailure | None) -> str | None:
    if failure is None or failure.sqlstate != "42704":
        return None
    missing = _MISSING_ROLE.search(failure.message)
    return missing.group(1).replace('""', '"') if missing else None


async def _silent(_: str) -> None:
    """For callers that want the plan only."""
