"""What applying a baseline would do is done to restored copies, by strategy; what is refused there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_beside import as_role, lead_to, role
from tests.operations.test_write_baseline import baseline
from tests.tools.written import execute, migration
from web.config import ResetPolicy
from web.errors import Conflict, Invalid
from web.jobs.reading import JobRecord
from web.operations.rehearse_clean_start import REHEARSE_CLEAN_START
from web.remedies.stored_rehearsals import RehearsedEnvironment, rehearsal_of

__all__ = ["role"]


async def held(site: Site, job: JobRecord) -> RehearsedEnvironment:
    async with site.store.connect() as store:
        found = await rehearsal_of(store, job.id)
    assert found is not None, outcome(job)
    (one,) = found.environments
    return one


async def rehearsed(site: Site, strategy: str) -> RehearsedEnvironment:
    job = await site.run(REHEARSE_CLEAN_START, strategies=(f"dev={strategy}",))
    found = await held(site, job)
    assert job.state == ("succeeded" if found.refusal is None else "failed"), outcome(job)
    return found


def done(found: RehearsedEnvironment) -> list[str]:
    return [each.what for each in found.acts]


async def test_data_are_kept_and_the_rows_are_exchanged(site: Site) -> None:
    await site.at_head()
    await baseline(site)
    backup = await site.back_up()
    before = site.query("SELECT count(*) FROM users"), site.revisions
    found = await rehearsed(site, "stamp")
    assert (found.refusal, found.backup, found.loses) == (None, str(backup), ())
    assert done(found) == [
        "Restore the backup",
        "Compare the schema with the baseline",
        "Exchange the version rows",
        "See that nothing is pending",
    ]
    assert all(each.seconds > 0 for each in found.acts)
    # The environment is as it was.
    assert (site.query("SELECT count(*) FROM users"), site.revisions) == before


async def test_what_differs_is_repaired_on_the_copy(site: Site) -> None:
    await site.at_head()
    await baseline(site)
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    await site.back_up()
    stamp = await rehearsed(site, "stamp")
    assert "not what the baseline gives: column public.users.by_hand added" in str(stamp.refusal)
    repair = await rehearsed(site, "repair")
    assert repair.refusal is None
    assert "Repair the schema" in done(repair)
    assert repair.loses == ("ALTER TABLE public.users DROP COLUMN by_hand",)
    assert site.query("SELECT count(by_hand) FROM users") == [(0,)]


async def test_old_migrations_that_are_missing_are_applied_first(site: Site) -> None:
    await site.at_head()
    # The database belongs to another role than the one that runs on the copy.
    keeper = f"keeper_{site.target_name}"
    site.query(f'CREATE ROLE "{keeper}"')
    site.query(f'ALTER TABLE users OWNER TO "{keeper}"')
    site.write(d=migration("d", "c", execute("CREATE TABLE late (id int)")))
    await site.observe()
    await baseline(site)
    await site.back_up()
    found = await rehearsed(site, "stamp")
    assert found.refusal is None
    assert found.acts[1].what == "Apply what is missing of the old migrations"
    assert found.acts[1].detail == "1 old migration"
    assert site.revisions == ["c"]


async def test_a_reset_empties_the_copy_and_runs_the_seed(site: Site, tmp_path: Path) -> None:
    seed = tmp_path / "seed.sql"
    seed.write_text("INSERT INTO users (id, email) VALUES (1, 'seeded');")
    site.change(reset=ResetPolicy(seed=seed))
    await site.at_head()
    await baseline(site)
    await site.back_up()
    found = await rehearsed(site, "reset")
    assert found.refusal is None
    assert done(found)[1:] == [
        "Empty the database",
        "Run the baseline",
        "Compare the schema with the baseline",
        "Run the seed",
    ]
    seed.write_text("INSERT INTO nowhere VALUES (1);")
    assert 'relation "nowhere" does not exist' in str((await rehearsed(site, "reset")).refusal)


async def test_a_fresh_database_needs_no_backup(site: Site) -> None:
    await site.at_head()
    await baseline(site)
    found = await rehearsed(site, "beside")
    assert (found.refusal, found.backup) == (None, None)
    assert done(found) == [
        "Ask whether a database may be made there",
        "Run the baseline",
        "Compare the schema with the baseline",
    ]
    assert "no verified backup" in str((await rehearsed(site, "stamp")).refusal)


async def test_a_role_that_may_make_no_database_is_told_before_apply(
    site: Site, role: str, tmp_path: Path
) -> None:
    await site.at_head()
    await baseline(site)
    lead_to(site, tmp_path, as_role(site, role))
    await site.observe()
    assert f"The role {role} may not create databases" in str((await rehearsed(site, "beside")).refusal)


async def test_what_cannot_be_rehearsed_is_not_begun(site: Site) -> None:
    await site.at_head()
    with pytest.raises(Conflict, match="no such baseline"):
        await named(site)
    await baseline(site)
    with pytest.raises(Conflict, match="Survey the project first"):
        await named(site)
    for pair in ("dev=nothing", "nowhere=stamp", "dev"):
        with pytest.raises(Invalid, match="names no environment with a strategy"):
            await named(site, pair)


async def named(site: Site, *pairs: str) -> None:
    kind = REHEARSE_CLEAN_START
    assert kind.require_named is not None
    async with site.store.connect() as store:
        project = site.configuration.project("clinic")
        try:
            await kind.require_named(store, project, None, kind.parameters(strategies=pairs))
        except Conflict as error:
            raise Conflict(f"{error} {error.hint}") from error
