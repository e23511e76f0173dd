"""A baseline proven as it is now: run anew, and its schema held against everything that it is to stand for.

Whatever was proven when it was made is not asked: its file may have been edited since, and databases have changed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from web.comparison.alike import as_expected, as_on
from web.comparison.expected import build, excluded_tables
from web.comparison.reached import require_reached, require_run
from web.config import Project
from web.errors import CleanStartError, Conflict
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase
from web.remedies.archiving import from_source
from web.remedies.baseline import Ground
from web.remedies.lookup_rows import TableRows, difference_of_rows, read_rows
from web.remedies.source_files import add_files
from web.remedies.stored_baselines import StoredBaseline
from web.schema.difference import Difference, difference
from web.schema.model import Schema
from web.schema.snapshot import read_schema
from web.tools.archives import read_manifest
from web.tools.confinement import checkout, in_scratch
from web.tools.ending import UpgradeResult
from web.tools.history import History
from web.tools.registry import tool_of

APPLICATION = "cleanstart/proof"


@dataclass(frozen=True, slots=True)
class Chain:
    """One of the two histories, as it can be run: the project in a folder that holds its files."""

    project: Project
    history: History
    #: The version rows at its end: the old head, or the baseline alone.
    end: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chains:
    """The migrations that were, and the baseline that replaces them."""

    old: Chain
    new: Chain
    #: Whether the project's source holds the change set.
    in_source: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the baseline's file as it is run."""
        found = self.new.history.get(self.new.end[0])
        assert found is not None
        return found.digest


@dataclass(frozen=True, slots=True)
class Ran:
    """What running a chain from nothing showed."""

    schema: Schema
    seconds: float
    #: The rows of the look-up tables that were asked for.
    rows: tuple[TableRows, ...] = ()
    #: Why the look-up tables do not hold the rows that they were to hold, or take no more; None: they do.
    rows_differ: str | None = None


@asynccontextmanager
async def both_chains(project: Project, history: History, stored: StoredBaseline) -> AsyncIterator[Chains]:
    """Lay out what is not in the source beside it: the baseline before it is written there, the old files after.

    Raises Conflict where the history is neither the one that was replaced nor one with the baseline; SourceInvalid.
    """
    tool, revision = tool_of(project), stored.baseline.revision
    replaced = read_manifest(dict(stored.manifest), str(stored.manifest["folder"] or "")).history
    gone, come = await asyncio.to_thread(from_source, project, stored.change_set)
    live = [each.path for each in history.migrations]
    in_source = revision in history and not any(each.revision in history for each in replaced.migrations)
    if not in_source:
        _require_replaced(history, stored)
    files, without = (gone, live) if in_source else (come, list(gone))
    async with tool.stand_in(project, checkout(project, None), history, without=without) as copy:
        await asyncio.to_thread(add_files, checkout(copy, None), files)
        beside = await tool.history(copy)
        if not beside.complete:
            beside = await tool.ask_history(copy)
        new = Chain(project, history, (revision,)) if in_source else Chain(copy, beside, (revision,))
        old_project = copy if in_source else project
        old_history = beside if in_source else history
        if not in_source and revision not in beside:
            raise Conflict(f"The tool does not find the baseline {revision} in {stored.baseline.path}.")
        yield Chains(
            Chain(old_project, old_history, old_history.followed(project.follow).goal), new, in_source
        )


def _require_replaced(history: History, stored: StoredBaseline) -> None:
    """The history is still what the baseline was made to replace. Raises Conflict."""
    was = {each["revision"]: each["digest"] for each in stored.manifest["migrations"]}
    now = {each.revision: each.digest for each in history.migrations}
    if was == now:
        return
    changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    raise Conflict(
        f"The migrations are not those that baseline {stored.baseline.revision} replaces. Other by now: "
        f"{', '.join(changed[:3])}{f' and {len(changed) - 3} more' if len(changed) > 3 else ''}.",
        hint="Make the baseline again.",
    )


async def run_chain(
    ground: Ground,
    chain: Chain,
    *,
    end: Sequence[str] | None = None,
    tables: Sequence[str] = (),
    rows: Sequence[TableRows] = (),
) -> Ran:
    """Run a chain from nothing to its end, or to these version rows, and read what is there then.

    `tables` are those whose rows are read, `rows` those that are to be found. Raises what keeps it from running:
    NotReached, OperationFailed, ScratchUnavailable and others.
    """
    goal = chain.end if end is None else tuple(end)
    seconds: list[float] = []
    held: list[tuple[tuple[TableRows, ...], str | None]] = []

    async def replay(database: ScratchDatabase) -> None:
        began = monotonic()
        require_reached(chain.history, goal, await _replay(chain, database, goal))
        seconds[:] = [monotonic() - began]
        if tables or rows:
            async with database.connect(application_name=APPLICATION) as connection:
                schema = await _read(connection, chain.project)
                differ = await difference_of_rows(connection, schema, rows) if rows else None
                held[:] = [(await read_rows(connection, schema, tables), differ)]

    schema = await _built(ground, chain, replay)
    found, differ = held[0] if held else ((), None)
    return Ran(schema, seconds[0], found, differ)


async def down_and_up(ground: Ground, chain: Chain, ran: Ran) -> str | None:
    """Why going down does not empty the database, or up again gives something else; None: neither.

    Raises what keeps the prelude from running.
    """
    tool, revision = tool_of(chain.project), chain.end[0]
    emptied: list[Schema] = []

    async def prelude(database: ScratchDatabase) -> None:
        await _replay(chain, database, ())

    async def go(database: ScratchDatabase) -> None:
        confinement = await in_scratch(chain.project, database)
        require_run(revision, await _replay(chain, database, chain.end))
        back = await tool.downgrade(
            chain.project, confinement=confinement, revision=None, application_name=APPLICATION
        )
        require_run(revision, back)
        async with database.connect(application_name=APPLICATION) as connection:
            emptied[:] = [await _read(connection, chain.project)]
        again = await tool.upgrade(
            chain.project,
            confinement=confinement,
            on_event=_ignore,
            revisions=chain.end,
            application_name=APPLICATION,
        )
        require_run(revision, again)

    base = await _built(ground, chain, prelude)
    refusal, again = None, None
    try:
        again = await _built(ground, chain, go)
    except CleanStartError as error:
        refusal = error
    if emptied and (left := difference(as_on(base, emptied[0]), emptied[0])):
        return f"it leaves the {left[0].kind} {left[0].object}"
    if again is None:
        return f"going {'up again' if emptied else 'down'} was refused: {refusal}"
    if other := difference(as_on(ran.schema, again), again):
        return f"up again the {other[0].kind} {other[0].object} is another"
    return None


def difference_id(of: str, found: Difference) -> str:
    """Names a difference in one place: the same as long as it is the same, whichever job found it."""
    parts = (of, found.kind, found.object, found.attribute or "", found.change, found.a or "", found.b or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


async def _built(ground: Ground, chain: Chain, make: Callable[[ScratchDatabase], Awaitable[None]]) -> Schema:
    return await build(ground.scratch, chain.project, make, ground.major, ground.roles, ground.extensions)


async def _replay(chain: Chain, database: ScratchDatabase, revisions: Sequence[str]) -> UpgradeResult:
    return await tool_of(chain.project).replay(
        chain.project,
        confinement=await in_scratch(chain.project, database),
        revisions=sorted(revisions),
        application_name=APPLICATION,
    )


async def _read(connection: Connection, project: Project) -> Schema:
    schema = await read_schema(connection, exclude_tables=excluded_tables(project))
    return as_expected(schema, (await read_identity(connection)).user)


async def _ignore(event: object) -> None:
    """The result says it all."""
