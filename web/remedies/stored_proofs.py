"""Proofs of baselines as they are kept under the jobs that made them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from web.remedies.proving import difference_id
from web.schema.difference import Difference
from web.store.kept import Kept, keep, kept_by, newest_kept
from web.store.tables import BaselineProofRow


@dataclass(frozen=True, slots=True)
class Against:
    """The baseline's schema held against another one."""

    sort: Literal["old migrations", "models", "environment"]
    #: The environment's name.
    name: str = ""
    #: What the other one has differently.
    differences: tuple[Difference, ...] = ()
    #: Differences beyond these that ignore rules cover.
    ignored: int = 0
    #: Why they were not compared; None: they were.
    refusal: str | None = None
    #: Of an environment: its version rows and the fingerprint of its schema.
    revisions: tuple[str, ...] = ()
    fingerprint: str | None = None
    #: Old migrations that the environment lacks; then it was held against what those give that it has.
    lacks: int = 0

    @property
    def key(self) -> str:
        """Names it among those of a proof: `old migrations`, `models`, or the environment's name."""
        return self.name or self.sort

    def id_of(self, difference: Difference) -> str:
        """Names one of its differences."""
        return difference_id(self.key, difference)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "of": self.sort,
            "environment": self.name or None,
            "refusal": self.refusal,
            "ignored": self.ignored,
            "lacks": self.lacks,
            "differences": [{"id": self.id_of(each), **each.to_json()} for each in self.differences],
        }


@dataclass(frozen=True, slots=True)
class BaselineProof:
    """What running a baseline anew showed, and how everything stands to it."""

    #: The job that made the baseline.
    baseline: int
    revision: str
    #: SHA-256 of its file as it was run, and whether that was the source's.
    digest: str
    in_source: bool
    #: Digest of the project's history as it was read (`observation.stored_history`).
    history: str
    #: Why it could not be run; None: it ran.
    refusal: str | None = None
    #: Seconds from an empty database to its end, and to that of the old migrations where they run.
    seconds: float | None = None
    old_seconds: float | None = None
    #: How many migrations it replaces.
    replaces: int = 0
    #: Why its downgrade does not empty what it made; None: it was seen to, and to come up again.
    no_downgrade: str | None = None
    #: Look-up tables that were compared, and why they do not hold the same rows.
    tables: tuple[str, ...] = ()
    rows_differ: str | None = None
    against: tuple[Against, ...] = ()
    job_id: int | None = field(default=None, compare=False)
    made_at: datetime | None = field(default=None, compare=False)

    def of(self, key: str) -> Against | None:
        """One of its comparisons."""
        return next((each for each in self.against if each.key == key), None)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "job": self.job_id,
            "baseline": self.baseline,
            "revision": self.revision,
            "digest": self.digest,
            "in_source": self.in_source,
            "refusal": self.refusal,
            "seconds": self.seconds,
            "old_seconds": self.old_seconds,
            "replaces": self.replaces,
            "no_downgrade": self.no_downgrade,
            "tables": list(self.tables),
            "rows_differ": self.rows_differ,
            "against": [each.to_json() for each in self.against],
            "made_at": self.made_at.isoformat() if self.made_at else None,
        }


async def store_proof(connection: AsyncConnection, job_id: int, project: str, proof: BaselineProof) -> None:
    """Keep a proof under the job that made it."""
    content = asdict(proof)
    for name in ("job_id", "made_at"):
        del content[name]
    await keep(connection, BaselineProofRow, job_id, project, content)


async def proof_of(connection: AsyncConnection, job_id: int) -> BaselineProof | None:
    """What a job proved; None: nothing."""
    return _proof(await kept_by(connection, BaselineProofRow, job_id))


async def newest_proof(connection: AsyncConnection, project: str) -> BaselineProof | None:
    """The newest proof of a project's baselines; None: there is none."""
    return _proof(await newest_kept(connection, BaselineProofRow, project))


def _proof(row: Kept | None) -> BaselineProof | None:
    if row is None:
        return None
    content = row.content
    against = tuple(
        Against(
            **{
                **each,
                "differences": tuple(Difference(**one) for one in each["differences"]),
                "revisions": tuple(each["revisions"]),
            }
        )
        for each in content["against"]
    )
    known = {**content, "against": against, "tables": tuple(content["tables"])}
    return BaselineProof(**known, job_id=row.job_id, made_at=row.made_at)
