"""Tables, partitions and foreign tables: made, altered, and led into and out of their parents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.columns import bare, column_text
from web.schema.ddl.constraints import constraint_text, inline, is_inline
from web.schema.ddl.statement import (
    Ground,
    Made,
    Statement,
    Unwritten,
    foreign_options,
    given_options,
    keyword,
    option_changes,
    settings,
)
from web.schema.model import Column, Table
from web.schema.names import quote


def create_table(item: Table, ground: Ground) -> Made:
    """Write CREATE TABLE, with what it can hold at once."""
    if item.server is not None and not _has_server(item.server, ground):
        raise Unwritten(
            f"It is on the server {item.server}, which Clean Start does not write: make that first."
        )
    parents = [ground.expected_tables.get(name) for name in item.parents]
    # What the schema holds only once, in the parent, is there by inheritance.
    columns = tuple(bare(column) for column in item.columns)
    inherited = {column.name: column for parent in parents if parent for column in parent.columns}
    constraints = tuple(inline(each) for each in item.constraints if is_inline(each))
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
            if column.name not in inherited or column != bare(inherited[column.name])
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


def _as_partition(column: Column, inherited: dict[str, Column], ground: Ground) -> Column:
    """A column as PARTITION OF copies it from its parent."""
    parent = inherited.get(column.name)
    if parent is None:
        raise Unwritten("Clean Start does not write a partition that has other columns than its table.")
    identity = parent.identity_generation if ground.major >= 17 else None
    return replace(
        bare(parent), storage=parent.storage, compression=parent.compression, identity_generation=identity
    )


#: Attributes of a table that no statement changes, and why.
FIXED = {
    "form": "A table cannot become another kind of table: its rows have to be moved to a new one.",
    "partition_key": "A partition key cannot be changed: the rows have to be moved to a new table.",
    "column_order": "PostgreSQL cannot move a column: the table would have to be made again.",
}


def alter_table(a: Table, b: Table, what: set[str], ground: Ground) -> Iterator[Statement]:
    """Lead a table's own attributes from those of b to those of a."""
    head = f"ALTER {keyword(a)} {a.identity}"
    for fixed in FIXED.keys() & what:
        raise Unwritten(FIXED[fixed])
    if "persistence" in what:
        yield Statement(
            f"{head} SET {'UNLOGGED' if a.persistence == 'unlogged' else 'LOGGED'}",
            note=f"Writes {a.identity} anew under an exclusive lock.",
        )
    if "access_method" in what:
        if ground.major < 15:
            raise Unwritten("PostgreSQL changes a table's access method since version 15.")
        yield Statement(f"{head} SET ACCESS METHOD {quote(a.access_method or 'heap')}")
    if what & {"parents", "partition_bound"}:
        yield from _parents(a, b, head)
    if "of_type" in what:
        yield Statement(f"{head} OF {a.of_type}" if a.of_type else f"{head} NOT OF")
    if "options" in what:
        yield from option_changes(head, b.options, a.options)
    if "foreign_options" in what:
        yield Statement(f"{head} {foreign_options(b.foreign_options, a.foreign_options)}")
    if "server" in what:
        raise Unwritten("A foreign table cannot be moved to another server: it has to be made again.")
    if "row_security" in what:
        yield Statement(f"{head} {'ENABLE' if a.row_security else 'DISABLE'} ROW LEVEL SECURITY")
    if "row_security_forced" in what:
        yield Statement(f"{head} {'FORCE' if a.row_security_forced else 'NO FORCE'} ROW LEVEL SECURITY")
    if "replica_identity" in what:
        identity = a.replica_identity
        words = (
            f"USING INDEX {identity.removeprefix('index ')}" if identity.startswith("index ") else identity
        )
        yield Statement(f"{head} REPLICA IDENTITY {words if ' ' in words else words.upper()}")
    if "tablespace" in what:
        yield Statement(
            f"{head} SET TABLESPACE {quote(a.tablespace or 'pg_default')}",
            note=f"Copies {a.identity} under an exclusive lock.",
        )


def _parents(a: Table, b: Table, head: str) -> Iterator[Statement]:
    if b.partition_bound is not None:
        yield Statement(f"ALTER TABLE {b.parents[0]} DETACH PARTITION {a.identity}")
    else:
        for name in b.parents:
            if name not in a.parents or a.partition_bound is not None:
                yield Statement(f"{head} NO INHERIT {name}")
    if a.partition_bound is not None:
        yield Statement(f"ALTER TABLE {a.parents[0]} ATTACH PARTITION {a.identity} {a.partition_bound}")
        return
    kept = [name for name in b.parents if name in a.parents] if b.partition_bound is None else []
    if kept and list(a.parents[: len(kept)]) != kept:
        raise Unwritten("PostgreSQL cannot change the order of a table's parents.")
    for name in a.parents[len(kept) :]:
        yield Statement(f"{head} INHERIT {name}")
