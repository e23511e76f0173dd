"""`/projects/{p}/ignore-rules`: differences that somebody answers for until a day; making a rule, removing one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from web import addresses
from web.access.permissions import may
from web.access.requests import csrf_token
from web.comparison.ignore_rules import IgnoreRule, all_rules
from web.config import Project
from web.dashboard import Board, InProject, RuleNumber, Store, Text, Who, in_project
from web.errors import CleanStartError, Invalid
from web.pages.presenting import error_view, ref
from web.pages.shell import Frame, Framed, go_to, is_swap, make_frame
from web.pages.views.ignore_rules import RuleForm, RuleList, RuleRow
from web.pages.views.marks import Action, Link, Mark, Option
from web.remedies.ignoring import LONGEST, NewRule, add_rule, end_of, remove_rule

router = APIRouter(prefix="/projects/{project}/ignore-rules")

#: How long a rule lasts where nobody says so.
USUAL = timedelta(days=30)
MARKS: Mapping[str, Mark] = {
    "active": Mark("ok", "In force"),
    "expired": Mark("warn", "Expired"),
    "removed": Mark("cancelled", "Removed"),
}


@router.get("", dependencies=[in_project("view")])
async def index(board: Board, store: Store, frame: Framed, project: InProject) -> HTMLResponse:
    """Every rule that the project ever had."""
    allowed = may(frame.who, "ignore", project.name)
    rules = await all_rules(store, project.name)
    view = RuleList(
        project.name,
        project.title,
        tuple(_row(project, each, allowed=allowed) for each in rules),
        allowed,
    )
    return _show(frame, project, "ignore_rules/index.html", view, "Ignore rules")


def _row(project: Project, rule: IgnoreRule, *, allowed: bool) -> RuleRow:
    environment = project.environments.get(rule.environment or "")
    asks = (rule.kind, rule.attribute)
    return RuleRow(
        number=rule.id,
        pattern=rule.pattern,
        asks=tuple(each for each in asks if each),
        environment=ref(environment) if environment else None,
        reason=rule.reason,
        owner=rule.owner,
        mark=MARKS[rule.state],
        until=rule.removed_at or rule.expires_at,
        created_at=rule.created_at,
        created_by=rule.created_by,
        remove=Action("Remove", addresses.ignore_rule_removal(project.name, rule.id), "x", method="post")
        if allowed and rule.state == "active"
        else None,
    )


@router.get("/new", dependencies=[in_project("ignore")])
async def ask(
    frame: Framed,
    project: InProject,
    environment: Text = "",
    kind: Text = "",
    object: Text = "",
    attribute: Text = "",
) -> HTMLResponse:
    """The form, filled in for one difference where one was chosen."""
    given = {"environment": environment, "kind": kind, "object": object, "attribute": attribute}
    return _form(frame, project, given)


@router.post("", dependencies=[in_project("ignore")])
async def make(
    request: Request,
    board: Board,
    who: Who,
    project: InProject,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Make the rule; a refusal comes back into the form."""
    form = await request.form()
    given = {name: str(value) for name, value in form.items()}
    try:
        new = _rule(given)
        async with board.store.begin() as connection:
            await add_rule(connection, project, who, new)
    except Invalid as refused:
        async with board.store.connect() as store:
            frame = await make_frame(request, board, who, store, token)
        # A form without script; htmx swaps it on 422 as a whole.
        return _form(frame, project, given, refused, 422 if is_swap(request) else refused.status)
    board.overviews.forget()
    return go_to(request, addresses.ignore_rules(project.name))


def _rule(given: Mapping[str, str]) -> NewRule:
    if any("\0" in value for value in given.values()):
        raise Invalid("A field holds a character that cannot be stored.")
    try:
        until = date.fromisoformat(given.get("until", ""))
    except ValueError:
        raise Invalid("The rule has no last day.", hint="Name one, like 2027-01-31.") from None
    return NewRule(
        pattern=given.get("object", ""),
        reason=given.get("reason", ""),
        expires_at=end_of(until),
        environment=given.get("environment") or None,
        kind=given.get("kind") or None,
        attribute=given.get("attribute") or None,
        owner=given.get("owner", ""),
    )


@router.post("/{number}/removal", dependencies=[in_project("ignore")])
async def remove(
    request: Request, board: Board, who: Who, project: InProject, number: RuleNumber
) -> Response:
    """End the rule now."""
    async with board.store.begin() as connection:
        await remove_rule(connection, project, who, number)
    board.overviews.forget()
    return go_to(request, addresses.ignore_rules(project.name))


def _form(
    frame: Frame,
    project: Project,
    given: Mapping[str, str],
    refused: CleanStartError | None = None,
    status: int = 200,
) -> HTMLResponse:
    today = datetime.now(UTC).date()
    chosen = given.get("environment", "")
    view = RuleForm(
        project.name,
        project.title,
        (
            Option("", "Every environment", not chosen),
            *(Option(each.name, each.label, each.name == chosen) for each in project.environments.values()),
        ),
        kind=given.get("kind", ""),
        pattern=given.get("object", ""),
        attribute=given.get("attribute", ""),
        reason=given.get("reason", ""),
        owner=given.get("owner") or frame.who.name,
        until=given.get("until") or (today + USUAL).isoformat(),
        earliest=today.isoformat(),
        latest=(today + LONGEST - timedelta(days=1)).isoformat(),
        refusal=error_view(refused) if refused else None,
    )
    return _show(frame, project, "ignore_rules/new.html", view, "New ignore rule", status)


def _show(
    frame: Frame, project: Project, template: str, view: Any, here: str, status: int = 200
) -> HTMLResponse:
    crumbs = [Link("Overview", addresses.overview()), Link(project.title, addresses.project(project.name))]
    if isinstance(view, RuleForm):
        crumbs.append(Link("Ignore rules", addresses.ignore_rules(project.name)))
    return frame.show(
        template,
        view,
        here=here,
        section="project",
        crumbs=tuple(crumbs),
        project=project.name,
        status=status,
    )
