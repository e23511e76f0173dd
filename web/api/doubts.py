"""`…/environments/{e}/doubts`: what jobs left in doubt, and settling it."""

from __future__ import annotations

from fastapi import APIRouter

from web.api.bodies import Body
from web.dashboard import LARGEST, Board, InEnvironment, Store, Who, in_project
from web.errors import NotFound
from web.observation.records import record_of
from web.remedies.doubts import settle_doubt

router = APIRouter(prefix="/projects/{project}/environments/{environment}/doubts")


class Settlement(Body):
    """Why somebody vouches for what is there."""

    reason: str


@router.get("", dependencies=[in_project("view")])
async def list_doubts(store: Store, environment: InEnvironment) -> dict[str, object]:
    """What is in doubt on the environment's database, the oldest first."""
    record = await record_of(store, environment)
    return {
        "environment": environment.label,
        "doubts": [each.to_json() for each in record.doubts] if record else [],
    }


@router.post("/{job}/settlement", status_code=201, dependencies=[in_project("settle")])
async def settle(
    board: Board, who: Who, environment: InEnvironment, job: int, new: Settlement
) -> dict[str, object]:
    """Settle what a job left in doubt."""
    if not 0 < job <= LARGEST:
        raise NotFound(f"There is no job {job}.")
    async with board.store.begin() as connection:
        doubt = await settle_doubt(connection, environment, who, job, new.reason)
    board.overviews.forget()
    return {**doubt.to_json(), "settled_by": who.name, "reason": new.reason.strip()}
