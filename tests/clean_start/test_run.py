"""A clean start from the survey to the report: each step is passed by its proof, and by nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from tests.operations.test_write_baseline import writable
from tests.tools.written import env, execute, migration, write_project
from web.clean_start.runs import STEP_NAMES
from web.config import AlembicSettings, ResetPolicy
from web.config.values import CleanStartPolicy
from web.jobs.queue import withdraw
from web.operations.backup import BACKUP
from web.operations.plan_revert import PLAN_REVERT
from web.operations.reset import RESET
from web.operations.revert import REVERT
from web.operations.survey import SURVEY

PROJECT = "/api/v1/projects/clinic"
RUN = f"{PROJECT}/clean-start"
ON_DEV = f"{PROJECT}/environments/dev"


@dataclass
class Guided:
    """A site whose project is led through a clean start, by its API."""

    site: Site
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int, **body: Any) -> Any:
        response = await self.client.request(method, path, json=body or ({} if method == "POST" else None))
        assert response.status_code == status, (path, response.text[:1500])
        return response.json()

    async def begin(self, **strategies: str) -> None:
        job = await self.site.run(SURVEY)
        assert job.state == "succeeded", outcome(job)
        await self.ask("POST", RUN, 201, strategies=strategies)

    async def steps(self) -> dict[str, Any]:
        found = await self.ask("GET", RUN, 200)
        return {each["step"]: each for each in found["steps"]}

    async def states(self) -> dict[str, str]:
        return {name: each["state"] for name, each in (await self.steps()).items()}

    async def titles(self, step: str) -> list[str]:
        """What has to be so in a step and is not."""
        proofs = (await self.steps())[step]["proofs"]
        return [
            f"{each['title']}. {each['detail']}".strip()
            for each in proofs
            if each["state"] not in ("met", "accepted")
        ]

    async def act(self, step: str, *, at: int = 0, succeeds: bool = True) -> None:
        """Start a thing that a step wants, as its button does, and run it."""
        await self.begin_act(step, (await self.steps())[step]["acts"][at], succeeds=succeeds)

    async def begin_act(self, step: str, act: dict[str, Any], *, succeeds: bool = True) -> None:
        """Start one of the things that a step offers, and run it."""
        place = ON_DEV if act["environment"] else PROJECT
        body: dict[str, Any] = {"parameters": act["parameters"], "step": step}
        if act["asks"] and act["environment"]:
            prepared = await self.ask("GET", f"{place}/jobs/new/{act['kind']}", 200)
            assert not prepared["closed"], prepared["closed"]
            body |= {
                "typed": prepared["type_to_confirm"],
                "confirmation": prepared["confirmation"],
                "seen_revisions": prepared["seen_revisions"],
                "seen_fingerprint": prepared["seen_fingerprint"],
                "shown_hash": prepared["shown_hash"],
            }
        job = (await self.ask("POST", f"{place}/jobs/{act['kind']}", 201, **body))["id"]
        await self.execute(job)
        ended = await self.site.job(job)
        assert (ended.state == "succeeded") == succeeds, outcome(ended)
        await self.site.observe()

    async def execute(self, job: int) -> None:
        """Run a job that was started, as a worker does that takes it out of the queue."""
        async with self.site.store.begin() as connection:
            await withdraw(connection, job)
        await self.site.execution(job).run()

    async def through(self, *steps: str) -> None:
        """Pass these steps; whatever is risky about a restart is accepted."""
        for step in steps:
            for _ in range(9):
                found = (await self.steps())[step]
                if found["state"] == "proven":
                    break
                for proof in found["proofs"]:
                    if proof["accept"]:
                        await self.accept(proof["accept"])
                if (await self.steps())[step]["acts"]:
                    await self.act(step)
            assert (await self.steps())[step]["state"] == "proven", await self.titles(step)

    async def accept(self, about: str, reason: str = "It is known.") -> None:
        await self.ask("POST", f"{RUN}/acceptances", 201, difference=about, reason=reason)


@pytest.fixture
async def guided(site: Site) -> AsyncIterator[Guided]:
    writable(site)
    await site.at_head()
    async with surfaces(site) as client:
        yield Guided(site, client)


@asynccontextmanager
async def configured(guided: Guided, **values: Any) -> AsyncIterator[Guided]:
    """The same with another configuration of the environment."""
    guided.site.change(**values)
    async with surfaces(guided.site) as client:
        yield Guided(guided.site, client)


async def overview(guided: Guided) -> str:
    """What the overview says needs a person, in plain words; read anew by an application of its own."""
    async with surfaces(guided.site) as client:
        text = re.sub(r"<[^>]+>", " ", await page(client, "/"))
    return " ".join(text.split())


async def test_from_the_survey_to_the_report(guided: Guided) -> None:
    site = guided.site
    await guided.ask("POST", RUN, 409)  # Nobody has surveyed it.
    await guided.begin(dev="stamp")
    assert (await guided.ask("POST", RUN, 409))["title"] == "Not possible right now"
    assert await guided.states() == {
        "survey": "proven",
        "back-up": "current",
        **dict.fromkeys(("baseline", "proof", "rehearsal", "apply", "cut-over", "report"), "waiting"),
    }
    # What is not open cannot be started for it, whatever is asked.
    for step, kind in (
        ("baseline", "baseline"),
        ("proof", "prove-baseline"),
        ("rehearsal", "write-baseline"),
    ):
        refused = await guided.ask("POST", f"{PROJECT}/jobs/{kind}", 403, step=step)
        assert "is not open yet. It opens after “Back up”" in refused["detail"]
        assert "has no backup since this clean start began" in refused["hint"]
    await guided.through("back-up")
    await guided.through("baseline")
    await guided.through("proof")
    assert await guided.titles("rehearsal") == [
        "clinic/dev was not rehearsed.",
        "The source does not hold the baseline yet. Once it does, check any environment: that reads the source.",
    ]
    await guided.through("rehearsal")
    before = site.query("SELECT count(*) FROM users")
    await guided.through("apply")
    assert site.query("SELECT count(*) FROM users") == before
    (revision,) = site.revisions
    assert revision not in ("a", "b", "c")
    ended = await guided.ask("POST", f"{RUN}/end", 409, how="done")
    assert "Not every step of this clean start is proven" in ended["detail"]
    await guided.through("cut-over")
    told = await guided.ask("POST", f"{RUN}/end", 200, how="done")
    assert (told["state"], told["after"]["baseline"], told["before"]["migrations"]) == ("done", revision, 3)
    markdown = told["markdown"]
    for piece in (
        "| migrations | 3 | 1 |",
        f"`{revision}`",
        "cleanstart bring-over env:DATABASE_URL",
        "Because: It is known. (ada",
        "Restamp on dev, job ",
    ):
        assert piece in markdown, markdown
    # It stays as it was.
    site.query("CREATE TABLE later (id int)")
    await site.observe()
    again = await guided.ask("GET", f"{RUN}/report", 200)
    assert {**again, "markdown": ""} == {**told, "markdown": ""}
    # And what was proven, and when, is kept with it.
    assert [each["state"] for each in again["steps"]] == ["proven"] * 7
    assert await guided.states() == dict.fromkeys(STEP_NAMES, "proven")
    shown = await page(guided.client, "/projects/clinic/clean-start/report")
    assert "Everybody else’s databases" in shown
    shown = await page(guided.client, "/projects/clinic/clean-start")
    assert "It is done, by ada." in shown
    assert "Every step is proven" in shown
    # A mark is said as well.
    assert '<span class="sr">Proven: </span>clinic/dev is at the baseline' in shown
    assert 'href="/projects/clinic/clean-start/new"' in shown
    assert "Begin the clean start" in await page(guided.client, "/projects/clinic/clean-start/new")
    await guided.ask("POST", RUN, 201, strategies={})


async def test_what_changes_under_way_has_to_be_proven_again(guided: Guided) -> None:
    site = guided.site
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline", "proof")
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    assert (await guided.states())["survey"] == "current"
    assert "The schema of clinic/dev is another than the survey saw" in (await guided.titles("survey"))[0]
    site.query("ALTER TABLE users DROP COLUMN by_hand")
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    site.query("ALTER TABLE users DROP COLUMN by_hand")
    await site.observe()
    # The very schema that was seen is the one that was proven.
    assert (await guided.states())["rehearsal"] == "current"
    site.write(d=migration("d", "c", execute("CREATE TABLE late (id int)")))
    await site.observe()
    assert "The migrations are others than the survey saw" in (await guided.titles("survey"))[0]
    assert await guided.titles("baseline") == [
        "The migrations are not those that the baseline replaces. Other by now: d."
    ]
    refused = await guided.ask("POST", f"{PROJECT}/jobs/write-baseline", 403, step="rehearsal")
    assert "It opens after “Survey”" in refused["detail"]
    await guided.through("survey", "back-up", "baseline")
    assert await guided.titles("proof") == ["The baseline was not compared with anything yet."]


async def test_a_difference_is_accepted_with_a_reason_or_nothing_goes_on(guided: Guided) -> None:
    site = guided.site
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    site.query("ALTER TABLE users ADD COLUMN another int")
    await site.observe()
    await site.run(SURVEY)
    shown = await overview(guided)
    assert "Clinic is a candidate for a clean start" in shown
    assert "Changes were made by hand: dev differs from it." in shown
    await guided.begin(dev="stamp")
    assert "Clinic is in a clean start begun by ada" in await overview(guided)
    await guided.through("back-up", "baseline")
    await guided.act("proof")
    (proof,) = [each for each in (await guided.steps())["proof"]["proofs"] if each["accept"]]
    assert proof["title"] == "clinic/dev: 2 differences"
    await guided.ask("POST", f"{RUN}/acceptances", 422, difference=proof["accept"], reason=" ")
    await guided.ask("POST", f"{RUN}/acceptances", 404, difference="dev:0123456789", reason="Why not.")
    found = (await guided.ask("GET", RUN, 200))["differences"]
    assert {each["object"] for each in found} == {"public.users.another", "public.users.by_hand"}
    await guided.accept(found[0]["id"], "A hot-fix that stays.")
    await guided.ask("POST", f"{RUN}/acceptances", 409, difference=found[0]["id"], reason="Twice.")
    assert await guided.titles("proof") == ["clinic/dev: 2 differences. 1 of them not accepted"]
    await guided.accept(found[1]["id"], "This one too.")
    assert (await guided.states())["proof"] == "proven"
    # Whoever exchanges the rows goes by the same: they are rules now, until a day.
    rules = (await guided.ask("GET", f"{PROJECT}/ignore-rules", 200))["rules"]
    assert {each["object"] for each in rules} == {"public.users.another", "public.users.by_hand"}
    await site.observe()
    await guided.through("survey", "proof", "rehearsal", "apply")
    assert "Accepted in the clean start: A hot-fix that stays." in str(rules)


async def test_two_who_start_a_step_at_once_start_it_once(guided: Guided) -> None:
    await guided.begin(dev="stamp")
    body = {"parameters": {"verify": True}, "step": "back-up"}
    answers = await asyncio.gather(
        *(guided.client.post(f"{ON_DEV}/jobs/backup", json=body) for _ in range(5))
    )
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409, 409]
    started = next(each.json()["id"] for each in answers if each.status_code == 201)
    assert all(f"Job {started}" in each.text for each in answers if each.status_code == 409)
    await guided.site.execution(started).run()
    # Kinds that close no gate are started once as well.
    answers = await asyncio.gather(
        *(guided.client.post(f"{PROJECT}/jobs/baseline", json={"step": "baseline"}) for _ in range(4))
    )
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    run = await guided.ask("GET", RUN, 200)
    assert run["steps"][2]["state"] == "running"


async def test_strategies_are_chosen_and_what_was_rehearsed_with_another_is_not(guided: Guided) -> None:
    await guided.begin()
    assert (await guided.ask("GET", RUN, 200))["strategies"] == {"dev": "reset"}
    for strategy, status in (("nonsense", 422), ("leave-out", 422)):
        await guided.ask("POST", f"{RUN}/strategies", status, environment="dev", strategy=strategy)
    await guided.ask("POST", f"{RUN}/strategies", 404, environment="nowhere", strategy="stamp")
    await guided.through("back-up", "baseline", "proof")
    await guided.act("rehearsal")
    assert "clinic/dev was rehearsed" not in str(await guided.titles("rehearsal"))
    await guided.ask("POST", f"{RUN}/strategies", 200, environment="dev", strategy="stamp")
    assert "clinic/dev was rehearsed with another strategy." in await guided.titles("rehearsal")
    await guided.ask("POST", f"{RUN}/strategies", 200, environment="dev", strategy="reset")
    await guided.through("rehearsal", "apply")
    assert guided.site.query("SELECT count(*) FROM users") == [(0,)]


async def test_production_is_never_reset(guided: Guided) -> None:
    async with configured(guided, tier="production", reset=None) as production:
        await production.site.run(SURVEY)
        refused = await production.ask("POST", RUN, 422, strategies={"dev": "reset"})
        assert "Production is never reset" in refused["detail"]


async def test_without_a_backup_it_is_said_in_red(guided: Guided) -> None:
    async with configured(guided, clean_start=CleanStartPolicy(without_backup=True)) as bare:
        await bare.begin(dev="stamp")
        assert (await bare.states())["back-up"] == "proven"
        told = await bare.ask("GET", f"{RUN}/report", 200)
        (proof,) = [one for each in told["steps"] if each["step"] == "back-up" for one in each["proofs"]]
        assert (proof["state"], proof["risky"]) == ("accepted", True)
        assert "is gone through without a backup" in told["markdown"]


async def test_an_unverified_backup_passes_nothing(guided: Guided) -> None:
    await guided.begin(dev="stamp")
    await guided.site.run(BACKUP)
    assert await guided.titles("back-up") == ["The backup of clinic/dev was never restored."]
    await guided.through("back-up")


async def test_stopped_where_it_is_and_begun_again(guided: Guided) -> None:
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline")
    told = await guided.ask("POST", f"{RUN}/end", 200, how="stopped", reason="Another time.")
    assert (told["state"], told["why"]) == ("stopped", "Another time.")
    await guided.ask("POST", f"{RUN}/end", 404, how="stopped")
    refused = await guided.ask("POST", f"{PROJECT}/jobs/prove-baseline", 404, step="proof")
    assert "No clean start of clinic is open" in refused["detail"]
    await guided.ask("POST", RUN, 201, strategies={"dev": "stamp"})
    # What was proven in another run is not proven in this one.
    assert (await guided.states())["back-up"] == "current"
    assert (await guided.ask("GET", f"{RUN}?run=1", 200))["state"] == "stopped"


async def test_a_file_that_is_edited_after_it_was_written_is_proven_again(guided: Guided) -> None:
    site = guided.site
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline", "proof", "rehearsal")
    made = (await guided.ask("GET", f"{RUN}/report", 200))["after"]
    file = site.folder / made["path"]
    file.write_text(file.read_text() + "\n# Read by a person.\n")
    await site.observe()
    assert await guided.titles("proof") == ["The baseline’s file has been edited since it was proven."]
    refused = await guided.ask("POST", f"{ON_DEV}/jobs/restamp", 403, step="apply", typed="clinic/dev")
    assert "It opens after “Prove it”" in refused["detail"]
    await guided.through("proof", "rehearsal", "apply")


async def test_what_a_person_does_beside_the_run_counts_all_the_same(guided: Guided) -> None:
    """A step is passed by what is so, whoever made it so."""
    site = guided.site
    await guided.begin()
    await guided.through("back-up", "baseline", "proof", "rehearsal")
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    await site.observe()
    assert await guided.titles("apply") == ["The application of clinic/dev was not asked whether it answers."]
    await guided.act("apply")
    assert (await guided.states())["apply"] == "proven"


async def test_the_history_is_kept_and_what_differs_is_repaired(guided: Guided) -> None:
    site = guided.site
    site.query("CREATE INDEX by_hand ON users (email)")
    site.query("UPDATE users SET email = email || ' '")
    await site.observe()
    await site.run(SURVEY)
    await guided.ask("POST", RUN, 422, way="keep", strategies={"dev": "stamp"})
    run = await guided.ask("POST", RUN, 201, way="keep")
    assert (run["way"], run["strategies"]) == ("keep", {"dev": "repair"})
    assert [each["step"] for each in run["steps"]] == ["survey", "back-up", "apply", "proof", "report"]
    await guided.through("back-up")
    assert "clinic/dev is not what its migrations give" in (await guided.titles("apply"))[0]
    refused = await guided.ask("POST", f"{PROJECT}/jobs/survey", 403, step="proof")
    assert "It opens after “Repair”" in refused["detail"]
    before = site.query("SELECT count(*) FROM users"), site.revisions
    await guided.through("apply")
    assert (site.query("SELECT count(*) FROM users"), site.revisions) == before
    assert site.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_hand'") == [(0,)]
    assert await guided.titles("proof") == ["Nobody has looked at everything since it was repaired."]
    await guided.through("proof")
    told = await guided.ask("POST", f"{RUN}/end", 200, how="done")
    assert told["markdown"].startswith("# Repair of Clinic")
    assert "clinic/dev is what the history gives" in told["markdown"]
    shown = await page(guided.client, "/projects/clinic/clean-start")
    assert "Repair of Clinic" in shown


async def test_a_job_that_runs_opens_no_step_before_its_turn(guided: Guided) -> None:
    await guided.begin(dev="stamp")
    await guided.ask("POST", f"{ON_DEV}/jobs/backup", 201, parameters={"verify": True}, step="back-up")
    steps = await guided.steps()
    assert steps["back-up"]["state"] == "running"
    assert (steps["apply"]["state"], steps["apply"]["acts"]) == ("waiting", [])
    assert steps["apply"]["closed"] == "It opens after “Back up”."


async def test_another_backup_takes_nothing_from_a_proven_one(guided: Guided) -> None:
    await guided.begin(dev="stamp")
    await guided.through("back-up")
    await guided.ask("POST", f"{ON_DEV}/jobs/backup", 201)
    assert (await guided.states())["baseline"] == "current"


async def test_a_database_ahead_of_its_files_is_made_anew(guided: Guided) -> None:
    """Nobody has the file of its revision any more, and it may be reset."""
    site = guided.site
    site.change(reset=ResetPolicy())
    site.query("UPDATE alembic_version SET version_num = 'lost'")
    site.query("CREATE TABLE of_the_lost (id int)")
    await site.observe()
    async with surfaces(site) as client:
        ahead = Guided(site, client)
        assert (await site.run(SURVEY)).state == "succeeded"
        run = await ahead.ask("POST", RUN, 201)
        assert run["strategies"] == {"dev": "reset"}
        await ahead.through("back-up", "baseline", "proof", "rehearsal", "apply")
        assert site.query("SELECT to_regclass('of_the_lost') IS NULL") == [(True,)]
        assert site.revisions == [(await ahead.ask("GET", f"{RUN}/report", 200))["after"]["baseline"]]


async def test_another_applications_version_table_is_left_alone(site: Site) -> None:
    """Two version tables in one database: the project's own is the one that it names."""
    writable(site)
    project = site.configuration.project("clinic")
    assert isinstance(project.tool, AlembicSettings)
    tool = replace(project.tool, version_table="clinic_versions")
    site.configuration = replace(site.configuration, projects={"clinic": replace(project, tool=tool)})
    write_project(site.folder, {}, env_py=env(version_table="'clinic_versions'"))
    await site.at_head()
    site.query("CREATE TABLE alembic_version (version_num text PRIMARY KEY)")
    site.query("INSERT INTO alembic_version VALUES ('theirs')")
    await site.observe()
    async with surfaces(site) as client:
        guided = Guided(site, client)
        await guided.begin(dev="stamp")
        await guided.through("back-up", "baseline")
        await guided.act("proof")
        (difference,) = (await guided.ask("GET", RUN, 200))["differences"]
        assert difference["object"] == "public.alembic_version"
        await guided.accept(difference["id"], "Another application's.")
        await site.observe()
        await guided.through("survey", "proof", "rehearsal", "apply")
        baseline = (await guided.ask("GET", f"{RUN}/report", 200))["after"]["baseline"]
    assert site.query("SELECT version_num FROM alembic_version") == [("theirs",)]
    assert site.query("SELECT version_num FROM clinic_versions") == [(baseline,)]


async def test_rows_that_the_baseline_leaves_are_taken_along_or_answered_for(guided: Guided) -> None:
    """A database that is made anew would have none of them, and nothing else of the run would say so."""
    await guided.begin(dev="stamp")
    await guided.through("back-up")
    await guided.act("baseline")
    (said,) = await guided.titles("baseline")
    assert said == (
        "Rows that the old migrations insert are not in it: 1 table. A database that it makes has none of public.users,"
        " unless something else fills them."
    )
    (act,) = (await guided.steps())["baseline"]["acts"]
    assert act["parameters"] == {"rows": "public.users"}
    await guided.act("baseline")
    assert await guided.titles("baseline") == []
    assert len((await guided.steps())["baseline"]["proofs"]) == 1


async def test_all_differences_of_a_comparison_are_named_where_they_are_accepted(guided: Guided) -> None:
    site = guided.site
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    site.query("ALTER TABLE users ADD COLUMN another int")
    await site.observe()
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline")
    await guided.act("proof")
    first, *_ = (await guided.ask("GET", RUN, 200))["differences"]
    await guided.accept(first["id"])
    (proof,) = [each for each in (await guided.steps())["proof"]["proofs"] if each["accept"]]
    assert proof["detail"] == "1 of them not accepted"
    await guided.accept(proof["accept"], "The rest too.")
    (proof,) = [each for each in (await guided.steps())["proof"]["proofs"] if each["reason"]]
    assert (proof["state"], proof["detail"]) == ("accepted", "")
    told = await guided.ask("GET", f"{RUN}/report", 200)
    what = told["accepted"][-1]["what"]
    assert what.startswith("dev: 2 differences: ")
    assert {"public.users.by_hand", "public.users.another"} <= set(what.replace(",", " ").split())


async def test_a_backup_that_was_lost_can_be_made_again(guided: Guided) -> None:
    site = guided.site
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline", "proof")
    for each in Path(site.configuration.backups.location).rglob("*.dump"):
        each.unlink()
    await guided.act("rehearsal", succeeds=False)
    acts = (await guided.steps())["rehearsal"]["acts"]
    assert [each["kind"] for each in acts] == ["rehearse-clean-start", "backup"]
    await guided.act("rehearsal", at=1)
    await guided.through("rehearsal")


async def test_what_is_repaired_is_what_was_rehearsed(guided: Guided) -> None:
    site = guided.site
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    await guided.begin(dev="repair")
    await guided.through("back-up", "baseline", "proof", "rehearsal")
    for proof in (await guided.steps())["apply"]["proofs"]:
        if proof["accept"]:
            await guided.accept(proof["accept"])
    acts = {each["kind"]: each["parameters"] for each in (await guided.steps())["apply"]["acts"]}
    assert acts["plan-revert"] == {"with_loss": "true"}
    await guided.through("apply")


async def test_a_schema_that_is_changed_afterwards_is_said_to_differ(guided: Guided) -> None:
    site = guided.site
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline", "proof", "rehearsal", "apply")
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    assert (await guided.titles("apply"))[0] == (
        "clinic/dev is at the baseline, and its schema differs from it. "
        "1 difference. Revert it here, or ignore it on its page of drift and check it."
    )


async def test_what_is_undone_by_the_backup_alone_is_said_so(guided: Guided) -> None:
    """Old migrations that a database lacks come first, and stay."""
    site = guided.site
    await guided.begin(dev="stamp")
    rows_alone = (
        "Nothing but the version rows is changed: `cleanstart restamp-back` writes the old ones again."
    )

    async def undo() -> str:
        (each,) = (await guided.ask("GET", f"{RUN}/report", 200))["environments"]
        return str(each["undo"])

    assert await undo() == rows_alone
    site.write(d=migration("d", "c", execute("CREATE TABLE late (id int)")))
    await site.observe()
    assert "what the missing old migrations change is undone by the backup alone" in await undo()


async def test_what_is_repaired_beside_the_run_is_not_held_against_it(guided: Guided) -> None:
    """As from the page of an approval, which knows of no step."""
    site = guided.site
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    await guided.begin(dev="repair")
    await guided.through("back-up", "baseline", "proof", "rehearsal")
    for proof in (await guided.steps())["apply"]["proofs"]:
        if proof["accept"]:
            await guided.accept(proof["accept"])
    # Started with no word of a step, it is the step's that wants it.
    body = {"parameters": {"with_loss": True}}
    asked = await guided.ask("POST", f"{ON_DEV}/jobs/plan-revert", 201, **body)
    told = await guided.ask("GET", f"{RUN}/report", 200)
    assert {**told["done"][-1], "at": ""} == {
        "what": "started",
        "step": "apply",
        "environment": "dev",
        "kind": "plan-revert",
        "job": asked["id"],
        "by": "ada",
        "at": "",
    }
    assert "Back to the clean start" not in await page(guided.client, f"/jobs/{asked['id']}")
    await guided.execute(asked["id"])
    assert "Back to the clean start" in await page(guided.client, f"/jobs/{asked['id']}")
    # What no step wants is nothing of the run's.
    saved = await guided.ask("POST", f"{ON_DEV}/jobs/backup", 201)
    await guided.execute(saved["id"])
    assert (await guided.ask("GET", f"{RUN}/report", 200))["done"][-1]["kind"] == "plan-revert"
    assert "Back to the clean start" not in await page(guided.client, f"/jobs/{saved['id']}")
    planned = await site.run(PLAN_REVERT, with_loss=True)
    assert planned.state == "succeeded", outcome(planned)
    shown = (await guided.ask("GET", f"{ON_DEV}/jobs/new/revert", 200))["shown_hash"]
    reverted = await site.run(REVERT, shown_hash=shown)
    assert reverted.state == "succeeded", outcome(reverted)
    await site.observe()
    assert {name: state for name, state in (await guided.states()).items() if state == "current"} == {
        "apply": "current"
    }
