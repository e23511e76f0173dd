"""What belongs to relations and types, from rows of queries/*.sql: columns, constraints, indexes, triggers …"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from web.schema.grants import GrantReader
from web.schema.objects import CatalogObject
from web.schema.relations import (
    Column,
    Constraint,
    Index,
    Policy,
    Rule,
    Statistics,
    Trigger,
    shared_column,
)

Row = tuple[Any, ...]
T = TypeVar("T", bound=CatalogObject)

CONSTRAINT_FORMS = {"p": "primary key", "u": "unique", "c": "check", "f": "foreign key", "x": "exclude"}


class Comments:
    """Comments by catalog, object and column."""

    def __init__(self, rows: list[Row]) -> None:
        self._texts: dict[tuple[str, int, int], str] = {(row[0], row[1], row[2]): row[3] for row in rows}

        #: Most objects have none, which is told sooner so.
        self._commented = {row[1] for row in rows}

    def of(self, catalog: str, oid: int, column: int = 0) -> str | None:
        if oid not in self._commented:
            return None
        return self._texts.get((catalog, oid, column))


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to relations and types, by the oid of what it belongs to."""

    columns: Mapping[int, tuple[Column, ...]]
    constraints: Mapping[int, tuple[Constraint, ...]]
    indexes: Mapping[int, tuple[Index, ...]]
    triggers: Mapping[int, tuple[Trigger, ...]]
    rules: Mapping[int, tuple[Rule, ...]]
    policies: Mapping[int, tuple[Policy, ...]]
    statistics: Mapping[int, tuple[Statistics, ...]]


def read_parts(rows: Mapping[str, list[Row]], comments: Comments, grants: GrantReader) -> Parts:
    """Collect them; constraints of domains are among them."""
    return Parts(
        columns=_columns(rows["columns"], _not_null_constraints(rows["constraints"]), comments, grants),
        constraints=_constraints(rows["constraints"], comments),
        indexes=_grouped(rows["indexes"], lambda row: Index(*(*row[2:], comments.of("pg_class", row[0])))),
        triggers=_grouped(
            rows["triggers"], lambda row: Trigger(*(*row[2:], comments.of("pg_trigger", row[0])))
        ),
        rules=_grouped(rows["rules"], lambda row: Rule(*(*row[2:], comments.of("pg_rewrite", row[0])))),
        policies=_grouped(rows["policies"], lambda row: _policy(row, comments)),
        statistics=_grouped(
            rows["statistics"],
            lambda row: Statistics(*(*row[2:], comments.of("pg_statistic_ext", row[0]))),
        ),
    )


def in_order(objects: Iterable[T]) -> tuple[T, ...]:
    """Sort by key."""
    made = list(objects)
    if len(made) > 1:
        made.sort(key=attrgetter(*type(made[0]).key))
    return tuple(made)


def _grouped(rows: Iterable[Row], build: Callable[[Row], T]) -> dict[int, tuple[T, ...]]:
    """What belongs to relations, by the relation that the second column names."""
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for row in rows:
        groups[row[1]].append(build(row))
    return {oid: in_order(group) for oid, group in groups.items()}


def _columns(
    rows: list[Row],
    not_null: Mapping[tuple[int, int], tuple[str, str | None]],
    comments: Comments,
    grants: GrantReader,
) -> dict[int, tuple[Column, ...]]:
    groups: defaultdict[int, list[Column]] = defaultdict(list)
    for row in rows:
        oid, number, acl = row[0], row[1], row[2]
        name, state = not_null.get((oid, number), (None, None)) if not_null else (None, None)
        # The server's own names end so; what they begin with may be a name from before a rename.
        if name is not None and name.rstrip("0123456789").endswith("_not_null"):
            name = None
        groups[oid].append(
            shared_column(
                *row[3:13],
                tuple(row[13] or ()),
                tuple(sorted(row[14])) if row[14] else (),
                state,
                name,
                grants.read(acl, None, None) if acl else (),
                comments.of("pg_class", oid, number),
            )
        )
    return {oid: tuple(group) for oid, group in groups.items()}


def _not_null_constraints(rows: list[Row]) -> dict[tuple[int, int], tuple[str, str | None]]:
    """PostgreSQL 18 has a constraint for every NOT NULL; it is part of its column here."""
    found = {}
    for _, table, _, name, form, _, _, validated, _, no_inherit, *_, column in rows:
        if form == "n" and table:
            state = " ".join(["NOT VALID"] * (not validated) + ["NO INHERIT"] * no_inherit) or None
            found[table, column] = (name, state)
    return found


def _constraints(rows: list[Row], comments: Comments) -> dict[int, tuple[Constraint, ...]]:
    groups: defaultdict[int, list[Constraint]] = defaultdict(list)
    for row in rows:
        oid, table, domain, name, form, definition, deferrable, validated, enforced, no_inherit = row[:10]
        options, tablespace, clustered, enabled, _ = row[10:]
        if form not in CONSTRAINT_FORMS:
            continue
        if deferrable is not None or no_inherit or not (validated and enforced):
            # pg_get_constraintdef writes these at the end, in this order; each is an attribute of its own here.
            for suffix, there in (
                (" NOT VALID", not validated),
                (" NOT ENFORCED", not enforced),
                (" INITIALLY DEFERRED", deferrable == "DEFERRABLE INITIALLY DEFERRED"),
                (" DEFERRABLE", deferrable is not None),
                (" NO INHERIT", no_inherit),
            ):
                if there:
                    definition = definition.removesuffix(suffix)
        groups[table or domain].append(
            Constraint(
                name,
                CONSTRAINT_FORMS[form],
                definition,
                deferrable,
                # What is not enforced is never validated: one fact, not two.
                validated or not enforced,
                enforced,
                # Foreign keys, keys and exclusions are marked so by the server; only for a CHECK is it a choice.
                no_inherit and form == "c",
                tuple(options) if options else (),
                tablespace,
                clustered,
                enabled,
                comments.of("pg_constraint", oid),
            )
        )
    return {oid: in_order(group) for oid, group in groups.items()}


def _policy(row: Row, comments: Comments) -> Policy:
    oid, _, name, command, permissive, roles, using, check = row
    return Policy(name, command, permissive, tuple(roles), using, check, comments.of("pg_policy", oid))
