"""However the process leaves: title, account, state and exit code of a migrate say one thing, that of the rows."""

from __future__ import annotations

import pytest

from tests.operations.conftest import Site, outcome
from tests.tools.test_endings import ENDINGS, LIMIT
from tests.tools.written import execute, migration, write_project
from web.cli import exits
from web.operations.migrate import MIGRATE
from web.tools import runner


@pytest.mark.parametrize(
    "name",
    [
        "leaves slowly",
        "a daemon holds the pipes",
        "killed between commit and report",
        "raises after success",
        "leaves without a word after success",
        "hangs after success",
        "exits 0 after a failure",
        "leaves in the middle",
        "killed in the middle",
        "killed right before its commit",
    ],
)
async def test_a_migrate_says_what_the_rows_say(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LINGER", 3.0)
    ending = ENDINGS[name]
    (site.folder / "migrations" / "versions" / "c.py").unlink()
    write_project(
        site.folder,
        {
            "a": migration("a", upgrade=execute("CREATE TABLE a ()")),
            "b": migration("b", "a", execute("CREATE TABLE b ()") + f"\n{ending.body}"),
        },
        env_py=ending.env_py,
    )
    if name.startswith("hangs"):
        site.set_tool(time_limit=LIMIT)
    await site.observe()
    job = await site.run(MIGRATE)
    told = outcome(job)
    there = site.query("SELECT to_regclass('alembic_version')") != [(None,)]
    assert tuple(site.revisions if there else ()) == ending.rows
    if ending.arrived:
        assert (job.state, told["title"]) == ("succeeded", "2 migrations applied")
        assert exits.OF_JOB[job.state] == 0
        assert "clinic/dev is at b." in told["account"]
        assert "Nothing of" not in told["account"] + told["next_step"]
        assert ending.said is None or ending.said in told["account"]
    else:
        assert job.state in ("failed", "unknown")
        assert exits.OF_JOB[job.state] != 0
        assert told["title"] not in ("Done", "2 migrations applied")
        assert f"The database is at {', '.join(ending.rows) or 'no revision'}." in told["account"]
