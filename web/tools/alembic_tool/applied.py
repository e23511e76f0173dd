"""Which revisions a database has, by Alembic's version table. What they mean is left to the history."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection, errors, sql

from web.config import AlembicSettings
from web.errors import Conflict, TargetUnavailable
from web.schema.ddl.statement import literal
from web.schema.names import qualified, quote
from web.tools.protocol import Applied

#: Alembic's own default.
VERSION_TABLE = "alembic_version"


def version_table(tool: AlembicSettings) -> sql.Identifier:
    """The version table as the project configures it, quoted; without a schema the search path decides."""
    name = tool.version_table or VERSION_TABLE
    return (
        sql.Identifier(tool.version_table_schema, name) if tool.version_table_schema else sql.Identifier(name)
    )


async def read_applied(connection: AsyncConnection, tool: AlembicSettings) -> Applied:
    """Read the version rows, sorted. Needs USAGE on the table's schema and SELECT on the table.

    Raises `TargetUnavailable` where a privilege is missing and `Conflict` where the table is not Alembic's.
    """
    table = version_table(tool)
    shown = table.as_string(connection)
    try:
        # The table that the connection's own search path finds is the one that env.py finds.
        found = await (await connection.execute("SELECT to_regclass(%s)", [shown])).fetchone()
        if found is None or found[0] is None:
            return Applied(table_exists=False)
        query = sql.SQL("SELECT version_num::text FROM {} ORDER BY 1").format(table)
        rows = await (await connection.execute(query)).fetchall()
    except errors.InsufficientPrivilege as error:
        raise TargetUnavailable(
            f"The role {connection.info.user} may not read Alembic's version table {shown}.",
            sqlstate=error.sqlstate,
            hint="Grant it USAGE on the table's schema and SELECT on the table.",
        ) from error
    except errors.UndefinedColumn as error:
        raise Conflict(
            f"The table {shown} has no column version_num, so it is not Alembic's version table.",
            hint="Name the right one as `version_table` and `version_table_schema` of [alembic].",
        ) from error
    return Applied(table_exists=True, revisions=tuple(row[0] for row in rows if row[0] is not None))


def exchange_script(tool: AlembicSettings, before: Sequence[str], after: Sequence[str], about: str) -> str:
    """SQL that writes other version rows in place of exactly these, or raises with a sentence and changes nothing."""
    name = tool.version_table or VERSION_TABLE
    table = qualified(tool.version_table_schema, name) if tool.version_table_schema else quote(name)
    old = ", ".join(literal(each) for each in sorted(before))
    new = ", ".join(f"({literal(each)})" for each in after)
    comments = "".join(f"-- {line}\n" for line in about.splitlines())
    return f"""{comments}BEGIN;
LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;
DO $bring_over$
DECLARE
    there text[] := ARRAY(SELECT version_num::text FROM {table} ORDER BY version_num::text COLLATE "C");
BEGIN
    IF there <> ARRAY[{old}]::text[] THEN
        RAISE EXCEPTION 'This database is at %, not at the end of the archived history. Nothing was changed.',
            coalesce(nullif(array_to_string(there, ', '), ''), 'no revision');
    END IF;
END
$bring_over$;
DELETE FROM {table};
INSERT INTO {table} (version_num) VALUES {new};
COMMIT;
"""  # noqa: S608 - quoted
