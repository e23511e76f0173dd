"""What jobs left in doubt on their targets: opened with a job's end, settled by a job, a look, or a person.

Who may settle, and what a look has to find, is said elsewhere; here is only what is written.
"""

from __future__ import annotations

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.jobs.job import JobState, Unproven
from web.store.tables import DoubtRow, JobRow

#: Who settles it where a look does.
BY_CHECK = "a check"

# Settles what jobs before this one left in doubt on any of its targets. Runs on the store.
_RENEWED = text(
    """
    UPDATE doubt d
       SET settled_at = now(), settled_by = 'job ' || CAST(:job AS text),
           reason = 'The whole database was made anew.'
     WHERE d.settled_at IS NULL AND d.job_id < :job
       AND EXISTS (SELECT FROM job_target mine
                     JOIN job_target theirs USING (system_identifier, database_oid)
                    WHERE mine.job_id = :job AND theirs.job_id = d.job_id)
    """
)


async def open_doubt(
    connection: AsyncConnection, job_id: int, state: JobState, left: Unproven, proof: str | None = None
) -> None:
    """Write down what a job leaves, in the transaction that ends it; settled already where a look has the proof."""
    settled = {"settled_at": func.now(), "settled_by": BY_CHECK, "reason": proof}
    await connection.execute(
        insert(DoubtRow)
        .values(
            job_id=job_id,
            sort="outcome not known" if state == "unknown" else "half done",
            what=left.what,
            by_check=left.by_check,
            **(settled if left.by_check and proof is not None else {}),
        )
        .on_conflict_do_nothing(index_elements=["job_id"])
    )


async def settle_renewed(connection: AsyncConnection, job_id: int) -> None:
    """Settle what earlier jobs left, in the transaction in which a job that made it all anew succeeds."""
    await connection.execute(_RENEWED, {"job": job_id})


async def for_a_look(connection: AsyncConnection, environment_id: int, up_to: int) -> tuple[int, ...]:
    """The jobs of an environment, up to this one, whose doubts a look may settle."""
    query = (
        select(DoubtRow.job_id)
        .join(JobRow, JobRow.id == DoubtRow.job_id)
        .where(
            JobRow.environment_id == environment_id,
            DoubtRow.job_id <= up_to,
            DoubtRow.settled_at.is_(None),
            DoubtRow.by_check,
        )
    )
    return tuple(await connection.scalars(query))


async def settle(connection: AsyncConnection, job_id: int, *, by: str, reason: str) -> str | None:
    """Settle what a job left; returns what it was. None: nothing of it is in doubt (any more)."""
    found: str | None = await connection.scalar(
        update(DoubtRow)
        .where(DoubtRow.job_id == job_id, DoubtRow.settled_at.is_(None))
        .values(settled_at=func.now(), settled_by=by, reason=reason)
        .returning(DoubtRow.what)
    )
    return found
