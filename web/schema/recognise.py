"""Recognise renamed objects: gone under one name, new under another, and otherwise the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping

from web.schema.compare import alike
from web.schema.finding import Holder
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Domain,
    Enum,
    Function,
    MaterializedView,
    Schema,
    Table,
    View,
)
from web.schema.model import Sequence as SequenceObject
from web.schema.names import quote
from web.schema.renames import Renames, by_key

#: Kinds in the order in which one's definition may name another.
_SEARCHED = (
    "enums",
    "domains",
    "composite_types",
    "range_types",
    "sequences",
    "functions",
    "tables",
    "views",
    "materialized_views",
    # Again, for those that take rows of renamed tables.
    "functions",
)

#: With more renames of one kind two schemas have little in common; the rest is removed and added.
MOST_RENAMES = 100
#: With how many of the same outline an object is compared in full, and how often at all for one kind.
MOST_CANDIDATES = 20
MOST_TRIALS = 5000


def find_renames(a: Schema, b: Schema, schemas: Mapping[str, str]) -> Renames:
    """Find renamed objects and columns; `schemas` are the renamed schemas, already moved in a."""
    renames = Renames()
    for old_name, new_name in schemas.items():
        renames = renames.with_names(quote(old_name), quote(new_name))
    for where in _SEARCHED:
        old, new = by_key(getattr(a, where)), by_key(getattr(b, where))
        known = renames.objects.get(where, {})
        found = set(known.values())
        gone = [item for key, item in old.items() if key not in new and key not in known]
        came = [item for key, item in new.items() if key not in old and key not in found]
        renames = _with_objects(where, gone, came, renames)
        if where in ("tables", "composite_types"):
            renames = _with_columns(old, new, where, renames)
    return renames


def _with_objects(
    where: str, gone: list[CatalogObject], came: list[CatalogObject], renames: Renames
) -> Renames:
    places: defaultdict[Hashable, list[CatalogObject]] = defaultdict(list)
    for other in came:
        places[_signature(other)].append(other)
    progress, trials = True, 0
    # Tables that refer to one another are recognized one after the other, until nothing more is.
    while gone and progress:
        progress = False
        for item in tuple(gone):
            if len(renames.objects.get(where, ())) >= MOST_RENAMES or trials >= MOST_TRIALS:
                return renames
            left = places.get(_signature(item), [])
            for other in [other for other in left if _may_be(item, other)][:MOST_CANDIDATES]:
                trials += 1
                trial = renames.with_object(where, item, other)
                if alike(item, other, Holder(), trial):
                    renames, progress = trial, True
                    gone.remove(item)
                    left.remove(other)
                    break
    return renames


def _signature(item: CatalogObject) -> Hashable:
    """Give what no rename changes, so that only few pairs have to be compared in full."""
    match item:
        case Table():
            names = tuple(column.name for column in item.columns)
            return (item.form, names, len(item.constraints), len(item.indexes), len(item.triggers))
        case View() | MaterializedView():
            return tuple(column.name for column in item.columns)
        case CompositeType():
            return tuple(column.name for column in item.columns)
        case Enum():
            return item.labels
        case Domain():
            return (item.not_null, len(item.constraints))
        case SequenceObject():
            # One that belongs to a column goes by its column.
            return (item.owned_by, item.identity_column, item.type, item.increment)
        case Function():
            return (item.form, item.definition.partition("\nAS $")[2])
        case _:
            return None


def _may_be(a: CatalogObject, b: CatalogObject) -> bool:
    """A rename changes the name or the schema, not both; a table is known by its columns."""
    same_schema = getattr(a, "schema", "") == getattr(b, "schema", "")
    if not same_schema and getattr(a, "name", "") != getattr(b, "name", ""):
        return False
    return not isinstance(a, Table) or bool(a.columns)


def _with_columns(
    old: Mapping[tuple[str, ...], CatalogObject],
    new: Mapping[tuple[str, ...], CatalogObject],
    where: str,
    renames: Renames,
) -> Renames:
    pairs = renames.objects.get(where, {})
    for key, item in old.items():
        other = new.get(pairs.get(key, key))
        if (
            isinstance(item, Table | CompositeType)
            and isinstance(other, Table | CompositeType)
            and item != other
        ):
            for left, right in _renamed_columns(item, other, renames):
                renames = renames.with_column(other, left, right)  # type: ignore[arg-type]
    return renames


def _renamed_columns(
    a: Table | CompositeType, b: Table | CompositeType, renames: Renames
) -> list[tuple[Column, Column]]:
    """Pair columns between the same neighbours, that differ in nothing but their names."""
    old, new = {item.name for item in a.columns}, {item.name for item in b.columns}
    gone, came = _by_neighbour(a, new), _by_neighbour(b, old)
    pairs = []
    for place, item in gone.items():
        other = came.get(place)
        if other is None:
            continue
        trial = renames.with_names(quote(item.name), quote(other.name))
        if alike(item, other, Holder(a, b, b.identity, b.identity), trial):
            pairs.append((item, other))
    return pairs


def _by_neighbour(table: Table | CompositeType, common: set[str]) -> dict[tuple[str, int], Column]:
    """Index the columns that the other side lacks by the common column before them and the place after it."""
    found: dict[tuple[str, int], Column] = {}
    before, number = "", 0
    for column in table.columns:
        if column.name in common:
            before, number = column.name, 0
        else:
            found[before, number] = column
            number += 1
    return found
