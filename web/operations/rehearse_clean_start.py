"""Rehearse clean start: everything that applying a baseline would do, done to copies restored from verified backups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import Annotated, cast

from pydantic import BeforeValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.emptying import drop, read_contents
from web.acts.fresh_database import read_original, require_may_create
from web.acts.history import history_that_runs
from web.acts.script import run_script
from web.answers.stored_surveys import newest_survey
from web.answers.strategy import STRATEGIES, Strategy
from web.backups.parts import open_backup
from web.backups.places import open_place
from web.backups.reporting import Watch
from web.backups.restore import checked_dump, restore
from web.comparison.alike import as_made_there, as_on, drift
from web.comparison.expected import excluded_tables
from web.comparison.ignore_rules import active_rules, sort_out
from web.comparison.sources import Reader
from web.comparison.stored_comparisons import sources_of
from web.config import Environment, Project
from web.errors import CleanStartError, Conflict, Invalid, NotSupported, OperationFailed
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import record_of
from web.operations.parameters import GIVEN, BaselineJob, Parameters
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase
from web.postgres.scripts import read_script
from web.postgres.server_files import usable
from web.remedies.baseline import Ground
from web.remedies.proving import Chain, Chains, both_chains, run_chain
from web.remedies.stored_baselines import StoredBaseline, baseline_of, newest_baseline
from web.remedies.stored_rehearsals import (
    CleanStartRehearsal,
    RehearsedAct,
    RehearsedEnvironment,
    store_rehearsal,
)
from web.schema.difference import Difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.model import Schema
from web.schema.proof import StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import statements
from web.starting.operation import Offer, Onward, Operation, Told
from web.store.tables import BackupRow
from web.tools.confinement import in_scratch
from web.tools.registry import tool_of

APPLICATION = "cleanstart/rehearsal"


def _pairs(given: object) -> object:
    return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given


class RehearseCleanStartParameters(Parameters):
    """What the rehearsal of a clean start takes."""

    baseline: BaselineJob = None
    strategies: Annotated[tuple[str, ...], BeforeValidator(_pairs)] = Field(
        default=(),
        max_length=500,
        title="Strategies",
        description="ENVIRONMENT=STRATEGY, as often as wanted; for the others as the newest survey recommends.",
        json_schema_extra={**GIVEN, "flag": "--strategy"},
    )


class RehearsalFailed(OperationFailed):
    """What Apply would do did not come to its end on a copy; what was done is kept."""

    title = "The rehearsal failed"
    hint = "See what it says. Nothing was done to any environment."


async def run(work: Work[RehearseCleanStartParameters]) -> Outcome:
    """Restore each environment's backup, do to the copy what its strategy says, keep what that took."""
    job, tool = work.job, tool_of(work.job.project)
    project = job.project
    if "archive" not in tool.can:
        raise NotSupported(tool.title, "archive")
    async with work.progress.step("read"):
        history = await history_that_runs(work)
        async with work.store.connect() as store:
            stored = await _baseline(store, project, job.parameters.baseline)
            chosen = await _strategies(store, project, job.parameters.strategies)
    held = []
    async with both_chains(project, history, stored) as chains, work.progress.step("rehearse"):
        for number, (environment, strategy) in enumerate(chosen.items()):
            await work.progress.at(number, len(chosen), "environments")
            if strategy != "leave-out":
                held.append(
                    await _Rehearsal(work, chains, project.environments[environment], strategy).hold()
                )
        digest = chains.digest
    found = CleanStartRehearsal(stored.job_id, stored.baseline.revision, digest, tuple(held))
    async with work.writing() as store:
        await store_rehearsal(store, job.id, project.name, found)
        await announce_change(store, None)
    if failed := [each for each in held if each.refusal is not None]:
        raise RehearsalFailed(" ".join(f"{each.environment}: {each.refusal}" for each in failed))
    took = "; ".join(
        f"{each.environment}: {STRATEGIES[cast(Strategy, each.strategy)].partition(':')[0].lower()}, "
        f"{words.duration(each.seconds)}"
        for each in held
    )
    return Outcome(
        f"Rehearsed on {'a copy' if len(held) == 1 else f'{len(held)} copies'}",
        f"Every act came to its end on copies in scratch. {took}.",
        data={"revision": found.revision, "environments": [each.environment for each in held]},
    )


async def _baseline(store: AsyncConnection, project: Project, job: int | None) -> StoredBaseline:
    found = await (newest_baseline(store, project.name) if job is None else baseline_of(store, job))
    if found is None or found.project != project.name:
        raise Conflict(
            f"{project.name} has no such baseline.", hint=f"Make one: `cleanstart baseline {project.name}`."
        )
    return found


async def _strategies(
    store: AsyncConnection, project: Project, given: tuple[str, ...]
) -> Mapping[str, Strategy]:
    """The strategy of every environment, as it was given or else surveyed. Raises Invalid, Conflict."""
    chosen: dict[str, Strategy] = {}
    survey = await newest_survey(store, project.name)
    for seen, by in survey.strategies if survey is not None else ():
        if seen.environment in project.environments:
            chosen[seen.environment] = by.strategy
    for pair in given:
        name, _, strategy = pair.partition("=")
        if name not in project.environments or strategy not in STRATEGIES:
            raise Invalid(
                f"“{pair[:80]}” names no environment with a strategy.",
                hint=f"Write ENVIRONMENT=STRATEGY; there is {', '.join(STRATEGIES)}.",
            )
        chosen[name] = strategy
    if not chosen:
        raise Conflict(
            "Nothing says what is to be done with the environments.",
            hint=f"Survey the project first: `cleanstart survey {project.name}`.",
        )
    return chosen


class _Rehearsal:
    """The rehearsal for one environment: its acts with their times, until one of them is refused."""

    def __init__(
        self,
        work: Work[RehearseCleanStartParameters],
        chains: Chains,
        environment: Environment,
        strategy: Strategy,
    ) -> None:
        self._work = work
        self._chains = chains
        self._environment = environment
        self._acts: list[RehearsedAct] = []
        self._found = RehearsedEnvironment(environment.name, strategy)

    async def hold(self) -> RehearsedEnvironment:
        """Go through it; whatever it meets is told in the result."""
        way = {
            "reset": self._reset,
            "beside": self._beside,
            "stamp": self._keep,
            "repair": self._keep,
        }[self._found.strategy]
        try:
            await way()
        except CleanStartError as error:
            await self._work.progress.log(f"{self._environment.label}: {error}", level="error")
            self._found = replace(self._found, refusal=str(error))
        return replace(self._found, acts=tuple(self._acts))

    @asynccontextmanager
    async def _act(self, what: str, detail: str = "") -> AsyncIterator[None]:
        await self._work.progress.log(f"{self._environment.label}: {what}")
        began = monotonic()
        yield
        self._acts.append(RehearsedAct(what, monotonic() - began, detail))

    @asynccontextmanager
    async def _restored(self) -> AsyncIterator[tuple[ScratchDatabase, Ground]]:
        """A copy of the database as its newest verified backup has it. Raises Conflict where there is none."""
        work, environment = self._work, self._environment
        async with work.store.connect() as store:
            record = await record_of(store, environment)
            backup = record.backup.verified_id if record and record.backup else None
            content = await store.scalar(select(BackupRow.manifest).where(BackupRow.id == backup))
        if backup is None or content is None:
            raise Conflict(
                f"{environment.label} has no verified backup that a copy could be restored from.",
                hint=f"Back it up first: `cleanstart backup {environment.label} --verify`.",
            )
        self._found = replace(self._found, backup=str(backup))
        place = open_place(work.configuration.backups.location)
        manifest = await open_backup(place, content, work.progress)
        folder = work.configuration.data_directory / "verification"
        with usable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        watch = Watch(
            report=work.progress, on_process_group=work.process_group, application_name=work.application_name
        )
        extensions = tuple(each.name for each in manifest.extensions)
        ground = Ground(work.resources.scratch, manifest.server_major, tuple(manifest.roles), extensions)
        async with (
            checked_dump(place, manifest, folder) as file,
            work.resources.scratch.database(
                manifest.server_major, roles=manifest.roles, extensions=extensions, with_rows=True
            ) as database,
        ):
            async with self._act("Restore the backup", words.size(manifest.size)):
                await restore(
                    file,
                    manifest,
                    database.url,
                    work.resources.programs,
                    watch,
                    server_major=manifest.server_major,
                )
            yield database, ground

    async def _reset(self) -> None:
        async with self._restored() as (database, ground):
            async with database.connect(application_name=APPLICATION) as connection:
                contents = await read_contents(connection)
                async with self._act("Empty the database", words.plural(len(contents.tables), "table")):
                    for batch in contents.batches():
                        await drop(connection, batch)
            await self._from_nothing(database, ground)
            policy = self._environment.reset
            if policy is not None and policy.seed is not None:
                seed = await read_script(policy.seed)
                async with (
                    self._act("Run the seed", words.plural(len(seed), "statement")),
                    database.connect(application_name=APPLICATION) as connection,
                ):
                    await run_script(connection, database.url, policy.seed, seed, self._work.progress)

    async def _beside(self) -> None:
        async with self._work.store.connect() as store:
            record = await record_of(store, self._environment)
        observation = record.observation if record else None
        if observation is None or observation.major is None:
            raise Conflict(
                f"It is not known which PostgreSQL {self._environment.label} is on.", hint="Check it."
            )
        work, (source,) = self._work, sources_of(self._work.job.project, self._environment.label)
        scratch = work.resources.scratch
        reader = Reader(work.configuration, work.store, scratch, work.resources.programs)
        async with (
            self._act("Ask whether a database may be made there"),
            reader.connect(source, self._environment.url.read()) as connection,
        ):
            require_may_create(await read_original(connection))
        ground = Ground(scratch, observation.major)
        async with scratch.database(observation.major) as database:
            await self._from_nothing(database, ground)

    async def _from_nothing(self, database: ScratchDatabase, ground: Ground) -> None:
        """The baseline in an empty database, compared with what it gives elsewhere."""
        new = self._chains.new
        async with self._act("Run the baseline"):
            result = await tool_of(new.project).replay(
                new.project,
                confinement=await in_scratch(new.project, database),
                revisions=new.end,
                application_name=APPLICATION,
            )
        if set(result.applied) != set(new.end):
            raise OperationFailed(f"The baseline came to {', '.join(result.applied) or 'no revision'}.")
        await self._compare(database, ground)

    async def _keep(self) -> None:
        """Data stay: the old migrations that are missing, the repair, the comparison, the exchange of rows."""
        old, new = self._chains.old, self._chains.new
        tool, project = tool_of(new.project), new.project
        async with self._restored() as (database, ground):
            async with database.connect(application_name=APPLICATION) as connection:
                rows = (await tool.applied(project, connection)).revisions
            if set(rows) & set(new.end):
                # It is at the baseline already: there is nothing that Apply would do.
                await self._compare(database, ground)
                return
            await self._catch_up(old, database, rows)
            if self._found.strategy == "repair":
                await self._repair(database, ground)
            await self._compare(database, ground)
            async with database.connect(application_name=APPLICATION) as connection:
                before = (await tool.applied(project, connection)).revisions
                stays = tuple(each for each in before if each not in old.history)
                async with self._act(
                    "Exchange the version rows", f"{', '.join(before)} → {', '.join(new.end)}"
                ):
                    await tool.exchange_applied(project, connection, before, (*new.end, *stays))
            async with self._act("See that nothing is pending"):
                result = await tool.upgrade(
                    project,
                    confinement=await in_scratch(project, database),
                    on_event=_ignore,
                    revisions=new.end,
                    application_name=APPLICATION,
                )
            if result.ran:
                ran = ", ".join(each.revision for each in result.ran)
                raise OperationFailed(f"After the exchange the tool still ran {ran}.")

    async def _catch_up(self, old: Chain, database: ScratchDatabase, rows: tuple[str, ...]) -> None:
        history = old.history.followed(old.project.follow)
        if strange := [each for each in rows if each not in history]:
            raise Conflict(f"The database is at {', '.join(strange)}, which the old migrations do not have.")
        pending = history.pending(rows)
        if not pending:
            return
        count = words.plural(len(pending), "old migration")
        async with self._act("Apply what is missing of the old migrations", count):
            result = await tool_of(old.project).upgrade(
                old.project,
                confinement=await in_scratch(old.project, database),
                on_event=_ignore,
                revisions=old.end,
                application_name=APPLICATION,
            )
        if history.pending(result.applied):
            raise OperationFailed(
                f"The old migrations came to {', '.join(result.applied)}, and not to their end."
            )

    async def _repair(self, database: ScratchDatabase, ground: Ground) -> None:
        """Lead the copy to the baseline's schema, but for what rules leave alone."""
        async with database.connect(application_name=APPLICATION) as connection:
            actual = await self._read(connection)
            expected = as_on(await self._expected(ground), actual)
            found = await self._sorted(drift(expected, actual))
            try:
                expected = keeping(expected, actual, [each.key for each in found[1]])
            except CannotKeep as impossible:
                raise OperationFailed(
                    f"This cannot be left alone while the rest is repaired: {impossible}."
                ) from None
            made = statements(expected, actual, destructive=True, database=connection.info.dbname)
            self._found = replace(
                self._found, loses=tuple(each.sql for each in made.statements if each.destructive)
            )
            async with self._act("Repair the schema", words.plural(len(made.statements), "statement")):
                try:
                    await apply(connection, made.statements)
                except StatementRefused as refused:
                    raise OperationFailed(
                        f"PostgreSQL refused “{refused.refusal.statement}”: {refused.refusal.message}"
                    ) from None

    async def _compare(self, database: ScratchDatabase, ground: Ground) -> None:
        expected = await self._expected(ground)
        async with (
            self._act("Compare the schema with the baseline"),
            database.connect(application_name=APPLICATION) as connection,
        ):
            actual = await self._read(connection)
            differs, _ = await self._sorted(drift(expected, actual))
        if differs:
            first, more = differs[0], f" and {len(differs) - 1} more" if len(differs) > 1 else ""
            attribute = f", {first.attribute}," if first.attribute else ""
            raise OperationFailed(
                f"The schema is not what the baseline gives: {first.kind} {first.object}{attribute} "
                f"{first.change}{more}."
            )

    async def _expected(self, ground: Ground) -> Schema:
        """What the baseline gives, run from nothing beside the copy."""
        return (await run_chain(ground, self._chains.new)).schema

    async def _read(self, connection: Connection) -> Schema:
        """What the copy has, as it would be on the database itself."""
        schema = await read_schema(connection, exclude_tables=excluded_tables(self._work.job.project))
        return as_made_there(schema, (await read_identity(connection)).user)

    async def _sorted(
        self, found: tuple[Difference, ...]
    ) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
        """Differences, and those that rules of the environment cover."""
        async with self._work.store.connect() as store:
            rules = await active_rules(store, self._environment.project, self._environment.name)
        by_rule = sort_out(found, rules)
        return tuple(by_rule.differences), tuple(each for each, _ in by_rule.ignored)


async def _ignore(event: object) -> None:
    """The result says it all."""


async def reconcile(evidence: Evidence[RehearseCleanStartParameters]) -> Reconciled:
    """A rehearsal leaves databases and source alone."""
    return Reconciled("not done", "Nothing was kept.", next_step="Rehearse again.")


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: RehearseCleanStartParameters,
) -> None:
    """There is a baseline, and something to do. Raises Conflict, Invalid."""
    await _baseline(store, project, parameters.baseline)
    await _strategies(store, project, parameters.strategies)


def told(job: JobRecord) -> Told:
    """What was done to each copy is read on a page of its own."""
    ended = job.outcome or {}
    if not (ended.get("data") or (ended.get("error") or {}).get("type") == RehearsalFailed.__name__):
        return Told()
    return Told(
        onward=(
            Onward("See the rehearsal", addresses.clean_start_rehearsal(job.id), "list-checks", primary=True),
        )
    )


REHEARSE_CLEAN_START = Operation(
    name="rehearse-clean-start",
    title="Rehearsal of a clean start",
    verb="Rehearse the clean start of",
    parameters=RehearseCleanStartParameters,
    permission="baseline",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("read", "Read the baseline"),
        StepTitle("rehearse", "Do to copies what Apply would do"),
    ),
    run=run,
    reconcile=reconcile,
    noun="rehearsal of a clean start",
    icon="list-checks",
    help="Restore verified backups into scratch, and do to the copies what applying a baseline would do.",
    lead=(
        "The newest verified backup of every environment is restored into scratch, and what its strategy says is done "
        "to the copy, with how long each act takes. Nothing is done to any environment."
    ),
    offers=(
        Offer("proven baseline", "Rehearse applying it…"),
        Offer("written baseline", "Rehearse applying it…"),
    ),
    tells=told,
    require_named=require_named,
    code="in scratch",
)
