"""A scratch copy of a schema, and the proof that statements lead it where they should."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from web.postgres.connections import connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.schema.model import Schema
from web.schema.proof import Proof, apply, prove
from web.schema.snapshot import read_schema
from web.schema.statements import statements


@dataclass(frozen=True, slots=True)
class Original:
    """The database that a copy is made of, and who will run statements there, as far as they depend on that."""

    database: str
    #: None where nothing is connected to: then every owner is written out.
    role: str | None = None
    #: Names that definitions may mention.
    roles: tuple[str, ...] = ()
    #: A copy is made from here; without one it is made from the description alone.
    url: str | None = None


async def prove_on_copy(
    scratch: ScratchServers,
    programs: Sequence[Programs],
    expected: Schema,
    actual: Schema,
    original: Original,
    *,
    destructive: bool = False,
    exclude_tables: Collection[str] = (),
) -> Proof:
    """Run what leads from `actual` to `expected` on a copy of the original. Raises what keeps from making it."""
    major = actual.server_major
    # Between two replays that of nobody in particular too.
    roles = {*original.roles, *owners(expected), *owners(actual)}
    extensions = [each.name for each in actual.extensions]
    async with scratch.database(major, roles=sorted(roles), extensions=extensions) as copy:
        if original.url is not None:
            await _restore(programs, original.url, copy.url, major)
        else:
            await _make(actual, copy.url)
        async with copy.connect(application_name="cleanstart/proof") as connection:
            return await prove(
                connection,
                expected,
                actual,
                destructive=destructive,
                role=original.role,
                database=original.database,
                exclude_tables=exclude_tables,
            )


async def _restore(programs: Sequence[Programs], url: str, scratch_url: str, major: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cleanstart-proof-") as folder:
        file = Path(folder) / "schema.dump"
        for step in (dump_database, restore_database):
            await step(
                programs,
                url if step is dump_database else scratch_url,
                file,
                server_major=major,
                application_name="cleanstart/proof",
                schema_only=True,
            )


async def _make(schema: Schema, url: str) -> None:
    """A copy of what is described only; that it is one is seen by `prove`."""
    async with connect(url, application_name="cleanstart/proof") as connection:
        nothing = await read_schema(connection)
        made = statements(schema, nothing, destructive=True, database=connection.info.dbname)
        await apply(connection, made.statements)


def owners(schema: Schema) -> set[str]:
    """Give the owners that a schema's objects have."""
    return {
        owner
        for objects in (schema.schemas, schema.tables, schema.views, schema.functions, schema.enums)
        for each in objects
        if (owner := getattr(each, "owner", None)) is not None
    }
