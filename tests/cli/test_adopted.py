"""`adopt` and `adopted`: drift becomes a file, on stdout or in a folder; exit codes say whether it was proven."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.cli.conftest import Cli, Transport


def test_the_migration_of_a_drift(cli: Cli, transport: Transport, tmp_path: Path) -> None:
    done = cli("adopt", "clinic/drifted", "--message", "hotfix column", "--wait", transport=transport)
    assert done.code == 0, done.err + done.out
    number = cli("jobs", "clinic/drifted", "--kind", "adopt", "--format", "json", transport=transport).json[
        "jobs"
    ][0]["id"]

    text = cli("adopted", number, transport=transport)
    assert text.code == 0
    ast.parse(text.out)
    assert "op.add_column('users', sa.Column('hotfix', sa.Text(), nullable=True))" in text.out
    found = cli("adopted", number, "--format", "json", transport=transport).json
    assert (found["proven"], found["down_revision"]) == (True, "c")
    written = cli("adopted", number, "--output", tmp_path, transport=transport)
    assert written.code == 0
    (file,) = tmp_path.iterdir()
    assert file.read_text() == text.out
    again = cli("adopted", number, "--output", tmp_path, transport=transport)
    assert again.code == 3
    assert "File exists" in again.err


def test_a_job_that_wrote_none(cli: Cli, transport: Transport) -> None:
    assert cli("rehearse", "clinic/synced", "--wait", transport=transport).code == 0
    listed = cli("jobs", "clinic/synced", "--kind", "rehearse", "--format", "json", transport=transport)
    number = listed.json["jobs"][0]["id"]
    done = cli("adopted", number, transport=transport)
    assert done.code == 3
    assert "wrote no migration" in done.err


def test_a_revert_says_what_it_runs(cli: Cli, transport: Transport) -> None:
    assert cli("plan-revert", "clinic/drifted", "--with-loss", "--wait", transport=transport).code == 0
    asked = cli("revert", "clinic/drifted", transport=transport)
    assert asked.code == 1
    assert "ALTER TABLE public.users DROP COLUMN hotfix;  -- may lose data" in asked.err
    assert "No verified backup" in asked.err


def test_a_stamp_that_would_be_a_lie_is_refused(cli: Cli, transport: Transport) -> None:
    done = cli(
        "stamp",
        "clinic/drifted",
        "--revision",
        "b",
        "--confirm",
        "clinic/drifted",
        "--wait",
        transport=transport,
    )
    assert done.code == 1, done.err
    assert "Nothing was recorded" in done.out + done.err
