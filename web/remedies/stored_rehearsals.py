"""Rehearsals of a clean start as they are kept under the jobs that held them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from web.store.kept import Kept, keep, kept_by, newest_kept
from web.store.tables import CleanStartRehearsalRow


@dataclass(frozen=True, slots=True)
class RehearsedAct:
    """One thing that was done to a copy."""

    what: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RehearsedEnvironment:
    """What was done to the copy of one environment's database, in order."""

    environment: str
    strategy: str
    #: The backup that the copy was restored from; None: it needs none.
    backup: str | None = None
    acts: tuple[RehearsedAct, ...] = ()
    #: Why it did not come to its end; None: it did.
    refusal: str | None = None
    #: Statements of a repair that may lose rows or values.
    loses: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return sum(each.seconds for each in self.acts)


@dataclass(frozen=True, slots=True)
class CleanStartRehearsal:
    """Everything that applying a baseline would do, done to copies."""

    #: The job that made the baseline.
    baseline: int
    revision: str
    #: SHA-256 of its file as it was run.
    digest: str
    environments: tuple[RehearsedEnvironment, ...] = ()
    job_id: int | None = field(default=None, compare=False)
    made_at: datetime | None = field(default=None, compare=False)

    def of(self, environment: str) -> RehearsedEnvironment | None:
        """What was done for one environment."""
        return next((each for each in self.environments if each.environment == environment), None)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "job": self.job_id,
            "baseline": self.baseline,
            "revision": self.revision,
            "digest": self.digest,
            "environments": [asdict(each) for each in self.environments],
            "made_at": self.made_at.isoformat() if self.made_at else None,
        }


async def store_rehearsal(
    connection: AsyncConnection, job_id: int, project: str, held: CleanStartRehearsal
) -> None:
    """Keep a rehearsal under the job that held it."""
    content = asdict(held)
    for name in ("job_id", "made_at"):
        del content[name]
    await keep(connection, CleanStartRehearsalRow, job_id, project, content)


async def rehearsal_of(connection: AsyncConnection, job_id: int) -> CleanStartRehearsal | None:
    """What a job rehearsed; None: no clean start."""
    return _rehearsal(await kept_by(connection, CleanStartRehearsalRow, job_id))


async def newest_rehearsal(connection: AsyncConnection, project: str) -> CleanStartRehearsal | None:
    """The newest rehearsal of a project's clean start; None: there is none."""
    return _rehearsal(await newest_kept(connection, CleanStartRehearsalRow, project))


def _rehearsal(row: Kept | None) -> CleanStartRehearsal | None:
    if row is None:
        return None
    content = row.content
    environments = tuple(
        RehearsedEnvironment(
            **{
                **each,
                "acts": tuple(RehearsedAct(**one) for one in each["acts"]),
                "loses": tuple(each["loses"]),
            }
        )
        for each in content["environments"]
    )
    return CleanStartRehearsal(
        **{**content, "environments": environments}, job_id=row.job_id, made_at=row.made_at
    )
