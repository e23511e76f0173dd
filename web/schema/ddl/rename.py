"""RENAME and SET SCHEMA: one statement, and everything else that names the object follows by itself."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.statement import Ground, Statement, keyword, literal, target
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Function,
    Index,
    Policy,
    Rule,
    Trigger,
)
from web.schema.names import qualified, quote


def rename_schema(old: str, new: str) -> Statement:
    """Rename a schema."""
    return Statement(f"ALTER SCHEMA {quote(old)} RENAME TO {quote(new)}")


def rename_label(type_: CatalogObject, old: str, new: str) -> Statement:
    """Rename a value of an enum."""
    return Statement(f"ALTER TYPE {type_.identity} RENAME VALUE {literal(old)} TO {literal(new)}")


def rename(a: CatalogObject, b: CatalogObject, owner: CatalogObject | None, ground: Ground) -> Statement:
    """Give b the name (or the schema) of a; `owner` is what both belong to, by its name in a."""
    old, new = quote(b.name), quote(a.name)  # type: ignore[attr-defined]
    match b:
        case Column():
            assert owner is not None
            word = "ATTRIBUTE" if isinstance(owner, CompositeType) else "COLUMN"
            return Statement(f"ALTER {keyword(owner)} {owner.identity} RENAME {word} {old} TO {new}")
        case Constraint():
            assert owner is not None
            return Statement(f"ALTER {keyword(owner)} {owner.identity} RENAME CONSTRAINT {old} TO {new}")
        case Trigger() | Policy() | Rule():
            return Statement(f"ALTER {keyword(b)} {target(b, owner, ground)} RENAME TO {new}")
        case Index():
            return Statement(f"ALTER INDEX {target(b, owner, ground)} RENAME TO {new}")
        case Function():
            # Types of its arguments have their new names already.
            assert isinstance(a, Function)
            b = replace(b, arguments=a.arguments)
            if a.form == "aggregate":
                head = f"ALTER AGGREGATE {target(replace(a, schema=b.schema, name=b.name), owner, ground)}"
            else:
                head = f"ALTER {keyword(b)} {qualified(b.schema, b.name)}({b.arguments})"
        case _:
            head = f"ALTER {keyword(b)} {target(b, owner, ground)}"
    if a.schema != b.schema:  # type: ignore[attr-defined]
        return Statement(f"{head} SET SCHEMA {quote(a.schema)}")  # type: ignore[attr-defined]
    return Statement(f"{head} RENAME TO {new}")
