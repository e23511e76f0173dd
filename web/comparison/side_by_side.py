"""Two sources side by side: what differs, and the proven way from the second to the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from web.comparison.alike import as_on
from web.comparison.expected import excluded_tables
from web.comparison.scratch_copy import Original, prove_on_copy
from web.comparison.sources import CouldNotCompare, Reader, Source, Sourced
from web.errors import CleanStartError
from web.schema.difference import Difference, difference, unknown_parts
from web.schema.model import Schema
from web.schema.proof import Proof


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
    # Models are made last: what they stand on, such as extensions, is taken from the other side.
    if (a.is_replayed and not b.is_replayed) or (a.kind == "models" and b.kind == "revision"):
        actual = await reader.read(b, project)
        expected = await reader.read(a, project, actual)
    else:
        expected = await reader.read(a, project)
        actual = await reader.read(b, project, expected)
    return side_by_side(expected, actual, excluded_tables(project) if project is not None else ())


def side_by_side(a: Sourced, b: Sourced, exclude: tuple[str, ...] = ()) -> Comparison:
    """Compare what was read. Raises CouldNotCompare for servers of two majors."""
    majors = (a.schema.server_major, b.schema.server_major)
    if majors[0] != majors[1]:
        raise CouldNotCompare(
            f"{a.source.text} is on PostgreSQL {majors[0]} and {b.source.text} on {majors[1]}: each major writes "
            f"definitions its own way.",
            hint="Compare each with its migrations: those are replayed on a server of its major.",
        )
    left, right = a.schema, b.schema
    if a.source.is_replayed and not b.source.is_replayed:
        left = as_on(left, right)
    elif b.source.is_replayed and not a.source.is_replayed:
        right = as_on(right, left)
    return Comparison(a, b, left, right, difference(left, right), unknown_parts(left, right), exclude)


async def prove_repair(reader: Reader, found: Comparison, *, destructive: bool = False) -> Proof:
    """Run what leads from b to a on a scratch copy of b. Raises what keeps from making the copy."""
    side = found.b
    return await prove_on_copy(
        reader.scratch,
        reader.programs,
        found.expected,
        found.actual,
        Original(side.database, side.role, (*found.a.roles, *side.roles), side.url),
        destructive=destructive,
        exclude_tables=found.exclude,
    )


class NotProven(CleanStartError):
    """A repair that did not lead where it should is not offered."""

    status = 409
    title = "No proven repair"

    def __init__(self, proof: Proof, *, hint: str | None = None) -> None:
        super().__init__(
            why_not_proven(proof) or "", hint=hint or "Repair this by hand, or write a migration for it."
        )


def why_not_proven(proof: Proof) -> str | None:
    """Say why a proof does not hold; None: it does."""
    if proof.copy_differs:
        return f"The scratch copy is not like the database: {_named(proof.copy_differs)}."
    if proof.refusal is not None:
        return f"PostgreSQL refused a statement: {proof.refusal.message} It was: {proof.refusal.statement}"
    if proof.remaining:
        return f"Run on a scratch copy, it leaves: {_named(proof.remaining)}."
    return None


def _named(differences: tuple[Difference, ...]) -> str:
    first = "; ".join(
        f"{each.kind} {each.object}{f', {each.attribute}' if each.attribute else ''} {each.change}"
        for each in differences[:3]
    )
    return first if len(differences) <= 3 else f"{first} and {len(differences) - 3} more"
