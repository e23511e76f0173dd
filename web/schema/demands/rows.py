"""A table's rows as they will be, selected from the table as it is before the first statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from web.schema.ddl.columns import conversion, widens
from web.schema.ddl.references import mentioned, names_column
from web.schema.model import Column, Table
from web.schema.names import quote
from web.schema.renames import Renames


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query over a table is written with."""

    #: As it shall be.
    table: Table
    #: As the database names it now.
    name: str
    #: By column as it shall be named: its value, in terms of the table as it is.
    values: Mapping[str, str]
    #: By generated column, in terms of the others as they shall be.
    computed: Mapping[str, str]
    #: Columns whose values may be others than they are.
    changed: frozenset[str]
    #: Columns as they are, by the name that they shall have.
    there: Mapping[str, Column]

    def settles(self, text: str) -> bool:
        """Tell whether nothing that a text means changes."""
        return not any(names_column(text, each) for each in self.changed)

    def under(self, *texts: str, only: bool = False, name: str | None = None, more: str = "") -> str:
        """Write what FROM takes, with at least the columns that these texts name; `more` are columns of the system."""
        alias = name or quote(self.table.name)
        source = f"{'ONLY ' if only and self.table.form == 'table' else ''}{self.name}"
        named = [
            each.name
            for each in self.table.columns
            if any(names_column(text, each.name) for text in texts)
            or each.name in self._under_computed(texts)
        ]
        if all(each not in self.computed and self.values.get(each) == quote(each) for each in named):
            return source if alias == self.name.rpartition(".")[2] else f"{source} AS {alias}"
        plain = [f"{self.values[each]} AS {quote(each)}" for each in named if each in self.values]
        inner = f"SELECT {', '.join([*plain, *filter(None, [more])]) or '1'} FROM {source}"
        made = [f"({self.computed[each]}) AS {quote(each)}" for each in named if each in self.computed]
        if made:
            inner = f"SELECT *, {', '.join(made)} FROM ({inner}) AS {alias}"
        return f"({inner}) AS {alias}"

    def _under_computed(self, texts: Collection[str]) -> set[str]:
        """Name the columns that computed ones among those of the texts are made of."""
        found: set[str] = set()
        for name, expression in self.computed.items():
            if any(names_column(text, name) for text in texts):
                found |= {each.name for each in self.table.columns if names_column(expression, each.name)}
        return found


def rows_of(table: Table, there: Table, name: str, renames: Renames, types: Collection[str]) -> Rows:
    """Write the values of a table's columns; `types` are the types of ours that the database has."""
    old_names = renames.columns.get((there.schema, there.name), {})
    known = {each.name: each for each in there.columns}
    values: dict[str, str] = {}
    computed: dict[str, str] = {}
    changed: set[str] = set()
    columns: dict[str, Column] = {}
    for column in table.columns:
        old = known.get(old_names.get(column.name, column.name))
        if old is not None:
            columns[column.name] = old
        if column.generated is not None and (
            old is None or not renames.same(column.generated, old.generated) or column.type != old.type
        ):
            computed[column.name] = column.generated.rpartition(" ")[0]
            changed.add(column.name)
            continue
        values[column.name] = _value(column, old, renames, types)
        kept = old is not None and (renames.same(column.type, old.type) or widens(old.type, column.type))
        if old is None or not kept or column.collation != old.collation:
            changed.add(column.name)
    return Rows(table, name, values, computed, frozenset(changed), columns)


def _value(column: Column, old: Column | None, renames: Renames, types: Collection[str]) -> str:
    there = "." not in column.type or not mentioned(column.type).isdisjoint(types)
    if old is None:
        if column.identity_generation is not None or (column.default or "").startswith("nextval("):
            return "pg_catalog.row_number() OVER ()"
        return f"({column.default or 'NULL'}){f'::{column.type}' if there else ''}"
    if renames.same(column.type, old.type):
        return quote(old.name)
    return conversion(column, old) if there else f"{quote(old.name)}::text"
