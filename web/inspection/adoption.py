"""Making drift official: a migration that gives what is live, and the proof that the old head plus it does.

What is live is expected, and what the migrations give is to become it: the other way round than a repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Project
from web.errors import CleanStartError, Conflict
from web.inspection.drift import as_on
from web.inspection.expected import build
from web.inspection.ignoring import IgnoreRule, sort_out
from web.postgres.scratch import ScratchServers
from web.schema.difference import Difference, difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.model import Schema
from web.schema.statements import Left, statements
from web.store.tables import AdoptionRow
from web.tools.alembic import downgrade as run_downgrade
from web.tools.alembic_launch import checkout
from web.tools.alembic_writing import WrittenMigration, stand_in, write_migration
from web.tools.history import History
from web.tools.protocol import tool_of


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
        """Whether the old head plus it gives exactly the live schema, but for what is named as left."""
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
    forth = statements(wanted, given, destructive=True, role=live.role)
    back = statements(given, wanted, destructive=True, role=live.role)
    if not forth.statements:
        raise Conflict(f"Clean Start has no statement for this: {forth.left[0].reason}")
    async with stand_in(project, checkout(project, None)) as copy:
        reason = _no_way_back(back.left)
        written = await write_migration(copy, history, message, forth.statements, reason or back.statements)
        adoption = Adoption(
            written.revision,
            history.branch_heads[0] if history.branch_heads else None,
            written.path,
            written.text,
            found.differences,
            tuple((each.difference, each.reason) for each in forth.left),
            no_downgrade=reason,
            loses=any(each.destructive for each in forth.statements),
        )
        adoption = await _prove(scratch, copy, adoption, wanted, live)
        if adoption.proven and reason is None:
            reason = await _try_back(scratch, copy, adoption, given, live)
            if reason is not None:
                again = await _without_downgrade(copy, history, message, written, forth.statements, reason)
                adoption = replace(adoption, text=again.text, no_downgrade=reason)
        return adoption


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
    forth: Sequence[Any],
    reason: str,
) -> WrittenMigration:
    """The same file once more, with a downgrade that says why there is none."""
    (checkout(project, None) / written.path).unlink()
    return await write_migration(project, history, message, forth, reason, revision=written.revision)


async def _prove(
    scratch: ScratchServers,
    project: Project,
    adoption: Adoption,
    wanted: Schema,
    live: Live,
) -> Adoption:
    async def replay(url: str) -> None:
        await tool_of(project).replay(
            project, url=url, revisions=("heads",), application_name="cleanstart/adopt"
        )

    try:
        schema = await _built(scratch, project, replay, live)
    except CleanStartError as error:
        return replace(adoption, refusal=str(error))
    left = {each.key for each, _ in adoption.left}
    differs = difference(wanted, as_on(schema, live.schema))
    return replace(adoption, remaining=tuple(each for each in differs if each.key not in left))


async def _try_back(
    scratch: ScratchServers, project: Project, adoption: Adoption, given: Schema, live: Live
) -> str | None:
    """Why its downgrade does not lead back to what the old head gives; None: it does."""

    async def forth_and_back(url: str) -> None:
        await tool_of(project).replay(
            project, url=url, revisions=("heads",), application_name="cleanstart/adopt"
        )
        await run_downgrade(
            project,
            url=url,
            revision=adoption.down or "base",
            application_name="cleanstart/adopt",
        )

    try:
        schema = await _built(scratch, project, forth_and_back, live)
    except CleanStartError as error:
        return f"The way back was refused: {error}"
    if differs := difference(given, as_on(schema, live.schema)):
        item = differs[0]
        return f"The way back leaves the {item.kind} {item.object} {item.change}."
    return None


async def _built(scratch: ScratchServers, project: Project, make: Any, live: Live) -> Schema:
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
    for name in ("adopted", "remaining"):
        content[name] = tuple(Difference(**each) for each in content[name])
    content["left"] = tuple((Difference(**each), reason) for each, reason in content["left"])
    return Adoption(**content), row.made_at
