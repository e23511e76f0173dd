"""The one migration that replaces a history: what gives a schema from nothing, and the proof that it does.

The old files go to an archive, which holds a manifest of what they were. All of it is a change set: nothing is written
into the project's source.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from time import monotonic
from typing import Any

from web.comparison.alike import MIGRATING_ROLE, as_expected, as_on
from web.comparison.expected import build, excluded_tables
from web.comparison.reached import NotReached, require_reached, require_run
from web.config import Project
from web.errors import CleanStartError, Conflict, OperationFailed
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.remedies.dropping import tables_in_order
from web.remedies.lookup_rows import TableRows, count_lookups, difference_of_rows, read_rows, with_rows
from web.remedies.source_files import add_files
from web.schema.ddl.statement import Statement
from web.schema.difference import Difference, difference
from web.schema.model import CatalogObject, Schema
from web.schema.proof import ROUNDS, StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import Left, statements
from web.tools.confinement import checkout, in_scratch
from web.tools.ending import UpgradeResult
from web.tools.history import History, make_history
from web.tools.protocol import WrittenMigration
from web.tools.registry import tool_of

APPLICATION = "cleanstart/baseline"
#: Which version of an extension there is, the server's packages decide.
_VERSION = re.compile(r"(CREATE EXTENSION .*) VERSION '[^']*'", re.DOTALL)


#: Why there is no way down although there would be one.
NO_PLACE = "the project's own template has no downgrade"
#: Headings of the file, by how statements begin.
_GROUPS = tuple(
    (re.compile(beginning), words)
    for beginning, words in (
        (r"CREATE (SCHEMA|EXTENSION) ", "Schemas and extensions"),
        (r"CREATE (TYPE|DOMAIN|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE) ", "Types, sequences and functions"),
        (r"CREATE (UNLOGGED |FOREIGN )?TABLE ", "Tables"),
        (r"ALTER TABLE .* ADD CONSTRAINT .* FOREIGN KEY ", "Foreign keys"),
        (r"CREATE (UNIQUE )?INDEX ", "Indexes"),
        (
            r"CREATE (VIEW|MATERIALIZED VIEW|TRIGGER|CONSTRAINT TRIGGER|POLICY|RULE) ",
            "Views, triggers and policies",
        ),
        (r"(COMMENT|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) ", "Comments and privileges"),
    )
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a baseline is made and proven: servers, major, and what there has to exist."""

    scratch: ScratchServers
    major: int
    roles: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline, with what running it showed."""

    revision: str
    #: Where it belongs, relative to the project's source.
    path: str
    text: str
    #: What of the schema there is no statement for, with the reasons.
    left: tuple[tuple[Difference, str], ...] = ()
    #: What differs from the schema after the baseline, and should not; empty: proven.
    remaining: tuple[Difference, ...] = ()
    #: Why it could not be run.
    refusal: str | None = None
    #: Why its downgrade does not empty what it made; None: it was seen to, and to come up again.
    no_downgrade: str | None = None
    #: Seconds from an empty database to its head, as its proof ran.
    seconds: float | None = None
    #: Look-up tables whose rows it inserts, with their numbers.
    rows: tuple[tuple[str, int], ...] = ()
    statements: int = field(default=0, compare=False)

    @property
    def proven(self) -> bool:
        """Whether it gives exactly the schema from nothing, but for what is named as left."""
        return self.refusal is None and not self.remaining


class RowsDiffer(OperationFailed):
    """The tables do not hold what the baseline was to bring along."""

    title = "The rows are not those that were read"
    hint = "Leave the rows of this table out of the baseline, and load them after it."


@dataclass(frozen=True, slots=True)
class OldChain:
    """What running the whole history from nothing showed."""

    #: Seconds from an empty database to its head.
    seconds: float
    #: Tables that hold rows then, with their numbers: what the migrations insert.
    inserted: tuple[tuple[str, int], ...]
    #: The rows that were asked for.
    rows: tuple[TableRows, ...] = ()


async def run_old_chain(
    ground: Ground, project: Project, history: History, schema: Schema, tables: Sequence[str] = ()
) -> OldChain:
    """Run the migrations that are to be replaced, and read the rows of these tables after them.

    `schema` is what they give. Raises Invalid where a table cannot be taken, and what keeps them from running.
    """
    goal = history.followed(project.follow).goal
    found: list[OldChain] = []

    async def replay(database: ScratchDatabase) -> None:
        began = monotonic()
        require_reached(history, goal, await _replay(project, database, sorted(goal)))
        took = monotonic() - began
        async with database.connect(application_name=APPLICATION) as connection:
            inserted = await count_lookups(connection, schema)
            found[:] = [OldChain(took, inserted, await read_rows(connection, schema, tables))]

    await _built(ground, project, replay)
    return found[0]


async def make_baseline(
    ground: Ground,
    project: Project,
    history: History,
    wanted: Schema,
    message: str,
    *,
    kept: Mapping[str, bytes] | None = None,
    rows: Sequence[TableRows] = (),
) -> Baseline:
    """Write the baseline that gives a schema, in place of the project's whole history, and run it in scratch.

    `kept` are files of the archive: they are there when it is run, so that nobody takes them for migrations. `rows`
    come along. Raises Conflict where there is nothing to write, SourceInvalid, OperationFailed, ProgramMissing.
    """
    wanted = _without_owners(wanted)
    ways = await _find_ways(ground, project, wanted)
    if not ways.forth:
        raise Conflict("There is nothing in this schema that a baseline could give.")
    ways = replace(ways, forth=with_rows(ways.forth, rows), rows=tuple(rows))
    found: Baseline | None = None
    short = replace(ways, back=tables_in_order(ways.back, ways.forth))
    ways_down = (short, ways) if short.back != ways.back else (ways,)
    # Should a call of the tool's own not give what its statement gives, the statements themselves are taken.
    for tried, calls in (*((each, True) for each in ways_down), (ways, False)):
        found = await _write_and_prove(
            ground, project, history, wanted, tried, message, kept=kept or {}, calls=calls
        )
        if found.proven and found.no_downgrade in (ways.no_way_back, NO_PLACE):
            break
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class _Ways:
    """From what is there before the first migration to the schema, and back."""

    base: Schema
    forth: tuple[Statement, ...]
    left: tuple[Left, ...]
    back: tuple[Statement, ...]
    no_way_back: str | None
    #: Tables that hold rows after the prelude, and the rows that come along.
    filled: tuple[str, ...] = ()
    rows: tuple[TableRows, ...] = ()


async def _find_ways(ground: Ground, project: Project, wanted: Schema) -> _Ways:
    """Go both ways in a database that has the prelude alone."""
    found: list[_Ways] = []

    async def make(database: ScratchDatabase) -> None:
        await _replay(project, database, ())
        async with database.connect(application_name=APPLICATION) as connection:
            base = await _read(connection, project)
            filled = tuple(name for name, _ in await count_lookups(connection, base))
            try:
                forth, left = await _lead(connection, project, _beside(wanted, base))
            except StatementRefused as refused:
                raise Conflict(
                    f"The server refused “{refused.refusal.statement}”: {refused.refusal.message}"
                ) from refused
            try:
                back, stays = await _lead(connection, project, base)
                why = "not everything that it makes can be taken away again" if stays else None
            except StatementRefused:
                back, why = (), "what it makes cannot be taken away in an order that is known"
        # That going down from the first migration loses everything goes without saying.
        back = tuple(replace(each, destructive=False) for each in back) if why is None else ()
        found[:] = [_Ways(base, _grouped(forth), left, back, why, filled)]

    await _built(ground, project, make)
    return found[0]


async def _write_and_prove(
    ground: Ground,
    project: Project,
    history: History,
    wanted: Schema,
    ways: _Ways,
    message: str,
    *,
    kept: Mapping[str, bytes],
    calls: bool,
) -> Baseline:
    tool = tool_of(project)
    replaced = [each.path for each in history.migrations]
    async with tool.stand_in(project, checkout(project, None), history, without=replaced) as copy:
        await asyncio.to_thread(add_files, checkout(copy, None), kept)
        written = await tool.write_migration(
            copy, make_history(()), message, ways.forth, ways.no_way_back or ways.back, calls=calls
        )
        found = Baseline(
            written.revision,
            written.path,
            written.text,
            tuple((each.difference, each.reason) for each in ways.left),
            no_downgrade=ways.no_way_back,
            rows=tuple((each.table, len(each.rows)) for each in ways.rows),
            statements=len(ways.forth),
        )
        found = await _prove(ground, copy, found, written, wanted, ways)
        if found.proven and not written.leads_back:
            return replace(found, no_downgrade=NO_PLACE)
        if found.proven and ways.no_way_back is None:
            reason = await _try_back(ground, copy, written, wanted, ways)
            found = replace(found, no_downgrade=reason)
        return found


async def _prove(
    ground: Ground,
    copy: Project,
    baseline: Baseline,
    written: WrittenMigration,
    wanted: Schema,
    ways: _Ways,
) -> Baseline:
    took: list[float] = []

    async def replay(database: ScratchDatabase) -> None:
        began = monotonic()
        _require_reached(written, await _replay(copy, database, None))
        took[:] = [monotonic() - began]
        if ways.rows:
            async with database.connect(application_name=APPLICATION) as connection:
                await _require_rows(connection, wanted, ways)

    try:
        schema = await _built(ground, copy, replay)
    except CleanStartError as error:
        return replace(baseline, refusal=str(error))
    left = {each.key for each, _ in baseline.left}
    differs = difference(_beside(wanted, schema), schema)
    return replace(
        baseline, remaining=tuple(each for each in differs if each.key not in left), seconds=took[0]
    )


async def _require_rows(connection: Connection, wanted: Schema, ways: _Ways) -> None:
    """The rows that were read are there, one more can come, and no other table holds any. Raises RowsDiffer."""
    ours = {each.table for each in ways.rows}
    beside = [
        name for name, _ in await count_lookups(connection, wanted) if name not in {*ours, *ways.filled}
    ]
    if beside:
        raise RowsDiffer(
            f"As the rows come, {', '.join(beside[:3])} is filled too: a rule or trigger does that."
        )
    if reason := await difference_of_rows(connection, wanted, ways.rows):
        raise RowsDiffer(f"After the baseline, {reason}.")


async def _try_back(
    ground: Ground, copy: Project, written: WrittenMigration, wanted: Schema, ways: _Ways
) -> str | None:
    """Why going down does not empty the database, or up again gives something else; None: neither."""
    between: list[Schema] = []

    async def down_and_up(database: ScratchDatabase) -> None:
        _require_reached(written, await _replay(copy, database, None))
        confinement = await in_scratch(copy, database)
        back = await tool_of(copy).downgrade(
            copy, confinement=confinement, revision=None, application_name=APPLICATION
        )
        require_run(written.revision, back)
        if back.applied:
            raise NotReached(f"After the downgrade the database is still at {', '.join(back.applied)}.")
        async with database.connect(application_name=APPLICATION) as connection:
            between[:] = [await _read(connection, copy)]
        again = await tool_of(copy).upgrade(
            copy, confinement=confinement, on_event=_ignore, application_name=APPLICATION
        )
        require_run(written.revision, again)

    try:
        schema = await _built(ground, copy, down_and_up)
    except CleanStartError:
        return "going down was refused"
    if differs := difference(_beside(ways.base, between[0]), between[0]):
        return f"it leaves the {differs[0].kind} {differs[0].object}"
    left = {each.difference.key for each in ways.left}
    if again := [each for each in difference(_beside(wanted, schema), schema) if each.key not in left]:
        return f"up again the {again[0].kind} {again[0].object} is another"
    return None


async def _lead(
    connection: Connection, project: Project, wanted: Schema
) -> tuple[tuple[Statement, ...], tuple[Left, ...]]:
    """Lead the scratch database to a schema, and give what did. Raises StatementRefused."""
    made: list[Statement] = []
    left: tuple[Left, ...] = ()
    for _ in range(ROUNDS):
        there = await _read(connection, project)
        # What is made here belongs to whoever made it, as a replay's does.
        repair = statements(_beside(wanted, there), there, destructive=True, role=MIGRATING_ROLE)
        left = repair.left
        if not repair.statements:
            break
        await apply(connection, repair.statements)
        made += repair.statements
    return tuple(_plain(each) for each in made), left


def _grouped(made: Sequence[Statement]) -> tuple[Statement, ...]:
    """The same, with a heading before the first one of each group."""
    seen: set[str] = set()
    grouped = []
    for each in made:
        group = next((words for beginning, words in _GROUPS if beginning.match(each.sql)), None)
        if group is not None and group not in seen:
            seen.add(group)
            each = replace(each, note=group)
        grouped.append(each)
    return tuple(grouped)


def _plain(statement: Statement) -> Statement:
    """The statement as it suits every server."""
    return replace(statement, sql=_VERSION.sub(r"\1", statement.sql))


async def _read(connection: Connection, project: Project) -> Schema:
    schema = await read_schema(connection, exclude_tables=excluded_tables(project))
    return as_expected(schema, (await read_identity(connection)).user)


def _beside(wanted: Schema, there: Schema) -> Schema:
    """The wanted schema as it would be on the other side's server, with that one's owners of what is the server's."""
    return as_on(wanted, there)


def _without_owners(schema: Schema) -> Schema:
    """Everything belongs to whoever runs the migrations: who that is, each environment decides."""
    changes: dict[str, Any] = {}
    for each in fields(schema):
        objects = getattr(schema, each.name)
        if isinstance(objects, tuple) and objects and isinstance(objects[0], CatalogObject):
            changes[each.name] = tuple(
                replace(item, owner=MIGRATING_ROLE) if getattr(item, "owner", None) is not None else item
                for item in objects
            )
    return replace(schema, **changes)


async def _replay(
    project: Project, database: ScratchDatabase, revisions: Sequence[str] | None
) -> UpgradeResult:
    return await tool_of(project).replay(
        project,
        confinement=await in_scratch(project, database),
        revisions=revisions,
        application_name=APPLICATION,
    )


def _require_reached(written: WrittenMigration, result: UpgradeResult) -> None:
    """What is about to be said of the baseline stands on its having run, and it alone. Raises NotRun, NotReached."""
    require_run(written.revision, result)
    if result.cut_off or set(result.applied) != {written.revision}:
        raise NotReached(
            f"A replay up to {written.revision} came to {', '.join(result.applied) or 'no revision'}."
        )


async def _built(
    ground: Ground, project: Project, make: Callable[[ScratchDatabase], Awaitable[None]]
) -> Schema:
    return await build(ground.scratch, project, make, ground.major, ground.roles, ground.extensions)


async def _ignore(event: object) -> None:
    """The result says it all."""
