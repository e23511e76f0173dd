"""Making drift official: a migration that gives what is live, and the proof that the old head plus it does.

What is live is expected, and what the migrations give is to become it: the other way round than a repair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from web.comparison.alike import as_expected, as_on, usual_owner
from web.comparison.expected import build, excluded_tables
from web.comparison.ignore_rules import IgnoreRule, expression, sort_out
from web.comparison.reached import NotReached, require_reached, require_run
from web.config import Project
from web.errors import CleanStartError, Conflict, Invalid, MigrationFailed
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.remedies.adoption import Adoption
from web.schema.ddl.statement import Statement
from web.schema.difference import Difference, difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.model import Schema
from web.schema.proof import ROUNDS, StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import Left, makes_function, statements, with_bodies_checked
from web.tools.confinement import checkout, in_scratch
from web.tools.ending import UpgradeResult
from web.tools.events import RunnerEvent
from web.tools.history import History
from web.tools.protocol import WrittenMigration
from web.tools.registry import tool_of


@dataclass(frozen=True, slots=True)
class Live:
    """The database whose schema is made official."""

    schema: Schema
    role: str
    roles: tuple[str, ...]
    major: int
    #: The version rows of what the migrations give; None: all heads.
    rows: tuple[str, ...] | None = None


async def adopt(
    scratch: ScratchServers,
    project: Project,
    history: History,
    migrated: Schema,
    live: Live,
    rules: Sequence[IgnoreRule],
    message: str,
    only: str = "",
) -> Adoption | None:
    """Write the migration that leads from `migrated` to the live schema, and run it in scratch; None: nothing differs.

    What rules cover, and what `only` does not name (a pattern of objects; empty: all), is left as the migrations have
    it. Raises Conflict, Invalid, SourceInvalid, OperationFailed.
    """
    given = as_on(migrated, live.schema)
    found = sort_out(difference(given, live.schema), rules)
    if not found.differences:
        return None
    chosen = expression(only.strip() or "*")
    asked_for = tuple(each for each in found.differences if chosen.fullmatch(each.object))
    if not asked_for:
        raise Invalid(f"No difference is one of {only}.", hint="Write the name as the Drift page does.")
    try:
        # The same differences from the other side.
        back = sort_out(difference(live.schema, given), rules)
        others = _others(back.differences, asked_for) if len(asked_for) < len(found.differences) else []
        covered = [*(each for each, _ in back.ignored), *others]
        wanted = keeping(live.schema, given, [each.key for each in covered])
    except CannotKeep as impossible:
        raise Conflict(
            f"This cannot be left out of the migration: {impossible}.",
            hint="Take it in too (remove its rule, where there is one), or write the migration by hand.",
        ) from impossible
    ways = await _find_ways(scratch, project, history, wanted, given, live)
    if not ways.forth:
        raise Conflict(f"Clean Start has no statement for this: {ways.left[0].reason}")
    asked = _Asked(scratch, project, history, message, ways, wanted, given, live)
    adoption = await _best(asked)
    return replace(
        adoption,
        adopted=asked_for,
        ignored=(
            *(each for each, _ in found.ignored),
            *(each for each in found.differences if each not in asked_for),
        ),
    )


def _others(back: Sequence[Difference], asked_for: Sequence[Difference]) -> list[Difference]:
    """Those that were not asked for, of the same differences from the other side. Raises Conflict."""
    turned = {(each.kind, each.attribute, _other_name(each)) for each in asked_for}
    others = [each for each in back if (each.kind, each.attribute, each.object) not in turned]
    if len(back) - len(others) != len(asked_for):
        raise Conflict(
            "What was renamed cannot be told apart from the rest: "
            f"{', '.join(dict.fromkeys(each.object for each in asked_for))}.",
            hint="Adopt all of it, or name it together with what it belongs to.",
        )
    return others


def _other_name(each: Difference) -> str:
    """What an object is called on the other side."""
    return each.a if each.change == "renamed" and each.attribute == "name" and each.a else each.object


@dataclass(frozen=True, slots=True)
class _Ways:
    """From what the migrations give to what is live, and back."""

    forth: tuple[Statement, ...]
    left: tuple[Left, ...]
    back: tuple[Statement, ...]
    no_way_back: _NoWayBack | None


@dataclass(frozen=True, slots=True)
class _NoWayBack:
    """Why a migration cannot be undone: a sentence for its readers, and what was seen."""

    sentence: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every attempt at a file has in common."""

    scratch: ScratchServers
    project: Project
    history: History
    message: str
    ways: _Ways
    wanted: Schema
    given: Schema
    live: Live


@dataclass(frozen=True, slots=True)
class _Form:
    """How the statements are written."""

    #: In the tool's own words, where it has some for a statement.
    calls: bool
    #: Whether what functions name need not be there when they are made.
    unchecked_forth: bool = False
    unchecked_back: bool = False


async def _find_ways(
    scratch: ScratchServers, project: Project, history: History, wanted: Schema, given: Schema, live: Live
) -> _Ways:
    """Go both ways in a database that the migrations made: a change may bring what only another look shows."""
    found: list[_Ways] = []

    async def make(database: ScratchDatabase) -> None:
        require_reached(history, live.rows or history.goal, await _replay(project, database, live.rows))
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
                detail = f"The server refused “{refused.refusal.statement}”: {refused.refusal.message}"
                back, why = (), _NoWayBack(_REFUSED, detail)
        found[:] = [_Ways(forth, left, back if why is None else (), why)]

    await _built(scratch, project, make, live)
    return found[0]


async def _lead(
    connection: Connection, project: Project, wanted: Schema, live: Live
) -> tuple[tuple[Statement, ...], tuple[Left, ...]]:
    """Lead the scratch database to a schema, and give what did. Raises StatementRefused."""
    made: list[Statement] = []
    left: tuple[Left, ...] = ()
    for _ in range(ROUNDS):
        there = await _read(connection, project, live)
        repair = statements(wanted, there, destructive=True, role=usual_owner(live.schema))
        left = repair.left
        if not repair.statements:
            break
        # What is made here belongs to whoever made it, as a replay's does.
        await apply(connection, repair.statements)
        made += repair.statements
    return tuple(made), left


async def _best(asked: _Asked) -> Adoption:
    """Write the file in the form that reads best of those that give what is live and lead back."""
    best: Adoption | None = None
    form: _Form | None = _Form(calls=True)
    while form is not None:
        adoption = await _attempt(asked, form)
        if best is None or _worth(adoption) > _worth(best):
            best = adoption
        form = _another(asked.ways, form, adoption)
    assert best is not None
    return best


def _worth(adoption: Adoption) -> tuple[bool, bool]:
    return adoption.proven, adoption.no_downgrade is None


def _another(ways: _Ways, form: _Form, adoption: Adoption) -> _Form | None:
    """Another form to try, where this one did not do all that there is; None: there is none."""
    forth_failed, back_failed = not adoption.proven, adoption.no_downgrade is not None
    if not forth_failed and (
        not back_failed or ways.no_way_back is not None or adoption.no_downgrade == _NO_PLACE
    ):
        return None
    if adoption.refusal is not None and not form.unchecked_forth and any(map(makes_function, ways.forth)):
        return replace(form, unchecked_forth=True)
    if not forth_failed and not form.unchecked_back and any(map(makes_function, ways.back)):
        return replace(form, unchecked_back=True)
    # Should a call of the tool's own not give what its statement gives, the statements themselves are taken.
    return _Form(False, unchecked_forth=form.unchecked_forth and not forth_failed) if form.calls else None


async def _attempt(asked: _Asked, form: _Form) -> Adoption:
    """Write the file into a stand-in and run it, forth and back."""
    ways, history = asked.ways, asked.history
    forth = ways.forth if form.unchecked_forth else with_bodies_checked(ways.forth)
    back = ways.back if form.unchecked_back else with_bodies_checked(ways.back)
    source = checkout(asked.project, None)
    async with tool_of(asked.project).stand_in(asked.project, source, history) as project:

        async def write(
            downgrade: Sequence[Statement] | str, revision: str | None = None
        ) -> WrittenMigration:
            return await tool_of(project).write_migration(
                project, history, asked.message, forth, downgrade, calls=form.calls, revision=revision
            )

        none = ways.no_way_back
        written = await write(back if none is None else none.sentence)
        if not written.leads_back:
            none = _NoWayBack(_NO_PLACE, "")
        adoption = Adoption(
            written.revision,
            history.branch_heads[0] if history.branch_heads else None,
            written.path,
            written.text,
            (),
            tuple((each.difference, each.reason) for each in ways.left),
            remarks=written.remarks,
            loses=any(each.destructive for each in forth),
        )
        adoption, seen = await _run(asked, project, adoption, back=none is None)
        if seen is not None:
            # The same file once more, with a downgrade that says why there is none.
            (checkout(project, None) / written.path).unlink()
            none, written = seen, await write(seen.sentence, written.revision)
        if none is None:
            return adoption
        return replace(
            adoption, text=written.text, no_downgrade=none.sentence, no_downgrade_detail=none.detail or None
        )


#: What a file says to those who review it; they know nothing of what was run here.
_REFUSED = "There is no way back: undoing this was tried, and PostgreSQL refused it."
_NOT_RUN = "There is no way back: undoing this was tried, and did not run to its end."
_NO_PLACE = "The project's template has no downgrade."


def _no_way_back(left: Sequence[Left]) -> _NoWayBack | None:
    if not left:
        return None
    item, reason = left[0].difference, left[0].reason
    sentence = f"There is no way back for the {item.kind} {item.object}."
    if "Clean Start" not in reason:
        sentence = f"{sentence} {reason}"
    return _NoWayBack(sentence, f"There is no statement back for the {item.kind} {item.object}: {reason}")


async def _run(
    asked: _Asked, project: Project, adoption: Adoption, *, back: bool
) -> tuple[Adoption, _NoWayBack | None]:
    """Run what is written in `project` after the old head, and `back`; the proof, and why it does not lead back.

    The old head is reached by the project itself: some run no migration in an empty database, and record all of them.
    """
    remaining: tuple[Difference, ...] = ()
    none: _NoWayBack | None = None
    returned = False

    async def forth_and_back(database: ScratchDatabase) -> None:
        nonlocal remaining, none, returned
        rows = asked.live.rows
        require_reached(
            asked.history, rows or asked.history.goal, await _replay(asked.project, database, rows)
        )
        result = await tool_of(project).upgrade(
            project,
            confinement=await in_scratch(project, database),
            on_event=_ignore,
            revisions=None if rows is None else [adoption.revision],
            application_name="cleanstart/adopt",
        )
        require_run(adoption.revision, result)
        beside = set(rows or ()) - {adoption.down}
        if result.cut_off or set(result.applied) != {adoption.revision, *beside}:
            raise NotReached(
                f"A replay up to {adoption.revision} came to {', '.join(result.applied) or 'no revision'}."
            )
        left = {each.key for each, _ in adoption.left}
        async with database.connect(application_name="cleanstart/adopt") as connection:
            differs = difference(asked.wanted, await _read(connection, project, asked.live))
        remaining = tuple(each for each in differs if each.key not in left)
        if back and not remaining:
            none = await _go_back(project, adoption, database)
            returned = none is None

    try:
        schema = await _built(asked.scratch, project, forth_and_back, asked.live)
    except CleanStartError as error:
        return replace(adoption, refusal=str(error)), None
    if returned and (differs := difference(asked.given, as_on(schema, asked.live.schema))):
        item = differs[0]
        none = _NoWayBack(
            f"There is no way back: the {item.kind} {item.object} would not be as it was.",
            f"The way back leaves the {item.kind} {item.object} {item.change}.",
        )
    return replace(adoption, remaining=remaining), none


async def _go_back(project: Project, adoption: Adoption, database: ScratchDatabase) -> _NoWayBack | None:
    """Run the downgrade; why it did not come to its end, or None."""
    try:
        back = await tool_of(project).downgrade(
            project,
            confinement=await in_scratch(project, database),
            revision=adoption.down,
            application_name="cleanstart/adopt",
        )
        require_run(adoption.revision, back)
        if adoption.revision in back.applied:
            raise NotReached(f"The database is still at {adoption.revision}.")
    except CleanStartError as error:
        refused = isinstance(error, MigrationFailed) and error.sqlstate is not None
        return _NoWayBack(_REFUSED if refused else _NOT_RUN, str(error))
    return None


async def _ignore(event: RunnerEvent) -> None:
    """Nobody follows a run in scratch."""


async def _read(connection: Connection, project: Project, live: Live) -> Schema:
    """The scratch database's schema as it would be on the live database's server."""
    replayed_by = (await read_identity(connection)).user
    schema = await read_schema(connection, exclude_tables=excluded_tables(project))
    return as_on(as_expected(schema, replayed_by), live.schema)


async def _replay(project: Project, database: ScratchDatabase, rows: tuple[str, ...] | None) -> UpgradeResult:
    return await tool_of(project).replay(
        project,
        confinement=await in_scratch(project, database),
        revisions=rows,
        application_name="cleanstart/adopt",
    )


async def _built(
    scratch: ScratchServers, project: Project, make: Callable[[ScratchDatabase], Awaitable[None]], live: Live
) -> Schema:
    extensions = [each.name for each in live.schema.extensions]
    return await build(scratch, project, make, live.major, live.roles, extensions)
