"""Which names of one schema stand for which of another, and texts compared as if they were the same names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter

from web.schema.model import CatalogObject, Column, Schema, Table, shape_of
from web.schema.names import qualified, quote

_PART = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_NAME = re.compile(rf"({_PART}(?:\.{_PART})*)")
_PARTS = re.compile(_PART)
#: A renamed table is deparsed with its old name as alias, a renamed column of a view with AS.
_ALIAS = re.compile(r"(\x00\d+\x00)(?: (?:AS )?\1)+")


@dataclass(frozen=True, slots=True)
class Renames:
    """Renamed objects: by field of Schema the keys in a and b, by table (its name in b) those of columns."""

    objects: Mapping[str, Mapping[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    columns: Mapping[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)
    #: What every spelling of a renamed thing, old or new, becomes before texts are compared.
    marks: Mapping[str, str] = field(default_factory=dict)

    def same(self, a: str | None, b: str | None) -> bool:
        """Tell whether two deparsed texts are equal but for renamed things."""
        if a == b:
            return True
        if a is None or b is None or not self.marks:
            return False
        return self._canonical(a) == self._canonical(b)

    def _canonical(self, text: str) -> str:
        # Both names become one mark on both sides, which keeps the comparison symmetric.
        pieces = _NAME.split(text)
        pieces[1::2] = map(self._marked, pieces[1::2])
        return _ALIAS.sub(r"\1", "".join(pieces))

    def _marked(self, name: str) -> str:
        if (mark := self.marks.get(name)) is not None:
            return mark
        if "." not in name:
            return name
        parts, made = _PARTS.findall(name), []
        while parts:
            mark = self.marks.get(".".join(parts[:2])) if len(parts) > 1 else None
            made.append(mark if mark is not None else self.marks.get(parts[0], parts[0]))
            del parts[: 2 if mark is not None else 1]
        return ".".join(made)

    def with_names(self, *names: str) -> Renames:
        """Add names that mean one thing."""
        known = {mark for name in names if (mark := self.marks.get(name)) is not None}
        mark = min(known) if known else f"\x00{len(self.marks)}\x00"
        marks = {name: mark if old in known else old for name, old in self.marks.items()}
        return replace(self, marks={**marks, **dict.fromkeys(names, mark)})

    def with_object(self, where: str, a: CatalogObject, b: CatalogObject) -> Renames:
        """Add a renamed object."""
        known = {name: dict(pairs) for name, pairs in self.objects.items()}
        known.setdefault(where, {})[key_of(a)] = key_of(b)
        old, new = (getattr(a, "schema", ""), a.name), (getattr(b, "schema", ""), b.name)  # type: ignore[attr-defined]
        names: tuple[str, ...] = (qualified(*old), qualified(*new))
        if old[0] == new[0]:
            names += (quote(old[1]), quote(new[1]))
        return replace(self.with_names(*names), objects=known)

    def with_column(self, table: Table, a: Column, b: Column) -> Renames:
        """Add a renamed column of a table (as it is in b)."""
        known = {key: dict(pairs) for key, pairs in self.columns.items()}
        known.setdefault(key_of(table), {})[a.name] = b.name
        return replace(self.with_names(quote(a.name), quote(b.name)), columns=known)


def key_of(value: CatalogObject) -> tuple[str, ...]:
    """Give what identifies an object among its siblings."""
    return _reader_of(type(value).key)(value)


@cache
def _reader_of(key: tuple[str, ...]) -> Callable[[CatalogObject], tuple[str, ...]]:
    if len(key) > 1:
        return attrgetter(*key)
    return lambda value: tuple(getattr(value, name) for name in key)


def by_key(items: Iterable[CatalogObject]) -> dict[tuple[str, ...], CatalogObject]:
    """Index objects by their keys."""
    return {key_of(item): item for item in items}


def unequal(a: Schema, b: Schema) -> tuple[Schema, Schema]:
    """Leave out what is the same in both: of most schemas that are compared, nearly everything."""
    left: dict[str, tuple[CatalogObject, ...]] = {}
    right: dict[str, tuple[CatalogObject, ...]] = {}
    for where, kind in shape_of(Schema).children:
        old, new = getattr(a, where), getattr(b, where)
        read = _reader_of(kind.key)
        there = {read(item): item for item in new}
        same = set()
        rest = []
        for item in old:
            key = read(item)
            other = there.get(key)
            if other is item or other == item:
                same.add(key)
            else:
                rest.append(item)
        left[where] = tuple(rest)
        right[where] = tuple(item for key, item in there.items() if key not in same) if same else new
    return replace(a, **left), replace(b, **right)  # type: ignore[arg-type]


def renamed_schemas(a: Schema, b: Schema) -> dict[str, str]:
    """Find schemas that only their name tells apart: gone here, new there, and holding the same names."""
    gone = {item.name for item in a.schemas} - {item.name for item in b.schemas}
    new = {item.name for item in b.schemas} - {item.name for item in a.schemas}
    if not gone or not new:
        return {}
    content_a, content_b = _contents(a), _contents(b)
    found: dict[str, str] = {}
    for old in sorted(gone):
        for name in sorted(new - set(found.values())):
            if content_a.get(old) and content_a.get(old) == content_b.get(name):
                found[old] = name
                break
    return found


def _contents(schema: Schema) -> dict[str, set[tuple[str, ...]]]:
    found: dict[str, set[tuple[str, ...]]] = {}
    for where, kind in shape_of(Schema).children:
        if kind.key[:2] == ("schema", "name"):
            for item in getattr(schema, where):
                # Arguments of a function may name types of the schema itself, so they do not count.
                found.setdefault(item.schema, set()).add((where, item.name))
    return found


def moved(schema: Schema, schemas: Mapping[str, str]) -> Schema:
    """Give the schema as if its schemas had their new names; texts are left to Renames.same."""
    if not schemas:
        return schema
    changed: dict[str, tuple[CatalogObject, ...]] = {
        "schemas": tuple(replace(item, name=schemas.get(item.name, item.name)) for item in schema.schemas)
    }
    for where, kind in shape_of(Schema).children:
        if "schema" in kind.__dataclass_fields__:
            changed[where] = tuple(_moved(item, schemas) for item in getattr(schema, where))
    return replace(schema, **changed)  # type: ignore[arg-type]


def _moved(item: CatalogObject, schemas: Mapping[str, str]) -> CatalogObject:
    changes: dict[str, object] = {}
    place: str = item.schema  # type: ignore[attr-defined]
    if place in schemas:
        changes["schema"] = schemas[place]
    statistics = getattr(item, "statistics", ())
    if any(part.schema in schemas for part in statistics):
        changes["statistics"] = tuple(_moved(part, schemas) for part in statistics)
    return replace(item, **changes) if changes else item
