"""Schemas as JSON: canonical and compact (what has its default value is left out)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from web.schema.model import CatalogObject, Schema, shape_of

#: Raised when a stored snapshot can no longer be read as it is.
FORMAT = 1


def to_json(schema: Schema) -> bytes:
    """Write a schema so that equal schemas give equal bytes."""
    content = {"format": FORMAT, **_encode(schema)}
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def from_json(data: bytes) -> Schema:
    """Read what to_json wrote; ValueError for anything else."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError(f"Not a stored schema of format {FORMAT}.")
    schema = _decode(Schema, content)
    if not isinstance(schema, Schema):
        raise ValueError("Not a stored schema.")
    return schema


@cache
def _layout(cls: type) -> tuple[tuple[str, Any, type[CatalogObject] | None], ...]:
    """List a kind's fields: name, default, and the kind of what it holds."""
    children = dict(shape_of(cls).children)
    return tuple((item.name, item.default, children.get(item.name)) for item in fields(cls))


def _encode(value: CatalogObject | Schema) -> dict[str, Any]:
    made: dict[str, Any] = {}
    kind: type = type(value)
    for name, default, child in _layout(kind):
        content = getattr(value, name)
        if default is not MISSING and content == default:
            continue
        made[name] = [_encode(item) for item in content] if child is not None else content
    return made


def _decode(cls: type, content: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    children = {name: child for name, _, child in _layout(cls)}
    for name, value in content.items():
        child = children.get(name)
        if child is not None:
            value = tuple(_decode(child, item) for item in value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"Not a stored schema: {error}") from error
