"""`/projects/{p}/ignore-rules`: which differences somebody answers for, until when."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter

from web.api.bodies import Body
from web.comparison.ignore_rules import all_rules
from web.dashboard import Board, InProject, RuleNumber, Store, Who, in_project
from web.remedies.ignoring import NewRule, add_rule, end_of, remove_rule

router = APIRouter()


class RuleBody(Body):
    """A rule to be made. What is left out is not asked of a difference."""

    object: str
    reason: str
    #: Its last day, in UTC.
    until: date
    environment: str | None = None
    kind: str | None = None
    attribute: str | None = None
    owner: str = ""


@router.get("/projects/{project}/ignore-rules", dependencies=[in_project("view")])
async def list_rules(store: Store, project: InProject) -> dict[str, object]:
    """Every rule that the project ever had; those that count come first."""
    return {"rules": [each.to_json() for each in await all_rules(store, project.name)]}


@router.post("/projects/{project}/ignore-rules", status_code=201, dependencies=[in_project("ignore")])
async def make_rule(board: Board, who: Who, project: InProject, new: RuleBody) -> dict[str, object]:
    """Make a rule."""
    rule = NewRule(
        pattern=new.object,
        reason=new.reason,
        expires_at=end_of(new.until),
        environment=new.environment,
        kind=new.kind,
        attribute=new.attribute,
        owner=new.owner,
    )
    async with board.store.begin() as connection:
        number = await add_rule(connection, project, who, rule)
    board.overviews.forget()
    return {"id": number}


@router.delete("/projects/{project}/ignore-rules/{number}", dependencies=[in_project("ignore")])
async def end_rule(board: Board, who: Who, project: InProject, number: RuleNumber) -> dict[str, object]:
    """End a rule now."""
    async with board.store.begin() as connection:
        await remove_rule(connection, project, who, number)
    board.overviews.forget()
    return {"id": number}
