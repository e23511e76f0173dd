"""What a project's own reset script has left: every object, and whether the version rows still tell the truth.

What emptying leaves on purpose (the database's own settings, extensions and their schemas) is not listed here either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from web.acts.script import Remark
from web.comparison.expected import expected_schema
from web.comparison.roles import read_roles
from web.errors import OperationFailed
from web.jobs.work import Work
from web.postgres.connections import Connection
from web.schema.model import (
    CatalogObject,
    Database,
    DefaultPrivileges,
    Extension,
    Namespace,
    Schema,
    Setting,
    Table,
)
from web.schema.model import Sequence as DatabaseSequence
from web.schema.names import qualified
from web.schema.snapshot import read_schema
from web.tools.history import History

#: So many objects are named in a sentence, and so many in what is kept.
NAMED, KEPT = 10, 1000

# Relations of user schemas: one that was dropped and made again has another oid. Any role. PostgreSQL 14 and later.
_RELATIONS = """
SELECT n.nspname::text, c.relname::text, c.oid::bigint
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""

# Any role. PostgreSQL 14 and later.
_LARGE_OBJECTS = "SELECT oid::bigint FROM pg_catalog.pg_largeobject_metadata"

#: Kind and name, which identify an object.
Name = tuple[str, str]


class VersionRowsKept(OperationFailed):
    """A reset script dropped what the migrations make and kept the rows that say that they ran."""

    title = "The script kept the version rows"

    def __init__(self, file: Path, missing: Sequence[Name], rows: Collection[str]) -> None:
        self.missing, self.rows = tuple(missing), tuple(rows)
        super().__init__(
            f"{file.name} dropped {_listed(missing)}, and the version table still says {', '.join(rows)}: no "
            "migration would make them again. The migrations were not run.",
            hint="Have the script drop or empty the version table as well, then reset again.",
        )


class NameFolded(OperationFailed):
    """A reset script names an object without the quotes that its name needs, so nothing happened to it."""

    title = "The script missed an object"

    def __init__(self, file: Path, name: str, meant: str, remark: str) -> None:
        self.name, self.meant = name, meant
        super().__init__(
            f"{file.name} names {name}, which is not there ({remark}); {meant} is, and the script left it. The "
            "migrations were not run.",
            hint="A name with capitals needs its quotes. Write it with them, then reset again.",
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """What a database holds at one moment."""

    schema: Schema
    relations: Mapping[str, int]
    large_objects: frozenset[int]

    @property
    def objects(self) -> dict[Name, CatalogObject]:
        """Everything that a reset is about, without what is a part of something else."""
        return {_name(each): each for each in _objects(self.schema)}


@dataclass(frozen=True, slots=True)
class Left:
    """An object that was there before the script and is there still."""

    kind: str
    name: str
    #: As it is written in the catalog; None for what has no name of its own.
    bare: str | None
    #: Whether a table holds any; None: it is no table, or this role may not read it.
    rows: bool | None = None

    @property
    def words(self) -> str:
        return f"{self.kind} {self.name}" + (" (with rows)" if self.rows else "")

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, for the outcome."""
        return {"kind": self.kind, "name": self.name, "rows": self.rows}


async def survey(connection: Connection) -> Survey:
    """Read what is there. The connection has to be idle."""
    schema = await read_schema(connection)
    relations = await (await connection.execute(_RELATIONS)).fetchall()
    large = await (await connection.execute(_LARGE_OBJECTS)).fetchall()
    return Survey(
        schema,
        {qualified(space, name): oid for space, name, oid in relations},
        frozenset(row[0] for row in large),
    )


async def left_behind(connection: Connection, before: Survey, after: Survey) -> tuple[Left, ...]:
    """List what was there before and is there still, empty tables too."""
    then = before.objects
    found = []
    for name, each in after.objects.items():
        identity = name[1]
        if name not in then or before.relations.get(identity) != after.relations.get(identity):
            continue
        rows = await _holds_rows(connection, each) if isinstance(each, Table) else None
        found.append(Left(*name, getattr(each, "name", None), rows))
    if large := before.large_objects & after.large_objects:
        found.append(Left("large objects", f"{len(large)} of them", None))
    return tuple(found)


def told(left: Sequence[Left]) -> str:
    """Say what was left, in a sentence; empty where nothing was."""
    if not left:
        return ""
    with_rows = sum(each.rows is True for each in left)
    rows = f"{with_rows} of them with rows" if with_rows else "without rows"
    # What holds rows is what matters most.
    ordered = sorted(left, key=lambda each: not each.rows)
    named = "; ".join(each.words for each in ordered[:NAMED])
    more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
    objects = "1 object that was" if len(left) == 1 else f"{len(left)} objects that were"
    return f"The script left {objects} there before, {rows}: {named}{more}."


def require_quoted(file: Path, remarks: Sequence[Remark], left: Sequence[Left]) -> None:
    """Raise NameFolded where the server skipped a name that, with its capitals, is the name of something left."""
    folded = {
        each.bare.lower(): each for each in left if each.bare is not None and each.bare != each.bare.lower()
    }
    for remark in remarks:
        for name in re.findall(r'"([^"]+)"', remark.text):
            if (meant := folded.get(name)) is not None and f'"{name}"' not in remark.statement:
                raise NameFolded(file, name, f"{meant.kind} {meant.name}", remark.text)


async def require_true_rows(
    work: Work[Any],
    connection: Connection,
    history: History,
    file: Path,
    rows: Collection[str],
    before: Survey,
    after: Survey,
) -> None:
    """Raise VersionRowsKept where what the applied migrations give was dropped and their rows were not."""
    gone = sorted(before.objects.keys() - after.objects.keys())
    if not rows or not gone:
        return
    given = await _given(work, connection, history, rows, before)
    missing = [each for each in gone if (each in given if given is not None else "table" in each[0])]
    if missing:
        raise VersionRowsKept(file, missing, rows)


async def _given(
    work: Work[Any], connection: Connection, history: History, rows: Collection[str], before: Survey
) -> set[Name] | None:
    """What the migrations give at these rows; None where that cannot be told."""
    if any(history.get(each) is None for each in rows):
        return None
    expected = await expected_schema(
        work.store,
        work.resources.scratch,
        work.job.project,
        history,
        rows,
        major=before.schema.server_major,
        roles=await read_roles(connection),
        extensions=[(each.name, each.version) for each in before.schema.extensions],
    )
    return {_name(each) for each in _objects(expected.schema)} if expected.schema is not None else None


async def _holds_rows(connection: Connection, table: Table) -> bool | None:
    if table.form == "foreign table":
        return None  # its rows are another server's
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table.schema, table.name))
    try:
        row = await (await connection.execute(query)).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable):
        return None
    return row is not None and bool(row[0])


def _objects(schema: Schema) -> Iterator[CatalogObject]:
    stay = {"public", *(each.schema for each in schema.extensions)}
    for field in fields(schema):
        value = getattr(schema, field.name)
        for each in value if isinstance(value, tuple) else ():
            match each:
                case Database() | Setting() | Extension() | str():
                    continue
                case Namespace(name=name) if name in stay:
                    continue
                case DefaultPrivileges(schema=space) if not space or space in stay:
                    continue
                case DatabaseSequence(owned_by=str()):
                    continue  # it goes with its table
                case CatalogObject():
                    yield each


def _name(each: CatalogObject) -> Name:
    return getattr(each, "form", None) or type(each).kind, each.identity


def _listed(names: Sequence[Name]) -> str:
    named = ", ".join(" ".join(each) for each in names[:NAMED])
    return named + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
