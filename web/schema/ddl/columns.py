"""Columns: as they are written, added, and altered one attribute after the other, so that each is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from web.schema.ddl.sequences import sequence_options
from web.schema.ddl.statement import (
    Ground,
    Made,
    Statement,
    foreign_options,
    given_options,
    keyword,
    literal,
    option_changes,
)
from web.schema.model import CatalogObject, Column, CompositeType, Table
from web.schema.names import quote

_WHOLE = ("smallint", "integer", "bigint", "numeric")
_STRINGS = ("character varying", "text", "character", "citext")
#: Types whose values go into one another by an assignment cast, so no USING has to be written.
_FAMILIES = (
    frozenset({*_WHOLE, "real", "double precision", "money"}),
    frozenset({*_STRINGS, "name"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
    frozenset({"json", "jsonb"}),
    frozenset({"inet", "cidr"}),
)
_TYPE = re.compile(
    r"(?P<base>.*?)(?:\((?P<size>[\d,-]+)\))?(?P<zone> with(?:out)? time zone)?(?P<array>(?:\[\])*)\Z"
)


def column_text(item: Column, table: CatalogObject, ground: Ground) -> str:
    """Write a column as CREATE TABLE and ADD COLUMN take it."""
    parts = [quote(item.name), item.type]
    if item.foreign_options:
        parts.append(given_options(item.foreign_options))
    if item.collation:
        parts.append(f"COLLATE {item.collation}")
    if item.generated is not None:
        expression, _, kept = item.generated.rpartition(" ")
        parts.append(f"GENERATED ALWAYS AS ({expression}) {kept}")
    elif item.identity_generation is not None:
        parts.append(
            f"GENERATED {item.identity_generation} AS IDENTITY{identity_options(item, table, ground)}"
        )
    elif item.default is not None:
        parts.append(f"DEFAULT {item.default}")
    if item.not_null and item.not_null_state != "NOT VALID":
        name = f"CONSTRAINT {quote(item.not_null_name)} " if item.not_null_name else ""
        parts.append(f"{name}NOT NULL{' NO INHERIT' if item.not_null_state == 'NO INHERIT' else ''}")
    return " ".join(parts)


def identity_options(item: Column, table: CatalogObject, ground: Ground) -> str:
    """Write the options of an identity column's sequence."""
    sequence = ground.owned_sequences.get(f"{table.identity}.{quote(item.name)}")
    if sequence is None:
        return ""
    usual = replace(sequence, start=1, increment=1, minimum=None, maximum=None, cache=1, cycle=False)
    return f" (SEQUENCE NAME {sequence.identity}{sequence_options(sequence, usual)})"


def bare(column: Column) -> Column:
    """A column as column_text makes it."""
    validated = column.not_null_state != "NOT VALID"
    return replace(
        column,
        storage=None,
        compression=None,
        statistics_target=None,
        options=(),
        not_null=column.not_null and validated,
        not_null_state=column.not_null_state if validated else None,
        not_null_name=column.not_null_name if validated else None,
        grants=(),
        comment=None,
    )


def create_column(item: Column, owner: CatalogObject, ground: Ground) -> Made:
    """Write ADD COLUMN or ADD ATTRIBUTE."""
    if isinstance(owner, CompositeType):
        collation = f" COLLATE {item.collation}" if item.collation else ""
        sql = f"ALTER TYPE {owner.identity} ADD ATTRIBUTE {quote(item.name)} {item.type}{collation}"
        return [Statement(sql)], replace(item, comment=None)
    if not isinstance(owner, Table):
        return [], item
    note = None
    given = (item.default, item.generated, item.identity_generation)
    if item.not_null and all(each is None for each in given):
        note = f"Fails where {owner.identity} has rows: nothing says what {quote(item.name)} is in them."
    keyword = "FOREIGN TABLE" if owner.form == "foreign table" else "TABLE"
    sql = f"ALTER {keyword} {owner.identity} ADD COLUMN {column_text(item, owner, ground)}"
    return [Statement(sql, note=note)], bare(item)


def alter_column(
    a: Column, b: Column, what: Collection[str], owner: Table, ground: Ground
) -> list[Statement] | None:
    """Lead a table's column from b to a; None where it has to be dropped and added again."""
    if "generated" in what and _has_to_be_added(a, b, ground):
        return None
    return list(_steps(a, b, set(what), owner, ground))


def alter_attribute(a: Column, owner: CompositeType) -> list[Statement]:
    """Give an attribute of a composite type its type."""
    collation = f" COLLATE {a.collation}" if a.collation else ""
    return [
        Statement(f"ALTER TYPE {owner.identity} ALTER ATTRIBUTE {quote(a.name)} TYPE {a.type}{collation}")
    ]


def alter_view_column(a: Column, owner: CatalogObject) -> list[Statement]:
    """Give a view's column its default."""
    words = "DROP DEFAULT" if a.default is None else f"SET DEFAULT {a.default}"
    return [Statement(f"ALTER VIEW {owner.identity} ALTER COLUMN {quote(a.name)} {words}")]


def loses_values(a: Column, b: Column, what: Collection[str]) -> bool:
    """Tell whether values may be lost or refused on the way from b to a."""
    if "generated" in what and a.generated is not None and b.generated is None:
        return True
    return "type" in what and not widens(b.type, a.type)


def widens(old: str, new: str) -> bool:
    """Tell whether every value of the old type is one of the new type, with nothing rounded or cut off."""
    x, y = _TYPE.match(old), _TYPE.match(new)
    assert x is not None
    assert y is not None
    if x["array"] != y["array"]:
        return False
    base, other = x["base"].strip(), y["base"].strip()
    if x["zone"] != y["zone"]:
        return False
    if base in _WHOLE and other in _WHOLE and _WHOLE.index(base) < _WHOLE.index(other):
        return y["size"] is None
    if base == "real" and other == "double precision":
        return True
    if other in ("text", "character varying") and y["size"] is None:
        return base in ("text", "character varying") or "." in base
    if base != other:
        return False
    if y["size"] is None:
        return True
    if x["size"] is None:
        return False
    sizes = [[int(part) for part in each["size"].split(",")] for each in (x, y)]
    (length, *scale), (new_length, *new_scale) = sizes
    grown = [(scale or [0])[0], (new_scale or [0])[0]]
    return grown[1] >= grown[0] and new_length - grown[1] >= length - grown[0]


def set_not_null(
    table: Table, column: str, ground: Ground, *, before: tuple[Statement, ...] = ()
) -> Iterator[Statement]:
    """SET NOT NULL without scanning under an exclusive lock: a validated check proves it (since PostgreSQL 12).

    `before` runs right before it, in its transaction.
    """
    head = f"ALTER TABLE {table.identity}"
    if table.form != "table":
        yield from before
        yield Statement(f"{head} ALTER COLUMN {quote(column)} SET NOT NULL")
        return
    # One that broke off may have left its check behind.
    proof = quote(ground.unused(table.schema, column, "_is_not_null_proof"))
    yield Statement(f"{head} ADD CONSTRAINT {proof} CHECK ({quote(column)} IS NOT NULL) NOT VALID")
    yield Statement(f"{head} VALIDATE CONSTRAINT {proof}", alone=True)
    yield from before
    yield Statement(f"{head} ALTER COLUMN {quote(column)} SET NOT NULL")
    yield Statement(f"{head} DROP CONSTRAINT {proof}")


def _has_to_be_added(a: Column, b: Column, ground: Ground) -> bool:
    if a.generated is None:
        return b.generated is not None and b.generated.endswith(" VIRTUAL")
    if b.generated is None:
        return True
    same = a.generated.rpartition(" ")[2] == b.generated.rpartition(" ")[2]
    return not same or ground.major < 17


def _steps(a: Column, b: Column, what: set[str], owner: Table, ground: Ground) -> Iterator[Statement]:
    table = f"ALTER {keyword(owner)} {owner.identity}"
    head = f"{table} ALTER COLUMN {quote(a.name)}"
    if "identity_generation" in what and a.identity_generation is None:
        yield Statement(f"{head} DROP IDENTITY")
    if "generated" in what and a.generated is None:
        yield Statement(f"{head} DROP EXPRESSION")
    default_again = False
    if what & {"type", "collation"}:
        # A default of the old type may not become one of the new type.
        default_again = b.default is not None and not widens(b.type, a.type)
        if default_again:
            yield Statement(f"{head} DROP DEFAULT")
        collation = f" COLLATE {a.collation}" if a.collation else ""
        yield Statement(
            f"{head} TYPE {a.type}{collation}{_using(a, b)}",
            destructive=not widens(b.type, a.type),
            note=f"May write {owner.identity} anew under an exclusive lock.",
        )
    if "generated" in what and a.generated is not None:
        expression, _, _ = a.generated.rpartition(" ")
        yield Statement(f"{head} SET EXPRESSION AS ({expression})")
    if "default" in what or default_again:
        yield Statement(
            f"{head} SET DEFAULT {a.default}" if a.default is not None else f"{head} DROP DEFAULT"
        )
    yield from _not_null(a, b, what, owner, ground)
    if "identity_generation" in what and a.identity_generation is not None:
        yield from _identity(a, b, owner, head, ground)
    if "storage" in what:
        yield Statement(f"{head} SET STORAGE {(a.storage or _usual_storage(a, ground)).upper()}")
    if "compression" in what:
        yield Statement(f"{head} SET COMPRESSION {a.compression or 'DEFAULT'}")
    if "statistics_target" in what:
        yield Statement(f"{head} SET STATISTICS {-1 if a.statistics_target is None else a.statistics_target}")
    if "options" in what:
        yield from option_changes(head, b.options, a.options)
    if "foreign_options" in what:
        yield Statement(f"{head} {foreign_options(b.foreign_options, a.foreign_options)}")


def _not_null(a: Column, b: Column, what: set[str], owner: Table, ground: Ground) -> Iterator[Statement]:
    table = f"ALTER {keyword(owner)} {owner.identity}"
    changed = what & {"not_null", "not_null_state", "not_null_name"}
    if not changed:
        return
    column = quote(a.name)
    if changed == {"not_null_name"} and a.not_null_name and b.not_null_name:
        yield Statement(f"{table} RENAME CONSTRAINT {quote(b.not_null_name)} TO {quote(a.not_null_name)}")
        return
    named = b.not_null_name is not None and a.not_null_name == b.not_null_name
    if named and b.not_null_state == "NOT VALID" and a.not_null_state is None:
        assert b.not_null_name is not None
        yield Statement(f"{table} VALIDATE CONSTRAINT {quote(b.not_null_name)}", alone=True)
        return
    dropped = f"ALTER COLUMN {column} DROP NOT NULL"
    if not a.not_null:
        yield Statement(f"{table} {dropped}")
        return
    if not a.not_null_state and not a.not_null_name:
        again = (Statement(f"{table} {dropped}"),) if b.not_null else ()
        yield from set_not_null(owner, a.name, ground, before=again)
        return
    # PostgreSQL 18: a constraint of its own.
    if b.not_null:
        yield Statement(f"{table} {dropped}")
    name = f"CONSTRAINT {quote(a.not_null_name)} " if a.not_null_name else ""
    inherit = " NO INHERIT" if a.not_null_state and "NO INHERIT" in a.not_null_state else ""
    if b.not_null or not a.not_null_name or "NOT VALID" in (a.not_null_state or ""):
        # In the transaction of the drop: a column is not without it in between.
        valid = " NOT VALID" if "NOT VALID" in (a.not_null_state or "") else ""
        yield Statement(f"{table} ADD {name}NOT NULL {column}{inherit}{valid}")
        return
    yield Statement(f"{table} ADD {name}NOT NULL {column}{inherit} NOT VALID")
    yield Statement(f"{table} VALIDATE CONSTRAINT {quote(a.not_null_name)}", alone=True)


def _identity(a: Column, b: Column, owner: Table, head: str, ground: Ground) -> Iterator[Statement]:
    if b.identity_generation is not None:
        yield Statement(f"{head} SET GENERATED {a.identity_generation}")
        return
    options = identity_options(a, owner, ground)
    yield Statement(f"{head} ADD GENERATED {a.identity_generation} AS IDENTITY{options}")
    # What is there goes on counting after the greatest value.
    greatest, table = f"max({quote(a.name)})", owner.identity
    sequence = f"pg_get_serial_sequence({literal(table)}, {literal(a.name)})"
    go_on = f"SELECT setval({sequence}, {greatest}) FROM {table} HAVING {greatest} IS NOT NULL"  # noqa: S608 - quoted
    yield Statement(go_on)


@dataclass(frozen=True, slots=True)
class TypeParts:
    """What a type is written of: `numeric`, `10,2`, whether it is an array."""

    base: str
    size: str | None
    array: bool


def type_parts(type_: str) -> TypeParts:
    """Take a type apart."""
    match = _TYPE.match(type_)
    assert match is not None
    return TypeParts(_base(type_), match["size"], bool(match["array"]))


def conversion(a: Column, b: Column) -> str:
    """Write the value of b's column as one of a's type."""
    using = _using(replace(a, name=b.name), b)
    return using.removeprefix(" USING ") or f"{quote(b.name)}::{a.type}"


def _using(a: Column, b: Column) -> str:
    old, new = _base(b.type), _base(a.type)
    if a.type.endswith("[]") != b.type.endswith("[]"):
        # Between an array and what is none there is only the way through text, which every value has.
        plain = new in _STRINGS and not a.type.endswith("[]")
        return "" if plain else f" USING {quote(a.name)}::text::{a.type}"
    if old == new or new in _STRINGS or any(old in family and new in family for family in _FAMILIES):
        return ""
    column = quote(a.name)
    if old in _STRINGS or not ("." in old or "." in new):
        return f" USING {column}::{a.type}"
    array = "[]" if b.type.endswith("[]") else ""
    return f" USING {column}::text{array}::{a.type}"


def _base(type_: str) -> str:
    match = _TYPE.match(type_)
    assert match is not None
    return match["base"].strip() + (match["zone"] or "")


def _usual_storage(column: Column, ground: Ground) -> str:
    if ground.major >= 16:
        return "default"
    if _base(column.type) in ("numeric", "inet", "cidr") and not column.type.endswith("[]"):
        return "main"
    return "extended"
