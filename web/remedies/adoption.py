"""A migration that makes what is live official, as a value and as it is kept; how it is made is adopting.py's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.schema.difference import Difference
from web.store.tables import AdoptionRow


@dataclass(frozen=True, slots=True)
class Adoption:
    """A migration that makes what is live official, with what running it showed."""

    revision: str
    #: What it follows.
    down: str | None
    #: Where it belongs, relative to the project's source.
    path: str
    text: str
    #: What it makes official.
    adopted: tuple[Difference, ...]
    #: What Clean Start has no statement for, with the reasons.
    left: tuple[tuple[Difference, str], ...] = ()
    #: What ignore rules keep out of it.
    ignored: tuple[Difference, ...] = ()
    #: What differs from the live schema after the old head plus it, and should not; empty: proven.
    remaining: tuple[Difference, ...] = ()
    #: Why it could not be run.
    refusal: str | None = None
    #: Why there is no downgrade, as the file says it; None: it leads back, and was seen to.
    no_downgrade: str | None = None
    #: What was seen of that, which is no part of the file.
    no_downgrade_detail: str | None = None
    #: What of the project's own way of writing a migration could not be done.
    remarks: tuple[str, ...] = ()
    #: Whether databases that have what the migrations give lose rows or values by it.
    loses: bool = False

    @property
    def proven(self) -> bool:
        """Whether the old head plus it gives exactly the live schema, but for what is named as left or ignored."""
        return self.refusal is None and not self.remaining

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "revision": self.revision,
            "down_revision": self.down,
            "path": self.path,
            "proven": self.proven,
            "refusal": self.refusal,
            "no_downgrade": self.no_downgrade,
            "no_downgrade_detail": self.no_downgrade_detail,
            "remarks": list(self.remarks),
            "loses": self.loses,
            "adopted": [each.to_json() for each in self.adopted],
            "left": [{**each.to_json(), "reason": reason} for each, reason in self.left],
            "ignored": [each.to_json() for each in self.ignored],
            "remaining": [each.to_json() for each in self.remaining],
            "text": self.text,
        }


async def store_adoption(
    connection: AsyncConnection, environment_id: int, job_id: int, adoption: Adoption
) -> None:
    """Keep a migration with its proof under the job that made it."""
    await connection.execute(
        insert(AdoptionRow).values(
            job_id=job_id,
            environment_id=environment_id,
            content={
                **{
                    name: getattr(adoption, name)
                    for name in (
                        "revision",
                        "down",
                        "path",
                        "text",
                        "refusal",
                        "no_downgrade",
                        "no_downgrade_detail",
                        "loses",
                    )
                },
                "remarks": list(adoption.remarks),
                "adopted": [asdict(each) for each in adoption.adopted],
                "left": [[asdict(each), reason] for each, reason in adoption.left],
                "ignored": [asdict(each) for each in adoption.ignored],
                "remaining": [asdict(each) for each in adoption.remaining],
            },
        )
    )


async def adoption_of(connection: AsyncConnection, job_id: int) -> tuple[Adoption, datetime] | None:
    """What a job wrote, and when; None: it wrote nothing."""
    row = (
        await connection.execute(
            select(AdoptionRow.content, AdoptionRow.made_at).where(AdoptionRow.job_id == job_id)
        )
    ).one_or_none()
    if row is None:
        return None
    content = dict(row.content)
    # Those of before rules were named have no `ignored`.
    for name in ("adopted", "ignored", "remaining"):
        content[name] = tuple(Difference(**each) for each in content.get(name, ()))
    content["remarks"] = tuple(content.get("remarks", ()))
    content["left"] = tuple((Difference(**each), reason) for each, reason in content["left"])
    return Adoption(**content), row.made_at
