"""One statement of a plan or a repair, what a repair's are written on, and the spelling that all of them share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from web.schema.ddl.hazard import Hazard
from web.schema.model import (
    CatalogObject,
    CompositeType,
    Constraint,
    Database,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    Index,
    MaterializedView,
    Namespace,
    Policy,
    Publication,
    RangeType,
    Rule,
    Schema,
    Sequence,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.names import qualified, quote


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without a semicolon and without the values that were bound to it."""

    sql: str
    #: May lose rows or values: known of what is written here, seen of what a migration executed.
    destructive: bool = False
    #: Committed by itself: CONCURRENTLY, a new enum value, a validation after its NOT VALID.
    alone: bool = False
    #: What a person should know before it runs.
    note: str | None = None
    #: How long it took in a scratch database, which holds no rows; None: it was not run by itself.
    seconds: float | None = None
    hazards: tuple[Hazard, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What binds it: how long it took and what was seen are no part of it."""
        return {"sql": self.sql, "destructive": self.destructive, "alone": self.alone, "note": self.note}


_CONCURRENTLY = re.compile(r"((?:CREATE (?:UNIQUE )?|DROP |REINDEX )INDEX) CONCURRENTLY ")
_COMMITTED_FIRST = re.compile(r"ALTER TYPE .* ADD VALUE ")


def in_transaction(statement: Statement) -> Statement:
    """Give the form that runs in a transaction with others; a new label has none that they could use."""
    if not statement.alone:
        return statement
    if _COMMITTED_FIRST.match(statement.sql):
        note = "Has to be committed while something is taken away: should what follows fail, that is missing."
        return replace(statement, note=note)
    return replace(
        statement,
        sql=_CONCURRENTLY.sub(r"\1 ", statement.sql, count=1),
        alone=False,
        note="Blocks its table until the transaction ends: what stands on it is missing in between.",
    )


#: Statements that make an object, and the object as it is after them.
Made = tuple[list[Statement], CatalogObject]
#: What an object belongs to.
Owner = CatalogObject | None


class Unwritten(Exception):
    """Clean Start does not write this change; the text says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the statements of one repair are written on."""

    #: As it shall be, and as it is; both with the names of the first.
    expected: Schema
    actual: Schema
    #: The role that runs the statements; None where that is not known, and every owner is written out.
    role: str | None
    #: The database that they run in.
    database: str
    expected_tables: Mapping[str, Table] = field(default_factory=dict)
    actual_tables: Mapping[str, Table] = field(default_factory=dict)
    #: Sequences of `expected` by the column that they belong to.
    owned_sequences: Mapping[str, Sequence] = field(default_factory=dict)
    #: By schema what relations and types of either side are called.
    _names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, expected: Schema, actual: Schema, role: str | None, database: str) -> Ground:
        """Index two schemas."""
        return cls(
            expected,
            actual,
            role,
            database,
            {item.identity: item for item in expected.tables},
            {item.identity: item for item in actual.tables},
            {item.owned_by: item for item in expected.sequences if item.owned_by is not None},
            _names_in(expected, actual),
        )

    def unused(self, schema: str, name: str, suffix: str) -> str:
        """Give a name for what is made beside something, that no relation or type of either side has.

        One that broke off may have left what it made. A name that has to be cut stays one of its own by its hash.
        """
        taken = self._names.get(schema, frozenset())
        stem = name
        if len(f"{name}{suffix}".encode()) > _ROOM:
            short = name.encode()[: _ROOM - len(suffix) - 9].decode(errors="ignore")
            stem = f"{short}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        tried = chain([f"{stem}{suffix}"], (f"{stem}{suffix}{number}" for number in count(2)))
        return next(each for each in tried if each not in taken)

    @property
    def major(self) -> int:
        """The servers' major version."""
        return self.expected.server_major


#: Bytes of a name, of the 63 that PostgreSQL keeps, with room for a number.
_ROOM = 60


def _names_in(*schemas: Schema) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}

    def add(where: str, *names: str) -> None:
        found.setdefault(where, set()).update(names)

    for schema in schemas:
        for table in schema.tables:
            add(table.schema, table.name, *(each.name for each in table.indexes))
            add(table.schema, *(each.name for each in table.constraints))
        for stored in schema.materialized_views:
            add(stored.schema, stored.name, *(each.name for each in stored.indexes))
        for domain in schema.domains:
            add(domain.schema, domain.name, *(each.name for each in domain.constraints))
        for view in schema.views:
            add(view.schema, view.name)
        for sequence in schema.sequences:
            add(sequence.schema, sequence.name)
        types: tuple[Enum | CompositeType | RangeType, ...] = (
            *schema.enums,
            *schema.composite_types,
            *schema.range_types,
        )
        for type_ in types:
            add(type_.schema, type_.name)
    return {schema: frozenset(names) for schema, names in found.items()}


_KEYWORDS: dict[type[CatalogObject], str] = {
    Namespace: "SCHEMA",
    Extension: "EXTENSION",
    Sequence: "SEQUENCE",
    Enum: "TYPE",
    Domain: "DOMAIN",
    CompositeType: "TYPE",
    RangeType: "TYPE",
    EventTrigger: "EVENT TRIGGER",
    Publication: "PUBLICATION",
    Table: "TABLE",
    View: "VIEW",
    MaterializedView: "MATERIALIZED VIEW",
    Index: "INDEX",
    Statistics: "STATISTICS",
    Trigger: "TRIGGER",
    Policy: "POLICY",
    Rule: "RULE",
    Constraint: "CONSTRAINT",
    Database: "DATABASE",
}


def keyword(item: CatalogObject) -> str:
    """Give the word after ALTER, DROP or COMMENT ON."""
    if isinstance(item, Table) and item.form == "foreign table":
        return "FOREIGN TABLE"
    if isinstance(item, Function):
        return {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(item.form, "FUNCTION")
    try:
        return _KEYWORDS[type(item)]
    except KeyError:
        raise not_written(item) from None


def not_written(item: CatalogObject) -> Unwritten:
    """Say that a whole kind is left to a person."""
    word = getattr(item, "form", item.kind)
    article = "an" if word[0] in "aeiou" else "a"
    return Unwritten(f"Clean Start does not write {article} {word}.")


def target(item: CatalogObject, owner: CatalogObject | None, ground: Ground) -> str:
    """Name an object after its keyword: `public.t`, `trigger_name ON public.t`."""
    match item:
        case Function() if item.form == "aggregate":
            return f"{qualified(item.schema, item.name)}({aggregate_arguments(item) or '*'})"
        case Index() if owner is not None:
            return qualified(owner.schema, item.name)  # type: ignore[attr-defined]
        case Constraint() if isinstance(owner, Domain):
            return f"{quote(item.name)} ON DOMAIN {owner.identity}"
        case Trigger() | Policy() | Rule() | Constraint() if owner is not None:
            return f"{quote(item.name)} ON {owner.identity}"
        case Database():
            return quote(ground.database)
        case _:
            return item.identity


def aggregate_arguments(item: Function) -> str:
    """Give what stands in the first brackets of CREATE AGGREGATE."""
    return item.definition.partition(") (sfunc = ")[0].removeprefix("(")


def literal(text: str) -> str:
    """Write a string literal; standard_conforming_strings is on."""
    return "'" + text.replace("'", "''") + "'"


def settings(options: Iterable[str]) -> str:
    """Write storage parameters as WITH and SET take them: `fillfactor='70'`."""
    return ", ".join(
        f"{name}={literal(value)}" for name, _, value in (each.partition("=") for each in options)
    )


def option_changes(head: str, old: Iterable[str], new: Iterable[str]) -> list[Statement]:
    """Lead from old to new storage parameters with `head` SET and RESET."""
    before = dict(each.partition("=")[::2] for each in old)
    after = dict(each.partition("=")[::2] for each in new)
    made = []
    if gone := [name for name in before if name not in after]:
        made.append(Statement(f"{head} RESET ({', '.join(gone)})"))
    if changed := [f"{name}={value}" for name, value in after.items() if before.get(name) != value]:
        made.append(Statement(f"{head} SET ({settings(changed)})"))
    return made


def given_options(options: Iterable[str]) -> str:
    """Write the OPTIONS clause of something new."""
    pairs = (each.partition("=")[::2] for each in options)
    return f"OPTIONS ({', '.join(f'{quote(name)} {literal(value)}' for name, value in pairs)})"


def foreign_options(old: Iterable[str], new: Iterable[str]) -> str:
    """Write the OPTIONS clause that leads from old to new ones."""
    before = dict(each.partition("=")[::2] for each in old)
    after = dict(each.partition("=")[::2] for each in new)
    parts = [f"DROP {quote(name)}" for name in before if name not in after]
    parts += [
        f"{'SET' if name in before else 'ADD'} {quote(name)} {literal(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return f"OPTIONS ({', '.join(parts)})"


def transactions(statements: Iterable[Statement]) -> list[tuple[Statement, ...]]:
    """Group statements into what is committed together."""
    groups: list[list[Statement]] = []
    together = False
    for each in statements:
        if each.alone or not together:
            groups.append([])
        groups[-1].append(each)
        together = not each.alone
    return [tuple(group) for group in groups]
