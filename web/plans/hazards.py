"""Hazards: what the statements of a rehearsal did to tables that were there before, as the server shows it.

Locks are the difference of `pg_locks` before and after each statement, seen by another session while the
runner waits; relations created in the same transaction are not visible to that session, so they fall out.
Rewrites and losses show when the transaction commits. A rewrite is the statement's during which the table's
new file appeared; a loss is laid on the statements that locked the table and name what was lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg

from web.postgres.connections import Connection
from web.schema.ddl.hazard import Hazard

#: PostgreSQL's table locks, the weakest first (manual 13.3.1); what only reads or writes rows is no hazard.
_STRENGTH = {
    "ShareUpdateExclusiveLock": 1,
    "ShareLock": 2,
    "ShareRowExclusiveLock": 3,
    "ExclusiveLock": 4,
    "AccessExclusiveLock": 5,
}
_NAMES = {
    "ShareUpdateExclusiveLock": "SHARE UPDATE EXCLUSIVE",
    "ShareLock": "SHARE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}

# Table locks that a session holds on tables this session can see. Any role. PostgreSQL 10 and later.
_LOCKS = """
SELECT c.oid::bigint, pg_catalog.format('%%I.%%I', n.nspname, c.relname), l.mode
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.pid = %s AND l.granted AND l.locktype = 'relation'
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND c.relkind IN ('r', 'p', 'm', 'f', 'v')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""

# Every table with its file and its columns. Any role. PostgreSQL 10 and later.
_TABLES = """
SELECT c.oid::bigint, pg_catalog.format('%I.%I', n.nspname, c.relname),
       pg_catalog.pg_relation_filenode(c.oid)::bigint,
       (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND n.nspname !~ '^pg_(toast|temp_)'
"""

# The numbers of this database's files, those of open transactions included. Needs superuser or EXECUTE on
# pg_ls_dir; without it rewrites are laid on every statement that may have made them.
_FILES = """
SELECT f::bigint
  FROM pg_catalog.pg_ls_dir('base/' || (SELECT d.oid FROM pg_catalog.pg_database d
                                         WHERE d.datname = pg_catalog.current_database())) AS f
 WHERE f ~ '^[0-9]+$'
"""


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    file: int | None
    columns: frozenset[str]

    @property
    def bare(self) -> str:
        """Its name without schema and quotes, as statements may write it."""
        return self.name.rpartition(".")[2].strip('"')


@dataclass(slots=True)
class HazardWatch:
    """Watches one rehearsal from a session of its own."""

    connection: Connection
    #: By number of statement.
    found: dict[int, list[Hazard]] = field(default_factory=dict)
    _held: dict[int, dict[int, int]] = field(default_factory=dict)
    #: Statements that hold ACCESS EXCLUSIVE on a table in the open transaction and name it: number and text.
    _lockers: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    _before: dict[int, _Table] = field(default_factory=dict)
    #: None: this role may not list them.
    _files: set[int] | None = None
    #: During which statement each new file appeared.
    _made_by: dict[int, int] = field(default_factory=dict)

    async def begin(self) -> None:
        """Remember the tables as they are before the first statement."""
        self._before = await self._tables()
        self._files = await self._list_files()

    async def after_statement(self, number: int, sql: str, pid: int | None) -> None:
        """Note the locks that this statement added; the session has to be waiting."""
        if pid is None:
            return
        held = self._held.setdefault(pid, {})
        rows = await (await self.connection.execute(_LOCKS, [pid])).fetchall()
        strongest: dict[int, tuple[str, str]] = {}
        for table, name, mode in rows:
            strength = _STRENGTH.get(mode, 0)
            if strength > max(held.get(table, 0), _STRENGTH.get(strongest.get(table, ("", ""))[1], 0)):
                strongest[table] = (name, mode)
        for table, (name, mode) in sorted(strongest.items()):
            held[table] = _STRENGTH[mode]
            self._add(number, Hazard("lock", name, _NAMES[mode]))
        for table, _, mode in rows:
            # The same lock taken again does not show, so every statement that names the table may have done it.
            known = self._before.get(table)
            if mode == "AccessExclusiveLock" and known is not None and _mentions(sql, known.bare):
                self._lockers.setdefault(table, []).append((number, sql))
        if self._files is not None:
            files = await self._list_files() or set()
            self._made_by.update(dict.fromkeys(files - self._files, number))
            self._files = files

    async def after_commit(self, pid: int | None) -> None:
        """Compare the tables with those before the transaction, and lay what changed on its statements."""
        now = await self._tables()
        for oid, table in self._before.items():
            lockers = [
                (number, sql)
                for number, sql in self._lockers.get(oid, [])
                if not sql.lstrip().upper().startswith("TRUNCATE")
            ]
            later = now.get(oid)
            if later is None:
                self._blame(lockers, "drop", Hazard("drops table", table.name))
                continue
            for column in sorted(table.columns - later.columns):
                self._blame(lockers, column, Hazard("drops column", table.name, column))
            if table.file is not None and later.file is not None and later.file != table.file:
                maker = self._made_by.get(later.file)
                makers = [each for each in lockers if maker is None or each[0] == maker]
                self._blame(makers, "", Hazard("rewrite", table.name))
        self._before = now
        self._files = await self._list_files()
        self._made_by.clear()
        self._lockers.clear()
        self._held.pop(pid or 0, None)

    def after_rollback(self, pid: int | None) -> None:
        """Forget what a transaction did that was rolled back."""
        self._lockers.clear()
        self._made_by.clear()
        self._held.pop(pid or 0, None)

    def _blame(self, lockers: list[tuple[int, str]], word: str, hazard: Hazard) -> None:
        """Lay a hazard on the statements that name the word; where none does (a DO block), on all of them."""
        named = [number for number, sql in lockers if _mentions(sql, word)]
        for number in named or [number for number, _ in lockers]:
            self._add(number, hazard)

    async def _list_files(self) -> set[int] | None:
        try:
            return {row[0] for row in await (await self.connection.execute(_FILES)).fetchall()}
        except psycopg.errors.InsufficientPrivilege:
            return None

    async def _tables(self) -> dict[int, _Table]:
        rows = await (await self.connection.execute(_TABLES)).fetchall()
        return {oid: _Table(name, file, frozenset(columns or ())) for oid, name, file, columns in rows}

    def _add(self, number: int, hazard: Hazard) -> None:
        hazards = self.found.setdefault(number, [])
        if hazard not in hazards:
            hazards.append(hazard)


def _mentions(sql: str, word: str) -> bool:
    return word.lower() in sql.lower()
