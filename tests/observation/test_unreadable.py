"""A role from which a catalog is taken: what it cannot see is named or refused, and never "no drift"."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import environment, project
from tests.observation.test_observe import upgrade
from tests.tools.written import execute, migration, write_project
from web.observation.observe import observe
from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import ScratchServers
from web.postgres.urls import parameters
from web.schema.snapshot import QUERIES

#: Every catalog that a snapshot reads.
CATALOGS = sorted(
    {
        name
        for query in QUERIES
        for name in re.findall(
            r"(?:from|join)\s+(?:pg_catalog\.)?(pg_\w+)",
            files("web.schema").joinpath("queries", f"{query}.sql").read_text("utf-8"),
            re.IGNORECASE,
        )
    }
    # Its other half is for superusers alone.
    - {"pg_authid"}
)
ROLE = "half_blind"


def test_there_are_catalogs() -> None:
    assert {"pg_class", "pg_proc", "pg_policy", "pg_subscription"} & set(CATALOGS)
    assert len(CATALOGS) > 20


async def test_no_catalog_that_is_taken_away_makes_drift_go_unseen(
    store: AsyncEngine, server: EmbeddedServer, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "clinic"
    tool = write_project(
        folder, {"a": migration("a", None, execute("CREATE TABLE users (id int PRIMARY KEY, email text)"))}
    )
    clinic = project(folder, tool)
    with psycopg.connect(database, autocommit=True) as owner:
        if owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is None:
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'blind'").format(sql.Identifier(ROLE)))
        known = parameters(database)
        name = sql.Identifier(known["dbname"])
        owner.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(ROLE)))
    url = f"postgresql://{ROLE}:blind@/{known['dbname']}?host={known['host']}&port={known['port']}"
    dev = environment(tmp_path, url)
    scratch = ScratchServers(tmp_path / "scratch", {17: server.url()}, ())
    await upgrade(clinic, url)
    seen = await observe(store, clinic, dev, scratch)
    assert seen.drift.state == "none", seen.drift.reason
    silent = []
    with psycopg.connect(database, autocommit=True) as owner:
        there = {row[0] for row in owner.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'v')")}
        for catalog in CATALOGS:
            if catalog not in there:
                continue
            name = sql.Identifier("pg_catalog", catalog)
            held = owner.execute("SELECT relacl FROM pg_class WHERE oid = %s::regclass", [catalog]).fetchone()
            if held is None or held[0] is None or not any(each.startswith("=r") for each in held[0]):
                continue
            owner.execute(sql.SQL("REVOKE SELECT ON {} FROM PUBLIC").format(name))
            try:
                blind = await observe(store, clinic, dev, scratch, full=True)
            finally:
                owner.execute(sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(name))
            if blind.reachable and blind.drift.state == "none":
                silent.append(catalog)
            elif blind.reachable:
                assert "may not read" in (blind.drift.reason or ""), (catalog, blind.drift)
            else:
                assert blind.error is not None
                assert catalog in blind.error["message"] or "may not read" in blind.error["message"], (
                    blind.error
                )
    await scratch.stop()
    assert silent == []
    assert (await observe(store, clinic, dev, scratch, full=True)).drift.state == "none"
