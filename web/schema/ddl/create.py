"""CREATE: the statements that make an object, and what is there after them (the rest is altered, see alter.py)."""

from __future__ import annotations

import re
from dataclasses import replace

from web.schema.ddl.statement import (
    Ground,
    Statement,
    Unwritten,
    given_options,
    literal,
    not_written,
    settings,
)
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    DefaultPrivileges,
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
    Sequence,
    Setting,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.names import qualified, quote

#: Parameters whose value is a list that the server keeps already quoted (GUC_LIST_QUOTE, as pg_dump has them).
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_NAMES = r'\((?:"(?:[^"]|"")*"|[^"()])*\)'
_KEY = re.compile(rf"(PRIMARY KEY|UNIQUE)( NULLS NOT DISTINCT)? ({_NAMES})( INCLUDE {_NAMES})?\Z")

Made = tuple[list[Statement], CatalogObject]


def create(item: CatalogObject, owner: CatalogObject | None, ground: Ground, *, live: bool) -> Made:
    """Give the statements, and the object as it is after them.

    `owner` is what the object belongs to, `live` says that this was there before, with rows and readers: then
    forms are taken that do not block them. Raises Unwritten for kinds and forms that are left to a person.
    """
    match item:
        case Table():
            return _table(item, ground)
        case Column():
            assert owner is not None
            return _column(item, owner, ground)
        case Constraint():
            assert owner is not None
            return _constraint(item, owner, ground, live=live)
        case Index():
            assert owner is not None
            return _index(item, owner, live=live)
        case Trigger() | Rule() | Policy() | Statistics():
            return _on_table(item, owner, ground)
        case View() | MaterializedView():
            return _view(item, ground)
        case Enum() | Domain() | CompositeType() | RangeType():
            return _type(item, ground)
        case Sequence():
            return _sequence(item, ground)
        case _:
            return _other(item, ground)


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


def sequence_options(item: Sequence, there: Sequence) -> str:
    """Write the options that differ from those of the sequence as it is there; each begins with a space."""
    words = {
        "start": f"START WITH {item.start}",
        "increment": f"INCREMENT BY {item.increment}",
        "minimum": "NO MINVALUE" if item.minimum is None else f"MINVALUE {item.minimum}",
        "maximum": "NO MAXVALUE" if item.maximum is None else f"MAXVALUE {item.maximum}",
        "cache": f"CACHE {item.cache}",
        "cycle": "CYCLE" if item.cycle else "NO CYCLE",
    }
    return "".join(f" {text}" for name, text in words.items() if getattr(item, name) != getattr(there, name))


def constraint_text(item: Constraint, *, validated: bool) -> str:
    """Write a constraint as pg_get_constraintdef does."""
    parts = [item.definition]
    if item.no_inherit:
        parts.append("NO INHERIT")
    if item.deferrable is not None:
        parts.append(item.deferrable)
    if not item.enforced:
        parts.append("NOT ENFORCED")
    elif not validated:
        parts.append("NOT VALID")
    return " ".join(parts)


def policy_text(item: Policy, owner: CatalogObject) -> str:
    """Write CREATE POLICY."""
    using = f" USING ({item.using})" if item.using is not None else ""
    check = f" WITH CHECK ({item.check})" if item.check is not None else ""
    return (
        f"CREATE POLICY {quote(item.name)} ON {owner.identity} AS "
        f"{'PERMISSIVE' if item.permissive else 'RESTRICTIVE'} FOR {item.command} "
        f"TO {', '.join(item.roles)}{using}{check}"
    )


def setting_head(item: Setting, ground: Ground) -> str:
    """Write ALTER DATABASE or ALTER ROLE … IN DATABASE."""
    database = quote(ground.database)
    if item.role:
        return f"ALTER ROLE {quote(item.role)} IN DATABASE {database}"
    return f"ALTER DATABASE {database}"


def set_parameter(item: Setting, ground: Ground) -> Statement:
    """Write a setting."""
    value = item.value if item.name in _LISTS else literal(item.value)
    return Statement(f"{setting_head(item, ground)} SET {quote(item.name)} TO {value}")


def publication_tables(item: Publication) -> str:
    """Write what a publication is for, without FOR; empty where that is nothing."""
    parts = []
    if item.tables:
        parts.append(f"TABLE {', '.join(item.tables)}")
    if item.schemas:
        parts.append(f"TABLES IN SCHEMA {', '.join(item.schemas)}")
    return ", ".join(parts)


def publication_options(item: Publication, ground: Ground) -> str:
    """Write a publication's parameters."""
    options = f"publish = {literal(', '.join(item.operations))}, publish_via_partition_root = {item.via_root}"
    if ground.major >= 18:
        options += f", publish_generated_columns = {item.generated_columns or 'none'}"
    return options.replace("True", "true").replace("False", "false")


def _table(item: Table, ground: Ground) -> Made:
    if item.server is not None and not _has_server(item.server, ground):
        raise Unwritten(
            f"It is on the server {item.server}, which Clean Start does not write: make that first."
        )
    parents = [ground.expected_tables.get(name) for name in item.parents]
    # What the schema holds only once, in the parent, is there by inheritance.
    columns = tuple(_bare(column) for column in item.columns)
    inherited = {column.name: column for parent in parents if parent for column in parent.columns}
    constraints = tuple(_inline(each) for each in item.constraints if _is_inline(each))
    texts = [f"CONSTRAINT {quote(each.name)} {constraint_text(each, validated=True)}" for each in constraints]
    head = f"CREATE {_table_words(item)} {item.identity}"
    tail = f" PARTITION BY {item.partition_key}" if item.partition_key else ""
    if item.server is not None:
        tail += f" SERVER {quote(item.server)}"
        if item.foreign_options:
            tail += f" {given_options(item.foreign_options)}"
    if item.access_method is not None:
        tail += f" USING {quote(item.access_method)}"
    if item.options:
        tail += f" WITH ({settings(item.options)})"
    if item.tablespace is not None:
        tail += f" TABLESPACE {quote(item.tablespace)}"
    if item.partition_bound is not None:
        columns = tuple(_as_partition(column, inherited, ground) for column in columns)
        body = f" ({', '.join(texts)})" if texts else ""
        sql = f"{head} PARTITION OF {item.parents[0]}{body} {item.partition_bound}{tail}"
    else:
        texts = [
            column_text(column, item, ground)
            for column in columns
            if column.name not in inherited or column != _bare(inherited[column.name])
        ] + texts
        body = "".join(f"\n    {text}," for text in texts).removesuffix(",")
        below = f" INHERITS ({', '.join(item.parents)})" if item.parents else ""
        sql = f"{head} ({body}\n){below}{tail}" if texts else f"{head} (){below}{tail}"
    made = Table(
        **{name: getattr(item, name) for name in _WITH_TABLE},
        # Foreign tables have no rows of their own to identify.
        replica_identity="nothing" if item.form == "foreign table" else "default",
        columns=columns,
        constraints=constraints,
        owner=ground.role,
    )
    return [Statement(sql)], made


def _has_server(name: str, ground: Ground) -> bool:
    return any(each.form == "server" and each.name == quote(name) for each in ground.actual.others)


#: What CREATE TABLE gives a table at once.
_WITH_TABLE = (
    "schema",
    "name",
    "form",
    "persistence",
    "access_method",
    "partition_key",
    "parents",
    "partition_bound",
    "options",
    "tablespace",
    "server",
    "foreign_options",
)


def _table_words(item: Table) -> str:
    if item.form == "foreign table":
        return "FOREIGN TABLE"
    return "UNLOGGED TABLE" if item.persistence == "unlogged" else "TABLE"


def _bare(column: Column) -> Column:
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


def _as_partition(column: Column, inherited: dict[str, Column], ground: Ground) -> Column:
    """A column as PARTITION OF copies it from its parent."""
    parent = inherited.get(column.name)
    if parent is None:
        raise Unwritten("Clean Start does not write a partition that has other columns than its table.")
    identity = parent.identity_generation if ground.major >= 17 else None
    return replace(
        _bare(parent), storage=parent.storage, compression=parent.compression, identity_generation=identity
    )


def _is_inline(item: Constraint) -> bool:
    return item.form != "foreign key" and item.validated and item.enforced


def _inline(item: Constraint) -> Constraint:
    return replace(item, index_options=(), tablespace=None, clustered=False, enabled="origin", comment=None)


def _column(item: Column, owner: CatalogObject, ground: Ground) -> Made:
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
    return [Statement(sql, note=note)], _bare(item)


def _constraint(item: Constraint, owner: CatalogObject, ground: Ground, *, live: bool) -> Made:
    made = _inline(item)
    keyword = "DOMAIN" if isinstance(owner, Domain) else "TABLE"
    if isinstance(owner, Table) and owner.form == "foreign table":
        keyword = "FOREIGN TABLE"
    head = f"ALTER {keyword} {owner.identity}"
    name = quote(item.name)
    plain = Statement(f"{head} ADD CONSTRAINT {name} {constraint_text(item, validated=item.validated)}")
    partitioned = isinstance(owner, Table) and owner.form != "table"
    if not live or not item.validated or not item.enforced:
        return [plain], made
    if item.form == "check" or (item.form == "foreign key" and (not partitioned or ground.major >= 18)):
        added = f"{head} ADD CONSTRAINT {name} {constraint_text(item, validated=False)}"
        return [Statement(added), Statement(f"{head} VALIDATE CONSTRAINT {name}", alone=True)], made
    key = _KEY.match(item.definition)
    if key is None or partitioned:
        return [plain], made
    form, nulls, columns, included = key.groups(default="")
    index = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {owner.identity} {columns}{included}{nulls}"
    deferrable = f" {item.deferrable}" if item.deferrable else ""
    using = f"{head} ADD CONSTRAINT {name} {form} USING INDEX {name}{deferrable}"
    return [Statement(index, alone=True), Statement(using)], made


def _index(item: Index, owner: CatalogObject, *, live: bool) -> Made:
    if not item.valid:
        raise Unwritten("An index is invalid after a failure only: nothing makes one so on purpose.")
    alone = live and not (isinstance(owner, Table) and owner.form != "table")
    words = f"{'UNIQUE ' if item.unique else ''}INDEX {'CONCURRENTLY ' if alone else ''}"
    sql = f"CREATE {words}{quote(item.name)} ON {owner.identity} {item.definition}"
    made = replace(item, tablespace=None, clustered=False, statistics_target=None, comment=None)
    return [Statement(sql, alone=alone)], made


def _on_table(
    item: Trigger | Rule | Policy | Statistics, owner: CatalogObject | None, ground: Ground
) -> Made:
    match item:
        case Trigger():
            word = "CONSTRAINT TRIGGER" if item.constraint else "TRIGGER"
            sql = f"CREATE {word} {quote(item.name)} {item.definition}"
            return [Statement(sql)], replace(item, enabled="origin", comment=None)
        case Rule():
            sql = f"CREATE RULE {quote(item.name)} AS {item.definition.strip().removesuffix(';')}"
            return [Statement(sql)], replace(item, enabled="origin", comment=None)
        case Policy():
            assert owner is not None
            return [Statement(policy_text(item, owner))], replace(item, comment=None)
        case Statistics():
            made = replace(item, statistics_target=None, owner=ground.role, comment=None)
            return [Statement(f"CREATE STATISTICS {item.identity} {item.definition}")], made


def _view(item: View | MaterializedView, ground: Ground) -> Made:
    query = item.definition.rstrip().removesuffix(";")
    options = f" WITH ({settings(item.options)})" if item.options else ""
    columns = tuple(replace(_bare(each), default=None) for each in item.columns)
    if isinstance(item, View):
        sql = f"CREATE VIEW {item.identity}{options} AS\n{query}"
        return [Statement(sql)], View(
            item.schema, item.name, item.definition, item.options, columns, owner=ground.role
        )
    method = f" USING {quote(item.access_method)}" if item.access_method else ""
    place = f" TABLESPACE {quote(item.tablespace)}" if item.tablespace else ""
    sql = f"CREATE MATERIALIZED VIEW {item.identity}{method}{options}{place} AS\n{query}"
    return [Statement(sql)], MaterializedView(
        item.schema,
        item.name,
        item.definition,
        item.access_method,
        item.options,
        item.tablespace,
        columns,
        owner=ground.role,
    )


def _type(item: Enum | Domain | CompositeType | RangeType, ground: Ground) -> Made:
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
            checks = tuple(_inline(each) for each in item.constraints if each.validated)
            parts += [
                f"CONSTRAINT {quote(each.name)} {constraint_text(each, validated=True)}" for each in checks
            ]
            sql = " ".join(parts)
            new = replace(item, constraints=checks, owner=ground.role, grants=(), comment=None)
    return [Statement(sql)], new


def _sequence(item: Sequence, ground: Ground) -> Made:
    if item.identity_column:
        return [], item
    unlogged = item.persistence == "unlogged" and item.owned_by is None
    word = "UNLOGGED SEQUENCE" if unlogged else "SEQUENCE"
    type_ = f" AS {item.type}" if item.type != "bigint" else ""
    usual = replace(item, start=1, increment=1, minimum=None, maximum=None, cache=1, cycle=False)
    sql = f"CREATE {word} {item.identity}{type_}{sequence_options(item, usual)}"
    made = replace(item, owned_by=None, owner=None if item.owned_by else ground.role, grants=(), comment=None)
    return [Statement(sql)], made


def _other(item: CatalogObject, ground: Ground) -> Made:
    match item:
        case Namespace():
            return [Statement(f"CREATE SCHEMA {item.identity}")], Namespace(item.name, ground.role)
        case Extension():
            sql = f"CREATE EXTENSION {item.identity} SCHEMA {quote(item.schema)} VERSION {literal(item.version)}"
            return [Statement(sql)], item
        case Function():
            word = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(item.form, "FUNCTION")
            sql = f"CREATE {word} {qualified(item.schema, item.name)}{item.definition.rstrip()}"
            return [Statement(sql)], replace(item, owner=ground.role, grants=(), comment=None)
        case EventTrigger():
            tags = f" WHEN TAG IN ({', '.join(map(literal, item.tags))})" if item.tags else ""
            sql = f"CREATE EVENT TRIGGER {item.identity} ON {item.event}{tags} EXECUTE FUNCTION {item.function}()"
            return [Statement(sql)], replace(item, enabled="origin", owner=ground.role, comment=None)
        case Publication():
            what = "ALL TABLES" if item.all_tables else publication_tables(item)
            options = publication_options(item, ground)
            sql = f"CREATE PUBLICATION {item.identity}{f' FOR {what}' if what else ''} WITH ({options})"
            return [Statement(sql)], replace(item, owner=ground.role, comment=None)
        case Setting():
            return [set_parameter(item, ground)], item
        case DefaultPrivileges():
            return [], replace(item, grants=())
        case _:
            raise not_written(item)
