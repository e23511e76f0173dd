"""What of a database goes into a dump, and whether this role can read it all."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from web.backups.copying import Table
from web.backups.manifest import TableRows, UsedExtension
from web.errors import PrivilegeMissing
from web.postgres.connections import Connection

# The tables whose rows pg_dump copies, with the planner's estimate. Any role. PostgreSQL 14 and later.
_TABLES = """
SELECT n.nspname::text, c.relname::text, greatest(c.reltuples, 0)::bigint
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r'
   AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2
"""

# What pg_dump would stop at: relations that this role may not read, or of which row security hides rows from
# it. Any role. PostgreSQL 14 and later.
_UNREADABLE = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), readable.yes
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                              ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END AS yes) AS readable
 WHERE c.relkind IN ('r', 'p', 'S')
   AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   AND (NOT readable.yes OR pg_catalog.row_security_active(c.oid))
 ORDER BY 1
"""

# Roles that own something here or that a privilege or a policy names, and the bootstrap superuser, of whom
# that is not recorded. Any role. PostgreSQL 14 and later.
_ROLES = """
SELECT r.rolname::text
  FROM pg_catalog.pg_roles r
 WHERE r.oid = 10
    OR r.oid IN (SELECT s.refobjid FROM pg_catalog.pg_shdepend s
                  WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
                    AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d
                                   WHERE d.datname = pg_catalog.current_database()))
 ORDER BY 1
"""

# Extensions that a restore has to create. Any role.
_EXTENSIONS = (
    "SELECT extname::text, extversion FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a dump of this database holds."""

    #: Estimated rows by table.
    tables: dict[Table, int]
    roles: tuple[str, ...]
    extensions: tuple[UsedExtension, ...]


async def require_readable(connection: Connection) -> None:
    """Raise PrivilegeMissing, naming what pg_dump would stop at, before anything is done."""
    rows = await (await connection.execute(_UNREADABLE)).fetchall()
    user = connection.info.user
    if forbidden := [name for name, readable in rows if not readable]:
        raise PrivilegeMissing(
            f"The role {user} may not read {_named(forbidden)}, so that a backup would not be whole.",
            hint=f"Grant {user} SELECT on them and USAGE on their schemas, or pg_read_all_data.",
        )
    if rows:
        raise PrivilegeMissing(
            f"Row security hides rows of {_named([name for name, _ in rows])} from the role {user}, "
            "so that a backup would not be whole.",
            hint="Back up as their owner, without FORCE ROW LEVEL SECURITY, or as a role with BYPASSRLS.",
        )


async def read_contents(connection: Connection) -> Contents:
    """Read what a dump holds; in the dump's own snapshot where the transaction has it."""
    tables = await (await connection.execute(_TABLES)).fetchall()
    roles = await (await connection.execute(_ROLES)).fetchall()
    extensions = await (await connection.execute(_EXTENSIONS)).fetchall()
    return Contents(
        {(schema, table): estimate for schema, table, estimate in tables},
        tuple(name for (name,) in roles),
        tuple(UsedExtension(name=name, version=version) for name, version in extensions),
    )


async def count_rows(connection: Connection, schema: str, table: str) -> TableRows:
    """Count a table's own rows, those of its children left out."""
    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
    row = await (await connection.execute(query)).fetchone()
    return TableRows(schema_name=schema, table=table, rows=int(row[0]) if row else 0)


def _named(names: list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
