"""How an object reads in one text, close to the DDL that makes it: what a person compares side by side."""

from __future__ import annotations

from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Database,
    DefaultPrivileges,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    Grant,
    Index,
    MaterializedView,
    Policy,
    Publication,
    RangeType,
    Rule,
    Sequence,
    Setting,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.names import quote


def describe(value: CatalogObject) -> str:
    """Describe an object without its name where a Difference names it already."""
    match value:
        case Column():
            return _column(value)
        case Constraint():
            return _constraint(value)
        case Index():
            unique, valid = "UNIQUE " if value.unique else "", "" if value.valid else " (not valid)"
            return f"{unique}{value.definition}{valid}"
        case Trigger():
            return f"{'CONSTRAINT ' if value.constraint else ''}{value.definition}{_enabled(value.enabled)}"
        case Rule():
            return value.definition.strip() + _enabled(value.enabled)
        case Policy():
            return _policy(value)
        case Table():
            return _table(value)
        case View() | MaterializedView():
            return value.definition
        case Sequence():
            return _sequence(value)
        case Enum():
            return f"ENUM ({', '.join(_literal(label) for label in value.labels)})"
        case Domain():
            return _domain(value)
        case CompositeType():
            return f"({', '.join(f'{quote(item.name)} {_column(item)}' for item in value.columns)})"
        case Function() | RangeType() | Statistics():
            return value.definition.strip()
        case EventTrigger():
            tags = f" WHEN TAG IN ({', '.join(map(_literal, value.tags))})" if value.tags else ""
            return f"ON {value.event}{tags} EXECUTE FUNCTION {value.function}(){_enabled(value.enabled)}"
        case Extension():
            return f"version {value.version} in schema {quote(value.schema)}"
        case Grant():
            return ", ".join(value.privileges) or "nothing"
        case DefaultPrivileges():
            return "; ".join(f"{grant.grantee}: {describe(grant)}" for grant in value.grants) or "nothing"
        case Publication():
            return _publication(value)
        case Setting():
            return value.value
        case Database():
            return value.identity
        case _:
            return str(getattr(value, "definition", value.identity))


def _column(value: Column) -> str:
    return " ".join(
        part
        for part in (
            value.type,
            f"COLLATE {value.collation}" if value.collation else "",
            f"DEFAULT {value.default}" if value.default is not None else "",
            f"GENERATED {value.identity_generation} AS IDENTITY" if value.identity_generation else "",
            f"GENERATED ALWAYS AS {value.generated}" if value.generated else "",
            "NOT NULL" if value.not_null else "",
        )
        if part
    )


def _constraint(value: Constraint) -> str:
    return " ".join(
        part
        for part in (
            value.definition,
            f"WITH ({', '.join(value.index_options)})" if value.index_options else "",
            "NO INHERIT" if value.no_inherit else "",
            value.deferrable or "",
            "" if value.enforced else "NOT ENFORCED",
            "" if value.validated else "NOT VALID",
            "" if value.enabled == "origin" else f"({value.enabled})",
        )
        if part
    )


def _policy(value: Policy) -> str:
    using = f" USING ({value.using})" if value.using is not None else ""
    check = f" WITH CHECK ({value.check})" if value.check is not None else ""
    return (
        f"AS {'PERMISSIVE' if value.permissive else 'RESTRICTIVE'} FOR {value.command} "
        f"TO {', '.join(value.roles)}{using}{check}"
    )


def _table(value: Table) -> str:
    lines = [f"{quote(item.name)} {_column(item)}" for item in value.columns]
    lines += [f"CONSTRAINT {quote(item.name)} {_constraint(item)}" for item in value.constraints]
    text = f"{value.form} (" + "".join(f"\n    {line}," for line in lines).removesuffix(",") + "\n)"
    if value.parents:
        text += f" {'PARTITION OF' if value.partition_bound else 'INHERITS'} {', '.join(value.parents)}"
    if value.partition_bound:
        text += f" {value.partition_bound}"
    if value.partition_key:
        text += f" PARTITION BY {value.partition_key}"
    return text


def _sequence(value: Sequence) -> str:
    return " ".join(
        part
        for part in (
            f"AS {value.type} START {value.start} INCREMENT {value.increment}",
            f"MINVALUE {value.minimum}" if value.minimum is not None else "",
            f"MAXVALUE {value.maximum}" if value.maximum is not None else "",
            f"CACHE {value.cache}",
            "CYCLE" if value.cycle else "",
            f"OWNED BY {value.owned_by}" if value.owned_by else "",
        )
        if part
    )


def _domain(value: Domain) -> str:
    parts = [value.type]
    if value.collation:
        parts.append(f"COLLATE {value.collation}")
    if value.default is not None:
        parts.append(f"DEFAULT {value.default}")
    if value.not_null:
        parts.append("NOT NULL")
    parts += [f"CONSTRAINT {quote(item.name)} {_constraint(item)}" for item in value.constraints]
    return " ".join(parts)


def _publication(value: Publication) -> str:
    what = "ALL TABLES" if value.all_tables else ""
    if value.tables:
        what += f" TABLE {', '.join(value.tables)}"
    if value.schemas:
        what += f" TABLES IN SCHEMA {', '.join(value.schemas)}"
    return f"FOR{' ' + what.strip() if what else ' nothing'} ({', '.join(value.operations)})"


def _enabled(state: str) -> str:
    return "" if state == "origin" else f" ({state})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
