"""Leave tables out of a Schema that was read with them, as if they had been left out when it was read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from web.schema.model import Schema
from web.schema.names import holder_of, qualified


def without_tables(schema: Schema, names: Collection[str]) -> Schema:
    """Leave out tables (bare or `schema.name`) with their parts and sequences."""
    if not names:
        return schema
    gone = {
        each.identity
        for each in schema.tables
        if {each.name, f"{each.schema}.{each.name}", qualified(each.schema, each.name)} & set(names)
    }
    return replace(
        schema,
        tables=tuple(each for each in schema.tables if each.identity not in gone),
        sequences=tuple(
            each for each in schema.sequences if each.owned_by is None or holder_of(each.owned_by) not in gone
        ),
    )
