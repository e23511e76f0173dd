"""How far a dump or a restore is: `pg_stat_progress_copy`, asked from the side, against the rows expected."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from web.backups.reporting import Report
from web.postgres.connections import Connection

#: Seconds between two looks; one costs the server 1.5 ms.
ASK_EVERY = 0.25

Table = tuple[str, str]

#: Names are written here without any quoting; what is not recognised is only counted later.
_BEGINS = re.compile(r'(?:dumping contents of|processing data for) table "(.*)"$')

# The tables that the named sessions copy right now, with the rows done. Every role sees its own sessions.
# PostgreSQL 14 and later.
_COPYING = """
SELECT n.nspname::text, c.relname::text, p.tuples_processed
  FROM pg_catalog.pg_stat_progress_copy p
  JOIN pg_catalog.pg_stat_activity a USING (pid)
  JOIN pg_catalog.pg_class c ON c.oid = p.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE a.application_name = %s AND a.datname = pg_catalog.current_database()
"""


class Copying:
    """Adds up the copied rows: pg_dump and pg_restore name the tables, the server counts."""

    def __init__(self, expected: Mapping[Table, int], report: Report) -> None:
        """`expected` may be estimates; `know` corrects them."""
        self._expected = dict(expected)
        self._done: dict[Table, int] = {}
        self._report = report
        self._by_text = {f"{schema}.{table}": (schema, table) for schema, table in expected}

    def know(self, table: Table, rows: int) -> None:
        """Replace an estimate."""
        self._expected[table] = rows

    def hear(self, line: str) -> None:
        """Take a message of the program: it names every table that it begins with, the small ones too."""
        match = _BEGINS.search(line)
        table = self._by_text.get(match[1]) if match else None
        if table is not None:
            self._done.setdefault(table, 0)
            self._finish_others(table)

    async def look(self, connection: Connection, application_name: str) -> None:
        """Look again and again until cancelled; `connection` (autocommit) is ours meanwhile."""
        while True:
            rows = await (await connection.execute(_COPYING, (application_name,))).fetchall()
            for schema, table, copied in rows:
                self._done[schema, table] = max(copied, self._done.get((schema, table), 0))
                self._finish_others((schema, table))
            if rows:
                await self.tell()
            await asyncio.sleep(ASK_EVERY)

    async def tell(self) -> None:
        """Report the sum."""
        total = sum(max(rows, self._done.get(table, 0)) for table, rows in self._expected.items())
        await self._report.at(min(sum(self._done.values()), total), total, "rows")

    async def finish(self) -> None:
        """Report that everything was copied."""
        self._done = dict(self._expected)
        await self.tell()

    def _finish_others(self, current: Table) -> None:
        # One table is copied at a time: those begun earlier are done, whole.
        for table in self._done:
            if table != current:
                self._done[table] = max(self._done[table], self._expected.get(table, 0))
