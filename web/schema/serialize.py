"""Schemas as JSON: canonical and compact (what has its default value is left out)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast, get_origin, get_type_hints

from web.schema.collecting import collecting_later
from web.schema.model import CatalogObject, Column, Schema, shape_of
from web.schema.relations import shared_column

#: Raised when a stored snapshot can no longer be read as it is.
FORMAT = 1

T = TypeVar("T")


def to_json(schema: Schema) -> bytes:
    """Write a schema so that equal schemas give equal bytes."""
    with collecting_later():
        content = {"format": FORMAT, **_encode(schema, {})}
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def from_json(data: bytes) -> Schema:
    """Read what to_json wrote; ValueError for anything else."""
    with collecting_later():
        content = json.loads(data)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"Not a stored schema of format {FORMAT}.")
        try:
            return _decode(Schema, content)
        except TypeError as error:
            raise ValueError(f"Not a stored schema: {error}") from error


class _Layout:
    """How a kind is written: its fields, how to read them all at once, and those that hold tuples or kinds."""

    def __init__(self, cls: type) -> None:
        found = fields(cls)
        self.names = tuple(item.name for item in found)
        #: MISSING is equal to nothing.
        self.defaults = tuple(item.default for item in found)
        self.blank = dict(zip(self.names, self.defaults, strict=True))
        self.read: Callable[[Any], tuple[Any, ...]] = (
            attrgetter(*self.names) if len(found) > 1 else lambda value: (getattr(value, self.names[0]),)
        )
        self.children = shape_of(cls).children
        kinds = {name for name, _ in self.children}
        hints = get_type_hints(cls)
        self.tuples = tuple(
            name for name in self.names if name not in kinds and get_origin(hints[name]) is tuple
        )


@cache
def _layout(cls: type) -> _Layout:
    return _Layout(cls)


def _encode(value: CatalogObject | Schema, columns: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Give what json writes; `columns` has what was made of columns, of which many are one object."""
    kind: type = type(value)
    if kind is Column and (known := columns.get(id(value))) is not None:
        return known
    layout = _layout(kind)
    made = {
        name: content
        for name, content, default in zip(layout.names, layout.read(value), layout.defaults, strict=True)
        if content is not default and content != default
    }
    for name, _ in layout.children:
        if name in made:
            made[name] = [_encode(item, columns) for item in made[name]]
    if kind is Column:
        columns[id(value)] = made
    return made


def _decode(cls: type[T], content: dict[str, Any]) -> T:
    """Make an object of what json read; the dictionaries are used up."""
    kind: type = cls
    layout = _layout(kind)
    for name, child in layout.children:
        if name in content:
            content[name] = tuple([_decode(child, item) for item in content[name]])
    for name in layout.tuples:
        if name in content:
            content[name] = tuple(content[name])
    if kind is Column:
        return cast(T, shared_column(*{**layout.blank, **content}.values()))
    return cls(**content)
