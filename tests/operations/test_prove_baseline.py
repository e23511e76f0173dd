"""A baseline proven against everything: old migrations, models, live databases, before it is written and after."""

from __future__ import annotations

from tests.operations.conftest import Site, outcome
from tests.operations.test_baseline import kept
from tests.operations.test_write_baseline import baseline, writable
from tests.tools.written import execute, migration
from web.jobs.reading import JobRecord
from web.operations.baseline import BASELINE
from web.operations.prove_baseline import PROVE_BASELINE
from web.operations.restamp import RESTAMP
from web.operations.write_baseline import WRITE_BASELINE
from web.remedies.stored_proofs import Against, BaselineProof, proof_of


async def proof(site: Site, job: JobRecord) -> BaselineProof:
    async with site.store.connect() as store:
        found = await proof_of(store, job.id)
    assert found is not None, outcome(job)
    return found


async def proven(site: Site) -> BaselineProof:
    job = await site.run(PROVE_BASELINE)
    assert job.state == "succeeded", outcome(job)
    return await proof(site, job)


def of(found: BaselineProof, key: str) -> Against:
    there = found.of(key)
    assert there is not None
    return there


async def test_everything_is_equal_before_it_is_written_and_after_and_once_it_is_applied(site: Site) -> None:
    writable(site)
    await site.at_head()
    made = await baseline(site)
    revision = (await kept(site, made)).baseline.revision
    first = await proven(site)
    assert (first.revision, first.in_source, first.refusal, first.no_downgrade) == (
        revision,
        False,
        None,
        None,
    )
    assert first.seconds is not None
    assert first.old_seconds is not None
    assert first.replaces == 3
    assert [(each.key, each.differences, each.refusal) for each in first.against] == [
        ("old migrations", (), None),
        ("dev", (), None),
    ]
    await site.run(WRITE_BASELINE, baseline=made.id)
    second = await proven(site)
    assert (second.in_source, second.digest) == (True, first.digest)
    # The old migrations are run from where they were, although they lie in the archive.
    assert of(second, "old migrations") == of(first, "old migrations")
    await site.observe()
    restamped = await site.run(RESTAMP)
    assert restamped.state == "succeeded", outcome(restamped)
    third = await proven(site)
    assert of(third, "dev").revisions == (revision,)
    assert of(third, "dev").differences == ()


async def test_each_difference_is_named_and_keeps_its_name(site: Site) -> None:
    await site.at_head()
    await baseline(site)
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    found = of(await proven(site), "dev")
    (one,) = found.differences
    assert (one.kind, one.object, one.change) == ("column", "public.users.by_hand", "added")
    assert found.id_of(one) == of(await proven(site), "dev").id_of(one)
    site.query("ALTER TABLE users ALTER COLUMN by_hand SET DEFAULT 1")
    other = of(await proven(site), "dev")
    assert other.id_of(other.differences[0]) != found.id_of(one)


async def test_a_database_that_lacks_migrations_is_held_against_those_that_it_has(site: Site) -> None:
    await site.at_head()
    site.write(d=migration("d", "c", execute("CREATE TABLE late (id int)")))
    await baseline(site)
    found = of(await proven(site), "dev")
    assert (found.lacks, found.differences, found.refusal) == (1, (), None)
    site.query("UPDATE alembic_version SET version_num = 'nobody'")
    assert "at nobody, which neither history has" in str(of(await proven(site), "dev").refusal)


async def test_a_file_that_was_edited_is_proven_as_it_is(site: Site) -> None:
    """What was proven when it was made says nothing of it."""
    writable(site)
    await site.at_head()
    made = await baseline(site)
    await site.run(WRITE_BASELINE, baseline=made.id)
    path = site.folder / (await kept(site, made)).baseline.path
    text = path.read_text()
    first = await proven(site)
    path.write_text(text.replace("def upgrade()", "def _unused() -> None:\n    pass\n\n\ndef upgrade()"))
    second = await proven(site)
    assert second.digest != first.digest
    assert of(second, "old migrations").differences == ()
    end = "\n\n\ndef downgrade()"
    path.write_text(text.replace(end, '\n    op.execute("CREATE TABLE more (id int)")' + end))
    third = await proven(site)
    (one,) = of(third, "old migrations").differences
    assert (one.object, one.change) == ("public.more", "removed")
    assert "it leaves the table public.more" in str(third.no_downgrade)
    path.write_text(text.replace(end, '\n    op.execute("CREATE TABEL")' + end))
    job = await site.run(PROVE_BASELINE)
    assert job.state == "failed"
    assert "syntax error" in str((await proof(site, job)).refusal)


async def test_another_history_than_the_one_that_was_replaced_is_no_proof(site: Site) -> None:
    await site.at_head()
    await baseline(site)
    site.write(d=migration("d", "c", execute("CREATE TABLE late (id int)")))
    job = await site.run(PROVE_BASELINE)
    assert job.state == "failed"
    assert "The migrations are not those that baseline" in outcome(job)["account"]
    assert "Other by now: d" in outcome(job)["account"]


async def test_rows_of_look_up_tables_are_compared(site: Site) -> None:
    writable(site)
    site.write(
        d=migration(
            "d",
            "c",
            execute(
                "CREATE TABLE country (id int PRIMARY KEY, name text)",
                "INSERT INTO country VALUES (1, 'Austria'), (2, 'Brazil')",
            ),
        )
    )
    await site.at_head()
    made = await site.run(BASELINE, rows=("public.country",))
    assert (await proven(site)).rows_differ is None
    await site.run(WRITE_BASELINE, baseline=made.id)
    path = site.folder / (await kept(site, made)).baseline.path
    path.write_text(path.read_text().replace("Brazil", "Bresil"))
    found = await proven(site)
    assert found.tables == ("public.country",)
    assert "public.country holds other rows" in str(found.rows_differ)
