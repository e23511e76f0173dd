"""Enums, domains, composite and range types."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.constraints import constraint_text, inline
from web.schema.ddl.statement import Ground, Made, Statement, Unwritten, literal
from web.schema.model import CatalogObject, CompositeType, Domain, Enum, RangeType
from web.schema.names import quote


def create_type(item: Enum | Domain | CompositeType | RangeType, ground: Ground) -> Made:
    """Write CREATE TYPE or CREATE DOMAIN."""
    head = f"CREATE TYPE {item.identity} AS"
    new: CatalogObject = replace(item, owner=ground.role, grants=(), comment=None)
    match item:
        case Enum():
            sql = f"{head} ENUM ({', '.join(map(literal, item.labels))})"
        case CompositeType():
            columns = [
                f"{quote(each.name)} {each.type}{f' COLLATE {each.collation}' if each.collation else ''}"
                for each in item.columns
            ]
            sql = f"{head} ({', '.join(columns)})"
            new = replace(
                item,
                columns=tuple(replace(each, comment=None) for each in item.columns),
                owner=ground.role,
                grants=(),
                comment=None,
            )
        case RangeType():
            if "canonical = " in item.definition:
                raise Unwritten("Clean Start does not write a range type that has a canonical function.")
            sql = f"{head} RANGE ({item.definition})"
        case Domain():
            parts = [f"CREATE DOMAIN {item.identity} AS {item.type}"]
            if item.collation:
                parts.append(f"COLLATE {item.collation}")
            if item.default is not None:
                parts.append(f"DEFAULT {item.default}")
            if item.not_null:
                parts.append("NOT NULL")
            checks = tuple(inline(each) for each in item.constraints if each.validated)
            parts += [
                f"CONSTRAINT {quote(each.name)} {constraint_text(each, validated=True)}" for each in checks
            ]
            sql = " ".join(parts)
            new = replace(item, constraints=checks, owner=ground.role, grants=(), comment=None)
    return [Statement(sql)], new


def alter_enum(a: Enum, b: Enum) -> list[Statement] | None:
    """Add labels; None where some have to go or to move."""
    kept = [label for label in a.labels if label in b.labels]
    if kept != list(b.labels):
        return None
    made: list[Statement] = []
    there = list(b.labels)
    for number, label in enumerate(a.labels):
        if label in there:
            continue
        where = ""
        if number:
            where = f" AFTER {literal(a.labels[number - 1])}"
        elif there:
            where = f" BEFORE {literal(there[0])}"
        made.append(Statement(f"ALTER TYPE {a.identity} ADD VALUE {literal(label)}{where}", alone=True))
        there.insert(number, label)
    return made


def alter_domain(a: Domain, what: set[str]) -> list[Statement] | None:
    """Lead a domain from b to a; None where its type differs."""
    if what & {"type", "collation"}:
        return None
    head = f"ALTER DOMAIN {a.identity}"
    made: list[Statement] = []
    if "default" in what:
        made.append(
            Statement(f"{head} DROP DEFAULT" if a.default is None else f"{head} SET DEFAULT {a.default}")
        )
    if "not_null" in what:
        made.append(Statement(f"{head} {'SET' if a.not_null else 'DROP'} NOT NULL"))
    return made
