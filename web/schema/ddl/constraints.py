"""Constraints, indexes and extended statistics: made without blocking a live table, altered, made again."""

from __future__ import annotations

import re
from dataclasses import replace

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


def alter_constraint(
    a: Constraint, b: Constraint, what: set[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    """Lead a constraint from b to a; None where it has to be dropped and added again."""
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


def create_index(item: Index, owner: CatalogObject, *, live: bool) -> Made:
    """Write CREATE INDEX; on a live table CONCURRENTLY."""
    if not item.valid:
        raise Unwritten("An index is invalid after a failure only: nothing makes one so on purpose.")
    alone = live and not (isinstance(owner, Table) and owner.form != "table")
    words = f"{'UNIQUE ' if item.unique else ''}INDEX {'CONCURRENTLY ' if alone else ''}"
    sql = f"CREATE {words}{quote(item.name)} ON {owner.identity} {item.definition}"
    made = replace(item, tablespace=None, clustered=False, statistics_target=None, comment=None)
    return [Statement(sql, alone=alone)], made


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
