"""ALTER: the statements that change attributes of an object in place; None where it has to be made again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from web.schema.ddl.access import comment, own
from web.schema.ddl.columns import alter_attribute, alter_column, alter_view_column
from web.schema.ddl.create import (
    constraint_text,
    policy_text,
    publication_options,
    publication_tables,
    sequence_options,
    set_parameter,
)
from web.schema.ddl.statement import (
    Ground,
    Statement,
    Unwritten,
    foreign_options,
    keyword,
    literal,
    not_written,
    option_changes,
)
from web.schema.limits import limits_of
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Database,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
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
from web.schema.names import holder_of, qualified, quote

Owner = CatalogObject | None
#: Attributes of a table that no statement changes, and why.
FIXED = {
    "form": "A table cannot become another kind of table: its rows have to be moved to a new one.",
    "partition_key": "A partition key cannot be changed: the rows have to be moved to a new table.",
    "column_order": "PostgreSQL cannot move a column: the table would have to be made again.",
}
_ENABLE = {
    "origin": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def alter(
    a: CatalogObject, b: CatalogObject, what: Collection[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    """Lead the attributes in `what` from those of b to those of a, in the order in which they can be.

    Both have the name that they have in a, and so has `owner`, which they belong to. Raises Unwritten.
    """
    left = set(what)
    made: list[Statement] = []
    if "owner" in left and isinstance(new := getattr(a, "owner", None), str):
        made.append(own(a, new, ground))
    if "comment" in left and not isinstance(a, Extension):
        made.append(comment(a, owner, getattr(a, "comment", None), ground))
    left -= {"owner", "comment"}
    if not left:
        return made
    core = _alter(a, b, left, owner, ground)
    return None if core is None else [*core, *made]


def _alter(
    a: CatalogObject, b: CatalogObject, what: set[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    match a, b:
        case Table(), Table():
            return list(_table(a, b, what, ground))
        case Column(), Column():
            if isinstance(owner, CompositeType):
                return alter_attribute(a, owner)
            if isinstance(owner, Table):
                return alter_column(a, b, what, owner, ground)
            assert owner is not None
            return alter_view_column(a, owner)
        case Constraint(), Constraint():
            return _constraint(a, b, what, owner, ground)
        case Index(), Index():
            return _index(a, b, what, owner)
        case (Trigger(), Trigger()) | (Rule(), Rule()) if what == {"enabled"}:
            return [switch(a, owner)]
        case Policy(), Policy():
            return _policy(a, b, owner, what)
        case Statistics(), Statistics() if what == {"statistics_target"}:
            number = -1 if a.statistics_target is None else a.statistics_target
            return [Statement(f"ALTER STATISTICS {a.identity} SET STATISTICS {number}")]
        case View(), View():
            return _view(a, b, what)
        case MaterializedView(), MaterializedView():
            return _materialized_view(a, b, what)
        case Function(), Function():
            return _function(a, b)
        case Sequence(), Sequence():
            return list(_sequence(a, b, what, ground))
        case Enum(), Enum():
            return _enum(a, b)
        case Domain(), Domain():
            return _domain(a, what)
        case CompositeType(), CompositeType():
            raise Unwritten("PostgreSQL cannot move an attribute of a composite type.")
        case RangeType(), RangeType():
            return None
        case _:
            return _other(a, b, what, ground)


def switch(item: CatalogObject, owner: Owner) -> Statement:
    """Switch a trigger or rule on or off."""
    assert isinstance(item, Trigger | Rule)
    assert owner is not None
    word = "TRIGGER" if isinstance(item, Trigger) else "RULE"
    return Statement(f"ALTER TABLE {owner.identity} {_ENABLE[item.enabled]} {word} {quote(item.name)}")


def _table(a: Table, b: Table, what: set[str], ground: Ground) -> Iterator[Statement]:
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


def _constraint(
    a: Constraint, b: Constraint, what: set[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    assert owner is not None
    domain = isinstance(owner, Domain)
    head = f"ALTER {keyword(owner)} {owner.identity}"
    name, key = quote(a.name), a.form in ("primary key", "unique", "exclude")
    made: list[Statement] = []
    again = what & {"form", "definition", "no_inherit", "enabled"}
    again |= what & {"validated"} if not a.validated else set()
    again |= what & {"deferrable"} if a.form != "foreign key" else set()
    again |= what & {"enforced"} if a.form != "foreign key" or ground.major < 18 else set()
    if again:
        if a.enabled != "origin":
            raise Unwritten("What checks this constraint is switched off: that is for a person to do again.")
        return None if key or a.form != b.form else _constraint_again(a, head, ground, domain=domain)
    if "validated" in what and a.enforced:
        made.append(Statement(f"{head} VALIDATE CONSTRAINT {name}", alone=True))
    if "deferrable" in what:
        made.append(Statement(f"{head} ALTER CONSTRAINT {name} {a.deferrable or 'NOT DEFERRABLE'}"))
    if "enforced" in what:
        words = "ENFORCED" if a.enforced else "NOT ENFORCED"
        made.append(Statement(f"{head} ALTER CONSTRAINT {name} {words}"))
    schema: str = getattr(owner, "schema", "")
    made += _index_attributes(a, b, what, qualified(schema, a.name), head)
    return made


def _constraint_again(a: Constraint, head: str, ground: Ground, *, domain: bool) -> list[Statement]:
    """Put a constraint in another's place in one statement, so that nothing slips in between."""
    name = quote(a.name)
    late = a.validated and a.enforced
    added = f"ADD CONSTRAINT {name} {constraint_text(a, validated=False if late else a.validated)}"
    if domain:
        made = [Statement(f"{head} DROP CONSTRAINT {name}"), Statement(f"{head} {added}")]
    else:
        made = [Statement(f"{head} DROP CONSTRAINT {name}, {added}")]
    if late:
        made.append(Statement(f"{head} VALIDATE CONSTRAINT {name}", alone=True))
    if a.comment is not None:
        on = f"{name} ON {'DOMAIN ' if domain else ''}{head.split(' ', 2)[2]}"
        made.append(Statement(f"COMMENT ON CONSTRAINT {on} IS {literal(a.comment)}"))
    return made


def _index_attributes(
    a: Constraint | Index, b: Constraint | Index, what: set[str], identity: str, head: str
) -> list[Statement]:
    made: list[Statement] = []
    if "index_options" in what and isinstance(a, Constraint) and isinstance(b, Constraint):
        made += option_changes(f"ALTER INDEX {identity}", b.index_options, a.index_options)
    if "tablespace" in what:
        made.append(Statement(f"ALTER INDEX {identity} SET TABLESPACE {quote(a.tablespace or 'pg_default')}"))
    if "clustered" in what:
        words = f"CLUSTER ON {quote(a.name)}" if a.clustered else "SET WITHOUT CLUSTER"
        made.append(Statement(f"{head} {words}"))
    return made


def _index(a: Index, b: Index, what: set[str], owner: Owner) -> list[Statement] | None:
    assert owner is not None
    if what & {"definition", "unique"}:
        return None
    identity = qualified(owner.schema, a.name)  # type: ignore[attr-defined]
    made: list[Statement] = []
    if "valid" in what:
        if not a.valid:
            raise Unwritten("An index is invalid after a failure only: nothing makes one so on purpose.")
        made.append(Statement(f"REINDEX INDEX CONCURRENTLY {identity}", alone=True))
    made += _index_attributes(a, b, what, identity, f"ALTER {keyword(owner)} {owner.identity}")
    if "statistics_target" in what:
        old = dict(each.split(" ") for each in (b.statistics_target or "").split(", ") if each)
        new = dict(each.split(" ") for each in (a.statistics_target or "").split(", ") if each)
        for number in sorted(old.keys() | new.keys(), key=int):
            if old.get(number) != new.get(number):
                made.append(
                    Statement(
                        f"ALTER INDEX {identity} ALTER COLUMN {number} SET STATISTICS {new.get(number, '-1')}"
                    )
                )
    return made


def _policy(a: Policy, b: Policy, owner: Owner, what: set[str]) -> list[Statement] | None:
    assert owner is not None
    # ALTER POLICY can neither take a condition away nor change the command.
    if (
        what & {"command", "permissive"}
        or (a.using is None) != (b.using is None)
        or (a.check is None) != (b.check is None)
    ):
        name = f"{quote(a.name)} ON {owner.identity}"
        made = [Statement(f"DROP POLICY {name}"), Statement(policy_text(a, owner))]
        if a.comment is not None:
            made.append(Statement(f"COMMENT ON POLICY {name} IS {literal(a.comment)}"))
        return made
    parts = [f"ALTER POLICY {quote(a.name)} ON {owner.identity}"]
    if "roles" in what:
        parts.append(f"TO {', '.join(a.roles)}")
    if "using" in what:
        parts.append(f"USING ({a.using})")
    if "check" in what:
        parts.append(f"WITH CHECK ({a.check})")
    return [Statement(" ".join(parts))]


def _view(a: View, b: View, what: set[str]) -> list[Statement] | None:
    if "definition" in what:
        old = [(each.name, each.type, each.collation) for each in b.columns]
        new = [(each.name, each.type, each.collation) for each in a.columns]
        if new[: len(old)] != old:
            return None
        options = (
            f" WITH ({', '.join(f'{n}={literal(v)}' for n, _, v in (o.partition('=') for o in a.options))})"
        )
        query = a.definition.rstrip().removesuffix(";")
        return [Statement(f"CREATE OR REPLACE VIEW {a.identity}{options if a.options else ''} AS\n{query}")]
    return option_changes(f"ALTER VIEW {a.identity}", b.options, a.options)


def _materialized_view(a: MaterializedView, b: MaterializedView, what: set[str]) -> list[Statement] | None:
    if what & {"definition"}:
        return None
    head = f"ALTER MATERIALIZED VIEW {a.identity}"
    made: list[Statement] = []
    if "access_method" in what:
        made.append(Statement(f"{head} SET ACCESS METHOD {quote(a.access_method or 'heap')}"))
    if "options" in what:
        made += option_changes(head, b.options, a.options)
    if "tablespace" in what:
        made.append(Statement(f"{head} SET TABLESPACE {quote(a.tablespace or 'pg_default')}"))
    return made


def _function(a: Function, b: Function) -> list[Statement] | None:
    if a.form != b.form or a.form == "aggregate" or _header(a) != _header(b):
        return None
    word = "PROCEDURE" if a.form == "procedure" else "FUNCTION"
    name = qualified(a.schema, a.name)
    return [Statement(f"CREATE OR REPLACE {word} {name}{a.definition.rstrip()}")]


def _header(item: Function) -> str:
    """Arguments and result: what CREATE OR REPLACE leaves as it is."""
    return item.definition.partition("\n LANGUAGE ")[0]


def _sequence(a: Sequence, b: Sequence, what: set[str], ground: Ground) -> Iterator[Statement]:
    head = f"ALTER SEQUENCE {a.identity}"
    if what & {"type", "start", "increment", "minimum", "maximum", "cache", "cycle"}:
        type_ = f" AS {a.type}" if "type" in what else ""
        # With a new type or direction old limits may not do, so all is said again.
        again = "type" in what or (a.increment > 0) != (b.increment > 0)
        there = replace(b, minimum=_other_than(a.minimum), maximum=_other_than(a.maximum)) if again else b
        (lowest, highest), (old_lowest, old_highest) = limits_of(a), limits_of(b)
        # No value that it can have now is one that it may have then.
        restart = " RESTART" if old_highest < lowest or old_lowest > highest else ""
        yield Statement(f"{head}{type_}{sequence_options(a, there)}{restart}")
    if "persistence" in what:
        if ground.major < 15:
            raise Unwritten("PostgreSQL changes a sequence's persistence since version 15.")
        yield Statement(f"{head} SET {'UNLOGGED' if a.persistence == 'unlogged' else 'LOGGED'}")
    if "owned_by" in what:
        if a.owned_by is not None:
            # Both have to have one owner.
            table = ground.actual_tables.get(holder_of(a.owned_by))
            if table is not None and table.owner and table.owner != (b.owner or ground.role):
                yield own(a, table.owner, ground)
        yield Statement(f"{head} OWNED BY {a.owned_by or 'NONE'}")


def _other_than(limit: int | None) -> int | None:
    return 0 if limit is None else None


def _enum(a: Enum, b: Enum) -> list[Statement] | None:
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


def _domain(a: Domain, what: set[str]) -> list[Statement] | None:
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


def _other(a: CatalogObject, b: CatalogObject, what: set[str], ground: Ground) -> list[Statement] | None:
    match a, b:
        case Extension(), Extension():
            made = []
            if "version" in what:
                made.append(Statement(f"ALTER EXTENSION {a.identity} UPDATE TO {literal(a.version)}"))
            if "schema" in what:
                made.append(Statement(f"ALTER EXTENSION {a.identity} SET SCHEMA {quote(a.schema)}"))
            return made
        case EventTrigger(), EventTrigger() if what == {"enabled"}:
            return [Statement(f"ALTER EVENT TRIGGER {a.identity} {_ENABLE[a.enabled]}")]
        case Publication(), Publication():
            return _publication(a, b, what, ground)
        case Setting(), Setting():
            return [set_parameter(a, ground)]
        case Database(), Database():
            return []
        case (EventTrigger(), _) | (Trigger(), _) | (Rule(), _) | (Statistics(), _):
            return None
        case _:
            raise not_written(a)


def _publication(a: Publication, b: Publication, what: set[str], ground: Ground) -> list[Statement] | None:
    if "all_tables" in what:
        return None
    head = f"ALTER PUBLICATION {a.identity}"
    made = []
    if what & {"operations", "via_root", "generated_columns"}:
        made.append(Statement(f"{head} SET ({publication_options(a, ground)})"))
    if what & {"tables", "schemas"}:
        if a.tables or a.schemas:
            made.append(Statement(f"{head} SET {publication_tables(a)}"))
        else:
            bare = replace(b, tables=tuple(each.split(" ", 1)[0] for each in b.tables))
            made.append(Statement(f"{head} DROP {publication_tables(bare)}"))
    return made
