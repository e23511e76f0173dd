"""Two schemas made comparable: what the server, database or whoever ran the migrations gave them is no change.

A replay runs as another role, on a server with other extension packages, in a database with other settings.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any

from web.schema.difference import Difference, difference
from web.schema.model import CatalogObject, Schema

#: Stands in expected schemas for whoever runs the migrations; no role can have this name by accident.
MIGRATING_ROLE = "(the migrating role)"


def drift(expected: Schema, actual: Schema) -> tuple[Difference, ...]:
    """Expected is a replay as `as_expected` left it; actual is a live database or a copy of one."""
    return difference(as_on(expected, actual), actual)


def as_expected(schema: Schema, replayed_by: str) -> Schema:
    """A replay's schema without the name of the role that happened to run it."""
    return _owned(schema, replayed_by, MIGRATING_ROLE)


def as_on(expected: Schema, actual: Schema) -> Schema:
    """Expected as it would be on the actual side's server."""
    owner = usual_owner(actual)
    made = _owned(expected, MIGRATING_ROLE, owner) if owner is not None else expected
    there = {each.name: each for each in actual.schemas}
    versions = {each.name: each.version for each in actual.extensions}
    return replace(
        made,
        # The template's own schema belongs to whoever made the server or the database.
        schemas=tuple(
            replace(each, owner=there[each.name].owner)
            if each.name == "public" and each.name in there
            else each
            for each in made.schemas
        ),
        # CREATE EXTENSION takes the version that the server's packages have.
        extensions=tuple(
            replace(each, version=versions.get(each.name, each.version)) for each in made.extensions
        ),
        # Only superusers own these.
        event_triggers=tuple(
            replace(each, owner=other.owner)
            if (other := next((one for one in actual.event_triggers if one.name == each.name), None))
            else each
            for each in made.event_triggers
        ),
        # Settings and privileges of the database belong to the environment, not to the migrations.
        databases=actual.databases,
        settings=actual.settings,
    )


def as_made_there(copy: Schema, made_by: str) -> Schema:
    """A restored copy's schema as it would be on the original: what `made_by` made on the copy is the usual owner's."""
    owner = usual_owner(copy, without=made_by)
    return _owned(copy, made_by, owner) if owner is not None else copy


def usual_owner(schema: Schema, *, without: str | None = None) -> str | None:
    """Tell who owns most of a schema's objects: the role that its migrations ran as. `without` does not count."""
    owners: Counter[str] = Counter(
        owner
        for field in fields(schema)
        if field.name not in ("schemas", "event_triggers")
        for each in _objects(schema, field.name)
        if (owner := getattr(each, "owner", None)) not in (None, without)
    )
    if not owners:
        return None
    return min(owners, key=lambda name: (-owners[name], name))


def _owned(schema: Schema, old: str, new: str) -> Schema:
    """The same schema with one owner's name put for another's."""
    changes: dict[str, Any] = {
        "default_privileges": tuple(
            replace(each, role=new) if each.role == old else each for each in schema.default_privileges
        )
    }
    for field in fields(schema):
        objects = _objects(schema, field.name)
        if any(getattr(each, "owner", None) == old for each in objects):
            changes[field.name] = tuple(
                replace(each, owner=new) if getattr(each, "owner", None) == old else each  # type: ignore[call-arg]
                for each in objects
            )
    return replace(schema, **changes)


def _objects(schema: Schema, name: str) -> tuple[CatalogObject, ...]:
    value = getattr(schema, name)
    return value if isinstance(value, tuple) and value and isinstance(value[0], CatalogObject) else ()
