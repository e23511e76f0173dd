"""What the store need not keep: forgotten in small pieces, so that its growth is bounded (docs/performance.md).

Never forgotten: the audit trail, jobs that a person or CI started with their logs, backups, builds, deployments.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

#: As many rows of a sort are removed at once at most; the rest goes the next time.
BATCH = 5000

#: How long a finished job keeps its measures: the percentages that its page showed while it ran.
MEASURES = timedelta(days=3)
#: How long rehearsals stay that the schedule started; what they found is in the plans.
REHEARSALS = timedelta(days=1)
#: How long it is kept that an environment once looked different.
OBSERVATIONS = timedelta(days=180)
#: How long workers are shown that are gone.
WORKERS = timedelta(days=7)
#: Older failures do not count for the limiter any more (`web.access.limiter.MEMORY`).
FAILURES = timedelta(days=1)

#: By what it is called: how old it must be, and what removes it. Each is bounded by `:batch` rows.
FORGOTTEN: Mapping[str, tuple[timedelta, str]] = {
    # Only jobs that ended within a week before that are looked at; their lines and steps stay.
    "measures": (
        MEASURES,
        """
        DELETE FROM job_event e USING (
            SELECT o.job_id, o.seq
              FROM job j JOIN job_event o ON o.job_id = j.id
             WHERE j.finished_at < now() - :age AND j.finished_at > now() - :age - interval '7 days'
               AND o.kind = 'progress'
             LIMIT :batch) old
         WHERE e.job_id = old.job_id AND e.seq = old.seq
        """,
    ),
    "rehearsals": (
        REHEARSALS,
        """
        DELETE FROM job WHERE id IN (
            SELECT id FROM job
             WHERE kind = 'rehearse' AND requested_by = 'schedule' AND finished_at < now() - :age
             LIMIT :batch)
        """,
    ),
    # The newest one of each environment stays, however old; so do its last change of revisions and its last drift, by
    # which a project's page says what became of it since a clean start.
    "observations": (
        OBSERVATIONS,
        """
        DELETE FROM observation WHERE id IN (
            SELECT o.id FROM observation o
             WHERE o.last_observed_at < now() - :age
               AND NOT EXISTS (SELECT FROM environment_state s WHERE s.observation_id = o.id)
               AND (o.revisions_before IS NULL
                    OR EXISTS (SELECT FROM observation n
                                WHERE n.environment_id = o.environment_id AND n.id > o.id
                                  AND n.revisions_before IS NOT NULL))
               AND (o.drift_state <> 'drifted'
                    OR EXISTS (SELECT FROM observation n
                                WHERE n.environment_id = o.environment_id AND n.id > o.id
                                  AND n.drift_state = 'drifted'))
             LIMIT :batch)
        """,
    ),
    # Made-up names are without number: beyond the newest 100,000 counts the oldest go, whosever they are.
    "failed sign-ins": (
        FAILURES,
        """
        DELETE FROM sign_in_failure WHERE key IN
            (SELECT key FROM sign_in_failure
              WHERE at < greatest(now() - :age,
                                  (SELECT at FROM sign_in_failure ORDER BY at DESC OFFSET 99999 LIMIT 1))
              LIMIT :batch)
        """,
    ),
    "sessions": (
        timedelta(0),
        """
        DELETE FROM session WHERE digest IN
            (SELECT digest FROM session WHERE expires_at < now() - :age LIMIT :batch)
        """,
    ),
    "workers": (
        WORKERS,
        """
        DELETE FROM worker WHERE name IN
            (SELECT name FROM worker WHERE heartbeat_at < now() - :age LIMIT :batch)
        """,
    ),
    # Procrastinate removes what it has finished; a worker that was killed leaves its row behind, and where the
    # job itself is forgotten the reaper does not find it.
    "queue": (
        timedelta(0),
        """
        DELETE FROM procrastinate_jobs WHERE id IN (
            SELECT q.id FROM procrastinate_jobs q
             WHERE q.scheduled_at IS NULL AND q.status <> 'todo'
               AND NOT EXISTS (SELECT FROM job j WHERE j.id = (q.args->>'job_id')::bigint)
               AND NOT EXISTS (SELECT FROM procrastinate_workers w
                                WHERE w.id = q.worker_id AND w.last_heartbeat > now() - interval '1 minute' - :age)
             LIMIT :batch)
        """,
    ),
}


async def forget(store: AsyncEngine, *, batch: int = BATCH) -> dict[str, int]:
    """Remove what is older than its sort is kept, at most `batch` of each; how much that was.

    Each sort in a transaction of its own.
    """
    removed = {}
    for name, (age, statement) in FORGOTTEN.items():
        async with store.begin() as connection:
            result = await connection.execute(text(statement), {"age": age, "batch": batch})
            removed[name] = result.rowcount
    return removed
