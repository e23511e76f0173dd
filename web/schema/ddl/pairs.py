"""What of the actual schema stands for what of the expected one, renames included."""

from __future__ import annotations

from collections.abc import Mapping

from web.schema.ddl.dependents import Dependent
from web.schema.ddl.references import name_of
from web.schema.ddl.statement import Ground
from web.schema.difference import Found
from web.schema.model import CatalogObject, Schema, shape_of
from web.schema.renames import by_key, key_of


class Pairs:
    """Looks up objects and names; `schemas` are renamed schemas, new names by old ones."""

    def __init__(self, ground: Ground, found: Found, schemas: Mapping[str, str]) -> None:
        self._schemas = schemas
        self._objects: dict[int, CatalogObject] = {}
        self._names: dict[str, str] = {}
        for where, _ in shape_of(Schema).children:
            expected = by_key(getattr(ground.expected, where))
            renamed = {b: a for a, b in found.renames.objects.get(where, {}).items()}
            for key, item in by_key(getattr(ground.actual, where)).items():
                other = expected.get(renamed.get(key, key))
                if other is None:
                    continue
                self._objects[id(item)] = other
                if key in renamed and (name := name_of(item)):
                    self._names[name] = name_of(other)
        self._parts = {
            id(each.b): each.a
            for each in found.causes
            if each.difference.change == "renamed" and each.place.b is not None
        }

    def object_for(self, actual: CatalogObject | None) -> CatalogObject | None:
        """Give the expected object that a table, view, function … of the actual schema stands for."""
        return self._objects.get(id(actual))

    def expected_of(self, each: Dependent) -> CatalogObject | None:
        """Give what stands for a dependent, which may be a part of something."""
        if each.owner is None:
            return self.object_for(each.item)
        if (renamed := self._parts.get(id(each.item))) is not None:
            return renamed
        if (owner := self.object_for(each.owner)) is None:
            return None
        for where, kind in shape_of(type(owner)).children:
            if kind is type(each.item):
                return by_key(getattr(owner, where)).get(key_of(each.item))
        return None

    def names_after(self, names: frozenset[str]) -> frozenset[str]:
        """Give names that definitions of the actual schema mention as they are once all is renamed."""
        made = set()
        for name in names:
            first, dot, rest = self._names.get(name, name).partition(".")
            made.add(f"{self._schemas.get(first, first)}{dot}{rest}")
        return frozenset(made)
