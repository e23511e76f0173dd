"""Demands on single values: NOT NULL, another type, fewer labels, a domain's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from web.schema.ddl.columns import conversion, type_parts, widens
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.retype import uses
from web.schema.ddl.statement import literal
from web.schema.demands.demand import Demand
from web.schema.demands.reading import read_check
from web.schema.demands.rows import Rows
from web.schema.model import Column, Domain, Enum, Schema, Table
from web.schema.names import quote

_WHOLE = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_NUMBERS = (*_WHOLE, "numeric", "real", "double precision")
_STRINGS = ("character varying", "text", "character")

NameOf = Callable[[Table], str]


def of_columns(rows: Rows, reached: Schema, actual: Schema) -> Iterator[Demand]:
    """What the columns of one table demand."""
    for column in rows.table.columns:
        name = f"{rows.table.identity}.{quote(column.name)}"
        there = rows.there.get(column.name)
        yield from _not_null(column, there, name, rows)
        if column.name in rows.computed:
            expression = rows.computed[column.name]
            source = rows.under(expression)
            words = f"rows of {rows.name} for which {expression} cannot be computed"
            yield Demand(name, words, f"SELECT * FROM {source} WHERE {_evaluated(expression)}")
        elif there is not None and column.name in rows.changed and column.type != there.type:
            yield Demand(
                name,
                f"values of {quote(there.name)} in {rows.name} that are no {column.type}",
                f"SELECT {quote(there.name)} FROM {rows.name} WHERE {_unfit(column, there, reached, actual)}",
            )


def of_enums(actual: Schema, pairs: Pairs, name_of: NameOf) -> Iterator[Demand]:
    """Values that have a label which their type loses."""
    for there in actual.enums:
        enum = pairs.object_for(there)
        if not isinstance(enum, Enum) or not (labels := _lost(enum, there)):
            continue
        for table, column in uses(actual, there):
            if pairs.object_for(table) is None:
                continue
            held = ", ".join(map(literal, labels))
            value = quote(column.name)
            if column.type.endswith("[]"):
                condition = f"{value}::text[] && ARRAY[{held}]::text[]"
            else:
                condition = f"{value}::text IN ({held})"
            yield Demand(
                f"{table.identity}.{value}",
                f"values of {value} in {name_of(table)} that have a label which {enum.identity} loses",
                f"SELECT {value} FROM {name_of(table)} WHERE {condition}",
            )


def of_domains(actual: Schema, pairs: Pairs, name_of: NameOf) -> Iterator[Demand]:
    """Values that a domain will not take."""
    for there in actual.domains:
        domain = pairs.object_for(there)
        if not isinstance(domain, Domain):
            continue
        conditions = [
            (f"do not satisfy {check}", f"({check}) IS FALSE")
            for each in domain.constraints
            if each.validated and (check := read_check(each.definition)) is not None
            if domain.type != there.type
            or not any(old.validated and old.definition == each.definition for old in there.constraints)
        ]
        if domain.not_null and not there.not_null:
            conditions.append(("are null", "value IS NULL"))
        cast = f"::{domain.type}" if domain.type != there.type else ""
        if cast and not widens(there.type, domain.type):
            conditions.append((f"are no {domain.type}", _evaluated("value")))
        for table, column in uses(actual, there):
            if pairs.object_for(table) is None:
                continue
            value = quote(column.name)
            array = column.type.endswith("[]")
            given = f"pg_catalog.unnest({value}::{there.type}[])" if array else f"{value}::{there.type}"
            source = f"(SELECT {given} AS held FROM {name_of(table)}) AS given"
            for words, condition in conditions:
                yield Demand(
                    domain.identity,
                    f"values of {value} in {name_of(table)} that {words}",
                    f"SELECT value FROM (SELECT (held){cast} AS value FROM {source}) AS given WHERE {condition}",
                )


def _not_null(column: Column, there: Column | None, name: str, rows: Rows) -> Iterator[Demand]:
    if not column.not_null or column.not_null_state == "NOT VALID":
        return
    if there is not None and there.not_null and there.not_null_state != "NOT VALID":
        return
    if there is None:
        given = (column.default, column.generated, column.identity_generation)
        if all(each is None for each in given):
            words = f"rows of {rows.name}, and nothing says what {quote(column.name)} is in them"
            yield Demand(name, words, f"SELECT * FROM {rows.name}")
            return
        if column.generated is None:
            return
    value = quote(column.name)
    only = column.not_null_state == "NO INHERIT"
    query = f"SELECT * FROM {rows.under(value, only=only)} WHERE {value} IS NULL"
    yield Demand(name, f"rows of {rows.name} where {value} is null", query)


def _unfit(column: Column, there: Column, reached: Schema, actual: Schema) -> str:
    """Write which values a type does not take; where that is not known, have every one converted."""
    value, (old, new) = quote(there.name), (type_parts(there.type), type_parts(column.type))
    plain = not (old.array or new.array)
    if plain and new.base in ("character varying", "character") and new.size and old.base in _STRINGS:
        # Spaces that are too many are cut off.
        return f"pg_catalog.length(pg_catalog.rtrim({value}::text, ' ')) > {new.size}"
    if plain and new.base in _WHOLE and old.base in _NUMBERS:
        most = _WHOLE[new.base]
        number = value if old.base in _WHOLE else f"pg_catalog.round({value}::numeric)"
        return f"{number} NOT BETWEEN {-most} AND {most - 1}"
    if plain and new.base == "numeric" and new.size and old.base in _NUMBERS:
        digits, _, scale = new.size.partition(",")
        places = int(scale or 0)
        return f"pg_catalog.abs(pg_catalog.round({value}::numeric, {places})) >= 1e{int(digits) - places}"
    enum = next((each for each in reached.enums if each.identity == column.type), None)
    if enum is not None:
        return f"{value}::text NOT IN ({', '.join(map(literal, enum.labels))})"
    ours = "." in column.type and all(
        each.identity != column.type.removesuffix("[]")
        for group in (actual.domains, actual.composite_types, actual.range_types)
        for each in group
    )
    if old.base in _STRINGS and plain and reached.server_major >= 16 and not ours:
        return f"NOT pg_catalog.pg_input_is_valid({value}::text, {literal(column.type)})"
    return _evaluated(conversion(column, there))


def _evaluated(expression: str) -> str:
    """Have an expression evaluated for every row: false where that works, and else the server's error."""
    return f"pg_catalog.num_nonnulls({expression}) < 0"


def _lost(enum: Enum, there: Enum) -> list[str]:
    """Labels that go. What differs in one place only is one that is renamed."""
    if len(enum.labels) == len(there.labels):
        pairs = zip(enum.labels, there.labels, strict=True)
        if sum(a != b for a, b in pairs) == 1:
            return []
    return [each for each in there.labels if each not in enum.labels]
