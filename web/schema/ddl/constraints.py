"""Constraints, indexes and extended statistics: made without blocking a live table, altered, made again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from web.schema.ddl.statement import (
    Ground,
    Made,
    Owner,
    Statement,
    Unwritten,
    keyword,
    literal,
    option_changes,
)
from web.schema.model import CatalogObject, Constraint, Domain, Index, Table
from web.schema.names import qualified, quote

_NAMES = r'\((?:"(?:[^"]|"")*"|[^"()])*\)'


_KEY = re.compile(rf"(PRIMARY KEY|UNIQUE)( NULLS NOT DISTINCT)? ({_NAMES})( INCLUDE {_NAMES})?\Z")


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


def is_inline(item: Constraint) -> bool:
    """Tell whether CREATE TABLE takes a constraint: others are added later."""
    return item.form != "foreign key" and item.validated and item.enforced


def inline(item: Constraint) -> Constraint:
    """A constraint as CREATE TABLE makes it."""
    return replace(item, index_options=(), tablespace=None, clustered=False, enabled="origin", comment=None)


def create_constraint(item: Constraint, owner: CatalogObject, ground: Ground, *, live: bool) -> Made:
    """Write ADD CONSTRAINT; on a live table in forms that do not block it."""
    made = inline(item)
    if item.form in ("primary key", "unique") and not item.validated:
        raise Unwritten("A key is invalid while partitions lack it: nothing makes one so on purpose.")
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
    key = _key(item, owner, item.name) if isinstance(owner, Table) else None
    return ([plain] if key is None else [key.index, key.using]), made


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or unique constraint in two steps, of which only the second locks readers out, for a moment."""

    #: Of its index, qualified.
    name: str
    index: Statement
    using: Statement


def key_beside(item: Constraint, owner: Table, ground: Ground) -> Key | None:
    """Write a key whose index is built beside the one that it replaces; None where that cannot be done."""
    return _key(item, owner, ground.unused(owner.schema, item.name, "_instead"))


def _key(item: Constraint, owner: Table, name: str) -> Key | None:
    key = _KEY.match(item.definition)
    if key is None or owner.form != "table":
        return None
    form, nulls, columns, included = key.groups(default="")
    index = f"CREATE UNIQUE INDEX CONCURRENTLY {quote(name)} ON {owner.identity} {columns}{included}{nulls}"
    deferrable = f" {item.deferrable}" if item.deferrable else ""
    # The index gets the constraint's name with it.
    using = f"ADD CONSTRAINT {quote(item.name)} {form} USING INDEX {quote(name)}{deferrable}"
    return Key(
        qualified(owner.schema, name),
        Statement(index, alone=True),
        Statement(f"ALTER TABLE {owner.identity} {using}"),
    )


def alter_constraint(
    a: Constraint, b: Constraint, what: set[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    """Lead a constraint from b to a; None where it has to be dropped and added again."""
    assert owner is not None
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
        return None if key or a.form != b.form else _constraint_again(a, owner, ground)
    if key and "validated" in what:
        # Of a partitioned table, whose partitions do not have it all: it is made again with theirs.
        return None
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


def _constraint_again(a: Constraint, owner: CatalogObject, ground: Ground) -> list[Statement]:
    """Put a constraint in another's place in one transaction, so that nothing slips in between.

    Where that is possible the new one is validated first, beside the old one: what was checked stays checked.
    """
    domain = isinstance(owner, Domain)
    head = f"ALTER {keyword(owner)} {owner.identity}"
    name = quote(a.name)
    dropped = Statement(f"{head} DROP CONSTRAINT {name}")
    if a.validated and a.enforced and (domain or (isinstance(owner, Table) and owner.form == "table")):
        schema: str = getattr(owner, "schema", "")
        beside = quote(ground.unused(schema, a.name, "_instead"))
        made = [
            Statement(f"{head} ADD CONSTRAINT {beside} {constraint_text(a, validated=False)}"),
            Statement(f"{head} VALIDATE CONSTRAINT {beside}", alone=True),
            # Again, which costs nothing: whoever goes on after that was refused does not get past this.
            Statement(f"{head} VALIDATE CONSTRAINT {beside}"),
            dropped,
            Statement(f"{head} RENAME CONSTRAINT {beside} TO {name}"),
        ]
    else:
        made = [
            dropped,
            Statement(f"{head} ADD CONSTRAINT {name} {constraint_text(a, validated=a.validated)}"),
        ]
    if a.comment is not None:
        on = f"{name} ON {'DOMAIN ' if domain else ''}{owner.identity}"
        made.append(Statement(f"COMMENT ON CONSTRAINT {on} IS {literal(a.comment)}"))
    return made


def create_index(item: Index, owner: CatalogObject, *, live: bool) -> Made:
    """Write CREATE INDEX; on a live table CONCURRENTLY."""
    if not item.valid:
        raise Unwritten("An index is invalid after a failure only: nothing makes one so on purpose.")
    alone = live and not (isinstance(owner, Table) and owner.form != "table")
    words = f"{'UNIQUE ' if item.unique else ''}INDEX {'CONCURRENTLY ' if alone else ''}"
    sql = f"CREATE {words}{quote(item.name)} ON {owner.identity} {item.definition}"
    made = replace(item, tablespace=None, clustered=False, statistics_target=None, comment=None)
    return [Statement(sql, alone=alone)], made


def require_valid(identity: str) -> Statement:
    """Fail unless an index is valid: whoever goes on after its building failed does not get past this."""
    said = "CAST(indexrelid::regclass || ' is not valid' AS int)"
    return Statement(
        f"SELECT CASE WHEN indisvalid THEN 1 ELSE {said} END FROM pg_catalog.pg_index "  # noqa: S608 - quoted
        f"WHERE indexrelid = {literal(identity)}::regclass"
    )


def alter_index(a: Index, b: Index, what: set[str], owner: Owner) -> list[Statement] | None:
    """Lead an index from b to a; None where it has to be built anew."""
    assert owner is not None
    if what & {"definition", "unique"}:
        return None
    identity = qualified(owner.schema, a.name)  # type: ignore[attr-defined]
    made: list[Statement] = []
    if "valid" in what:
        if not a.valid:
            raise Unwritten("An index is invalid after a failure only: nothing makes one so on purpose.")
        if isinstance(owner, Table) and owner.form != "table":
            # One whose parts are missing or invalid is not made whole by REINDEX.
            return None
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
