"""Emptying a database in place: what goes, whether this role may drop it, and whether one transaction can.

Extensions, roles and settings of the database stay. What decides whether to do it at all is in `reset.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from psycopg import sql

from web.errors import PrivilegeMissing
from web.postgres.connections import Connection

#: A transaction may fill this part of the lock table; the rest is other sessions'.
SHARE = 0.6
#: Locks that one batch takes at most, where everything at once is too much.
BATCH = 1000

# Relations below user schemas, each of which is locked when it is dropped, and the room in the lock table
# (manual 20.12, max_locks_per_transaction). Any role. PostgreSQL 14 and later.
_LOCKS = """
SELECT (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(?!toast)'),
       current_setting('max_locks_per_transaction')::bigint
       * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)
"""

# Which of these oids are still relations, schemas, functions, types, publications or large objects. Any role.
_STILL_THERE = """
SELECT o FROM unnest(%s::bigint[]) AS o
 WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o::oid)
    OR EXISTS (SELECT FROM pg_catalog.pg_namespace c WHERE c.oid = o::oid)
    OR EXISTS (SELECT FROM pg_catalog.pg_proc c WHERE c.oid = o::oid)
    OR EXISTS (SELECT FROM pg_catalog.pg_type c WHERE c.oid = o::oid)
    OR EXISTS (SELECT FROM pg_catalog.pg_publication c WHERE c.oid = o::oid)
    OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata c WHERE c.oid = o::oid)
 ORDER BY 1
"""

# Tables inside schemas that are dropped whole: for batches, and for the list of what goes. Any role.
_TABLES_WITHIN = """
SELECT c.oid::bigint, pg_catalog.format('%%I.%%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.oid = ANY (%s::oid[]) AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
 ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Droppable:
    """One object that goes."""

    what: str
    oid: int
    name: str
    statement: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that goes, in the order in which it is dropped."""

    objects: tuple[Droppable, ...]
    #: Tables inside schemas that go whole.
    within: tuple[Droppable, ...]
    #: Locks that dropping everything in one transaction takes, and room for them.
    locks: int
    room: int

    @property
    def in_one_transaction(self) -> bool:
        return self.locks <= self.room * SHARE

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that go."""
        return tuple(each.name for each in (*self.objects, *self.within) if each.what == "table")

    @property
    def oids(self) -> tuple[int, ...]:
        """The oids of all that goes: their absence is the proof of the drop."""
        return tuple(each.oid for each in (*self.objects, *self.within))

    def batches(self) -> Iterator[Sequence[Droppable]]:
        """All statements at once, or tables first in batches that fit the lock table."""
        if self.in_one_transaction:
            yield self.objects
            return
        statements = [*self.within, *self.objects]
        per_object = max(1, self.locks // max(1, len(statements)))
        size = max(1, min(BATCH, int(self.room * SHARE)) // per_object)
        for start in range(0, len(statements), size):
            yield statements[start : start + size]


async def read_contents(connection: Connection) -> Contents:
    """Find out what would go. Raises PrivilegeMissing, naming what this role may not drop."""
    query = files("web.acts").joinpath("queries", "contents.sql").read_bytes()
    rows = await (await connection.execute(query)).fetchall()
    if forbidden := [f"{what} {name}" for what, _, name, _, may, _ in rows if not may]:
        more = f" and {len(forbidden) - 5} more" if len(forbidden) > 5 else ""
        raise PrivilegeMissing(
            f"The role {connection.info.user} may not drop {', '.join(forbidden[:5])}{more}.",
            hint="Give the environment the role that owns the objects, or make this role a member of it.",
        )
    objects = tuple(Droppable(what, oid, name, statement) for what, oid, name, statement, _, _ in rows)
    schemas = [each.oid for each in objects if each.what == "schema"]
    within = await (await connection.execute(_TABLES_WITHIN, [schemas])).fetchall()
    counts = await (await connection.execute(_LOCKS)).fetchone()
    assert counts is not None
    return Contents(
        objects,
        tuple(Droppable("table", oid, name, f"DROP TABLE IF EXISTS {name} CASCADE") for oid, name in within),
        *counts,
    )


async def drop(connection: Connection, batch: Sequence[Droppable]) -> None:
    """Drop in one transaction, one statement per message."""
    async with connection.transaction():
        # Names in another schema's search path must not decide what a statement means.
        await connection.execute("SET LOCAL search_path = pg_catalog")
        for each in batch:
            if each.what == "large object":
                await connection.execute(sql.SQL("SELECT lo_unlink({})").format(each.oid))
            else:
                await connection.execute(each.statement.encode())


async def still_there(connection: Connection, oids: Collection[int]) -> tuple[int, ...]:
    """Which of these objects exist."""
    rows = await (await connection.execute(_STILL_THERE, [list(oids)])).fetchall()
    return tuple(row[0] for row in rows)
