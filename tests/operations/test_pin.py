"""Pin: a database that was made again is taken for the environment's when a person says which one."""

from __future__ import annotations

from psycopg import sql

from tests.operations.conftest import Site, outcome
from tests.operations.test_reset import prepare
from web.answers.gate import reset_gate
from web.observation.records import record_of
from web.operations.migrate import MIGRATE
from web.operations.pin import PIN
from web.postgres.connections import connect, with_database
from web.postgres.identity import read_identity
from web.postgres.urls import parameters


async def made_again(site: Site) -> str:
    """Drop the environment's database and make one by its name; give the new one's identity."""
    name = sql.Identifier(parameters(site.url)["dbname"])
    async with connect(with_database(site.url, "postgres")) as connection:
        await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    async with connect(site.url) as connection:
        return (await read_identity(connection)).identity.as_text


async def test_a_database_made_again_is_pinned_and_used(site: Site) -> None:
    await prepare(site)
    identity = await made_again(site)
    seen = await site.observe()
    assert seen.error is not None
    assert seen.error["found"] == identity
    assert (await site.run(MIGRATE)).state == "failed"

    job = await site.run(PIN, identity=identity)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"] == {"identity": identity}
    async with site.store.connect() as connection:
        record = await record_of(connection, site.dev)
    assert record is not None
    assert record.identity == identity
    # The backup was of the database before.
    assert not reset_gate(site.dev, record).open
    assert (await site.run(MIGRATE)).state == "succeeded"
    assert site.revisions == ["c"]


async def test_another_database_than_the_named_one_is_refused(site: Site) -> None:
    await prepare(site)
    before = (await site.observe()).error
    await made_again(site)
    job = await site.run(PIN, identity="1/1")
    assert (job.state, before) == ("failed", None)
    assert "not 1/1" in outcome(job)["account"]
    unsaid = await site.run(PIN)
    assert unsaid.state == "failed"
    assert "--identity" in outcome(unsaid)["next_step"]
    assert (await site.observe()).error is not None
