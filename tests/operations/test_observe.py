"""Looks: what a person asks for stands on the source as it is, what the clock asks for on a recent reading."""

from __future__ import annotations

from sqlalchemy import update

from tests.operations.conftest import Site, outcome
from tests.tools.written import migration
from web.jobs.kind import BY_SCHEDULE
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.store.tables import JobRow


async def test_a_persons_look_reads_the_source_again(site: Site) -> None:
    await site.observe()
    await site.run(MIGRATE)
    assert outcome(await site.run(OBSERVE))["title"] == "In sync"
    site.write(d=migration("d", "c"))
    scheduled = await site.start(OBSERVE)
    async with site.store.begin() as connection:
        await connection.execute(
            update(JobRow).where(JobRow.id == scheduled).values(requested_by=BY_SCHEDULE)
        )
    await site.execution(scheduled).run()
    assert outcome(await site.job(scheduled))["title"] == "In sync"
    assert outcome(await site.run(OBSERVE))["title"] == "1 pending"


async def test_a_character_that_no_database_keeps_is_a_problem_of_its_file(site: Site) -> None:
    site.write(
        d='"""\\ud800 odd\\x00"""\nrevision = "d\\x00"\ndown_revision = "c"\n\n\ndef upgrade():\n    pass\n'
    )
    job = await site.run(OBSERVE)
    assert job.state == "succeeded", outcome(job)
    assert "d.py" in outcome(job)["account"]
    refused = await site.run(MIGRATE)
    assert refused.state == "failed"
    assert "d.py" in outcome(refused)["account"]
