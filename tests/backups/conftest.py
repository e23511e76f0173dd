"""A database with everything that restores get wrong and a place for backups."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from web.backups.places import Folder
from web.postgres.scripts import split

ROLES = ("backup_owner", "backup_reader")
NASTY = Path(__file__).with_name("nasty.sql")


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "backups")


@pytest.fixture
def nasty(database: str) -> str:
    """The URL of a database on PostgreSQL 17, filled from nasty.sql."""
    fill(database)
    return database


@pytest.fixture
def nasty15(database15: str) -> str:
    """The same on PostgreSQL 15."""
    fill(database15)
    return database15


def fill(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for role in ROLES:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchall():
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        # One transaction each: a new value of an enum is used only after it was committed.
        for statement in split(NASTY.read_text(), NASTY.name):
            connection.execute(statement.encode())
