"""Two sources side by side: what differs, and the proven way from the second to the first."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from web.errors import CleanStartError
from web.inspection.drift import as_on
from web.inspection.expected import excluded_tables
from web.inspection.sources import CouldNotCompare, Reader, Source, Sourced
from web.postgres.connections import connect
from web.postgres.dump import dump_database, restore_database
from web.schema.difference import Difference, difference, unknown_parts
from web.schema.model import Schema
from web.schema.proof import Proof, apply, prove
from web.schema.snapshot import read_schema
from web.schema.statements import statements


@dataclass(frozen=True, slots=True)
class Comparison:
    """What b has differently from a."""

    a: Sourced
    b: Sourced
    #: Both schemas as they were compared: a replay's as it would be on the other side's server.
    expected: Schema
    actual: Schema
    differences: tuple[Difference, ...]
    #: What one side's role may not read, and so is not known to be equal.
    unknown: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def to_json(self) -> Mapping[str, object]:
        """As `cleanstart diff --format json` prints it."""
        return {
            "a": self.a.source.text,
            "b": self.b.source.text,
            "unknown": list(self.unknown),
            "differences": [each.to_json() for each in self.differences],
        }


async def compare_sources(reader: Reader, a: Source, b: Source) -> Comparison:
    """Read both and compare. What is replayed is replayed on a server of the other side's major.

    Raises what keeps from it (see Reader.read), and CouldNotCompare for servers of two majors.
    """
    project = reader.project_of(a, b)
    if a.is_replayed and not b.is_replayed:
        actual = await reader.read(b, project)
        expected = await reader.read(a, project, actual)
    else:
        expected = await reader.read(a, project)
        actual = await reader.read(b, project, expected)
    majors = (expected.schema.server_major, actual.schema.server_major)
    if majors[0] != majors[1]:
        raise CouldNotCompare(
            f"{a.text} is on PostgreSQL {majors[0]} and {b.text} on {majors[1]}: each major writes definitions its "
            f"own way.",
            hint="Compare each with its migrations: those are replayed on a server of its major.",
        )
    left, right = expected.schema, actual.schema
    if a.is_replayed and not b.is_replayed:
        left = as_on(left, right)
    elif b.is_replayed and not a.is_replayed:
        right = as_on(right, left)
    return Comparison(
        expected,
        actual,
        left,
        right,
        difference(left, right),
        unknown_parts(left, right),
        excluded_tables(project) if project is not None else (),
    )


async def prove_repair(reader: Reader, found: Comparison, *, destructive: bool = False) -> Proof:
    """Run what leads from b to a on a scratch copy of b. Raises what keeps from making the copy."""
    side, major = found.b, found.actual.server_major
    await reader.scratch.ensure_roles(
        major, sorted({*found.a.roles, *side.roles, *_roles_of(found.expected)})
    )
    async with reader.scratch.database(major, extensions=[name for name, _ in side.extensions]) as url:
        if side.url is not None:
            await _restore(reader, side.url, url, major)
        else:
            await _make(found.actual, url)
        async with connect(url, application_name="cleanstart/proof") as connection:
            return await prove(
                connection,
                found.expected,
                found.actual,
                destructive=destructive,
                role=side.role,
                database=side.database,
                exclude_tables=found.exclude,
            )


async def _restore(reader: Reader, url: str, scratch_url: str, major: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cleanstart-proof-") as folder:
        file = Path(folder) / "schema.dump"
        for step in (dump_database, restore_database):
            await step(
                reader.programs,
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


def _roles_of(schema: Schema) -> set[str]:
    """Owners that definitions name."""
    return {
        owner
        for objects in (schema.schemas, schema.tables, schema.views, schema.functions, schema.enums)
        for each in objects
        if (owner := getattr(each, "owner", None)) is not None
    }


class NotProven(CleanStartError):
    """A repair that did not lead where it should is not offered."""

    status = 409
    title = "No proven repair"

    def __init__(self, proof: Proof) -> None:
        if proof.copy_differs:
            reason = f"The scratch copy is not like the database: {_named(proof.copy_differs)}."
        elif proof.refusal is not None:
            reason = (
                f"PostgreSQL refused a statement: {proof.refusal.message} It was: {proof.refusal.statement}"
            )
        else:
            reason = f"Run on a scratch copy, it leaves: {_named(proof.remaining)}."
        super().__init__(reason, hint="Repair this by hand, or write a migration for it.")


def _named(differences: tuple[Difference, ...]) -> str:
    first = "; ".join(
        f"{each.kind} {each.object}{f', {each.attribute}' if each.attribute else ''} {each.change}"
        for each in differences[:3]
    )
    return first if len(differences) <= 3 else f"{first} and {len(differences) - 3} more"
