"""A cut-over: what migrates besides the dashboard is found in the source, and told on every surface."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from web.cutover.stored_scans import cut_over_of, newest_cut_over
from web.operations.cut_over import CUT_OVER

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
