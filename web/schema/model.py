"""What a Schema is made of: one frozen value per kind of object, with no idea of where it was read.

A kind is a dataclass: its `key` names what identifies it among its siblings, its other fields are
attributes, and a field that is a tuple of further kinds holds what belongs to it. Storing, hashing and
comparing all go by that, so a new kind is a dataclass, a field in Schema, a query and a line in decode.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import ClassVar, get_args, get_type_hints

from web.schema import listings
from web.schema.names import qualified, quote
from web.schema.objects import CatalogObject, Grant
from web.schema.relations import (
    Column,
    Constraint,
    Index,
    MaterializedView,
    Policy,
    Rule,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.severity import ATTRIBUTE_SEVERITY, Severity

__all__ = [
    "CatalogObject",
    "Column",
    "CompositeType",
    "Constraint",
    "Database",
    "DefaultPrivileges",
    "Domain",
    "Enum",
    "EventTrigger",
    "Extension",
    "Function",
    "Grant",
    "Index",
    "MaterializedView",
    "Namespace",
    "OtherObject",
    "Policy",
    "Publication",
    "RangeType",
    "Rule",
    "Schema",
    "Sequence",
    "Setting",
    "Severity",
    "Shape",
    "Statistics",
    "Table",
    "Trigger",
    "View",
    "shape_of",
]


@dataclass(frozen=True, slots=True)
class Namespace(CatalogObject):
    kind: ClassVar[str] = "schema"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Extension(CatalogObject):
    kind: ClassVar[str] = "extension"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    schema: str
    version: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Sequence(CatalogObject):
    kind: ClassVar[str] = "sequence"

    schema: str
    name: str
    type: str
    start: int
    increment: int
    #: None where it is the type's own limit.
    minimum: int | None
    maximum: int | None
    cache: int
    cycle: bool
    persistence: str = "permanent"
    #: The column it belongs to; an identity column's sequence is identified by that, not by its name.
    owned_by: str | None = None
    identity_column: bool = False
    #: None where it is owned by a column: its owner is the table's.
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Enum(CatalogObject):
    kind: ClassVar[str] = "enum"

    schema: str
    name: str
    labels: tuple[str, ...]
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Domain(CatalogObject):
    kind: ClassVar[str] = "domain"

    schema: str
    name: str
    type: str
    not_null: bool
    default: str | None
    collation: str | None
    constraints: tuple[Constraint, ...] = ()
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class CompositeType(CatalogObject):
    kind: ClassVar[str] = "composite type"

    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RangeType(CatalogObject):
    kind: ClassVar[str] = "range type"

    schema: str
    name: str
    #: Subtype, operator class, collation, functions and multirange name, as in CREATE TYPE … AS RANGE.
    definition: str
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Function(CatalogObject):
    kind: ClassVar[str] = "function"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("schema", "name", "arguments")

    schema: str
    name: str
    #: Input types, which identify it among its namesakes.
    arguments: str
    #: `function`, `procedure`, `aggregate` or `window function`.
    form: str
    #: What follows the name in CREATE FUNCTION: argument names, result, language, all options and body.
    definition: str
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "definition", listings.function(self.definition))

    @property
    def identity(self) -> str:
        return f"{qualified(self.schema, self.name)}({self.arguments})"


@dataclass(frozen=True, slots=True)
class EventTrigger(CatalogObject):
    kind: ClassVar[str] = "event trigger"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    event: str
    tags: tuple[str, ...]
    function: str
    enabled: str = "origin"
    owner: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Publication(CatalogObject):
    kind: ClassVar[str] = "publication"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    all_tables: bool
    operations: tuple[str, ...]
    via_root: bool
    generated_columns: str | None
    #: `schema.table (columns) WHERE (condition)`.
    tables: tuple[str, ...]
    schemas: tuple[str, ...]
    owner: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        listings.put(self, "tables", tuple(sorted(map(listings.published, self.tables))))


@dataclass(frozen=True, slots=True)
class OtherObject(CatalogObject):
    """What is compared by its definition alone: casts, operators, text search, foreign data and the like."""

    kind: ClassVar[str] = "other"
    key: ClassVar[tuple[str, ...]] = ("form", "name")

    #: The kind's word: `cast`, `operator`, `collation`, `server` …
    form: str
    #: Already written as PostgreSQL writes it.
    name: str
    definition: str
    owner: str | None = None
    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    @property
    def identity(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class DefaultPrivileges(CatalogObject):
    kind: ClassVar[str] = "default privileges"
    severity: ClassVar[Severity] = "access"
    key: ClassVar[tuple[str, ...]] = ("role", "schema", "objects")

    role: str
    #: Empty where they hold in every schema.
    schema: str
    #: `tables`, `sequences`, `functions`, `types`, `schemas` or `large objects`.
    objects: str
    grants: tuple[Grant, ...] = ()

    @property
    def identity(self) -> str:
        place = f" in schema {quote(self.schema)}" if self.schema else ""
        return f"of {quote(self.role)}{place} on {self.objects}"


@dataclass(frozen=True, slots=True)
class Setting(CatalogObject):
    """ALTER DATABASE … SET, or ALTER ROLE … IN DATABASE … SET where a role is named."""

    kind: ClassVar[str] = "setting"
    severity: ClassVar[Severity] = "behaviour"
    key: ClassVar[tuple[str, ...]] = ("role", "name")

    #: Empty where it holds for every role.
    role: str
    name: str
    value: str

    @property
    def identity(self) -> str:
        return f"{self.name} for {quote(self.role)}" if self.role else self.name


@dataclass(frozen=True, slots=True)
class Database(CatalogObject):
    """What hangs on the database itself, but not its name and owner: they differ between copies."""

    kind: ClassVar[str] = "database"
    key: ClassVar[tuple[str, ...]] = ()

    grants: tuple[Grant, ...] = ()
    comment: str | None = None

    @property
    def identity(self) -> str:
        return "this database"


@dataclass(frozen=True, slots=True)
class Schema:
    """Every schema object of a database, each tuple sorted by its objects' keys."""

    #: Deparsed text differs between majors: compare schemas of one.
    server_major: int
    #: Names of fields, or of `tables.` parts, that the role may not read: unknown, never "no difference".
    unreadable: tuple[str, ...] = ()
    databases: tuple[Database, ...] = ()
    settings: tuple[Setting, ...] = ()
    schemas: tuple[Namespace, ...] = ()
    extensions: tuple[Extension, ...] = ()
    enums: tuple[Enum, ...] = ()
    domains: tuple[Domain, ...] = ()
    composite_types: tuple[CompositeType, ...] = ()
    range_types: tuple[RangeType, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    materialized_views: tuple[MaterializedView, ...] = ()
    functions: tuple[Function, ...] = ()
    event_triggers: tuple[EventTrigger, ...] = ()
    publications: tuple[Publication, ...] = ()
    others: tuple[OtherObject, ...] = ()
    default_privileges: tuple[DefaultPrivileges, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nobody has made anything in this database yet."""
        return not (
            self.tables
            or self.views
            or self.materialized_views
            or self.sequences
            or self.functions
            or self.enums
            or self.domains
            or self.composite_types
            or self.range_types
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kind is laid out: its attributes with their severity, and its fields that hold further kinds."""

    attributes: tuple[tuple[str, Severity], ...]
    children: tuple[tuple[str, type[CatalogObject]], ...]


def shape_of(cls: type) -> Shape:
    """Describe a kind, or Schema, by its annotations."""
    return _shape_of(cls)


@cache
def _shape_of(cls: type) -> Shape:
    assert is_dataclass(cls)
    hints = get_type_hints(cls)
    attributes: list[tuple[str, Severity]] = []
    children: list[tuple[str, type[CatalogObject]]] = []
    for item in fields(cls):
        arguments = get_args(hints[item.name])
        element = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
        if isinstance(element, type) and issubclass(element, CatalogObject):
            children.append((item.name, element))
        elif issubclass(cls, CatalogObject) and item.name not in cls.key:
            attributes.append((item.name, ATTRIBUTE_SEVERITY.get(item.name, cls.severity)))
    return Shape(tuple(attributes), tuple(children))
