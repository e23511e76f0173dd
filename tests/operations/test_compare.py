"""Comparisons as jobs: every sort of source, what is kept of them, and what may not be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update

from tests.operations.conftest import Site, outcome
from tests.operations.test_revert import drifted
from web.comparison.stored_comparisons import Compared, read_comparison, require_kept, sources_of
from web.errors import Invalid, NotFound
from web.operations.backup import BACKUP
from web.operations.compare import COMPARE
from web.store.tables import EnvironmentRow, JobSchemaRow, SchemaSnapshotRow


async def kept(site: Site, a: str, b: str) -> Compared:
    async with site.store.connect() as store:
        found = await read_comparison(store, "clinic", a, b)
    assert found is not None
    return found


async def test_head_and_live_by_default(site: Site) -> None:
    await drifted(site)
    job = await site.run(COMPARE)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "4 differences")
    found = await kept(site, "clinic@head", "clinic/dev")
    assert len(found.differences) == 4
    assert found.error is None


async def test_an_older_revision_a_backup_and_a_snapshot(site: Site) -> None:
    await drifted(site)
    older = await site.run(COMPARE, a="clinic@a", b="clinic@head")
    assert outcome(older)["title"] == "2 differences"
    taken = outcome(await site.run(BACKUP))["data"]["backup"]
    site.query("CREATE TABLE another (id int)")
    await site.run(COMPARE, a=f"backup:{taken}", b="clinic/dev")
    (only,) = (await kept(site, f"backup:{taken}", "clinic/dev")).differences
    assert (only.kind, only.object, only.change) == ("table", "public.another", "added")
    snapshot = (await site.observe()).fingerprint
    await site.run(COMPARE, a=f"snapshot:{snapshot[:12]}", b="clinic/dev")
    assert (await kept(site, f"snapshot:{snapshot[:12]}", "clinic/dev")).differences == ()


async def test_what_could_not_be_compared_is_kept_as_that(site: Site) -> None:
    await site.observe()
    site.change(url=type(site.dev.url)("env:NOWHERE"))
    job = await site.run(COMPARE)
    assert job.state == "failed"
    found = await kept(site, "clinic@head", "clinic/dev")
    assert found.error is not None
    assert found.differences == ()


async def test_another_database_behind_the_url_is_no_difference(site: Site) -> None:
    await site.observe()
    async with site.store.begin() as store:
        await store.execute(update(EnvironmentRow).values(database_oid=1))
    job = await site.run(COMPARE)
    assert job.state == "failed"
    found = await kept(site, "clinic@head", "clinic/dev")
    assert found.error is not None
    assert found.error["title"] == "This is not the database it was"


async def test_what_a_job_saw_may_be_compared(site: Site) -> None:
    await site.at_head()
    async with site.store.connect() as store:
        before, after = (
            await store.execute(select(JobSchemaRow.before_fingerprint, JobSchemaRow.after_fingerprint))
        ).one()
        assert before is not None
        assert after is not None
        project = site.configuration.project("clinic")
        await require_kept(
            store, project, *sources_of(project, f"snapshot:{before}", f"snapshot:{after[:12]}")
        )


@pytest.mark.parametrize(
    ("text", "error"),
    [("env:PATH", Invalid), ("other/dev", Invalid), ("clinic/prod", NotFound), ("../../x", Invalid)],
)
async def test_nothing_beyond_the_project_is_read(site: Site, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        sources_of(site.configuration.project("clinic"), text)
    job = await site.run(COMPARE, a=text)
    assert job.state == "failed"


@pytest.mark.parametrize("text", ["backup:6b0fca8e-6b5c-4a39-8a5b-0d0f2a3fd4b1", "snapshot:0123456789abcdef"])
async def test_what_is_not_the_projects_is_not_there(site: Site, text: str) -> None:
    project = site.configuration.project("clinic")
    async with site.store.connect() as store:
        with pytest.raises(NotFound):
            await require_kept(store, project, *sources_of(project, text))


async def test_a_snapshot_of_another_project_that_begins_alike(site: Site) -> None:
    await site.at_head()
    digest = (await site.observe()).fingerprint
    async with site.store.begin() as store:
        # Nobody of this project ever saw this one.
        row = (await store.execute(select(SchemaSnapshotRow).limit(1))).one()
        await store.execute(
            insert(SchemaSnapshotRow).values(
                fingerprint=f"{digest[:12]}{'0' * 52}", server_major=row.server_major, content=row.content
            )
        )
    job = await site.run(COMPARE, a=f"snapshot:{digest[:12]}", b="clinic/dev")
    assert (job.state, outcome(job)["title"]) == ("succeeded", "No difference")
    # All of them begin with nothing, so to say.
    project = site.configuration.project("clinic")
    async with site.store.connect() as store:
        (several,) = sources_of(project, f"snapshot:{digest[:12]}")
        with pytest.raises(Invalid, match="Several"):
            await require_kept(store, project, replace(several, name=""))
