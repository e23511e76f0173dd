"""A person settles what a job left in doubt: with a reason, and in the audit trail.

What a job or a look settles is said in web/jobs/doubts.py and web/observation/proving.py.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import audit
from web.access.permissions import Principal, require
from web.config import Environment
from web.errors import Invalid, NotFound
from web.jobs.doubts import settle
from web.jobs.events import announce_change, announce_job_change
from web.observation.records import Doubt, record_of

#: Characters of a reason.
LENGTH = 500


async def read_doubt(connection: AsyncConnection, environment: Environment, job_id: int) -> Doubt:
    """What a job left in doubt on an environment's database. Raises NotFound."""
    record = await record_of(connection, environment)
    for doubt in record.doubts if record else ():
        if doubt.job_id == job_id:
            return doubt
    raise _settled(environment, job_id)


def _settled(environment: Environment, job_id: int) -> NotFound:
    return NotFound(
        f"Nothing of job {job_id} is in doubt on {environment.label}.",
        hint="A later job, a check or somebody else may have settled it.",
    )


async def settle_doubt(
    connection: AsyncConnection, environment: Environment, who: Principal, job_id: int, reason: str
) -> Doubt:
    """Settle it and return what it was.

    Raises:
        NotSignedIn, OperationNotAllowed: the person may not.
        NotFound: there is nothing in doubt (any more).
        Invalid: no reason, or none that can be kept.
    """
    require(who, "settle", environment.project)
    reason = reason.strip()
    doubt = await read_doubt(connection, environment, job_id)
    if not reason or not any(each.isalnum() for each in reason):
        raise Invalid(
            "There is no reason.",
            hint="Say what you have looked at, for who comes after you and has to believe it.",
        )
    if len(reason) > LENGTH:
        raise Invalid(f"{LENGTH} characters are the most that a reason may have.")
    if "\0" in reason:
        raise Invalid("The reason holds a character that cannot be stored.")
    if await settle(connection, job_id, by=who.name, reason=reason) is None:
        raise _settled(environment, job_id)
    await audit.append(
        connection,
        actor=who.actor,
        action="doubt settled",
        object=environment.label,
        detail={"job": job_id, "kind": doubt.kind, "what": doubt.what, "reason": reason},
    )
    record = await record_of(connection, environment)
    if record is not None:
        await announce_change(connection, record.environment_id)
    await announce_job_change(connection, job_id)
    return doubt
