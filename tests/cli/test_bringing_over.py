"""`bring-over` and its SQL script: a checkout, a URL, and no dashboard anywhere."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.errors import RaiseException

from tests import forked
from tests.cli.conftest import clean_environment
from tests.operations.conftest import Site, copies, site
from tests.operations.test_restamp import clean_start, two_clean_starts
from tests.tools.written import execute, migration
from web.cli.exits import NO, YES
from web.postgres.urls import parameters

__all__ = ["copies", "site"]


def bring_over(site: Site, folder: Path, *more: str, confirm: str | None = "") -> tuple[int, str, str]:
    name = parameters(site.url)["dbname"] if confirm == "" else confirm
    python = site.configuration.project("clinic").tool.program
    done = forked.run(
        "web.cli",
        [
            "bring-over",
            "env:ANY_NAME",
            "--python",
            str(python),
            *(["--confirm", str(name)] if name else []),
            *more,
        ],
        environment={**clean_environment(), "ANY_NAME": site.url},
        folder=folder,
    )
    return done.returncode, done.stdout, done.stderr


async def test_what_is_missing_is_applied_and_the_row_exchanged(site: Site) -> None:
    site.write(
        c=migration(
            "c", "b", execute("CREATE TABLE tenants (id int PRIMARY KEY)", "INSERT INTO tenants VALUES (7)")
        )
    )
    await site.observe()
    await site.at_head()
    site.query("DROP TABLE tenants")
    site.query("UPDATE alembic_version SET version_num = 'b'")
    revision = await clean_start(site)
    code, out, err = bring_over(site, site.folder)
    assert code == YES, err
    assert "Applies first, from the archive:\n  c  " in err
    assert "Applying c" in err
    assert f"is recorded at the baseline {revision}. Its schema was not compared." in out
    assert site.revisions == [revision]
    assert site.query("SELECT id FROM tenants") == [(7,)]
    code, out, err = bring_over(site, site.folder)
    assert (code, err) == (YES, "")
    assert "nothing to bring over" in out


async def test_what_is_refused_changes_nothing(site: Site) -> None:
    await site.at_head()
    await clean_start(site)
    for arguments, confirm, said in (
        ((), None, "For scripts: --confirm"),
        ((), "another", "Nothing was changed."),
        (("--archive", "nowhere"), "", "cannot be read"),
    ):
        code, _, err = bring_over(site, site.folder, *arguments, confirm=confirm)
        assert code != YES, err
        assert said in err
    site.query("UPDATE alembic_version SET version_num = 'lost'")
    code, _, err = bring_over(site, site.folder)
    assert code == NO
    assert "lost, which neither the migrations nor the archive" in err
    site.query("UPDATE alembic_version SET version_num = 'c'")
    (kept,) = site.folder.glob("**/archive/*/**/a.py")
    kept.write_text(kept.read_text() + "# edited\n")
    code, _, err = bring_over(site, site.folder)
    assert code != YES
    assert "is not the file that was archived" in err
    assert site.revisions == ["c"]


async def test_one_that_slept_through_two_clean_starts_goes_through_both(site: Site) -> None:
    await site.at_head()
    site.query("DROP TABLE tenants")
    site.query("UPDATE alembic_version SET version_num = 'b'")
    first, second = await two_clean_starts(site)
    newest = max(site.folder.glob("**/archive/*"), key=lambda each: (len(each.name), each.name))
    code, _, err = bring_over(site, site.folder, "--archive", str(newest))
    assert code == NO
    assert "b, which neither the migrations nor" in err
    code, out, err = bring_over(site, site.folder)
    assert code == YES, err
    assert err.index("  c  ") < err.index(f"Then its version row becomes {first}")
    assert err.index("  d  ") < err.index(f"Then its version row becomes {second}")
    assert f"is recorded at the baseline {second}." in out
    assert site.revisions == [second]
    assert site.query("SELECT to_regclass('late') IS NOT NULL, to_regclass('tenants') IS NOT NULL") == [
        (True, True)
    ]
    # An archive that nobody needs may be lost.
    (lost,) = newest.parent.glob("*/**/a.py")
    lost.unlink()
    site.query("UPDATE alembic_version SET version_num = 'd'")
    code, out, err = bring_over(site, site.folder)
    assert code == YES, err
    assert "Left out: " in err
    assert site.revisions == [second]


async def test_the_script_exchanges_exactly_one_row(site: Site) -> None:
    await site.at_head()
    revision = await clean_start(site)
    (script,) = site.folder.glob("**/archive/*/bring-over.sql")
    text = script.read_text()
    assert "It compares no schema" in text
    for rows, said in (
        (["b"], "is at b, not at the end"),
        (["b", "c"], "is at b, c"),
        ([], "is at no revision"),
    ):
        site.query("DELETE FROM alembic_version")
        for row in rows:
            site.query(f"INSERT INTO alembic_version VALUES ('{row}')")
        with (
            psycopg.connect(site.url, autocommit=True) as connection,
            pytest.raises(RaiseException, match=said),
        ):
            connection.execute(text.encode())
        assert site.revisions == rows
    site.query("INSERT INTO alembic_version VALUES ('c')")
    with psycopg.connect(site.url, autocommit=True) as connection:
        connection.execute(text.encode())
    assert site.revisions == [revision]
