"""A fresh database has the locale and the encoding of the one that it is made like, on every major."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.conftest import ServerOf
from web.acts.fresh_database import create, creating, oid_of, read_original
from web.postgres.connections import connect

#: What CREATE DATABASE is given on which majors. The servers of the tests are built with ICU up to 15 only.
LOCALES = (
    *((major, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'") for major in (14, 15, 16)),
    *((major, "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'") for major in (14, 15, 16)),
    (15, "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LC_COLLATE 'C' LC_CTYPE 'C'"),
    *((major, "ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'") for major in (17, 18)),
    *((major, "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'") for major in (17, 18)),
)

# All that is not of one database alone: its name, oid, and what the server counts.
_OWN = """
SELECT to_jsonb(d) - ARRAY['oid', 'datname', 'datfrozenxid', 'datminmxid', 'datacl']
  FROM pg_database d WHERE datname = %s
"""


@pytest.mark.parametrize(("major", "options"), LOCALES)
async def test_locales(server_of: ServerOf, major: int, options: str) -> None:
    server, name = server_of(major), f"like_{uuid.uuid4().hex}"
    beside = f"{name}_clean"

    def own(of: str) -> Any:
        row = connection.execute(_OWN, [of]).fetchone()
        assert row is not None
        return row[0]

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 CONNECTION LIMIT 7 " + options).format(
                sql.Identifier(name)
            )
        )
        try:
            async with connect(server.url(name)) as session:
                original = await read_original(session)
                await create(session, original, beside)
                oid = await oid_of(session, beside)
            assert own(beside) == own(name)
            assert connection.execute(
                "SELECT oid::bigint FROM pg_database WHERE datname = %s", [beside]
            ).fetchone() == (oid,)
            assert list(original.left_behind()) == []
        finally:
            for each in (name, beside):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(each)))


async def test_the_words_of_what_no_server_here_can(database: str) -> None:
    async with connect(database) as session:
        original = await read_original(session)
    icu = replace(original, provider="i", locale="de-u-co-phonebk", icu_rules="&a < b")
    said = creating(icu, "beside", 16).as_string()
    assert """LOCALE_PROVIDER "icu" ICU_LOCALE 'de-u-co-phonebk' ICU_RULES '&a < b'""" in said
    placed = replace(original, tablespace="fast disks", may_place=True)
    assert 'TABLESPACE "fast disks"' in creating(placed, "beside", 17).as_string()
    elsewhere = replace(placed, may_place=False)
    assert "TABLESPACE" not in creating(elsewhere, "beside", 17).as_string()
    assert list(elsewhere.left_behind()) == ["the tablespace fast disks, in which postgres may not create"]
