"""Baselines as they are kept under the jobs that made them, with their change sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.remedies.archiving import files_as_json
from web.remedies.baseline import Baseline
from web.remedies.change_set import ChangeSet
from web.remedies.written_into import WrittenInto, read_written
from web.schema.difference import Difference
from web.store.tables import BaselineRow


@dataclass(frozen=True, slots=True)
class OldHead:
    """How the history that is replaced stands to the baseline."""

    #: What databases at the old head have differently: lost or new by the baseline; empty where that is its source.
    differences: tuple[Difference, ...] = ()
    #: Why it cannot be run from nothing, and nothing of it is known; None: it can.
    refusal: str | None = None
    #: Seconds from an empty database to its head.
    seconds: float | None = None
    #: Tables that hold rows where the baseline's schema was read, with their numbers: look-up tables are among them.
    offered: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A baseline, what it replaces, and what a repository has to change."""

    job_id: int
    project: str
    baseline: Baseline
    #: Where its schema was read, as people write it.
    source: str
    old: OldHead
    manifest: Mapping[str, Any]
    change_set: ChangeSet
    made_at: datetime
    #: Where it is in the project's source; None: it is not written there.
    written: WrittenInto | None = None

    @property
    def revision(self) -> str:
        """What the change set brings."""
        return self.baseline.revision

    @property
    def proven(self) -> bool:
        """Whether it may be written into the source."""
        return self.baseline.proven

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        baseline = self.baseline
        return {
            "job": self.job_id,
            "project": self.project,
            "source": self.source,
            "revision": baseline.revision,
            "path": baseline.path,
            "proven": baseline.proven,
            "refusal": baseline.refusal,
            "no_downgrade": baseline.no_downgrade,
            "seconds": baseline.seconds,
            "left": [{**each.to_json(), "reason": reason} for each, reason in baseline.left],
            "remaining": [each.to_json() for each in baseline.remaining],
            "rows": dict(baseline.rows),
            "rows_offered": dict(self.old.offered),
            "old_head": {
                "seconds": self.old.seconds,
                "refusal": self.old.refusal,
                "differences": [each.to_json() for each in self.old.differences],
            },
            "manifest": dict(self.manifest),
            "files": files_as_json(self.change_set),
            "made_at": self.made_at.isoformat(),
            "written": asdict(self.written) if self.written is not None else None,
            "text": baseline.text,
        }


async def store_baseline(
    connection: AsyncConnection,
    job_id: int,
    project: str,
    baseline: Baseline,
    *,
    source: str,
    old: OldHead,
    manifest: Mapping[str, Any],
    change_set: ChangeSet,
) -> None:
    """Keep a baseline under the job that made it."""
    await connection.execute(
        insert(BaselineRow).values(
            job_id=job_id,
            project=project,
            content={
                **{
                    name: getattr(baseline, name)
                    for name in ("revision", "path", "text", "refusal", "no_downgrade", "seconds")
                },
                "left": [[asdict(each), reason] for each, reason in baseline.left],
                "remaining": [asdict(each) for each in baseline.remaining],
                "source": source,
                "rows": baseline.rows,
                "old": asdict(old),
            },
            manifest=dict(manifest),
            change_set=change_set.pack(),
        )
    )


async def baseline_of(connection: AsyncConnection, job_id: int) -> StoredBaseline | None:
    """What a job wrote; None: it wrote no baseline."""
    return await _one(connection, select(BaselineRow.__table__).where(BaselineRow.job_id == job_id))


async def newest_baseline(connection: AsyncConnection, project: str) -> StoredBaseline | None:
    """The newest baseline of a project; None: there is none."""
    of_project = select(BaselineRow.__table__).where(BaselineRow.project == project)
    return await _one(connection, of_project.order_by(BaselineRow.job_id.desc()).limit(1))


async def _one(connection: AsyncConnection, query: Select[Any]) -> StoredBaseline | None:
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    content = dict(row.content)
    source, old = content.pop("source"), content.pop("old")
    content["rows"] = tuple((name, count) for name, count in content["rows"])
    content["remaining"] = tuple(Difference(**each) for each in content["remaining"])
    content["left"] = tuple((Difference(**each), reason) for each, reason in content["left"])
    return StoredBaseline(
        row.job_id,
        row.project,
        Baseline(**content),
        source,
        OldHead(
            tuple(Difference(**each) for each in old["differences"]),
            old["refusal"],
            old["seconds"],
            tuple((name, count) for name, count in old["offered"]),
        ),
        row.manifest,
        ChangeSet.unpack(row.change_set),
        row.made_at,
        read_written(row.written),
    )
