"""Making drift official: a migration that gives what is live, and the proof that the old head plus it does.

What is live is expected, and what the migrations give is to become it: the other way round than a repair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.comparison.alike import as_expected, as_on, usual_owner
from web.comparison.expected import build, excluded_tables
from web.comparison.ignore_rules import IgnoreRule, sort_out
from web.comparison.reached import NotReached, require_reached, require_run
from web.config import Project
from web.errors import CleanStartError, Conflict
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.ddl.statement import Statement
from web.schema.difference import Difference, difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.model import Schema
from web.schema.proof import ROUNDS, StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import Left, statements
from web.store.tables import AdoptionRow
from web.tools.confinement import checkout, in_scratch
from web.tools.ending import UpgradeResult
from web.tools.history import History
from web.tools.protocol import WrittenMigration
from web.tools.registry import tool_of


@dataclass(frozen=True, slots=True)
class Adoption:
    """A migration that makes what is live official, with what running it showed."""

    revision: str
    #: What it follows.
    down: str | None
    #: Where it belongs, relative to the project's source.
    path: str
    text: str
    #: What it makes official.
    adopted: tuple[Difference, ...]
    #: What Clean Start has no statement for, with the reasons.
    left: tuple[tuple[Difference, str], ...] = ()
    #: What ignore rules keep out of it.
    ignored: tuple[Difference, ...] = ()
    #: What differs from the live schema after the old head plus it, and should not; empty: proven.
    remaining: tuple[Difference, ...] = ()
    #: Why it could not be run.
    refusal: str | None = None
    #: Why there is no downgrade; None: it leads back, and was seen to.
    no_downgrade: str | None = None
    #: Whether databases that have what the migrations give lose rows or values by it.
    loses: bool = False

    @property
    def proven(self) -> bool:
        """Whether the old head plus it gives exactly the live schema, but for what is named as left or ignored."""
        return self.refusal is None and not self.remaining

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "revision": self.revision,
            "down_revision": self.down,
            "path": self.path,
            "proven": self.proven,
            "refusal": self.refusal,
            "no_downgrade": self.no_downgrade,
            "loses": self.loses,
            "adopted": [each.to_json() for each in self.adopted],
            "left": [{**each.to_json(), "reason": reason} for each, reason in self.left],
            "ignored": [each.to_json() for each in self.ignored],
            "remaining": [each.to_json() for each in self.remaining],
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Live:
    """The database whose schema is made official."""

    schema: Schema
    role: str
    roles: tuple[str, ...]
    major: int


async def adopt(
    scratch: ScratchServers,
    project: Project,
    history: History,
    migrated: Schema,
    live: Live,
    rules: Sequence[IgnoreRule],
    message: str,
) -> Adoption | None:
    """Write the migration that leads from `migrated` to the live schema, and run it in scratch; None: nothing differs.

    What rules cover is left as the migrations have it. Raises Conflict, SourceInvalid, OperationFailed.
    """
    given = as_on(migrated, live.schema)
    found = sort_out(difference(given, live.schema), rules)
    try:
        # The same differences from the other side.
        covered = [each.key for each, _ in sort_out(difference(live.schema, given), rules).ignored]
        wanted = keeping(live.schema, given, covered)
    except CannotKeep as impossible:
        raise Conflict(
            f"What is ignored cannot be left out of the migration: {impossible}.",
            hint="Remove its rule, or write the migration by hand.",
        ) from impossible
    if not found.differences:
        return None
    ways = await _find_ways(scratch, project, history, wanted, given, live)
    if not ways.forth:
        raise Conflict(f"Clean Start has no statement for this: {ways.left[0].reason}")
    # Should a call of the tool's own not give what its statement gives, the statements themselves are taken.
    for calls in (True, False):
        async with tool_of(project).stand_in(project, checkout(project, None)) as copy:
            adoption = await _write(scratch, copy, history, message, ways, wanted, given, live, calls=calls)
        if adoption.proven and adoption.no_downgrade == ways.no_way_back:
            break
    return replace(adoption, adopted=found.differences, ignored=tuple(each for each, _ in found.ignored))


@dataclass(frozen=True, slots=True)
class _Ways:
    """From what the migrations give to what is live, and back."""

    forth: tuple[Statement, ...]
    left: tuple[Left, ...]
    back: tuple[Statement, ...]
    no_way_back: str | None


async def _find_ways(
    scratch: ScratchServers, project: Project, history: History, wanted: Schema, given: Schema, live: Live
) -> _Ways:
    """Go both ways in a database that the migrations made: a change may bring what only another look shows."""
    found: list[_Ways] = []

    async def make(database: ScratchDatabase) -> None:
        require_reached(history, history.goal, await _replay(project, database))
        async with database.connect(application_name="cleanstart/adopt") as connection:
            try:
                forth, left = await _lead(connection, project, wanted, live)
            except StatementRefused as refused:
                raise Conflict(
                    f"The server refused “{refused.refusal.statement}”: {refused.refusal.message}"
                ) from refused
            try:
                back, stays = await _lead(connection, project, given, live)
                why = _no_way_back(stays)
            except StatementRefused as refused:
                back, why = (), f"The way back was refused: {refused.refusal.message}"
        found[:] = [_Ways(forth, left, back if why is None else (), why)]

    await _built(scratch, project, make, live)
    return found[0]


async def _lead(
    connection: Connection, project: Project, wanted: Schema, live: Live
) -> tuple[tuple[Statement, ...], tuple[Left, ...]]:
    """Lead the scratch database to a schema, and give what did. Raises StatementRefused."""
    made: list[Statement] = []
    left: tuple[Left, ...] = ()
    replayed_by = (await read_identity(connection)).user
    for _ in range(ROUNDS):
        schema = await read_schema(connection, exclude_tables=excluded_tables(project))
        there = as_on(as_expected(schema, replayed_by), live.schema)
        repair = statements(wanted, there, destructive=True, role=usual_owner(live.schema))
        left = repair.left
        if not repair.statements:
            break
        # What is made here belongs to whoever made it, as a replay's does.
        await apply(connection, repair.statements)
        made += repair.statements
    return tuple(made), left


async def _write(
    scratch: ScratchServers,
    project: Project,
    history: History,
    message: str,
    ways: _Ways,
    wanted: Schema,
    given: Schema,
    live: Live,
    *,
    calls: bool,
) -> Adoption:
    """Write the file into the stand-in and run it, forth and back."""
    written = await tool_of(project).write_migration(
        project, history, message, ways.forth, ways.no_way_back or ways.back, calls=calls
    )
    adoption = Adoption(
        written.revision,
        history.branch_heads[0] if history.branch_heads else None,
        written.path,
        written.text,
        (),
        tuple((each.difference, each.reason) for each in ways.left),
        no_downgrade=ways.no_way_back,
        loses=any(each.destructive for each in ways.forth),
    )
    adoption = await _prove(scratch, project, adoption, wanted, live)
    if not adoption.proven or ways.no_way_back is not None:
        return adoption
    reason = await _try_back(scratch, project, adoption, given, live)
    if reason is None:
        return adoption
    again = await _without_downgrade(project, history, message, written, ways.forth, reason, calls=calls)
    return replace(adoption, text=again.text, no_downgrade=reason)


def _no_way_back(left: Sequence[Left]) -> str | None:
    if not left:
        return None
    item = left[0].difference
    return f"There is no statement back for the {item.kind} {item.object}: {left[0].reason}"


async def _without_downgrade(
    project: Project,
    history: History,
    message: str,
    written: WrittenMigration,
    forth: Sequence[Statement],
    reason: str,
    *,
    calls: bool,
) -> WrittenMigration:
    """The same file once more, with a downgrade that says why there is none."""
    (checkout(project, None) / written.path).unlink()
    return await tool_of(project).write_migration(
        project, history, message, forth, reason, calls=calls, revision=written.revision
    )


async def _prove(
    scratch: ScratchServers,
    project: Project,
    adoption: Adoption,
    wanted: Schema,
    live: Live,
) -> Adoption:
    async def replay(database: ScratchDatabase) -> None:
        _require_written(adoption, await _replay(project, database))

    try:
        schema = await _built(scratch, project, replay, live)
    except CleanStartError as error:
        return replace(adoption, refusal=str(error))
    left = {each.key for each, _ in adoption.left}
    differs = difference(wanted, as_on(schema, live.schema))
    return replace(adoption, remaining=tuple(each for each in differs if each.key not in left))


def _require_written(adoption: Adoption, result: UpgradeResult) -> None:
    """What is about to be said of the written migration stands on its having run. Raises NotRun, NotReached."""
    require_run(adoption.revision, result)
    if result.cut_off or set(result.applied) != {adoption.revision}:
        raise NotReached(
            f"A replay up to {adoption.revision} came to {', '.join(result.applied) or 'no revision'}."
        )


async def _try_back(
    scratch: ScratchServers, project: Project, adoption: Adoption, given: Schema, live: Live
) -> str | None:
    """Why its downgrade does not lead back to what the old head gives; None: it does."""

    async def forth_and_back(database: ScratchDatabase) -> None:
        _require_written(adoption, await _replay(project, database))
        back = await tool_of(project).downgrade(
            project,
            confinement=await in_scratch(project, database),
            revision=adoption.down,
            application_name="cleanstart/adopt",
        )
        require_run(adoption.revision, back)
        if adoption.revision in back.applied:
            raise NotReached(f"The database is still at {adoption.revision}.")

    try:
        schema = await _built(scratch, project, forth_and_back, live)
    except CleanStartError as error:
        return f"The way back was refused: {error}"
    if differs := difference(given, as_on(schema, live.schema)):
        item = differs[0]
        return f"The way back leaves the {item.kind} {item.object} {item.change}."
    return None


async def _replay(project: Project, database: ScratchDatabase) -> UpgradeResult:
    return await tool_of(project).replay(
        project,
        confinement=await in_scratch(project, database),
        application_name="cleanstart/adopt",
    )


async def _built(
    scratch: ScratchServers, project: Project, make: Callable[[ScratchDatabase], Awaitable[None]], live: Live
) -> Schema:
    extensions = [each.name for each in live.schema.extensions]
    return await build(scratch, project, make, live.major, live.roles, extensions)


async def store_adoption(
    connection: AsyncConnection, environment_id: int, job_id: int, adoption: Adoption
) -> None:
    """Keep a migration with its proof under the job that made it."""
    await connection.execute(
        insert(AdoptionRow).values(
            job_id=job_id,
            environment_id=environment_id,
            content={
                **{
                    name: getattr(adoption, name)
                    for name in ("revision", "down", "path", "text", "refusal", "no_downgrade", "loses")
                },
                "adopted": [asdict(each) for each in adoption.adopted],
                "left": [[asdict(each), reason] for each, reason in adoption.left],
                "ignored": [asdict(each) for each in adoption.ignored],
                "remaining": [asdict(each) for each in adoption.remaining],
            },
        )
    )


async def adoption_of(connection: AsyncConnection, job_id: int) -> tuple[Adoption, datetime] | None:
    """What a job wrote, and when; None: it wrote nothing."""
    row = (
        await connection.execute(
            select(AdoptionRow.content, AdoptionRow.made_at).where(AdoptionRow.job_id == job_id)
        )
    ).one_or_none()
    if row is None:
        return None
    content = dict(row.content)
    # Those of before rules were named have no `ignored`.
    for name in ("adopted", "ignored", "remaining"):
        content[name] = tuple(Difference(**each) for each in content.get(name, ()))
    content["left"] = tuple((Difference(**each), reason) for each, reason in content["left"])
    return Adoption(**content), row.made_at
