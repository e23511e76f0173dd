"""A cut-over: what migrates besides the dashboard is found in the source, and told on every surface."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from web.cutover.stored_scans import cut_over_of, newest_cut_over
from web.operations.cut_over import CUT_OVER
from web.postgres.connections import with_database

ENTRY_POINT = "#!/bin/sh\nalembic upgrade head\nexec uvicorn app:app\n"


async def test_what_migrates_is_told_on_every_surface(site: Site) -> None:
    (site.folder / "docker-entrypoint.sh").write_text(ENTRY_POINT)
    (site.folder / "Makefile").write_text("db:\n\talembic upgrade head <b>\n")
    job = await site.run(CUT_OVER)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"]["start_up"] == 1
    async with site.store.connect() as store:
        found = await cut_over_of(store, job.id)
        assert found == await newest_cut_over(store, "clinic")
    assert found is not None
    assert [each.place for each in found.scan.findings] == ["docker-entrypoint.sh:2", "Makefile:2"]
    async with surfaces(site) as client:
        told = (await client.get(f"/api/v1/jobs/{job.id}/cut-over")).json()
        assert told["findings"][0]["when"] == "start-up"
        assert "One task for each deployment" in told["findings"][0]["instead"]
        shown = await page(client, f"/jobs/{job.id}/cut-over")
        assert "docker-entrypoint.sh:2" in shown
        assert "alembic upgrade head <b>" in shown
        assert "Prepare the cut-over…" in await page(client, "/projects/clinic")
        assert "See what was found" in await page(client, f"/jobs/{job.id}")
        assert (await client.get("/jobs/999999/cut-over")).status_code == 404


async def test_the_projects_own_command_counts(site: Site) -> None:
    (site.folder / "Procfile").write_text("web: clinic db upgrade && clinic serve\n")
    assert outcome(await site.run(CUT_OVER))["title"] == "Nothing migrates at start-up"
    site.set_tool(commands={"upgrade": ("clinic", "db", "upgrade")})
    assert outcome(await site.run(CUT_OVER))["title"] == "1 place may migrate at start-up"


async def test_the_task_is_shown_and_downloaded(site: Site) -> None:
    job = await site.run(CUT_OVER)
    async with surfaces(site) as client:
        assert "public_url" in await page(client, f"/jobs/{job.id}/cut-over")
    site.configuration = replace(site.configuration, public_url="http://localhost")
    async with surfaces(site) as client:
        shown = await page(client, f"/jobs/{job.id}/cut-over")
        assert "condition: service_completed_successfully" in shown
        assert "## dev" in shown
        one = await client.get(f"/jobs/{job.id}/cut-over/tasks/compose")
        assert 'filename="compose.migrate.yaml"' in one.headers["content-disposition"]
        assert "clinic/${CLEANSTART_ENVIRONMENT" in one.text
        several = await client.get(f"/jobs/{job.id}/cut-over/tasks/ecs")
        with zipfile.ZipFile(io.BytesIO(several.content)) as archive:
            assert archive.namelist() == ["ecs-migrate.cfn.yaml", "ecs-migrate.sh"]
        assert (await client.get(f"/jobs/{job.id}/cut-over/tasks/nomad")).status_code == 404
        told = (await client.get("/api/v1/projects/clinic/cut-over-tasks/manual")).json()
        assert [each["name"] for each in told["files"]] == ["deployment.md"]


async def test_the_applications_role_is_looked_at_where_there_is_one(site: Site) -> None:
    await site.at_head()
    clinic = site.configuration.project("clinic")
    gone = replace(
        site.dev, name="gone", url=type(site.dev.url)("env:NOWHERE_AT_ALL"), application_role="cut_app"
    )
    dev = replace(site.dev, application_role="cut_app")
    changed = replace(
        clinic, environments={"dev": dev, "gone": gone, "quiet": replace(site.dev, name="quiet")}
    )
    site.configuration = replace(site.configuration, projects={"clinic": changed})
    site.query("CREATE ROLE cut_app")
    try:
        site.query("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO cut_app")
        job = await site.run(CUT_OVER)
        assert job.state == "succeeded", outcome(job)
        assert outcome(job)["data"]["roles"] == {"dev": "met", "gone": "not known"}
        site.query("ALTER TABLE users OWNER TO cut_app")
        job = await site.run(CUT_OVER)
        assert outcome(job)["data"]["roles"] == {"dev": "not met", "gone": "not known"}
        assert "On dev: cut_app owns table public.users." in outcome(job)["account"]
        async with surfaces(site) as client:
            shown = await page(client, f"/jobs/{job.id}/cut-over")
            assert "On dev, cut_app can change the schema" in shown
            assert "On gone, it is not known what cut_app can do" in shown
            told = (await client.get(f"/api/v1/jobs/{job.id}/cut-over")).json()
            assert told["roles"][0]["rights"] == [
                {"sort": "owns", "role": "cut_app", "object": "table public.users", "number": 1}
            ]
            assert told["roles"][0]["state"] == "not met"
        async with site.store.connect() as store:
            found = await cut_over_of(store, job.id)
        assert found is not None
        assert [each.environment for each in found.roles] == ["dev", "gone"]
    finally:
        site.query("DROP OWNED BY cut_app CASCADE")
        site.query("DROP ROLE cut_app")


async def test_another_database_is_not_asked(site: Site) -> None:
    await site.observe()
    site.change(application_role="postgres")
    elsewhere = site.folder / "elsewhere"
    elsewhere.write_text(with_database(site.url, "postgres"))
    site.change(url=type(site.dev.url)(f"file:{elsewhere}"))
    job = await site.run(CUT_OVER)
    assert outcome(job)["data"]["roles"] == {"dev": "not known"}
