"""A change case: DDL before, DDL change, and every difference that this one cause gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from web.schema.difference import Difference

#: The servers that every case runs on, where they know what it uses.
MAJORS = (14, 15, 16, 17, 18)
#: Roles that cases name; the tests make them once per server.
ROLES = ("schema_alice", "schema_bob", 'schema "Carol"')


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    before: str
    change: str
    #: As `written` writes differences.
    expected: tuple[str, ...]
    #: Oldest server that knows what the case uses.
    since: int = 14


def case(name: str, before: str, change: str, *expected: str, since: int = 14) -> Case:
    """Make a case; no expected difference means that nothing is to be reported."""
    return Case(name, before, change, tuple(sorted(expected)), since)


def written(item: Difference) -> str:
    """Write a difference as cases expect it."""
    head = f"{item.severity} {item.kind} {item.object}"
    if item.change == "renamed" and item.attribute == "name":
        return f"{head}: renamed from {item.a}"
    return f"{head}: {item.attribute + ' ' if item.attribute else ''}{item.change}"


def mirrored(item: Difference) -> Difference:
    """Give the difference as it has to be found the other way round."""
    opposite = {"added": "removed", "removed": "added"}.get(item.change, item.change)
    mirrored = replace(item, change=opposite, a=item.b, b=item.a)  # type: ignore[arg-type]
    if item.change == "renamed" and item.attribute == "name" and item.a is not None:
        group = item.a if item.group == item.object else item.group
        mirrored = replace(mirrored, object=item.a, group=group)
    return mirrored
