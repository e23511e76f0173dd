"""Leave some differences as they are: what is expected, with what is there in their place.

What a repair makes of that touches all other differences, and those not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from web.schema.difference import difference, find
from web.schema.finding import Difference, Finding, Holder
from web.schema.model import CatalogObject, Column, CompositeType, Enum, Grant, Schema, Table, shape_of
from web.schema.renames import key_of, renamed_schemas

#: What follows from a kept difference only shows when that one is gone.
ROUNDS = 5

Key = tuple[str, str, str, str]
_Path = tuple[tuple[str, tuple[str, ...]], ...]


class CannotKeep(Exception):
    """These differences cannot be left alone while the others are repaired."""

    def __init__(self, differences: Collection[Difference]) -> None:
        self.differences = tuple(differences)
        super().__init__(", ".join(f"{each.kind} {each.object}" for each in self.differences))


def keeping(expected: Schema, actual: Schema, keep: Collection[Key]) -> Schema:
    """Give `expected` with the differences of these keys taken over from `actual`, and what follows from them.

    Raises CannotKeep where a renamed table, column or schema is among them, or where another difference would
    come or go with one.
    """
    before = {each.key: each for each in difference(expected, actual)}
    wanted = {key for key in keep if key in before}
    if not wanted:
        return expected
    if renamed_schemas(expected, actual):
        raise CannotKeep([before[key] for key in sorted(wanted)])
    made = expected
    for _ in range(ROUNDS):
        found = find(made, actual, {})
        todo = [
            each
            for each in found.causes
            if each.difference.key in wanted or each.difference.key not in before
        ]
        if not todo:
            break
        for each in todo:
            made = _taken_over(made, each)
    after = {each.key: each for each in difference(made, actual)}
    if after.keys() != before.keys() - wanted:
        odd = [before.get(key) or after[key] for key in sorted(after.keys() ^ (before.keys() - wanted))]
        raise CannotKeep(odd)
    return made


def _taken_over(expected: Schema, found: Finding) -> Any:
    """Give one finding's object the state that it has in `found.b`."""
    item, attribute = found.difference, found.difference.attribute
    a, b, place = found.a, found.b, found.place
    if a is None and b is not None:
        return _edited(expected, _path(place), lambda holder: _with(holder, b, place))
    if b is None and a is not None:
        return _edited(expected, _path(place), lambda holder: _without(holder, a))
    assert a is not None
    assert b is not None
    changed: dict[str, Any]
    if item.change == "renamed" and attribute == "name":
        if place.b is None or isinstance(a, Column):
            raise CannotKeep([item])
        changed = {"name": b.name}  # type: ignore[attr-defined]
    elif isinstance(a, Grant) and isinstance(b, Grant):
        changed = {"privileges": b.privileges}
    elif isinstance(a, Enum) and isinstance(b, Enum) and attribute in ("label", "labels"):
        changed = {"labels": b.labels}
    elif attribute == "column order":
        assert isinstance(a, Table | CompositeType)
        assert isinstance(b, Table | CompositeType)
        changed = {"columns": _ordered(a, b)}
    else:
        field = (attribute or "").replace(" ", "_")
        if field not in {name for name, _ in shape_of(type(a)).attributes}:
            raise CannotKeep([item])
        changed = {field: getattr(b, field)}
    path = (*_path(place), (_field(place.a, a), key_of(a)))
    return _edited(expected, path, lambda holder: replace(holder, **changed))


def _path(place: Holder) -> _Path:
    """Lead from the schema to what the object belongs to."""
    if place.a is None:
        return ()
    outer = place.outer or Holder()
    return (*_path(outer), (_field(outer.a, place.a), key_of(place.a)))


def _field(holder: CatalogObject | None, item: CatalogObject) -> str:
    children = shape_of(type(holder) if holder is not None else Schema).children
    return next(name for name, kind in children if isinstance(item, kind))


def _edited(holder: Any, path: _Path, edit: Callable[[Any], Any]) -> Any:
    if not path:
        return edit(holder)
    (field, key), rest = path[0], path[1:]
    items = tuple(
        _edited(each, rest, edit) if key_of(each) == key else each for each in getattr(holder, field)
    )
    return replace(holder, **{field: items})


def _with(holder: Any, item: CatalogObject, place: Holder) -> Any:
    field = _field(place.a, item)
    items = [*getattr(holder, field)]
    if isinstance(item, Column):
        # After the column that it follows; the order of columns is a difference of its own.
        names = [each.name for each in getattr(place.b, field)]
        before = set(names[: names.index(item.name)])
        at = max((number for number, each in enumerate(items, 1) if each.name in before), default=0)
        items.insert(at, item)
    else:
        items.append(item)
        items.sort(key=key_of)
    return replace(holder, **{field: tuple(items)})


def _without(holder: Any, item: CatalogObject) -> Any:
    field = _field(holder if isinstance(holder, CatalogObject) else None, item)
    items = tuple(each for each in getattr(holder, field) if key_of(each) != key_of(item))
    return replace(holder, **{field: items})


def _ordered(a: Table | CompositeType, b: Table | CompositeType) -> tuple[Any, ...]:
    """Order a's columns as b has them; those that b lacks stay at the end."""
    places = {each.name: number for number, each in enumerate(b.columns)}
    return tuple(sorted(a.columns, key=lambda each: places.get(each.name, len(places))))
