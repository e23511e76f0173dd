"""Runs the clinic's Alembic as its developers would."""

from __future__ import annotations

import sys
from pathlib import Path

from demo.checkouts import CLINIC
from web.config import AlembicSettings
from web.postgres.connections import libpq_environment, sqlalchemy_url
from web.postgres.processes import Completed, run
from web.postgres.programs import client_for, find_programs

TOOL = AlembicSettings(config=CLINIC / "backend" / "alembic.ini", python=Path(sys.executable))
ARGV = (sys.executable, "-P", "-m", "alembic", "-c", str(TOOL.config))


async def alembic(url: str, *arguments: str) -> Completed:
    """Run one Alembic command on a database; raises CommandFailed."""
    return await run((*ARGV, *arguments), env={"DATABASE_URL": sqlalchemy_url(url)})


async def dump_schema(url: str) -> str:
    """Return the database's schema as pg_dump writes it, without owners and what changes from run to run."""
    pg_dump = client_for(17, find_programs()).path("pg_dump")
    done = await run((str(pg_dump), "--schema-only", "--no-owner"), env=libpq_environment(url))
    lines = done.stdout.decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))
