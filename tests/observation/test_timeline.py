"""Who changed the schema when: told from looks and from what jobs saw, and nothing made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from web.jobs.witness import SchemaSeen
from web.observation.records import Record, read_records
from web.observation.timeline import Cause, Entry, Ran, read_timeline, tell

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def seen(first: float, last: float, fingerprint: str, *revisions: str):  # type: ignore[no-untyped-def]
    return minute(first), minute(last), fingerprint, revisions


def ran(number: int, began: float, ended: float | None, before: str | None, after: str | None) -> Ran:
    """A job that saw these right after it began and right before it ended."""
    return Ran(
        number,
        "migrate",
        "succeeded",
        "ada",
        "clinic/dev",
        minute(began),
        None if ended is None else minute(ended),
        SchemaSeen(minute(began), "t", before, ()) if before else SchemaSeen(minute(began), reason="away"),
        None
        if ended is None
        else SchemaSeen(minute(ended), "t", after, ())
        if after
        else SchemaSeen(minute(ended), reason="away"),
    )


def pin(number: int, began: float, ended: float) -> Ran:
    return Ran(
        number, "pin", "succeeded", "ada", "clinic/dev", minute(began), minute(ended), None, None, True
    )


def short(entries: list[Entry]) -> list[tuple[Cause, str, tuple[int, ...]]]:
    return [
        (
            each.cause,
            (each.before.fingerprint if each.before else "") + each.after.fingerprint,
            tuple(job.id for job in each.jobs),
        )
        for each in entries
    ]


FIRST: tuple[Cause, str, tuple[int, ...]] = ("first seen", "A", ())


@pytest.mark.parametrize(
    ("looks", "jobs", "told"),
    [
        pytest.param([], [], [], id="never looked at"),
        pytest.param([seen(0, 9, "A")], [], [FIRST], id="nothing changed"),
        pytest.param([seen(0, 1, "A"), seen(2, 9, "B")], [], [FIRST, ("nobody", "AB", ())], id="by hand"),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a job between two looks",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "C")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,)), ("nobody", "BC", ())],
            id="a job, and somebody after it",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "C")],
            [ran(1, 2, 3, "B", "C")],
            [FIRST, ("nobody", "AB", ()), ("job", "BC", (1,))],
            id="somebody, and a job after that",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", "A")],
            [FIRST, ("nobody", "AB", ())],
            id="a job that changed nothing does not answer for it",
        ),
        pytest.param(
            [seen(0, 9, "A")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,)), ("nobody", "BA", ())],
            id="taken back by hand before the next look",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(2.5, 2.5, "half"), seen(3.5, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a look in the middle of a job",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(1.95, 1.95, "B"), seen(4, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a look that began right before a job and read after it",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", None)],
            [FIRST, ("not known", "AB", (1,))],
            id="what the job left could not be seen",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, None, "B")],
            [FIRST, ("not known", "AB", (1,))],
            id="what was before the job could not be seen",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 6, "A"), seen(8, 9, "B")],
            [ran(1, 2, 3, "A", None)],
            [FIRST, ("nobody", "AB", ())],
            id="a look has seen it unchanged after such a job",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, None, "A", None)],
            [FIRST, ("not known", "AB", (1,))],
            id="the job still runs",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(4, 9, "B")],
            [pin(1, 3, 5)],
            [FIRST, ("pinned", "AB", (1,))],
            id="another database was pinned",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(4, 9, "A")],
            [pin(1, 3, 5)],
            [FIRST, ("pinned", "AA", (1,))],
            id="another database with the same schema",
        ),
        pytest.param(
            [seen(0, 1, "A", "r1"), seen(4, 9, "A", "r2")],
            [],
            [("first seen", "A", ()), ("nobody", "AA", ())],
            id="stamped by hand",
        ),
        pytest.param(
            [],
            [ran(1, 2, 3, "A", "B"), ran(2, 4, 5, "B", "C")],
            [FIRST, ("job", "AB", (1,)), ("job", "BC", (2,))],
            id="no look at all",
        ),
    ],
)
def test_it_tells_who(looks, jobs: list[Ran], told: list[tuple[Cause, str, tuple[int, ...]]]) -> None:  # type: ignore[no-untyped-def]
    assert short(tell(looks, jobs, minute(60))) == told


def test_unknown_revisions_are_no_change() -> None:
    first, last, fingerprint, _ = seen(4, 9, "A")
    assert short(tell([seen(0, 1, "A", "r1"), (first, last, fingerprint, None)], [], minute(60))) == [FIRST]


def test_a_change_by_nobody_lies_between_two_looks() -> None:
    _, entry = tell([seen(0, 1, "A"), seen(2, 9, "B")], [], minute(60))
    assert (entry.since, entry.at) == (minute(1), minute(2))


#: As many entries as `:count`: looks that each found something else, and as many backups that changed nothing.
LONG = """
INSERT INTO environment (project, name, system_identifier, database_oid) VALUES ('clinic', 'dev', '7', 1);
INSERT INTO schema_snapshot (fingerprint, server_major, content)
SELECT 'f' || n, 17, '' FROM generate_series(0, {count}) n;
INSERT INTO schema_change (before_fingerprint, after_fingerprint, count, kinds, differences)
SELECT 'f' || n - 1, 'f' || n, 1, '[["table", "added", 1]]',
       '[{{"kind": "table", "object": "t", "attribute": null, "change": "added", "severity": "structure",
          "a": null, "b": "t", "group": "t"}}]'
  FROM generate_series(1, {count}) n;
INSERT INTO observation (environment_id, digest, first_observed_at, last_observed_at, reachable, version_table,
                         revisions, fingerprint)
SELECT 1, n::text, now() - n * interval '1 hour', now() - n * interval '1 hour' + interval '30 minutes', true, true,
       '{{}}', 'f' || {count} - n
  FROM generate_series({count}, 0, -1) n;
INSERT INTO environment_state (environment_id, observation_id, observed_at)
SELECT 1, max(id), now() FROM observation;
INSERT INTO job (kind, project, environment_id, parameters, mutating, state, requested_by, started_at, finished_at)
SELECT 'backup', 'clinic', 1, '{{}}', true, 'succeeded', 'ana', at, at + interval '2 minutes'
  FROM (SELECT now() - n * interval '1 hour' + interval '10 minutes' FROM generate_series({count}, 1, -1) n) j (at);
INSERT INTO job_schema (job_id, before_at, before_fingerprint, after_at, after_fingerprint)
SELECT id, started_at, 'f' || id - 1, finished_at, 'f' || id - 1 FROM job
"""


async def fill(store: AsyncEngine, count: int) -> Record:
    async with store.begin() as connection:
        for statement in LONG.format(count=count).split(";"):
            await connection.exec_driver_sql(statement)
    async with store.connect() as connection:
        return (await read_records(connection))["clinic", "dev"]


@pytest.mark.parametrize("count", [3, 2000])
async def test_a_long_timeline_takes_no_more_queries(store: AsyncEngine, count: int) -> None:
    record = await fill(store, count)
    asked: list[str] = []
    event.listen(store.sync_engine, "before_cursor_execute", lambda *call: asked.append(call[2]), named=False)
    async with store.connect() as connection:
        first = await read_timeline(store, connection, record)
        assert len(asked) == 3
        assert {each.cause for each in first.entries} <= {"nobody", "first seen"}
        assert all(each.change is not None for each in first.entries if each.before)
        keys, older = [each.key for each in first.entries], first.older
        while older is not None:
            page = await read_timeline(store, connection, record, before=older, limit=100)
            keys, older = [*keys, *(each.key for each in page.entries)], page.older
    assert len(keys) == len(set(keys)) == count + 1
    assert keys == sorted(keys, reverse=True)


async def test_what_happened_before_hundreds_of_jobs_that_changed_nothing_is_found(
    store: AsyncEngine,
) -> None:
    record = await fill(store, 3)
    async with store.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO job (kind, project, environment_id, parameters, mutating, state, requested_by, started_at,"
            " finished_at) SELECT 'backup', 'clinic', 1, '{}', true, 'succeeded', 'ana',"
            " now() + n * interval '1 minute',"
            " now() + n * interval '1 minute' FROM generate_series(1, 900) n"
        )
        await connection.exec_driver_sql(
            "INSERT INTO job_schema (job_id, before_at, before_fingerprint, after_at, after_fingerprint)"
            " SELECT id, started_at, 'f3', finished_at, 'f3' FROM job WHERE started_at > now()"
        )
    async with store.connect() as connection:
        told = await read_timeline(store, connection, record)
    assert [each.after.fingerprint for each in told.entries] == ["f3", "f2", "f1", "f0"]
    assert [each.cause for each in told.entries] == ["nobody", "nobody", "nobody", "first seen"]
    assert told.older is None


async def test_a_key_beyond_all_times_is_the_beginning(store: AsyncEngine) -> None:
    record = await fill(store, 3)
    async with store.connect() as connection:
        assert len((await read_timeline(store, connection, record, before=2**62)).entries) == 4
        assert (await read_timeline(store, connection, record, before=1)).entries == ()
