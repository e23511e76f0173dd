"""Find what rows can refuse on the way from one schema to another: what shall hold and is not known to hold."""

from __future__ import annotations

from collections.abc import Iterator

from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import mentioned
from web.schema.ddl.statement import Ground
from web.schema.demands.demand import Demand
from web.schema.demands.reading import (
    Key,
    Reference,
    bound_condition,
    read_check,
    read_key,
    read_reference,
)
from web.schema.demands.rows import Rows, rows_of
from web.schema.demands.values import of_columns, of_domains, of_enums
from web.schema.difference import find
from web.schema.model import Constraint, Function, Index, Schema, Table
from web.schema.names import qualified, quote
from web.schema.renames import Renames, moved, renamed_schemas

_KEYS = ("primary key", "unique")


def demands(reached: Schema, actual: Schema) -> tuple[Demand, ...]:
    """Give everything that `reached` demands of the rows of a database that is like `actual`.

    `reached` is what the statements lead to, which is not all that is expected where something is left.
    """
    return tuple(_Demands(reached, actual).find())


class _Demands:
    """Two schemas, and how the things of one are called in the other."""

    def __init__(self, reached: Schema, actual: Schema) -> None:
        self.reached = reached
        #: Schemas as they are called now, by what they shall be called.
        self.called = renamed_schemas(reached, actual)
        there = {now: new for new, now in self.called.items()}
        self.actual = moved(actual, there)
        found = find(reached, self.actual, there)
        self.renames: Renames = found.renames
        self.pairs = Pairs(Ground.of(reached, self.actual, None, ""), found, there)
        #: Tables that are there and stay, by the name that they shall have, with what they are.
        self.tables: dict[str, tuple[Rows, Table]] = {}
        types = _types(actual)
        for each in self.actual.tables:
            table = self.pairs.object_for(each)
            if isinstance(table, Table) and "foreign table" not in (table.form, each.form):
                self.tables[table.identity] = (
                    rows_of(table, each, self._name(each), self.renames, types),
                    each,
                )
        self.functions = _changed_functions(reached, actual)

    def find(self) -> Iterator[Demand]:
        for rows, there in self.tables.values():
            yield from of_columns(rows, self.reached, self.actual)
            for constraint in rows.table.constraints:
                if constraint.validated and constraint.enforced:
                    yield from self._constraint(constraint, rows, there)
            for index in rows.table.indexes:
                if index.unique and index.valid:
                    name = qualified(rows.table.schema, index.name)
                    yield from self._key(index.definition, name, rows, there)
            yield from self._bound(rows, there)
        yield from of_enums(self.actual, self.pairs, self._name)
        yield from of_domains(self.actual, self.pairs, self._name)
        for table in self.reached.tables:
            if table.identity not in self.tables and table.partition_bound not in (None, "DEFAULT"):
                yield from self._out_of_default(table)

    def _name(self, table: Table) -> str:
        return qualified(self.called.get(table.schema, table.schema), table.name)

    def _settled(self, text: str, rows: Rows) -> bool:
        return rows.settles(text) and self.functions.isdisjoint(mentioned(text))

    def _constraint(self, item: Constraint, rows: Rows, there: Table) -> Iterator[Demand]:
        name = f"{rows.table.identity}.{quote(item.name)}"
        if item.form in _KEYS:
            yield from self._key(item.definition, name, rows, there)
            return
        same = any(
            each.form == item.form
            and each.validated
            and each.enforced
            and each.enabled == "origin"
            and self.renames.same(item.definition, each.definition)
            for each in there.constraints
        )
        if item.form == "foreign key":
            yield from self._reference(item, name, rows, same=same)
        elif same and self._settled(item.definition, rows):
            return
        elif item.form == "check":
            if (check := read_check(item.definition)) is None:
                yield Demand(name, f"rows that do not satisfy {item.definition}", None)
                return
            source = rows.under(check, only=item.no_inherit)
            query = f"SELECT * FROM {source} WHERE ({check}) IS FALSE"
            yield Demand(name, f"rows of {rows.name} that do not satisfy {check}", query)
        elif item.form == "exclude":
            yield _exclusion(item, name, rows)

    def _key(self, definition: str, name: str, rows: Rows, there: Table) -> Iterator[Demand]:
        key = read_key(definition)
        if key is None:
            yield Demand(name, "values that occur more than once", None)
            return
        if self._settled(definition, rows) and any(_implies(each, key) for each in _keys(there)):
            return
        columns = ", ".join(key.expressions)
        conditions = [f"({key.where})"] if key.where else []
        if key.nulls_distinct:
            conditions += [f"{each} IS NOT NULL" for each in key.expressions]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        places = ", ".join(str(number) for number in range(1, len(key.expressions) + 1))
        source = rows.under(*key.expressions, key.where or "", only=True)
        yield Demand(
            name,
            f"values of ({columns}) in {rows.name} that occur more than once",
            f"SELECT {columns}, count(*) FROM {source}{where} GROUP BY {places} HAVING count(*) > 1",
        )

    def _reference(self, item: Constraint, name: str, rows: Rows, *, same: bool) -> Iterator[Demand]:
        read = read_reference(item.definition)
        if read is None:
            yield Demand(name, "rows that refer to none", None)
            return
        other, _ = self.tables.get(read.table, (None, None))
        settled = rows.settles(", ".join(read.columns))
        if same and settled and (other is None or other.settles(", ".join(read.referred))):
            return
        columns = ", ".join(read.columns)
        source = rows.under(columns, only=True)
        given = " AND ".join(f"{each} IS NOT NULL" for each in read.columns)
        query = f"SELECT {columns} FROM {source} WHERE {given}"
        if other is not None:
            referred = ", ".join(read.referred)
            # Set operations compare as the types do, whatever the search path.
            query += f" EXCEPT SELECT {referred} FROM {other.under(referred, only=True)}"
        where = other.name if other is not None else f"{read.table}, which is new,"
        yield Demand(name, f"values of ({columns}) in {rows.name} that {where} does not have", query)
        if read.full and len(read.columns) > 1:
            yield _not_full(name, read, rows)

    def _bound(self, rows: Rows, there: Table) -> Iterator[Demand]:
        table = rows.table
        if table.partition_bound is None:
            return
        if table.partition_bound == there.partition_bound and table.parents == there.parents:
            return
        condition = self._takes(table)
        words = f"rows of {rows.name} that are not {table.partition_bound}"
        query = None
        if condition is not None:
            query = f"SELECT * FROM {rows.under(condition)} WHERE ({condition}) IS NOT TRUE"
        yield Demand(table.identity, words, query)
        if table.partition_bound != "DEFAULT":
            yield from self._out_of_default(table)

    def _out_of_default(self, table: Table) -> Iterator[Demand]:
        """Rows that the default partition has already keep another from taking them."""
        for rows, there in self.tables.values():
            default = there.partition_bound == rows.table.partition_bound == "DEFAULT"
            if default and there.parents == rows.table.parents == table.parents:
                condition = self._takes(table)
                query = f"SELECT * FROM {rows.under(condition)} WHERE {condition}" if condition else None
                words = f"rows of {rows.name} that belong into {table.identity}"
                yield Demand(table.identity, words, query)

    def _takes(self, table: Table) -> str | None:
        """Write which rows a partition takes."""
        parent = next((each for each in self.reached.tables if each.identity in table.parents), None)
        if parent is None or parent.partition_key is None:
            return None
        assert table.partition_bound is not None
        known = self.tables.get(parent.identity)
        name = known[0].name if known is not None else parent.identity
        if table.partition_bound != "DEFAULT":
            return bound_condition(parent.partition_key, table.partition_bound, name)
        others = [
            bound_condition(parent.partition_key, each.partition_bound, name)
            for each in self.reached.tables
            if each.parents == table.parents and each.partition_bound not in (None, "DEFAULT")
            if each.partition_bound is not None
        ]
        if any(each is None for each in others):
            return None
        return f"NOT ({' OR '.join(each for each in others if each)})" if others else "true"


def _keys(table: Table) -> Iterator[Key]:
    """The keys that hold now."""
    parts: list[Constraint | Index] = [
        each for each in table.constraints if each.form in _KEYS and each.validated
    ]
    parts += [each for each in table.indexes if each.unique and each.valid]
    for each in parts:
        if (key := read_key(each.definition)) is not None:
            yield key


def _implies(old: Key, new: Key) -> bool:
    """Whoever is unique by some columns is so by more."""
    less_strict = new.nulls_distinct or not old.nulls_distinct
    return set(old.expressions) <= set(new.expressions) and old.where in (None, new.where) and less_strict


def _exclusion(item: Constraint, name: str, rows: Rows) -> Demand:
    key = read_key(item.definition)
    words = f"pairs of rows of {rows.name} that exclude one another"
    if key is None or len(key.operators) != len(key.expressions):
        return Demand(name, words, None)
    values = ", ".join(f"({each}) AS k{number}" for number, each in enumerate(key.expressions))
    system = ("tableoid AS cleanstart_table", "ctid AS cleanstart_row")
    source = rows.under(*key.expressions, key.where or "", only=True, more=", ".join(system))
    # Where nothing changes the columns of the system are the table's own.
    row = "cleanstart_table, cleanstart_row" if source.startswith("(") else ", ".join(system)
    where = f" WHERE {key.where}" if key.where else ""
    inner = f"SELECT {values}, {row} FROM {source}{where}"
    same = " AND ".join(
        f"a.k{number} {operator} b.k{number}" for number, operator in enumerate(key.operators)
    )
    other = "(a.cleanstart_table, a.cleanstart_row) < (b.cleanstart_table, b.cleanstart_row)"
    query = f"WITH held AS ({inner}) SELECT a.*, b.* FROM held AS a JOIN held AS b ON {other} AND {same}"
    return Demand(name, words, query)


def _not_full(name: str, read: Reference, rows: Rows) -> Demand:
    nulls = " OR ".join(f"{each} IS NULL" for each in read.columns)
    given = " OR ".join(f"{each} IS NOT NULL" for each in read.columns)
    source = rows.under(", ".join(read.columns), only=True)
    query = f"SELECT * FROM {source} WHERE ({nulls}) AND ({given})"
    return Demand(name, f"rows of {rows.name} where only some of ({', '.join(read.columns)}) are null", query)


def _types(schema: Schema) -> set[str]:
    groups = (schema.enums, schema.domains, schema.composite_types, schema.range_types, schema.tables)
    return {each.identity for group in groups for each in group}


def _changed_functions(reached: Schema, actual: Schema) -> frozenset[str]:
    """Name functions that give something else than they do now."""
    known: dict[str, set[Function]] = {}
    for each in actual.functions:
        known.setdefault(qualified(each.schema, each.name), set()).add(each)
    return frozenset(
        qualified(each.schema, each.name)
        for each in reached.functions
        if not any(
            each.arguments == other.arguments and each.definition == other.definition
            for other in known.get(qualified(each.schema, each.name), ())
        )
    )
