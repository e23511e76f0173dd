"""Compare two schemas: typed, ordered, stable differences, one for one cause.

compare.py finds what is not equal, recognise.py what was renamed, consequences.py what follows from what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from web.schema.compare import Comparison
from web.schema.consequences import without_consequences
from web.schema.finding import Change, Difference, Finding
from web.schema.model import Schema
from web.schema.names import quote
from web.schema.recognise import find_renames
from web.schema.renames import Renames, moved, renamed_schemas, unequal

__all__ = ["Change", "Difference", "Found", "difference", "find", "unknown_parts"]

#: Fields of Schema or of a table that cannot be told without a query of this name.
_DEPENDENT = {
    "relations": ("tables", "views", "materialized_views"),
    "columns": ("columns", "composite_types"),
    "types": ("enums", "domains", "composite_types", "range_types"),
    "database": ("databases",),
    "comments": ("comment",),
}


def difference(a: Schema, b: Schema) -> tuple[Difference, ...]:
    """Give what b (actual) has differently from a (expected), ordered by kind, group and object.

    What one side could not read is left out: ask unknown_parts before saying that nothing differs.
    """
    if a is b:
        return ()
    schemas = renamed_schemas(a, b)
    found = find(moved(a, schemas), b, schemas)
    renamed = [
        Difference("schema", quote(new), "name", "renamed", "structure", quote(old), quote(new), quote(new))
        for old, new in sorted(schemas.items())
    ]
    return (*renamed, *(each.difference for each in found.causes))


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison found, for those who go on from there."""

    #: Findings that have no other one as their cause, in the order of their differences.
    causes: tuple[Finding, ...]
    #: Those that follow from one of them.
    consequences: tuple[Finding, ...]
    renames: Renames


def find(a: Schema, b: Schema, schemas: Mapping[str, str]) -> Found:
    """Compare two schemas whose own renames, old names by new ones or the other way, are applied to one of them."""
    left, right = unequal(a, b)
    renames = find_renames(left, right, schemas)
    comparison = Comparison(renames)
    unknown = {part for name in unknown_parts(a, b) for part in _DEPENDENT.get(name, (name,))}
    comparison.compare_schemas(left, right, unknown)
    if not comparison.findings:
        return Found((), (), renames)
    causes = without_consequences(comparison.findings, a, b)
    kept = {id(each) for each in causes}
    consequences = tuple(each for each in comparison.findings if id(each) not in kept)
    return Found(tuple(sorted(causes, key=_order)), consequences, renames)


def unknown_parts(a: Schema, b: Schema) -> tuple[str, ...]:
    """Name what could not be compared because one side's role may not read it."""
    return tuple(sorted({*a.unreadable, *b.unreadable}))


def _order(found: Finding) -> tuple[tuple[int, str, int], str, str, str]:
    item = found.difference
    return (found.order, item.object, item.attribute or "", item.change)
