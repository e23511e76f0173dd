"""A survey: every environment looked at anew, the history run from nothing, and what is recommended."""

from __future__ import annotations

from dataclasses import replace

from tests.operations.conftest import Site, outcome
from tests.operations.test_baseline import LOOKUPS
from tests.operations.test_endings import page, surfaces
from tests.tools.written import execute, migration
from web.answers.stored_surveys import newest_survey, survey_of
from web.answers.survey import Survey, SurveyedStart
from web.jobs.reading import JobRecord
from web.operations.survey import SURVEY


async def kept(site: Site, job: JobRecord) -> Survey:
    async with site.store.connect() as connection:
        found = await survey_of(connection, job.id)
        assert found == await newest_survey(connection, "clinic")
    assert found is not None
    return found


async def test_what_is_there_is_told_on_every_surface(site: Site) -> None:
    site.write(**LOOKUPS)
    await site.at_head()
    site.query("ANALYZE")
    (site.folder / "Procfile").write_text("web: alembic upgrade head && serve\n")
    # Nobody has looked since.
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    job = await site.run(SURVEY)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"] == {"way": "clean start", "strategies": {"dev": "reset"}}
    survey = await kept(site, job)
    history = survey.history
    assert (history.migrations, history.heads, history.refusal) == (4, ("d",), None)
    assert history.seconds is not None
    assert dict(history.inserted) == {"public.countries": 2, "public.roles": 2, "public.users": 100}
    assert dict(history.unseen) == {
        "function": 1,
        "trigger": 1,
        "materialized view": 1,
        "table with row security": 1,
    }
    (dev,) = survey.environments
    assert (dev.drift, dev.differences, dev.own_rows) == ("drifted", 1, 0)
    assert survey.models is None
    assert survey.start == SurveyedStart(1, (("Procfile:1", "alembic upgrade"),))
    async with surfaces(site) as client:
        told = (await client.get(f"/api/v1/jobs/{job.id}/survey")).json()
        assert told["environments"][0]["strategy"] == "reset"
        assert told["recommended"]["way"] == "clean start"
        shown = await page(client, f"/jobs/{job.id}/survey")
        assert "A clean start is recommended" in shown
        assert "Changes were made by hand: dev differs from it." in shown
        assert "Make a baseline…" in shown
        assert "1 place may migrate at start-up" in shown
        missing = await client.get("/jobs/999999/survey")
        assert missing.status_code == 404


async def test_what_cannot_be_reached_or_run_is_part_of_it(site: Site) -> None:
    site.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    clinic = site.configuration.project("clinic")
    gone = replace(site.dev, name="gone", url=type(site.dev.url)("env:NOWHERE_AT_ALL"))
    changed = replace(clinic, environments={**clinic.environments, "gone": gone})
    site.configuration = replace(site.configuration, projects={"clinic": changed})
    job = await site.run(SURVEY)
    assert job.state == "succeeded", outcome(job)
    survey = await kept(site, job)
    assert survey.history.refusal is not None
    assert "division by zero" in survey.history.refusal
    strategies = {each.environment: chosen.strategy for each, chosen in survey.strategies}
    assert strategies["gone"] == "leave-out"
    assert survey.way[0] == "clean start"
