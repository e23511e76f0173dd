"""What a definition mentions: the server deparses with a pinned search path, so every name of ours is qualified."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from web.schema.model import (
    CatalogObject,
    Column,
    Constraint,
    Function,
    Index,
    MaterializedView,
    Namespace,
    Sequence,
    Table,
    View,
    shape_of,
)
from web.schema.names import qualified, quote

_PART = r'(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
NAME_CHAIN = rf"{_PART}(?:\.{_PART})+"
#: The table and the columns that a foreign key refers to.
REFERENCED = re.compile(rf"REFERENCES ({NAME_CHAIN})(\((?:\"(?:[^\"]|\"\")*\"|[^\"()])*\))")
_CHAIN = re.compile(NAME_CHAIN)
_PARTS = re.compile(_PART)
#: Fields that are no definition.
_SILENT = frozenset({"name", "comment", "owner", "form", "persistence", "kind", "grantee"})


def name_of(item: CatalogObject, owner: CatalogObject | None = None) -> str:
    """Give the name by which other definitions mention an object; empty where none does.

    Functions share theirs with their namesakes; indexes and keys have one in the schema of their table.
    """
    if isinstance(item, Index) or (
        isinstance(item, Constraint) and item.form not in ("check", "foreign key")
    ):
        return qualified(owner.schema, item.name) if owner is not None else ""  # type: ignore[attr-defined]
    if type(item).key[:2] == ("schema", "name"):
        return qualified(item.schema, item.name)  # type: ignore[attr-defined]
    if type(item).key != ("name",) or owner is not None:
        return ""
    name: str = quote(item.name)  # type: ignore[attr-defined]
    return name if isinstance(item, Namespace) else f"{item.kind} {name}"


def mentioned(text: str) -> frozenset[str]:
    """Give every `schema.name` in a text, in string literals too (`nextval('public.s'::regclass)`)."""
    return _mentioned(text) if "." in text else frozenset()


@lru_cache(maxsize=20000)
def _mentioned(text: str) -> frozenset[str]:
    found: set[str] = set()
    for chain in _CHAIN.finditer(text):
        parts = _PARTS.findall(chain.group())
        found.update(f"{one}.{two}" for one, two in pairwise(parts))
    return frozenset(found)


def definition_of(item: CatalogObject) -> str:
    """Join all texts of an object that may mention others; of a table those of its columns, not its other parts."""
    return "\n".join(_texts(item))


def needs_of(item: CatalogObject, owner: CatalogObject | None = None) -> frozenset[str]:
    """Give what has to be there before an object can be made."""
    found = set(mentioned(definition_of(item)))
    for each in (item, owner):
        if (schema := getattr(each, "schema", None)) is not None:
            found.add(quote(schema))
    if owner is not None:
        found.add(owner.identity)
    found.discard(name_of(item, owner))
    return frozenset(found)


def everything_of(item: CatalogObject, owner: CatalogObject | None = None) -> frozenset[str]:
    """Give all that an object and its parts stand on: what is free once it is gone."""
    found = set(needs_of(item, owner))
    for where, _ in shape_of(type(item)).children:
        for part in getattr(item, where):
            found |= everything_of(part)
    found.discard(name_of(item, owner))
    return frozenset(found)


def all_names_of(item: CatalogObject, owner: CatalogObject | None = None) -> frozenset[str]:
    """Give every name that is free once an object and its parts are gone."""
    found = {name_of(item, owner)}
    for where, _ in shape_of(type(item)).children:
        for part in getattr(item, where):
            found |= all_names_of(part, item)
    found.discard("")
    return frozenset(found)


def keys_under(item: CatalogObject, tables: Mapping[str, Table]) -> frozenset[str]:
    """Name the keys that an object may stand on though it does not name them, of tables by their names.

    A foreign key refers to columns that have one; a view that groups by a primary key may select what it determines.
    """
    found = set()
    if isinstance(item, Constraint) and (match := REFERENCED.search(item.definition)) is not None:
        table = tables.get(match[1])
        if table is not None:
            found |= {name_of(each, table) for each in table.constraints if match[2] in each.definition}
            found |= {name_of(each, table) for each in table.indexes if match[2] in each.definition}
    elif isinstance(item, View | MaterializedView) and "GROUP BY" in item.definition:
        for name in mentioned(item.definition):
            if (table := tables.get(name)) is not None:
                found |= {name_of(each, table) for each in table.constraints if each.form == "primary key"}
    return frozenset(found) - {""}


def identity_index(table: Table) -> str:
    """Name the index that identifies rows for replicas, or nothing."""
    form, _, name = table.replica_identity.partition(" ")
    return f"{quote(table.schema)}.{name}" if form == "index" else ""


def columns_in(text: str | None, table: Table) -> set[tuple[str, str]]:
    """Give the columns of a table, with the table, that a text of its own may mean."""
    if not text:
        return set()
    return {(table.identity, each.name) for each in table.columns if names_column(text, each.name)}


def key_columns(item: CatalogObject, owner: CatalogObject | None) -> frozenset[str]:
    """Name what lets a column be null once it is gone: that it is in a primary key."""
    if not isinstance(item, Constraint) or item.form != "primary key" or not isinstance(owner, Table):
        return frozenset()
    return frozenset(f"{name} in key" for name in held_names(columns_in(item.definition, owner)))


def held_names(parts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Name columns and keys of tables as no definition writes them."""
    return frozenset(f"{table} {part}" for table, part in parts)


def columns_beside(table: Table, tables: Mapping[str, Table], others: Mapping[str, Table]) -> frozenset[str]:
    """Name columns that a table has beside its parents' and that are of another type there on the other side, and
    those that its parents cannot have beside a child.

    A parent gains a column of such a name after the table is gone, and loses it before the table is made.
    """
    if table.partition_bound is not None:
        return frozenset()
    found = set()
    for name in table.parents:
        known = {each.name for each in tables[name].columns} if name in tables else set()
        there = others[name].columns if name in others else ()
        types = {each.name: each.type for each in there}
        # An identity is for a table without children.
        found |= {(name, each.name) for each in there if each.identity_generation and each.name not in known}
        found |= {
            (name, each.name)
            for each in table.columns
            if each.name not in known and types.get(each.name, each.type) != each.type
        }
    return held_names(found)


def names_column(text: str, column: str) -> bool:
    """Tell whether a text may mean a column of this name, or a whole row."""
    return re.search(rf'(?<![\w$"]){re.escape(quote(column))}(?![\w$"])|\.\*', text) is not None


def _texts(item: CatalogObject) -> Iterator[str]:
    if isinstance(item, Sequence):
        return
    if isinstance(item, Function):
        # The body of a string language is not looked at before it runs.
        yield item.definition.partition("\nAS $")[0]
        yield item.arguments
        return
    for name, _ in shape_of(type(item)).attributes:
        if name in _SILENT:
            continue
        value = getattr(item, name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, str))
    if isinstance(item, Table):
        for column in item.columns:
            yield from _texts(column)
    elif not isinstance(item, Column | Constraint):
        for column in getattr(item, "columns", ()):
            yield column.type
