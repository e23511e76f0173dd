"""Looks: on which reading of the source they stand, and what to do about a database that was not reached."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select, update

from tests.operations.conftest import Site, outcome
from tests.tools.written import migration
from web.jobs.job import BY_SCHEDULE
from web.jobs.kind import AnyKind
from web.jobs.reading import read_events
from web.operations.adopt import ADOPT
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.plan_revert import PLAN_REVERT
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import libpq_url, parameters
from web.store.tables import JobRow, ObservationRow

PASSWORD = "canary-of-a-stranger"


@pytest.fixture
def stranger(server: EmbeddedServer, site: Site) -> Iterator[str]:
    """A role that may not connect to the site's database."""
    role = sql.Identifier(name := f"stranger_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        database = sql.Identifier(parameters(site.url)["dbname"])
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(PASSWORD)))
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


#: What is wrong with the URL, and the next step that is told.
FAULTS: dict[str, tuple[Callable[[dict[str, str], str], dict[str, str]], str]] = {
    "a wrong password": (lambda url, _: {**url, "password": "wrong"}, "Check the user and the password"),
    "no role": (lambda url, _: {**url, "user": "nobody-here"}, "Check the user"),
    "no privilege": (
        lambda url, stranger: {**url, "user": stranger, "password": PASSWORD},
        "Grant CONNECT on the database",
    ),
    "no database": (lambda url, _: {**url, "dbname": "gone"}, "Check the name of the database"),
    "no server": (lambda url, _: {**url, "host": "127.0.0.1", "port": "1"}, "Is the server running"),
    "no name that can be written": (lambda url, _: {**url, "host": "a" * 300}, "URL"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_unreachable_database_has_a_next_step(site: Site, stranger: str, fault: str) -> None:
    change, told = FAULTS[fault]
    _write(site, libpq_url(change(parameters(site.url), stranger)))
    job = await site.run(OBSERVE)
    assert job.state == "succeeded"
    assert outcome(job)["data"]["verdict"] == "unreachable"
    assert told in outcome(job)["next_step"]


@pytest.mark.parametrize("kind", [ADOPT, PLAN_REVERT], ids=lambda kind: kind.name)
async def test_what_starts_from_a_look_tells_the_looks_next_step(
    site: Site, stranger: str, kind: AnyKind
) -> None:
    change, told = FAULTS["no privilege"]
    _write(site, libpq_url(change(parameters(site.url), stranger)))
    job = await site.run(kind)
    assert job.state == "failed"
    assert told in outcome(job)["next_step"]


async def test_a_secret_that_is_not_there_has_a_next_step(site: Site) -> None:
    _file(site).unlink()
    job = await site.run(OBSERVE)
    assert "try again" in outcome(job)["next_step"]


async def test_a_secret_in_the_databases_name_stays_there(site: Site) -> None:
    """The server would repeat it: `database "host=… password=…" does not exist`."""
    name = quote(f"host=evil dbname=x password={PASSWORD}", safe="")
    _write(site, f"{site.url.partition('?')[0].rstrip('/')}/{name}?{site.url.partition('?')[2]}")
    job = await site.run(OBSERVE)
    async with site.store.connect() as connection:
        told = [each.text for each in await read_events(connection, job.id)]
        kept = await connection.scalar(select(ObservationRow.error))
    assert PASSWORD not in f"{outcome(job)} {told} {kept}"
    assert "percent-encoded" in outcome(job)["next_step"]


async def test_nothing_is_to_be_done_about_what_was_seen(site: Site) -> None:
    assert outcome(await site.run(OBSERVE))["next_step"] == ""


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


def _file(site: Site) -> Path:
    return Path(site.dev.url.reference.removeprefix("file:"))


def _write(site: Site, url: str) -> None:
    _file(site).write_text(url)
