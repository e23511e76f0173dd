"""The history is kept: what differs is repaired or adopted, one by one or at once, in whatever order people want."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

from tests.clean_start.test_run import PROJECT, RUN, Guided, guided
from tests.operations.test_endings import page
from tests.tools.written import execute, migration
from web.operations.survey import SURVEY
from web.remedies.adoption import Adoption, adoption_of

__all__ = ["guided"]


async def kept(guided: Guided, **strategies: str) -> None:
    assert (await guided.site.run(SURVEY)).state == "succeeded"
    await guided.ask("POST", RUN, 201, way="keep", strategies=strategies)
    await guided.through("back-up")


async def written(guided: Guided) -> Adoption:
    """The migration that the newest adoption wrote."""
    jobs = (await guided.ask("GET", "/api/v1/jobs", 200))["jobs"]
    made = next(each["id"] for each in jobs if each["kind"] == "adopt")
    async with guided.site.store.connect() as store:
        found = await adoption_of(store, made)
    assert found is not None
    return found[0]


async def one_by_one(guided: Guided) -> dict[str, dict[str, Any]]:
    """What differs, in the order in which it is shown, with what can be done about each alone, by kind."""
    proofs = (await guided.steps())["apply"]["proofs"]
    return {each["title"]: {act["kind"]: act for act in each["acts"]} for each in proofs if each["acts"]}


async def drifted(guided: Guided, *more: str) -> None:
    for statement in (
        "ALTER TABLE users ADD COLUMN extra text",
        "CREATE INDEX by_hand ON users (email)",
        "DROP TABLE tenants",
        *more,
    ):
        guided.site.query(statement)
    await guided.site.observe()


async def test_what_is_missing_comes_first_and_people_take_another(guided: Guided) -> None:
    site = guided.site
    await drifted(guided, "ALTER TABLE users DROP COLUMN tenant")
    await kept(guided)
    found = await one_by_one(guided)
    assert list(found) == [
        "The table public.tenants is missing",
        "The column public.users.tenant is missing",
        "The index public.by_hand is in none of the migrations",
        "The column public.users.extra is in none of the migrations",
    ]
    shown = await page(guided.client, "/projects/clinic/clean-start")
    assert "Revert only this…" in shown
    # The third before the first.
    index = found["The index public.by_hand is in none of the migrations"]["plan-revert"]
    assert index["parameters"] == {"only": "public.by_hand"}
    await guided.begin_act("apply", index)
    (repair, *_) = (await guided.steps())["apply"]["acts"]
    assert repair["kind"] == "revert"
    await guided.begin_act("apply", repair)
    assert site.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_hand'") == [(0,)]
    assert list(await one_by_one(guided)) == [
        "The table public.tenants is missing",
        "The column public.users.tenant is missing",
        "The column public.users.extra is in none of the migrations",
    ]
    # The rest at once: what is missing is made, and nothing that is there is dropped.
    await guided.act("apply")
    await guided.act("apply")
    assert site.query("SELECT to_regclass('tenants') IS NOT NULL") == [(True,)]
    titles = await guided.titles("apply")
    assert "1 difference" in titles[0]
    assert site.query("SELECT count(extra) FROM users") == [(0,)]


async def test_one_becomes_a_migration_and_the_rest_is_reverted(guided: Guided) -> None:
    site = guided.site
    await drifted(guided)
    await kept(guided)
    found = await one_by_one(guided)
    await guided.begin_act(
        "apply", found["The column public.users.extra is in none of the migrations"]["adopt"]
    )
    adoption = await written(guided)
    revision, path = adoption.revision, adoption.path
    (said,) = [each for each in await guided.titles("apply") if "is not in the source" in each]
    assert (
        said == f"The migration {revision} is not in the source yet. Put {path} there, then check clinic/dev."
    )
    (site.folder / path).write_text(adoption.text)
    await site.observe()
    (said,) = [each for each in await guided.titles("apply") if "besides it" in each]
    assert said.startswith(f"The migration {revision} is in the source, and 2 differences besides it")
    assert "stamp" not in {each["kind"] for each in (await guided.steps())["apply"]["acts"]}
    for _ in range(2):
        title, ways = next(each for each in (await one_by_one(guided)).items() if "extra" not in each[0])
        await guided.begin_act("apply", ways["plan-revert"])
        await guided.act("apply")
        assert title not in await one_by_one(guided)
    (stamp, *_) = (await guided.steps())["apply"]["acts"]
    assert (stamp["kind"], stamp["parameters"]) == ("stamp", {"revision": revision})
    await guided.begin_act("apply", stamp)
    assert site.revisions == [revision]
    assert (await guided.states())["apply"] == "proven"
    await guided.through("proof")


async def test_all_of_it_becomes_a_migration(guided: Guided) -> None:
    site = guided.site
    site.query("ALTER TABLE users ADD COLUMN extra text")
    site.query("CREATE INDEX by_hand ON users (email)")
    await site.observe()
    await kept(guided, dev="adopt")
    await guided.act("apply")
    adoption = await written(guided)
    # One migration at a time: another would follow the same head.
    assert await one_by_one(guided) == {
        "The column public.users.extra is in none of the migrations": ANY,
        "The index public.by_hand is in none of the migrations": ANY,
    }
    assert all("adopt" not in ways for ways in (await one_by_one(guided)).values())
    acts = [each["kind"] for each in (await guided.steps())["apply"]["acts"]]
    assert acts == ["observe", "adopt"]
    # More differs by now: it is written anew, in place of the one that nobody has put there.
    site.query("CREATE INDEX more ON users (id, email)")
    await site.observe()
    await guided.act("apply", at=1)
    adoption = await written(guided)
    assert "more" in adoption.text
    (site.folder / adoption.path).write_text(adoption.text)
    await site.observe()
    # It is pending now, and there already: it is not applied but recorded.
    await guided.act("apply")
    assert site.revisions == [adoption.revision]
    assert (await guided.states())["apply"] == "proven"
    # What comes after it is nothing of the old one's.
    site.write(z=migration("z", adoption.revision, execute("CREATE TABLE later (id int)")))
    await site.observe()
    site.query("CREATE TABLE later (id int)")
    site.query("UPDATE alembic_version SET version_num = 'z'")
    site.query("CREATE INDEX again ON users (tenant)")
    await site.observe()
    acts = (await guided.steps())["apply"]["acts"]
    assert [each["kind"] for each in acts] == ["adopt"]


async def test_what_a_proof_offers_is_asked_of_the_step(guided: Guided) -> None:
    """Only while the step is open, and only what it offers."""
    await drifted(guided)
    await guided.site.run(SURVEY)
    await guided.ask("POST", RUN, 201, way="keep")
    assert await one_by_one(guided) == {}
    body = {"parameters": {"only": "public.by_hand"}, "step": "apply"}
    refused = await guided.ask("POST", f"{PROJECT}/environments/dev/jobs/plan-revert", 403, **body)
    assert "is not open yet" in refused["detail"]
