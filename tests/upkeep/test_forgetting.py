"""What is forgotten, what stays, and that it goes in bounded pieces."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from web.upkeep.forgetting import FORGOTTEN, forget

#: One of each that is old enough and one that is not (`{age}` is the former's), for environment 1.
ROWS = """
INSERT INTO environment (project, name) VALUES ('clinic', 'dev');
INSERT INTO job (kind, project, environment_id, parameters, mutating, state, requested_by, finished_at)
VALUES ('migrate', 'clinic', 1, '{}', true, 'succeeded', 'ana', now() - interval '4 days'),
       ('migrate', 'clinic', 1, '{}', true, 'succeeded', 'ana', now() - interval '2 days'),
       ('migrate', 'clinic', 1, '{}', true, 'running', 'ana', NULL),
       ('rehearse', 'clinic', 1, '{}', false, 'failed', 'schedule', now() - interval '25 hours'),
       ('rehearse', 'clinic', 1, '{}', false, 'failed', 'schedule', now() - interval '23 hours'),
       ('rehearse', 'clinic', 1, '{}', false, 'failed', 'ana', now() - interval '25 hours');
INSERT INTO job_event (job_id, seq, at, kind)
SELECT j, n, now() - interval '4 days', (ARRAY['progress', 'log', 'step', 'state'])[1 + n %% 4]
  FROM generate_series(1, 3) j, generate_series(1, 40) n;
INSERT INTO observation (environment_id, digest, first_observed_at, last_observed_at, reachable)
SELECT 1, n::text, now() - interval '1 year', now() - n * interval '1 day', true
  FROM unnest(ARRAY[300, 200, 181, 179, 1]) n;
INSERT INTO observation (environment_id, digest, first_observed_at, last_observed_at, reachable, drift_state,
                         revisions_before)
SELECT 1, digest, now() - interval '1 year', now() - interval '200 days', true, drift,
       CASE WHEN changed THEN ARRAY['a'] END
  FROM (VALUES ('drifted, older', 'drifted', false), ('drifted last', 'drifted', false),
               ('changed, older', 'none', true), ('changed last', 'none', true), ('after', 'none', false))
       old (digest, drift, changed);
INSERT INTO environment_state (environment_id, observation_id, observed_at) VALUES (1, 1, now());
INSERT INTO sign_in_failure (key, failures, at)
SELECT n::text, 1, now() - n * interval '1 hour' FROM unnest(ARRAY[1, 23, 25, 50]) n;
INSERT INTO user_account (name, display_name, password_hash) VALUES ('ana', 'Ana', 'x');
INSERT INTO session (digest, user_id, csrf_secret, expires_at)
VALUES ('over', 1, 'x', now() - interval '1 second'), ('open', 1, 'x', now() + interval '1 minute');
INSERT INTO worker (name, host, pid, version, heartbeat_at)
VALUES ('gone', 'h', 1, '1', now() - interval '8 days'), ('here', 'h', 1, '1', now() - interval '6 days');
INSERT INTO procrastinate_jobs (queue_name, task_name, args, status)
VALUES ('looks', 't', '{"job_id": 1}', 'doing'), ('looks', 't', '{"job_id": 999}', 'doing'),
       ('looks', 't', '{"job_id": 998}', 'todo');
"""
#: What must be gone of it, by its name in FORGOTTEN.
GONE = {
    "measures": 10,
    "rehearsals": 1,
    "observations": 5,
    "failed sign-ins": 2,
    "sessions": 1,
    "workers": 1,
    "queue": 1,
}
LEFT = {
    "SELECT DISTINCT job_id FROM job_event WHERE kind = 'progress' ORDER BY 1": [2, 3],
    "SELECT count(*) FROM job_event WHERE job_id = 1 AND kind <> 'progress'": [30],
    "SELECT id FROM job ORDER BY 1": [1, 2, 3, 5, 6],
    "SELECT digest FROM observation ORDER BY id": [
        "300",
        "179",
        "1",
        "drifted last",
        "changed last",
    ],
    "SELECT count(*) FROM sign_in_failure": [2],
    "SELECT digest FROM session": ["open"],
    "SELECT name FROM worker": ["here"],
    "SELECT (args->>'job_id')::int FROM procrastinate_jobs ORDER BY 1": [1, 998],
}


@pytest.fixture
async def lived_in(store: AsyncEngine) -> AsyncEngine:
    """A store in which something of every sort has grown old."""
    async with store.begin() as connection:
        for statement in filter(str.strip, ROWS.split(";")):
            await connection.exec_driver_sql(statement, ())
    return store


async def values(store: AsyncEngine, statement: str) -> list[Any]:
    async with store.connect() as connection:
        return list(await connection.scalars(text(statement)))


async def test_what_is_old_goes_and_the_rest_stays(lived_in: AsyncEngine) -> None:
    assert await forget(lived_in) == GONE
    for statement, left in LEFT.items():
        assert await values(lived_in, statement) == left, statement
    assert set((await forget(lived_in)).values()) == {0}


async def test_names_without_number_do_not_fill_the_store(store: AsyncEngine) -> None:
    async with store.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO sign_in_failure (key, failures, at)"
                " SELECT n::text, 1, now() - n * interval '1 millisecond' FROM generate_series(1, 100100) n"
            )
        )
    assert (await forget(store))["failed sign-ins"] == 100
    assert await values(store, "SELECT count(*) FROM sign_in_failure") == [100_000]
    assert await values(store, "SELECT count(*) FROM sign_in_failure WHERE key::int > 100000") == [0]


async def test_it_goes_in_pieces(lived_in: AsyncEngine) -> None:
    removed = [await forget(lived_in, batch=3) for _ in range(4)]
    assert [each["measures"] for each in removed] == [3, 3, 3, 1]
    assert all(count <= 3 for each in removed for count in each.values())
    assert {name: sum(each[name] for each in removed) for name in FORGOTTEN} == GONE
