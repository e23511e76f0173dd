"""Merges of heads as they are kept under the jobs that made them, with their change sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.remedies.archiving import files_as_json
from web.remedies.change_set import ChangeSet
from web.remedies.merging import Merge, Order, Reached
from web.remedies.written_into import WrittenInto, read_written
from web.schema.difference import Difference
from web.store.tables import MergeRow


@dataclass(frozen=True, slots=True)
class StoredMerge:
    """A merge, and what a repository has to change."""

    job_id: int
    project: str
    merge: Merge
    change_set: ChangeSet
    made_at: datetime
    #: Where it is in the project's source; None: it is not written there.
    written: WrittenInto | None = None

    @property
    def revision(self) -> str:
        """What the change set brings."""
        return self.merge.revision

    @property
    def proven(self) -> bool:
        """Whether it may be written into the source."""
        return self.merge.proven

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        merge = self.merge
        return {
            "job": self.job_id,
            "project": self.project,
            "revision": merge.revision,
            "heads": list(merge.heads),
            "path": merge.path,
            "proven": merge.proven,
            "why_not": merge.why_not,
            "major": merge.major,
            "every_order": merge.every_order,
            "orders": [
                {
                    "heads": list(each.heads),
                    "seconds": each.seconds,
                    "refusal": each.refusal,
                    "differences": [one.to_json() for one in each.differences],
                    "changed_by_the_merge": [one.to_json() for one in each.changed],
                }
                for each in merge.orders
            ],
            "from_nothing": {
                "seconds": merge.seconds,
                "refusal": merge.refusal,
                "differences": [each.to_json() for each in merge.remaining],
            },
            "column_orders": list(merge.column_orders),
            "no_downgrade": merge.no_downgrade,
            "remarks": list(merge.remarks),
            "environments": [asdict(each) for each in merge.environments],
            "files": files_as_json(self.change_set),
            "made_at": self.made_at.isoformat(),
            "written": asdict(self.written) if self.written is not None else None,
            "text": merge.text,
        }


async def store_merge(
    connection: AsyncConnection, job_id: int, project: str, merge: Merge, change_set: ChangeSet
) -> None:
    """Keep a merge under the job that made it."""
    await connection.execute(
        insert(MergeRow).values(
            job_id=job_id, project=project, content=asdict(merge), change_set=change_set.pack()
        )
    )


async def merge_of(connection: AsyncConnection, job_id: int) -> StoredMerge | None:
    """What a job wrote; None: it wrote no merge."""
    query = select(MergeRow.__table__).where(MergeRow.job_id == job_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return StoredMerge(
        row.job_id,
        row.project,
        _merge(row.content),
        ChangeSet.unpack(row.change_set),
        row.made_at,
        read_written(row.written),
    )


def _merge(content: Mapping[str, Any]) -> Merge:
    return Merge(
        **{
            **content,
            "heads": tuple(content["heads"]),
            "remarks": tuple(content["remarks"]),
            "remaining": _differences(content["remaining"]),
            "orders": tuple(
                Order(
                    **{
                        **each,
                        "heads": tuple(each["heads"]),
                        "differences": _differences(each["differences"]),
                        "changed": _differences(each["changed"]),
                    }
                )
                for each in content["orders"]
            ),
            "environments": tuple(
                Reached(**{**each, "revisions": tuple(each["revisions"]), "pending": tuple(each["pending"])})
                for each in content["environments"]
            ),
        }
    )


def _differences(content: list[Mapping[str, Any]]) -> tuple[Difference, ...]:
    return tuple(Difference(**each) for each in content)
