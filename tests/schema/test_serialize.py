"""Values: any schema survives JSON, equals itself, and differs from another the same from both sides."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.schema.case import mirrored
from web.schema.difference import difference
from web.schema.fingerprint import fingerprint
from web.schema.model import CatalogObject, Column, Schema, Table, shape_of
from web.schema.serialize import FORMAT, from_json, to_json

NAMES = st.sampled_from(("a", "b", "c", 'D "d"', "é; drop", "select"))
TEXTS = st.one_of(NAMES, st.text(max_size=5))


def values(kind: type) -> st.SearchStrategy[Any]:
    """Build any value of a kind; what identifies it comes from few names, so that two schemas share some."""
    children = dict(shape_of(kind).children)
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for item in fields(kind):
        hint = str(item.type)
        if item.name in children:
            parts[item.name] = st.lists(values(children[item.name]), max_size=3).map(unique)
        elif item.name == "server_major":
            parts[item.name] = st.just(17)
        elif item.name == "unreadable":
            parts[item.name] = st.just(())
        elif issubclass(kind, CatalogObject) and item.name in kind.key:
            parts[item.name] = NAMES
        else:
            parts[item.name] = attribute(hint)
    return st.builds(kind, **parts)


def attribute(hint: str) -> st.SearchStrategy[Any]:
    """Build a value of an annotated type."""
    if hint.endswith(" | None"):
        return st.none() | attribute(hint.removesuffix(" | None"))
    return {
        "str": TEXTS,
        "int": st.integers(-(2**63), 2**63),
        "bool": st.booleans(),
        "tuple[str, ...]": st.lists(TEXTS, max_size=2).map(tuple),
    }[hint]


def unique(items: list[CatalogObject]) -> tuple[CatalogObject, ...]:
    """Keep one object per key, in the order of the keys."""
    found = {tuple(getattr(item, name) for name in item.key): item for item in items}
    return tuple(found[key] for key in sorted(found))


SCHEMAS = values(Schema)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(SCHEMAS)
def test_json_and_back_is_the_same(schema: Schema) -> None:
    copy = from_json(to_json(schema))
    assert copy == schema
    assert hash(copy) == hash(schema)
    assert fingerprint(copy) == fingerprint(schema)
    assert difference(schema, copy) == ()


@QUICK
@given(SCHEMAS, SCHEMAS)
def test_differences_are_the_same_from_both_sides(a: Schema, b: Schema) -> None:
    there, back = difference(a, b), difference(b, a)
    assert difference(a, b) == there
    if any(item.change == "renamed" for item in there):
        # Parts of a renamed object go by its name in b.
        assert len(there) == len(back)
    else:
        assert sorted(map(mirrored, back), key=repr) == sorted(there, key=repr)
    assert (fingerprint(a) == fingerprint(b)) == (a == b)


@QUICK
@given(SCHEMAS, st.data())
def test_one_changed_attribute_is_reported(schema: Schema, data: st.DataObject) -> None:
    """Whatever attribute of whatever object changes: a difference names it."""
    places = [
        (where, number)
        for where, _ in shape_of(Schema).children
        for number, _ in enumerate(getattr(schema, where))
    ]
    if not places:
        return
    where, number = data.draw(st.sampled_from(places))
    item: CatalogObject = getattr(schema, where)[number]
    changeable = [name for name, _ in shape_of(type(item)).attributes]
    if not changeable:
        return
    name = data.draw(st.sampled_from(changeable))
    value = data.draw(attribute(next(str(field.type) for field in fields(item) if field.name == name)))
    if value == getattr(item, name):
        return
    if name == "owner" and None in (value, item.owner):  # type: ignore[attr-defined]
        # A sequence is unowned where a column owns it.
        return
    items = list(getattr(schema, where))
    items[number] = replace(item, **{name: value})
    changed: dict[str, Any] = {where: tuple(items)}
    found = difference(schema, replace(schema, **changed))
    assert [(entry.object, entry.change) for entry in found] in (
        [(item.identity, "changed")],
        [(item.identity, "renamed")],
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"format": 0}',
        b'{"format": 1}',
        b'{"format": 1, "server_major": 17, "x": 1}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        from_json(data)


def test_defaults_are_left_out() -> None:
    schema = Schema(17, tables=(Table("public", "t", columns=(Column("id", "integer"),)),))
    assert to_json(schema) == (
        b'{"format":%d,"server_major":17,"tables":[{"schema":"public","name":"t",'
        b'"columns":[{"name":"id","type":"integer"}]}]}' % FORMAT
    )
