"""The one migration that joins a history's heads, and the proof that the order of its branches makes no difference.

A database may have the branches in any order: those that were made before the merge have some order already. What is
proven is one branch after the other, each as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import permutations
from time import monotonic

from web import words
from web.comparison.alike import as_expected, as_on
from web.comparison.expected import build, excluded_tables
from web.comparison.reached import require_reached, require_run
from web.config import Project
from web.errors import OperationFailed, SourceInvalid
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase
from web.remedies.baseline import NO_PLACE, Ground
from web.schema.difference import Difference, difference
from web.schema.model import Schema
from web.schema.snapshot import read_schema
from web.tools.confinement import checkout, in_scratch
from web.tools.ending import UpgradeResult
from web.tools.history import History
from web.tools.protocol import WrittenMigration
from web.tools.registry import tool_of

APPLICATION = "cleanstart/merge"
#: Of so many heads every order is run. Of more, each comes first once and the others follow in turn: every two of them
#: are run in both orders then.
EVERY_ORDER = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What came of running the branches one after the other, from nothing, and then the merge."""

    heads: tuple[str, ...]
    #: Seconds of all of it; None: it did not come to its end.
    seconds: float | None = None
    #: Why it could not be run.
    refusal: str | None = None
    #: What it gives differently from the first order that ran.
    differences: tuple[Difference, ...] = ()
    #: What the merge itself changed, which is to change nothing.
    changed: tuple[Difference, ...] = ()

    @property
    def unlike(self) -> tuple[Difference, ...]:
        """Differences that count."""
        return tuple(each for each in self.differences if not is_order_of_columns(each))

    @property
    def words(self) -> str:
        """For sentences: `b, then c`."""
        return ", then ".join(self.heads)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a migrate would apply to an environment once the merge is in the source."""

    environment: str
    #: The version rows that were last seen, and when, in ISO 8601; None: it was never seen.
    revisions: tuple[str, ...] = ()
    seen_at: str | None = None
    pending: tuple[str, ...] = ()
    #: Why it is not known.
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of heads, with what running it showed."""

    revision: str
    #: What it follows.
    heads: tuple[str, ...]
    #: Where it belongs, relative to the project's source.
    path: str
    text: str
    #: The major of the scratch databases.
    major: int
    #: Digest of the project's history as it was read (`observation.stored_history`).
    history: str = ""
    orders: tuple[Order, ...] = ()
    #: Whether these are all orders that there are.
    every_order: bool = True
    #: Why it could not be run from nothing.
    refusal: str | None = None
    #: What it gives from nothing that the branches in their orders do not.
    remaining: tuple[Difference, ...] = ()
    #: Seconds from an empty database to it.
    seconds: float | None = None
    #: Why it does not lead back to the heads; None: it was seen to, and to come up again.
    no_downgrade: str | None = None
    #: What people should know of the file or the history besides, in sentences.
    remarks: tuple[str, ...] = ()
    environments: tuple[Reached, ...] = ()

    @property
    def refused(self) -> Order | None:
        """The first order that could not be run."""
        return next((each for each in self.orders if each.refusal is not None), None)

    @property
    def unlike(self) -> Order | None:
        """The first order that gives another schema."""
        return next((each for each in self.orders if each.unlike), None)

    @property
    def first(self) -> Order | None:
        """The order that the others are compared with."""
        return next((each for each in self.orders if each.refusal is None), None)

    @property
    def changed(self) -> tuple[Difference, ...]:
        """What the merge itself changed somewhere."""
        return next((each.changed for each in self.orders if each.changed), ())

    @property
    def column_orders(self) -> tuple[str, ...]:
        """Tables whose columns come in another order where the branches do."""
        found = (
            each.object for order in self.orders for each in order.differences if is_order_of_columns(each)
        )
        return tuple(dict.fromkeys(found))

    @property
    def why_not(self) -> str | None:
        """Why it is not proven, in a sentence; None: it is."""
        if (order := self.refused) is not None:
            said = f"{order.words} could not be run. {order.refusal}"
            return f"The branches do not commute: {said}" if self.first is not None else said
        if (order := self.unlike) is not None and self.first is not None:
            item, count = order.unlike[0], words.plural(len(order.unlike), "difference")
            return (
                f"The branches do not commute: {order.words} gives another schema than {self.first.words}, "
                f"{count}, beginning with the {item.kind} {item.object}."
            )
        if self.refusal is not None:
            return f"From nothing it could not be run: {self.refusal}"
        if found := self.changed or self.remaining:
            what = "It changes the schema itself" if self.changed else "From nothing it gives another schema"
            return f"{what}: the {found[0].kind} {found[0].object}."
        return None

    @property
    def proven(self) -> bool:
        """Whether all orders and the way from nothing give one schema, to which the merge adds nothing."""
        return self.why_not is None


def is_order_of_columns(found: Difference) -> bool:
    """Whether a table's columns come in another order, and no more.

    Branches that each add a column to one table can never agree on it, and no query that names its columns sees it.
    """
    return found.attribute == "column order" and found.severity == "cosmetic"


def orders_of(heads: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The orders that are run: all of them for few heads, else each head first once with the others in turn."""
    if len(heads) <= EVERY_ORDER:
        return tuple(permutations(heads))
    return tuple((*heads[at:], *heads[:at]) for at in range(len(heads)))


@dataclass(frozen=True, slots=True)
class Joined:
    """A project in a folder that holds the merge, and its history with it and before it."""

    project: Project
    before: History
    after: History
    written: WrittenMigration


@asynccontextmanager
async def joined(
    project: Project, history: History, heads: Sequence[str], message: str
) -> AsyncIterator[Joined]:
    """Write the merge of these heads into a stand-in for the project's folder.

    Raises SourceInvalid, OperationFailed, ProgramMissing.
    """
    tool = tool_of(project)
    async with tool.stand_in(project, checkout(project, None), history) as copy:
        written = await tool.write_merge(copy, heads, message)
        after = await tool.history(copy)
        if not after.complete:
            after = await tool.ask_history(copy)
        if after.heads != (written.revision,):
            raise SourceInvalid(
                f"With {written.path} in it the history ends in {', '.join(after.heads)}, not in "
                f"{written.revision} alone."
            )
        yield Joined(copy, history, after, written)


async def prove(
    ground: Ground, joined: Joined, heads: Sequence[str], tell: Callable[[str], Awaitable[None]]
) -> Merge:
    """Run the merge after its branches in their orders, and from nothing, down and up again.

    What a branch or the merge is refused is told in what is given back. Raises ScratchUnavailable, ProgramMissing.
    """
    written = joined.written
    chosen = orders_of(heads)
    merge = Merge(
        written.revision,
        tuple(heads),
        written.path,
        written.text,
        ground.major,
        every_order=len(heads) <= EVERY_ORDER,
        remarks=(*written.remarks, *_remarks(joined, heads)),
        no_downgrade=None if written.leads_back else NO_PLACE,
    )
    reference: Schema | None = None
    for each in chosen:
        await tell(f"Running {', then '.join(each)}, then the merge")
        order, schema = await _run_order(ground, joined, each)
        if schema is not None and reference is not None:
            order = replace(order, differences=difference(as_on(reference, schema), schema))
        reference = reference if reference is not None else schema
        merge = replace(merge, orders=(*merge.orders, order))
    await tell("Running all of it from nothing, then down to the heads and up again")
    return await _run_whole(ground, joined, merge, reference)


def _remarks(joined: Joined, heads: Sequence[str]) -> tuple[str, ...]:
    """Ends of the history that are no heads, because a migration of another branch depends on them."""
    beside = [each for each in joined.before.branch_heads if each not in heads]
    if not beside:
        return ()
    return (
        f"It does not follow {', '.join(beside)}, which another branch depends on: it is applied with that one.",
    )


async def _run_order(ground: Ground, joined: Joined, heads: tuple[str, ...]) -> tuple[Order, Schema | None]:
    """Run the branches in this order and the merge, from nothing; what came of it, and the schema after it."""
    project, history, revision = joined.project, joined.after, joined.written.revision
    seen: list[tuple[Schema, float]] = []

    async def run(database: ScratchDatabase) -> None:
        tool, began = tool_of(project), monotonic()
        confinement = await in_scratch(project, database)
        for at, head in enumerate(heads):
            if at == 0:
                result = await tool.replay(
                    project, confinement=confinement, revisions=[head], application_name=APPLICATION
                )
            else:
                result = await _upgrade(project, database, head)
            require_run(head, result)
            require_reached(history, heads[: at + 1], result)
        before = await _read(project, database)
        result = await _upgrade(project, database, revision)
        require_run(revision, result)
        require_reached(history, [revision], result)
        seen[:] = [(before, monotonic() - began)]

    try:
        schema = await _built(ground, project, run)
    except OperationFailed as error:
        return Order(heads, refusal=str(error)), None
    before, took = seen[0]
    return Order(heads, took, changed=difference(as_on(before, schema), schema)), schema


async def _run_whole(ground: Ground, joined: Joined, merge: Merge, reference: Schema | None) -> Merge:
    """Run the merged history from nothing, and from its end down to the heads and up again."""
    project, history = joined.project, joined.after
    seen: list[tuple[Schema, float]] = []
    no_way_back: list[str] = []

    async def run(database: ScratchDatabase) -> None:
        tool, began = tool_of(project), monotonic()
        result = await tool.replay(
            project, confinement=await in_scratch(project, database), application_name=APPLICATION
        )
        require_run(merge.revision, result)
        require_reached(history, [merge.revision], result)
        there = await _read(project, database)
        seen[:] = [(there, monotonic() - began)]
        why_not = await _down_and_up(joined, merge, database, there) if merge.no_downgrade is None else None
        no_way_back[:] = [why_not] if why_not is not None else []

    try:
        await _built(ground, project, run)
    except OperationFailed as error:
        return replace(merge, refusal=str(error))
    schema, took = seen[0]
    found = difference(as_on(reference, schema), schema) if reference is not None else ()
    return replace(
        merge,
        seconds=took,
        remaining=tuple(each for each in found if not is_order_of_columns(each)),
        no_downgrade=no_way_back[0] if no_way_back else merge.no_downgrade,
    )


async def _down_and_up(joined: Joined, merge: Merge, database: ScratchDatabase, there: Schema) -> str | None:
    """Why going down to the heads and up again gives something else; None: it does not."""
    project = joined.project
    try:
        back = await tool_of(project).downgrade(
            project,
            confinement=await in_scratch(project, database),
            revision=merge.heads[0],
            application_name=APPLICATION,
        )
        require_run(merge.revision, back)
        require_reached(joined.after, merge.heads, back)
        down = await _read(project, database)
        require_run(merge.revision, await _upgrade(project, database, merge.revision))
        up = await _read(project, database)
    except OperationFailed as error:
        return f"going down to the heads and up again was refused: {error}"
    for way, found in (("down", down), ("up again", up)):
        if differs := difference(there, found):
            return f"{way} the {differs[0].kind} {differs[0].object} is another"
    return None


async def _upgrade(project: Project, database: ScratchDatabase, revision: str) -> UpgradeResult:
    return await tool_of(project).upgrade(
        project,
        confinement=await in_scratch(project, database),
        on_event=_ignore,
        revisions=[revision],
        application_name=APPLICATION,
    )


async def _read(project: Project, database: ScratchDatabase) -> Schema:
    async with database.connect(application_name=APPLICATION) as connection:
        schema = await read_schema(connection, exclude_tables=excluded_tables(project))
        return as_expected(schema, (await read_identity(connection)).user)


async def _built(
    ground: Ground, project: Project, make: Callable[[ScratchDatabase], Awaitable[None]]
) -> Schema:
    return await build(ground.scratch, project, make, ground.major, ground.roles, ground.extensions)


async def _ignore(event: object) -> None:
    """The result says it all."""
