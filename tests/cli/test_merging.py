"""`merge-heads` and `change-set`: several heads become a patch, and a file in a source that may be written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import MIGRATIONS, Cli, Site, Transport, _end, start_program
from tests.conftest import STORE_OWNER, STORE_RUNTIME, fresh_database
from tests.interpreter import project_python
from tests.tools.written import execute, migration, write_project
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import database_name

CONFIGURATION = f"""
[store]
url = "file:store"
[scratch]
17 = "embedded"
[projects.forked]
title = "Forked"
source = "forked"
clean_start = {{ write = true }}
[projects.forked.alembic]
config = "alembic.ini"
python = "{project_python()}"
url_variable = "DATABASE_URL"
url_driver = "postgresql+psycopg"
"""


@pytest.fixture
def forked(server: EmbeddedServer, store_template: str, tmp_path: Path) -> Iterator[Site]:
    """A site of its own: a project with two heads and no database, and a worker."""
    rooms = migration("d", "b", execute("CREATE TABLE rooms (id int PRIMARY KEY)"))
    write_project(tmp_path / "forked", {**MIGRATIONS, "d": rooms})
    with fresh_database(server, template=store_template, owner=STORE_OWNER) as store:
        (tmp_path / "store").write_text(server.url(database_name(store), STORE_RUNTIME))
        config = tmp_path / "cleanstart.toml"
        config.write_text(CONFIGURATION)
        worker = start_program(tmp_path / "processes.log", config, "worker")
        yield Site(tmp_path, config, "", worker, {})
        _end(worker)


def test_two_heads_become_one(forked: Site, tmp_path: Path) -> None:
    done = forked.command("merge-heads", "forked", "--message", "both", "--wait")
    assert done.code == 0, done.err + done.out
    listed = forked.command("jobs", "--kind", "merge-heads", "--format", "json")
    number = listed.json["jobs"][0]["id"]
    (path,) = forked.command("change-set", number).out.split()
    assert path.startswith("migrations/versions/")
    assert path.endswith("_both.py")
    (made := tmp_path / "made").mkdir()
    put = forked.command("change-set", number, "--output", made)
    assert put.code == 0, put.err
    assert {each.name for each in made.iterdir()} == {"merge.patch", "merge.zip"}
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run(["git", "apply", made / "merge.patch"], cwd=clone, check=True)
    assert (clone / path).is_file()

    written = forked.command("write-baseline", "forked", "--merge", number, "--wait")
    assert written.code == 0, written.err + written.out
    source = forked.folder / "forked"
    assert (source / path).read_bytes() == (clone / path).read_bytes()
    refused = forked.command("merge-heads", "forked", "--wait")
    assert refused.code == 1
    assert "there is nothing to merge" in refused.out + refused.err
    back = forked.command("take-back-baseline", "forked", "--merge", number, "--wait")
    assert back.code == 0, back.err + back.out
    assert not (source / path).exists()


def test_a_job_without_one(cli: Cli, transport: Transport) -> None:
    assert cli("rehearse", "clinic/synced", "--wait", transport=transport).code == 0
    listed = cli("jobs", "clinic/synced", "--kind", "rehearse", "--format", "json", transport=transport)
    done = cli("change-set", listed.json["jobs"][0]["id"], transport=transport)
    assert done.code == 3
    assert "wrote no change set" in done.err
