"""Beside: make a fresh database on the server of an environment's, bring it to the head of the history, prove it.

The environment's own database is read and never touched, and nothing is dropped: the team changes the secret to the
new one when it is ready, and a pin takes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

import psycopg
from pydantic import AfterValidator, Field, ValidationError

from web import words
from web.acts.fresh_database import (
    Original,
    carry_over,
    create,
    name_taken,
    oid_of,
    read_original,
    require_makable,
    rows_of,
)
from web.acts.history import history_that_runs, require_one_head
from web.acts.upgrading import WHAT_MIGRATIONS_LEAVE, LockPatience, require_head, run_prelude, upgrade
from web.comparison.alike import drift
from web.comparison.expected import build, excluded_tables
from web.comparison.reached import require_reached
from web.comparison.roles import read_roles
from web.errors import Conflict, Invalid, OperationFailed
from web.jobs.failpoints import failpoint
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters, database_name
from web.postgres.connections import Connection, parameters, with_database
from web.postgres.identity import KnownDatabase, TargetIdentity, read_identity, require_writable
from web.postgres.scratch import ScratchDatabase
from web.schema.difference import unknown_parts
from web.schema.model import Schema
from web.schema.names import quote
from web.schema.snapshot import read_schema
from web.starting.operation import Offer, Operation, asked
from web.tools.confinement import in_scratch
from web.tools.history import History
from web.tools.registry import tool_of

#: What is added to the present name, where no other is given.
SUFFIX = "_clean"
#: Tables that a sentence names.
NAMED = 3


class BesideParameters(Parameters):
    """What a fresh database beside takes."""

    name: Annotated[str, AfterValidator(database_name)] = Field(
        default="",
        title="Name of the new database",
        description=f"Empty: the present one's with {SUFFIX} at its end. It must not be there yet.",
    )


class NotAsExpected(OperationFailed):
    """What was made is not what the migrations give."""

    title = "The new database is not what the migrations give"


@dataclass(frozen=True, slots=True)
class Given:
    """What the migrations give on such a server, as it was seen in scratch."""

    schema: Schema
    #: Rows by table.
    rows: Mapping[str, int | None]


async def run(work: Work[BesideParameters]) -> Outcome:
    """Check, create, migrate, prove. What is half made stays, and is told."""
    job = work.job
    # Nobody changes the original while another one is made like it.
    async with work.target() as connection:
        async with work.progress.step("check"):
            history = await history_that_runs(work)
            require_one_head(history)
            await require_writable(connection)
            original = await read_original(connection)
            name = _name(job.parameters.name, original)
            url = _url(work.url, name)
            await require_makable(connection, original, name)
            await work.progress.log(f"Running {words.plural(len(history), 'migration')} in scratch first")
            given = await _given(work, connection, history, original)
        async with work.progress.step("create"):
            database = await _create(work, connection, original, name, url)
            left = await _carry_over(work, database, original, name)
    async with work.progress.step("migrate"):
        applied = await _migrate(work, history, database)
    async with work.progress.step("prove"):
        intent = await work.intend("prove", {"rows": list(history.goal)})
        uncounted = await _prove(work, history, database, given)
        await work.receive(intent, {"rows": list(history.goal)})
    without = f" Not carried over: {', '.join(left)}." if left else ""
    unseen = f" Not counted, because the role may not: {', '.join(uncounted)}." if uncounted else ""
    return Outcome(
        "Made and proven",
        f"The database {name} ({database.identity.as_text}) is beside {original.name}, which is as it was. "
        f"{words.plural(applied, 'migration')} ran in it, its schema is what they give, and it holds no rows but "
        f"theirs.{without}{unseen}",
        f"Change the secret of {job.environment.label}'s url ({job.environment.url}) to {name} and check the "
        f"environment: another database answers, and `cleanstart pin {job.environment.label} --identity "
        f"{database.identity.as_text}` takes it. {original.name} is dropped by nobody.",
        data={
            "name": name,
            "identity": database.identity.as_text,
            "beside": original.name,
            "revisions": list(history.goal),
            "applied": applied,
            "not_carried_over": list(left),
        },
    )


def _name(given: str, original: Original) -> str:
    """The new database's name. Raises Invalid where the usual one is no name."""
    if given:
        return given
    name = f"{original.name}{SUFFIX}"
    try:
        return BesideParameters(name=name).name
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise Invalid(f"{name} cannot be the new database's name: {reason}.", hint="Give another.") from None


def _url(url: str, name: str) -> str:
    """The URL of the new database. Raises Invalid where a URL cannot hold its name."""
    beside = with_database(url, name)
    if parameters(beside).get("dbname") != name:
        raise Invalid(f"A database URL cannot hold the name {name}.", hint="Give another.")
    return beside


async def _given(
    work: Work[BesideParameters], connection: Connection, history: History, original: Original
) -> Given:
    """Run the history in scratch. Raises what keeps it from running: nothing is made then."""
    project, rows = work.job.project, dict[str, int | None]()

    async def replay(scratch: ScratchDatabase) -> None:
        result = await tool_of(project).replay(
            project,
            confinement=await in_scratch(project, scratch),
            revisions=sorted(history.goal),
            application_name="cleanstart/replay",
        )
        require_reached(history, history.goal, result)
        async with scratch.connect(application_name="cleanstart/replay") as copy:
            schema = await read_schema(copy, exclude_tables=excluded_tables(project))
            rows.clear()
            rows.update(await rows_of(copy, schema))

    schema = await build(
        work.resources.scratch,
        project,
        replay,
        original.schema.server_major,
        tuple(await read_roles(connection)),
        (),
    )
    return Given(schema, rows)


async def _create(
    work: Work[BesideParameters], connection: Connection, original: Original, name: str, url: str
) -> KnownDatabase:
    await work.progress.log(f"Creating {name} like {original.name}, owned by {original.owner_beside}")
    intent = await work.intend("create", {"database": name, "beside": original.name})
    await work.require_current()
    # A session of its own: the lock's does nothing that waits.
    async with work.target(lock=False) as session:
        try:
            await create(session, original, name)
        except psycopg.Error as error:
            if error.sqlstate is not None:
                await work.receive(intent, {"oid": None})
            if isinstance(error, psycopg.errors.DuplicateDatabase | psycopg.errors.UniqueViolation):
                raise name_taken(name) from error
            raise
        oid = await oid_of(session, name)
    if oid is None:
        raise Conflict(f"The database {name} was made, and somebody took it away at once.")
    failpoint("after-create")
    server = (await read_identity(connection)).identity.system_identifier
    identity = TargetIdentity(server, oid)
    await work.receive(intent, {"oid": oid, "identity": identity.as_text})
    return KnownDatabase(url, identity, f"the new database {name}")


async def _carry_over(
    work: Work[BesideParameters], database: KnownDatabase, original: Original, name: str
) -> tuple[str, ...]:
    async with database.connect(application_name=work.application_name) as session:
        await work.record_connection(session)
        carried = await carry_over(session, original, name)
    for refusal in carried.refusals:
        await work.progress.log(refusal, level="warning")
    if carried.left:
        await work.progress.log(f"Not carried over: {', '.join(carried.left)}", level="warning")
    return carried.left


async def _migrate(work: Work[BesideParameters], history: History, database: KnownDatabase) -> int:
    await run_prelude(work, database)
    intent = await work.intend("upgrade", {"from": [], "to": list(history.goal)})
    result = await upgrade(work, "commit", LockPatience(), history.targets, database=database)
    require_head(work.job.project, history, result)
    await work.receive(intent, {"rows": list(result.applied)})
    return len(result.ran)


async def _prove(
    work: Work[BesideParameters], history: History, database: KnownDatabase, given: Given
) -> tuple[str, ...]:
    """Compare version rows, schema and numbers of rows; returns the tables that could not be counted.

    Raises NotAsExpected.
    """
    project = work.job.project
    async with database.connect(application_name=work.application_name) as session:
        await work.record_connection(session)
        rows = (await tool_of(project).applied(project, session)).revisions
        actual = await read_schema(session, exclude_tables=excluded_tables(project))
        counted = await rows_of(session, actual)
    if not history.is_at_head(rows):
        raise NotAsExpected(f"It is at {history.place(rows)}, not at {', '.join(history.heads)}.")
    if blind := unknown_parts(given.schema, actual):
        raise NotAsExpected(f"Whether it is cannot be told: the role may not read {', '.join(blind)}.")
    if differs := drift(given.schema, actual):
        first = differs[0]
        more = f" and {words.plural(len(differs) - 1, 'more difference')}" if len(differs) > 1 else ""
        raise NotAsExpected(f"{first.kind} {first.object}: {first.change}{more}.")
    others = [
        f"{table} holds {words.plural(number, 'row')} instead of {given.rows.get(table)}"
        for table, number in counted.items()
        if number is not None and number != given.rows.get(table)
    ]
    if others:
        more = f" and {len(others) - NAMED} more tables" if len(others) > NAMED else ""
        raise NotAsExpected(f"{'; '.join(others[:NAMED])}{more}.")
    return tuple(table for table, number in counted.items() if number is None)


async def reconcile(evidence: Evidence[BesideParameters]) -> Reconciled:
    """By the new database's name and oid, its version rows, and the receipt of the proof."""
    begun = next((intent for intent in evidence.intents if intent.step == "create"), None)
    if begun is None:
        return Reconciled("not done", "No database was made.", next_step="Start it again.")
    name = begun.what["database"]
    made = (begun.proof or {}).get("oid")
    async with evidence.target() as connection:
        there = await oid_of(connection, name)
        server = (await read_identity(connection)).identity.system_identifier
    if there is None or (begun.proof is not None and made is None):
        gone = f"It had been made, and there is no database {name} any more." if made is not None else ""
        return Reconciled(
            "not done",
            gone or "No database was made.",
            {"database": name},
            # What failed says itself what to do about it.
            "" if evidence.reason == "failed" and not gone else "Start it again.",
        )
    found = {"database": name, "identity": TargetIdentity(server, there).as_text}
    if made is None:
        text = f"There is a database {name} now, and whether this job made it cannot be proven."
        return Reconciled("unknown", text, found, _by_hand(name))
    if made != there:
        text = f"The database {name} is another one than this job made: somebody made it again."
        return Reconciled("unknown", text, found, "Look at it by hand.")
    rows = await _rows(evidence, TargetIdentity(server, there), name)
    found |= {"rows": list(rows)}
    if any(intent.step == "prove" and intent.proof is not None for intent in evidence.intents):
        text = (
            f"The new database {name} ({found['identity']}) is made and proven. It is at {', '.join(rows)}."
        )
        return Reconciled("done", text, found, f"Change the secret to {name}, check, and pin it.")
    text = f"The new database {name} is there, at {', '.join(rows) or 'no revision'}, and was not proven."
    # A run that lived to say what stopped it has failed; only after a death is it an open question.
    state: Literal["not done", "unknown"] = "unknown" if evidence.reason == "worker died" else "not done"
    return Reconciled(state, text, found, _by_hand(name))


async def _rows(evidence: Evidence[BesideParameters], identity: TargetIdentity, name: str) -> Collection[str]:
    database = KnownDatabase(with_database(evidence.url, name), identity, f"the new database {name}")
    async with database.connect(application_name=evidence.attempt.application_name) as session:
        return (await tool_of(evidence.job.project).applied(evidence.job.project, session)).revisions


def _by_hand(name: str) -> str:
    return f"Drop it by hand (DROP DATABASE {quote(name)};) or give another name, then start it again."


BESIDE = Operation(
    name="beside",
    title="Fresh database beside",
    verb="Make a fresh database beside",
    parameters=BesideParameters,
    permission="beside",
    # The environment's own database stays as it is, but nothing may change it meanwhile.
    mutating=True,
    destructive=False,
    harmless=True,
    steps=(
        StepTitle("check", "Check, and run the migrations in scratch"),
        StepTitle("create", "Create the database"),
        StepTitle("migrate", "Run the migrations in it"),
        StepTitle("prove", "Compare it with what they give"),
    ),
    run=run,
    reconcile=reconcile,
    noun="fresh database",
    icon="database",
    help="Make a fresh database on the same server, bring it to the head and prove it; nothing is dropped.",
    lead=(
        "Another database is made on the server of {environment}, with the owner, locale, settings and privileges of "
        "the present one. The migrations run in it, and it is compared with what they give. The present one is not "
        "touched; it is you who changes the secret to the new one afterwards."
    ),
    button="Fresh database beside",
    keep="Leave it as it is",
    offers=(Offer("archived history", "Fresh database beside…"),),
    wants_name=asked,
    evidence=MappingProxyType(
        {
            "database": ("warn", "The new database"),
            "identity": ("warn", "Its identity"),
            **{name: said for name, said in WHAT_MIGRATIONS_LEAVE.items() if name == "rows"},
        }
    ),
    code="on the target",
    from_nothing=True,
)
