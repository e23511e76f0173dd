"""Names with quotes, spaces, angle brackets, percent signs and emoji, of everything that has one, through every job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.acceptance.installation import Installation, query
from tests.interpreter import project_python
from tests.tools.written import env, execute, migration, write_project
from web.postgres.connections import parameters
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import libpq_url

pytestmark = pytest.mark.xdist_group("acceptance of hostile names")

TITLE = """<script>alert("title")</script> 'shop' 😀"""
DATABASE = """data "base" <b>x</b> 100% 'y' 😀"""
ROLE = """ro"le <i>x</i> 'y' 😀"""
SCHEMA = """sch"ema <script>alert(1)</script> 'x' 😀"""
TABLE = """ta"ble <img src=x onerror=alert(1)> 'x' 😀"""
COLUMN = """col"umn <b>x</b> 'y' 😀"""
BY_HAND = """by "hand" <u>x</u> 'y' 😀"""
VERSIONS = """version "table" <b>'x'</b> 😀"""
PASSWORD = """pa:ss@w/o%rd'"<b>\\😀"""
RAW = ("<script>alert(", "<b>x</b>", "<i>x</i>", "<u>x</u>", "<img src=x", "<b>'x'</b>")


def quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string()


MIGRATIONS = {
    "a": migration(
        "a",
        None,
        execute(
            f"CREATE SCHEMA {quoted(SCHEMA)}",
            f"CREATE TABLE {quoted(SCHEMA, TABLE)} (id int PRIMARY KEY, {quoted(COLUMN)} text DEFAULT '<b>x</b>')",
            f"INSERT INTO {quoted(SCHEMA, TABLE)} VALUES (1), (2)",
        ),
    ),
    "b": migration(
        "b",
        "a",
        execute(
            f"CREATE INDEX {quoted(COLUMN)} ON {quoted(SCHEMA, TABLE)} ({quoted(COLUMN)})",
            f"COMMENT ON TABLE {quoted(SCHEMA, TABLE)} IS '<script>alert(2)</script>'",
        ),
    ),
}


@dataclass(frozen=True)
class Shop:
    cleanstart: Installation
    url: str
    origin: str

    def page(self, path: str) -> str:
        """A page; no name is markup in it."""
        answer = httpx.get(self.origin + path, timeout=30)
        assert answer.status_code == 200
        for raw in RAW:
            assert raw not in answer.text, path
        return html.unescape(answer.text)


@pytest.fixture(scope="module")
def shop(cleanstart: Installation, server: EmbeddedServer) -> Iterator[Shop]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, PASSWORD))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
        try:
            url = libpq_url(
                {**parameters(server.url()), "user": ROLE, "password": PASSWORD, "dbname": DATABASE}
            )
            configure(cleanstart, server, url)
            cleanstart.work()
            yield Shop(cleanstart, url, cleanstart.serve())
        finally:
            cleanstart.end()
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


def configure(cleanstart: Installation, server: EmbeddedServer, url: str) -> None:
    source = cleanstart.folder / "a 'source' <b>x</b> 😀"
    write_project(source, MIGRATIONS, env_py=env(version_table=repr(VERSIONS)))
    (source / "seed.sql").write_text(f"INSERT INTO {quoted(SCHEMA, TABLE)} VALUES (3, '<b>x</b>')", "utf-8")
    shop: dict[str, Any] = {
        "title": TITLE,
        "source": str(source),
        "keeps": ["<b>x</b> 😀"],
        "alembic": {
            "config": "alembic.ini",
            "python": str(project_python()),
            "url_variable": "DATABASE_URL",
            "url_driver": "postgresql+psycopg",
            "version_table": VERSIONS,
        },
        "environments": {
            "dev": {
                "url": cleanstart.secret("dev", url),
                "tier": "development",
                "reset": {"seed": "seed.sql"},
            }
        },
    }
    cleanstart.configure({"shop": shop}, scratch={"17": cleanstart.secret("scratch", server.url())})


def test_through_every_job(shop: Shop) -> None:
    cleanstart, where = shop.cleanstart, "shop/dev"
    cleanstart.succeed("observe", where)
    done = cleanstart.succeed("migrate", where)
    assert done["outcome"]["data"]["applied"] == ["a", "b"]
    assert query(shop.url, f"SELECT * FROM {quoted(VERSIONS)}") == [("b",)]
    drift = cleanstart("drift", where, "--format", "json").json
    assert (drift["state"], drift["differences"]) == ("none", [])

    query(shop.url, f"ALTER TABLE {quoted(SCHEMA, TABLE)} ADD COLUMN {quoted(BY_HAND)} int")
    cleanstart.succeed("observe", where)
    drift = cleanstart("drift", where, "--format", "json").json
    (difference,) = drift["differences"]
    assert difference["object"] == f"{quoted(SCHEMA)}.{quoted(TABLE)}.{quoted(BY_HAND)}"
    assert BY_HAND in re.sub(r"\s+", " ", cleanstart("drift", where).out).replace('""', '"')

    cleanstart.succeed("rehearse", where)
    cleanstart.succeed("backup", where)
    verified = cleanstart.succeed("verify", where)
    assert verified["outcome"]["data"]["rows"] == 3

    asked = cleanstart("reset", where)
    assert asked.code == 3
    done = cleanstart.succeed("reset", where, "--confirm", where)
    assert done["outcome"]["data"]["seeded"] is True
    assert query(shop.url, f"SELECT id FROM {quoted(SCHEMA, TABLE)} ORDER BY 1") == [(1,), (2,), (3,)]
    assert cleanstart("drift", where, "--format", "json").json["state"] == "none"

    for path in (
        "/", "/projects/shop", "/jobs", "/audit", "/settings",
        *(f"/projects/shop/environments/dev{tab}" for tab in ("", "/migrations", "/drift", "/backups", "/jobs")),
        *(f"/projects/shop/environments/dev/jobs/new/{kind}" for kind in ("backup", "migrate", "reset")),
        *(f"/jobs/{row['id']}" for row in cleanstart.ask("SELECT id FROM job")),
    ):  # fmt: skip
        shop.page(path)
    assert TITLE in shop.page("/projects/shop")
    assert DATABASE in shop.page("/projects/shop/environments/dev")
    assert TABLE in shop.page("/projects/shop/environments/dev").replace('""', '"')
    told = "".join(cleanstart.said) + cleanstart.log.read_text()
    assert PASSWORD not in told
    assert "Traceback" not in told
