"""What a reset in place removes and what it leaves, as the last snapshot tells: one answer for page, API and CLI.

The list that is dropped is read from the database by `emptying.py`, in the session that drops it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from web.config import Environment, Project
from web.schema.model import CatalogObject, OtherObject, Schema

#: Kinds of OtherObject that are dropped wherever they are; the rest goes with a schema only.
_DROPPED_FORMS = frozenset({"text search configuration", "text search dictionary", "collation"})


@dataclass(frozen=True, slots=True)
class Fate:
    """Kinds of objects that go, with how many of each; and what stays, in words with what is meant."""

    goes: tuple[tuple[str, int], ...]
    #: Schemas that go with everything in them.
    schemas: tuple[str, ...]
    stays: tuple[tuple[str, str], ...]


def fate_of(schema: Schema | None, project: Project, environment: Environment) -> Fate:
    """Say what a reset of a database with this schema does; without one only what stays is known."""
    stays = [(each, "") for each in project.keeps]
    stays += [
        ("the database itself, its settings and owner", ""),
        ("roles, tablespaces and other databases", ""),
        ("extensions", ", ".join(each.name for each in schema.extensions) if schema is not None else ""),
        ("every backup", ""),
    ]
    if schema is None:
        return Fate((), (), tuple(stays))
    counts = Counter(
        type(each).kind if not isinstance(each, OtherObject) else each.form for each in doomed(schema)
    )
    gone = tuple(sorted(_gone_schemas(schema)))
    order = ("schema", "table", "foreign table", "view", "materialized view")
    goes = sorted(
        counts.items(), key=lambda each: (order.index(each[0]) if each[0] in order else len(order), each[0])
    )
    if environment.reset is not None and environment.reset.script is not None:
        stays.insert(
            0, (f"what {environment.reset.script.name} leaves", "the script decides; it is reported")
        )
    return Fate(tuple(goes), gone, tuple(stays))


def doomed(schema: Schema) -> list[CatalogObject]:
    """The objects that emptying drops, without parts of others."""
    gone = _gone_schemas(schema)
    functions = {f"{each.schema}.{each.name}" for each in schema.functions}
    found: list[CatalogObject] = [each for each in schema.schemas if each.name in gone]
    found += [*schema.tables, *schema.views, *schema.materialized_views, *schema.functions]
    found += [*schema.enums, *schema.domains, *schema.composite_types, *schema.range_types]
    found += [each for each in schema.sequences if each.owned_by is None]
    found += [*schema.publications]
    # They go with their functions and schemas.
    found += [each for each in schema.event_triggers if each.function.replace('"', "") in functions]
    found += [each for each in schema.others if each.form in _DROPPED_FORMS]
    return found


def _gone_schemas(schema: Schema) -> set[str]:
    hosts = {"public", *(each.schema for each in schema.extensions)}
    return {each.name for each in schema.schemas} - hosts
