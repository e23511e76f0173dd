"""Tables, views and materialized views, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from web.schema import listings
from web.schema.objects import CatalogObject, Grant
from web.schema.severity import Severity


@dataclass(frozen=True, slots=True)
class Column(CatalogObject):
    """A column; its position is its place in the tuple, so dropped columns leave no trace."""

    kind: ClassVar[str] = "column"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    #: `ALWAYS` or `BY DEFAULT`; the options are those of the sequence it owns.
    identity_generation: str | None = None
    #: Expression and `STORED` or `VIRTUAL`.
    generated: str | None = None
    #: Only where it is not the type's own; the same holds for storage.
    collation: str | None = None
    storage: str | None = None
    compression: str | None = None
    statistics_target: int | None = None
    options: tuple[str, ...] = ()
    foreign_options: tuple[str, ...] = ()
    #: PostgreSQL 18: `NOT VALID`, `NO INHERIT` of the not-null constraint; its name where somebody chose one.
    not_null_state: str | None = None
    not_null_name: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "options", tuple(sorted(self.options)))


@lru_cache(maxsize=16384)
def shared_column(*values: Any) -> Column:
    """Make a column of all its fields in their order; equal ones, of which there are many, are one object.

    That takes less room and time, and they are found to be equal without a look at their fields.
    """
    return Column(*values)


@dataclass(frozen=True, slots=True)
class Constraint(CatalogObject):
    """A constraint of a table or domain, with the index that backs it."""

    kind: ClassVar[str] = "constraint"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    #: `primary key`, `unique`, `check`, `foreign key`, `exclude`.
    form: str
    #: Without what has a field of its own.
    definition: str
    #: `DEFERRABLE` or `DEFERRABLE INITIALLY DEFERRED`.
    deferrable: str | None = None
    validated: bool = True
    enforced: bool = True
    no_inherit: bool = False
    index_options: tuple[str, ...] = ()
    tablespace: str | None = None
    clustered: bool = False
    #: Of the triggers that check it: `disabled` where nothing does.
    enabled: str = "origin"
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "index_options", tuple(sorted(self.index_options)))


@dataclass(frozen=True, slots=True)
class Index(CatalogObject):
    kind: ClassVar[str] = "index"
    key: ClassVar[tuple[str, ...]] = ("name",)
    named_in_schema: ClassVar[bool] = True

    name: str
    unique: bool
    #: What follows `CREATE INDEX … ON table`.
    definition: str
    valid: bool = True
    tablespace: str | None = None
    clustered: bool = False
    statistics_target: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "definition", listings.index(self.definition))


@dataclass(frozen=True, slots=True)
class Trigger(CatalogObject):
    kind: ClassVar[str] = "trigger"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    #: What follows `CREATE [CONSTRAINT] TRIGGER name`.
    definition: str
    constraint: bool = False
    #: `origin`, `disabled`, `replica` or `always`.
    enabled: str = "origin"
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "definition", listings.trigger(self.definition))


@dataclass(frozen=True, slots=True)
class Rule(CatalogObject):
    kind: ClassVar[str] = "rule"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    #: What follows `CREATE RULE name AS`.
    definition: str
    enabled: str = "origin"
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Policy(CatalogObject):
    kind: ClassVar[str] = "policy"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    check: str | None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics(CatalogObject):
    """An extended statistics object, shown with its table."""

    kind: ClassVar[str] = "statistics"

    schema: str
    name: str
    #: Kinds, columns and table: what follows `CREATE STATISTICS name`.
    definition: str
    statistics_target: int | None = None
    owner: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "definition", listings.statistics(self.definition))


@dataclass(frozen=True, slots=True)
class Table(CatalogObject):
    kind: ClassVar[str] = "table"

    schema: str
    name: str
    #: `table`, `partitioned table` or `foreign table`.
    form: str = "table"
    #: `permanent` or `unlogged`.
    persistence: str = "permanent"
    #: Only where it is not heap.
    access_method: str | None = None
    partition_key: str | None = None
    #: Tables it inherits from, or the one it is a partition of.
    parents: tuple[str, ...] = ()
    partition_bound: str | None = None
    of_type: str | None = None
    options: tuple[str, ...] = ()
    row_security: bool = False
    row_security_forced: bool = False
    #: `default`, `full`, `nothing` or `index NAME`.
    replica_identity: str = "default"
    tablespace: str | None = None
    server: str | None = None
    foreign_options: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    policies: tuple[Policy, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class View(CatalogObject):
    kind: ClassVar[str] = "view"
    severity: ClassVar[Severity] = "behaviour"

    schema: str
    name: str
    definition: str
    #: security_barrier, security_invoker, check_option.
    options: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class MaterializedView(CatalogObject):
    kind: ClassVar[str] = "materialized view"
    severity: ClassVar[Severity] = "behaviour"

    schema: str
    name: str
    definition: str
    access_method: str | None = None
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None
