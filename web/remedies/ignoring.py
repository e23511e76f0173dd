"""Making and removing ignore rules: somebody answers for a difference until a day. Each act is in the audit trail.

Which differences a rule covers is said in web/comparison/ignore_rules.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import audit
from web.access.permissions import Principal, require
from web.config import Project
from web.errors import Invalid, NotFound
from web.jobs.events import announce_change
from web.schema.kinds import KINDS
from web.store.tables import EnvironmentRow, IgnoreRuleRow

#: No rule is for good: whoever made it may be gone, and its reason with them.
LONGEST = timedelta(days=366)
#: Characters of a pattern, a reason, a name.
LENGTH = 500


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule as a person asks for it; what is empty or None is not asked of a difference."""

    pattern: str
    reason: str
    #: The end of its last day.
    expires_at: datetime
    environment: str | None = None
    kind: str | None = None
    attribute: str | None = None
    #: Who answers for it; empty: whoever makes it.
    owner: str = ""


def end_of(day: date) -> datetime:
    """The end of a rule's last day, in UTC."""
    return datetime.combine(day, time.max, UTC)


async def add_rule(connection: AsyncConnection, project: Project, who: Principal, new: NewRule) -> int:
    """Make a rule and return its id.

    Raises:
        NotSignedIn, OperationNotAllowed: the person may not.
        Invalid: it would cover everything, has no reason, or no end within a year.
    """
    require(who, "ignore", project.name)
    pattern, reason, owner = new.pattern.strip(), new.reason.strip(), new.owner.strip() or who.name
    kind, attribute = (new.kind or "").strip() or None, (new.attribute or "").strip() or None
    _check(project, new, pattern, reason, kind, attribute, owner)
    values = {
        "project": project.name,
        "environment": new.environment,
        "kind": kind,
        "object_pattern": pattern,
        "attribute": attribute,
        "reason": reason,
        "owner": owner,
        "expires_at": new.expires_at,
    }
    number: int = (
        await connection.execute(
            insert(IgnoreRuleRow).values(**values, created_by=who.name).returning(IgnoreRuleRow.id)
        )
    ).scalar_one()
    await _announce(connection, project.name, new.environment)
    await audit.append(
        connection,
        actor=who.actor,
        action="ignore rule made",
        object=_where(project.name, new.environment),
        detail={"rule": number, **values, "expires_at": new.expires_at.isoformat()},
    )
    return number


def _check(
    project: Project,
    new: NewRule,
    pattern: str,
    reason: str,
    kind: str | None,
    attribute: str | None,
    owner: str,
) -> None:
    if new.environment is not None and not new.environment.strip():
        raise Invalid("The rule names no environment.", hint="Leave it out for every environment.")
    if new.environment is not None and new.environment not in project.environments:
        raise NotFound(f"The project {project.name} has no environment {new.environment}.")
    if max(map(len, (pattern, reason, owner, kind or "", attribute or ""))) > LENGTH:
        raise Invalid(f"{LENGTH} characters are the most that a part of a rule may have.")
    if not pattern:
        raise Invalid("The rule names no object.", hint="Write its whole name, with * for any characters.")
    if not pattern.strip("*?.") and kind is None and attribute is None:
        raise Invalid(
            "A rule for every object hides all drift.", hint="Name objects, a kind or an attribute."
        )
    if kind is not None and kind not in KINDS:
        near = get_close_matches(kind.lower(), sorted(KINDS)) or sorted(KINDS)
        raise Invalid(f"“{kind}” is no kind of object.", hint=f"There is {', '.join(near)}.")
    if not reason:
        raise Invalid(
            "The rule has no reason.", hint="Say why the difference may stay, for who comes after you."
        )
    now = datetime.now(UTC)
    if new.expires_at <= now:
        raise Invalid("The rule would end before it begins.", hint="Name a day to come.")
    if new.expires_at > now + LONGEST:
        raise Invalid(
            "A rule lasts a year at most.",
            hint="What stays for good belongs into a migration.",
        )


async def remove_rule(connection: AsyncConnection, project: Project, who: Principal, number: int) -> None:
    """End a rule now; it stays listed. Raises NotFound, NotSignedIn, OperationNotAllowed."""
    require(who, "ignore", project.name)
    row = (
        await connection.execute(
            update(IgnoreRuleRow)
            .where(
                IgnoreRuleRow.id == number,
                IgnoreRuleRow.project == project.name,
                IgnoreRuleRow.removed_at.is_(None),
            )
            .values(removed_at=datetime.now(UTC), removed_by=who.name)
            .returning(IgnoreRuleRow.environment, IgnoreRuleRow.object_pattern)
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"The project {project.name} has no rule {number} that could be removed.")
    await _announce(connection, project.name, row.environment)
    await audit.append(
        connection,
        actor=who.actor,
        action="ignore rule removed",
        object=_where(project.name, row.environment),
        detail={"rule": number, "object_pattern": row.object_pattern},
    )


async def _announce(connection: AsyncConnection, project: str, environment: str | None) -> None:
    """Tell open pages: what they say of drift may be something else now."""
    query = select(EnvironmentRow.id).where(EnvironmentRow.project == project)
    if environment is not None:
        query = query.where(EnvironmentRow.name == environment)
    for number in (await connection.scalars(query)).all():
        await announce_change(connection, number)


def _where(project: str, environment: str | None) -> str:
    return f"{project}/{environment}" if environment else f"{project}/*"
