"""`diff`: every source, every format, and what is said where nothing can be compared."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests import forked
from tests.cli.conftest import HOSTILE, Cli, Site, clean_environment
from tests.conftest import ServerOf, fresh_database
from web.cli.exits import CANNOT_TELL, NO, YES
from web.postgres.embedded import EmbeddedServer

HOTFIX = {
    "kind": "column",
    "object": "public.users.hotfix",
    "attribute": None,
    "change": "added",
    "severity": "structure",
    "a": None,
    "b": "text",
}


@pytest.mark.parametrize(
    ("a", "b", "code"),
    [
        ("clinic@head", "clinic/synced", YES),
        ("clinic@c", "clinic/production", YES),
        ("clinic@a", "clinic/behind", YES),
        ("clinic@head", "clinic/behind", NO),
        ("clinic@b", "clinic@head", NO),
        ("clinic/synced", "clinic/production", YES),
        ("clinic/drifted", "clinic/synced", NO),
        ("clinic/drifted", "clinic@head", NO),
        ("clinic@head", "clinic/hostile", NO),
    ],
)
def test_sources(cli: Cli, a: str, b: str, code: int) -> None:
    done = cli("diff", a, b)
    assert (done.code, done.err) == (code, "")
    assert done.out.endswith(f" between {a} and {b}.\n")
    assert "\x1b[2J" not in done.out


def test_json_has_its_shape(cli: Cli) -> None:
    done = cli("diff", "clinic@head", "clinic/drifted", "--format", "json")
    assert done.code == NO
    assert done.json == {"a": "clinic@head", "b": "clinic/drifted", "unknown": [], "differences": [HOTFIX]}
    assert cli("diff", "clinic@head", "clinic/synced", "--format", "json").json["differences"] == []


def test_a_backup_and_a_snapshot(cli: Cli, site: Site) -> None:
    assert cli("observe", "clinic/drifted", "--wait").code == 0
    assert cli("backup", "clinic/drifted", "--wait").code == 0
    (backup,) = cli("backups", "clinic/drifted", "--format", "json").json["backups"]
    seen = cli("status", "clinic/drifted", "--format", "json").json["observation"]["fingerprint"]
    for source in (f"backup:{backup['id']}", f"snapshot:{seen[:12]}"):
        assert cli("diff", source, "clinic/drifted").code == YES
        found = cli("diff", "clinic@head", source, "--format", "json")
        assert (found.code, found.json["differences"]) == (NO, [HOTFIX])
        # The copy is made of the description alone.
        repair = cli("diff", "clinic@head", source, "--format", "sql", "--destructive")
        assert "ALTER TABLE public.users DROP COLUMN hotfix;" in repair.out


def test_the_repair_repairs(server: EmbeddedServer) -> None:
    with fresh_database(server) as expected, fresh_database(server) as actual:
        with psycopg.connect(expected, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL)")
        with psycopg.connect(actual, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int, name text, other int)")
            connection.execute("INSERT INTO t VALUES (1, 'kept', 2)")
        kept = diff(expected, actual, "--format", "sql")
        assert kept.returncode == NO
        assert "-- Left: column public.t.other added. It would lose what it holds" in kept.stdout
        whole = diff(expected, actual, "--format", "sql", "--destructive")
        assert "-- Loses rows or values: ALTER TABLE public.t DROP COLUMN other" in whole.stdout
        with psycopg.connect(actual, autocommit=True) as connection:
            for statement in statements_of(whole.stdout):
                connection.execute(statement.encode())
            assert connection.execute("SELECT * FROM public.t").fetchall() == [(1, "kept")]
        assert diff(expected, actual).returncode == YES


def test_two_urls_need_neither_configuration_nor_store(server: EmbeddedServer) -> None:
    with fresh_database(server) as one, fresh_database(server) as other:
        equal = diff(one, other)
        assert (equal.returncode, equal.stdout) == (YES, "No difference between env:A and env:B.\n")
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id int); COMMENT ON TABLE t IS 'x'")
            connection.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'")
        found = diff(one, other, "--format", "json")
        assert found.returncode == NO
        assert {each["kind"] for each in json.loads(found.stdout)["differences"]} == {"table", "function"}
        left_out = diff(one, other, "--without", "behaviour", "--without", "structure")
        assert (left_out.returncode, left_out.stdout) == (
            YES,
            "No difference, 2 left out between env:A and env:B.\n",
        )


def test_two_majors_are_not_compared(server: EmbeddedServer, server_of: ServerOf) -> None:
    with fresh_database(server) as one, fresh_database(server_of(15)) as other:
        done = diff(one, other)
    assert (done.returncode, done.stdout) == (CANNOT_TELL, "")
    assert "env:A is on PostgreSQL 17 and env:B on 15" in done.stderr


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("nonsense", "clinic@head", "“nonsense” is no source of a schema."),
        ("clinic/nowhere", "clinic@head", "has no environment nowhere"),
        ("ledger@head", "clinic@head", "The configuration has no project ledger."),
        ("clinic@zzz", "clinic@head", "No migration is called “zzz”."),
        ("clinic@head", "clinic/dead", "cannot be reached"),
        ("backup:1", "clinic@head", "“1” is no backup's id."),
        ("backup:00000000-0000-0000-0000-000000000000", "clinic@head", "There is no backup"),
        ("snapshot:00000000", "clinic@head", "There is no snapshot 00000000."),
        ("env:NOT_SET_ANYWHERE", "clinic@head", "the environment variable NOT_SET_ANYWHERE is not set"),
        (f"{HOSTILE}/x", "clinic@head", "is no source of a schema."),
    ],
)
def test_what_cannot_be_compared(cli: Cli, a: str, b: str, said: str) -> None:
    done = cli("diff", a, b)
    assert (done.code, done.out) == (CANNOT_TELL, "")
    assert said in " ".join(done.err.split())


def test_an_unknown_severity(cli: Cli) -> None:
    done = cli("diff", "clinic@head", "clinic/synced", "--without", "colour")
    assert done.code == CANNOT_TELL
    assert "structure, behaviour, access, cosmetic" in done.err


def diff(a: str, b: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Compare two URLs, in a process that has nothing else."""
    return forked.run(
        "web.cli",
        ["diff", "env:A", "env:B", *options],
        environment={**clean_environment(), "A": a, "B": b},
        folder=Path("/"),
    )


def statements_of(script: str) -> list[str]:
    """Statements of a script that has one to a line, as psql would send them."""
    lines = [line for line in script.splitlines() if line and not line.startswith("--")]
    return [each.strip() for each in "\n".join(lines).split(";\n") if each.strip()]
