"""What stands in the way of a change: objects that the server does not let stay while it happens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from web.schema.ddl.references import definition_of, mentioned, name_of, names_column
from web.schema.model import (
    CatalogObject,
    Column,
    Constraint,
    Domain,
    Function,
    Index,
    MaterializedView,
    Policy,
    Rule,
    Schema,
    Table,
    Trigger,
    View,
)


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object of the actual schema whose definition mentions others."""

    item: CatalogObject
    owner: CatalogObject | None
    text: str


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What will be dropped, or changed in a way that nothing may stand on."""

    #: Names of the actual schema.
    names: frozenset[str] = frozenset()
    #: Table and column.
    columns: frozenset[tuple[str, str]] = frozenset()
    #: Those of them that are dropped: with them goes what an altered one keeps.
    dropped: frozenset[tuple[str, str]] = frozenset()
    #: Table and the columns of a key, as a foreign key writes them.
    keys: frozenset[tuple[str, str]] = frozenset()

    def stops(self, each: Dependent) -> bool:
        """Tell whether this object has to go before."""
        return not self.names.isdisjoint(mentioned(each.text)) or any(self.reasons(each))

    def reasons(self, each: Dependent) -> Iterator[tuple[str, str]]:
        """Give the columns and keys that this object does not let go."""
        if isinstance(each.item, Constraint) and each.item.form == "foreign key":
            for table, columns in self.keys:
                if f"REFERENCES {table}{columns}" in each.text:
                    yield table, columns
        if isinstance(each.item, View | MaterializedView) and "GROUP BY" in each.text:
            # What is grouped by a primary key may select all that the key determines, and stands on it then.
            names = mentioned(each.text)
            yield from (key for key in self.keys if key[0] in names)
        yield from self.touched(each, self.columns if _holds_columns(each.item) else self.dropped)

    @staticmethod
    def touched(each: Dependent, columns: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Give those of the columns that an object's definition may mean."""
        if not columns:
            return
        own = each.owner.identity if each.owner is not None else None
        names = mentioned(each.text)
        for table, column in columns:
            if (table == own or table in names) and names_column(each.text, column):
                yield table, column


def dependents_of(schema: Schema) -> Iterator[Dependent]:
    """List everything that may mention something else."""
    for table in schema.tables:
        for column in table.columns:
            if (text := column.generated or column.default) is not None:
                yield Dependent(column, table, text)
        yield from _parts(table, table.constraints, table.indexes, table.triggers, table.rules)
        yield from _parts(table, table.policies, table.statistics)
    for view in schema.views:
        yield Dependent(view, None, definition_of(view))
        yield from _parts(view, view.triggers, view.rules)
    for stored in schema.materialized_views:
        yield Dependent(stored, None, definition_of(stored))
        yield from _parts(stored, stored.indexes, stored.statistics)
    for function in schema.functions:
        yield Dependent(function, None, definition_of(function))
    for domain in schema.domains:
        yield from _parts(domain, domain.constraints)
    for trigger in schema.event_triggers:
        yield Dependent(trigger, None, trigger.function)


def disturbed_by(
    item: CatalogObject, owner: CatalogObject | None
) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Give the names and keys that are gone with an object."""
    name = name_of(item, owner)
    keys = key_of_columns(item, owner)
    if isinstance(item, Index) and isinstance(owner, Table):
        # A foreign key stands on the older of two keys, and an index is seldom that.
        keys -= {key for each in owner.constraints for key in key_of_columns(each, owner)}
    top = isinstance(item, View | MaterializedView | Function | Domain) or owner is None
    return (frozenset({name}) if name and top else frozenset()), keys


def key_of_columns(item: CatalogObject, owner: CatalogObject | None) -> frozenset[tuple[str, str]]:
    """Give the table and columns, as a foreign key writes them, that something is a key of."""
    key = (isinstance(item, Constraint) and item.form in ("primary key", "unique")) or (
        isinstance(item, Index) and item.unique and " WHERE " not in item.definition
    )
    if owner is None or not key:
        return frozenset()
    assert isinstance(item, Constraint | Index)
    columns = item.definition[item.definition.find("(") :].split(" INCLUDE ")[0]
    if isinstance(item, Index):
        columns = columns[: columns.find(")") + 1]
    return frozenset({(owner.identity, columns)})


def _parts(owner: CatalogObject, *groups: Iterable[CatalogObject]) -> Iterator[Dependent]:
    for group in groups:
        for item in group:
            yield Dependent(item, owner, definition_of(item))


def _holds_columns(item: CatalogObject) -> bool:
    """Tell whether ALTER … TYPE is refused while this object uses the column; indexes and checks are made anew."""
    if isinstance(item, Column):
        return item.generated is not None
    return isinstance(item, View | MaterializedView | Function | Policy | Rule | Trigger)
