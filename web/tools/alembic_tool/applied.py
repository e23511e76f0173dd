"""Which revisions a database has, by Alembic's version table. What they mean is left to the history."""

from __future__ import annotations

from psycopg import AsyncConnection, errors, sql

from web.config import AlembicSettings
from web.errors import Conflict, TargetUnavailable
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
