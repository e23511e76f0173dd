"""Ignore rules: which differences somebody answers for, until when. An expired rule counts for nothing.

Making and removing rules is for web/remedies/ignoring.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.schema.finding import Difference
from web.store.tables import IgnoreRuleRow


def expression(pattern: str) -> re.Pattern[str]:
    """Give what a whole name has to match: `*` stands for any characters, `?` for one.

    What stands between two stars is taken where it comes first and never elsewhere (an atomic group), which finds
    the same: tried in every place, a few stars would keep the process, its pages and its heartbeat, busy for hours.
    """
    first, *others = (
        "".join("." if each == "?" else re.escape(each) for each in part)
        for part in re.split(r"\*+", pattern)
    )
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile(first + "".join(f"(?>.*?{each})" for each in middle) + f".*{last}", re.DOTALL)


_COLUMNS = (
    IgnoreRuleRow.id,
    IgnoreRuleRow.project,
    IgnoreRuleRow.environment,
    IgnoreRuleRow.kind,
    IgnoreRuleRow.object_pattern,
    IgnoreRuleRow.attribute,
    IgnoreRuleRow.reason,
    IgnoreRuleRow.owner,
    IgnoreRuleRow.expires_at,
    IgnoreRuleRow.created_at,
    IgnoreRuleRow.created_by,
    IgnoreRuleRow.removed_at,
    IgnoreRuleRow.removed_by,
)


@dataclass(frozen=True)
class IgnoreRule:
    """One rule; what it does not name, it does not ask for."""

    id: int
    project: str
    #: None: every environment of the project.
    environment: str | None
    kind: str | None
    #: `*` stands for any characters, `?` for one; compared with the whole name, quoted as PostgreSQL quotes.
    pattern: str
    attribute: str | None
    reason: str
    owner: str
    expires_at: datetime
    created_at: datetime
    created_by: str
    removed_at: datetime | None = None
    removed_by: str | None = None

    def holds_for(self, item: Difference) -> bool:
        """Whether it covers a difference. Being expired or removed is not asked here."""
        return (
            (self.kind is None or self.kind == item.kind)
            and (self.attribute is None or self.attribute == item.attribute)
            and self._expression.fullmatch(item.object) is not None
        )

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return expression(self.pattern)

    @property
    def state(self) -> str:
        """`active`, `expired` or `removed`."""
        if self.removed_at is not None:
            return "removed"
        return "active" if self.expires_at > datetime.now(UTC) else "expired"

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "id": self.id,
            "project": self.project,
            "environment": self.environment,
            "kind": self.kind,
            "object": self.pattern,
            "attribute": self.attribute,
            "reason": self.reason,
            "owner": self.owner,
            "state": self.state,
            "expires_at": self.expires_at.isoformat(),
            "created_at": self.created_at.isoformat(),
            "created_by": self.created_by,
            "removed_at": self.removed_at.isoformat() if self.removed_at else None,
            "removed_by": self.removed_by,
        }


@dataclass(frozen=True, slots=True)
class Sorted:
    """Differences by whether a rule covers them."""

    differences: tuple[Difference, ...]
    ignored: tuple[tuple[Difference, IgnoreRule], ...]


def sort_out(differences: Iterable[Difference], rules: Sequence[IgnoreRule]) -> Sorted:
    """Tell what counts from what is ignored; the first rule that covers a difference is named with it."""
    counts, ignored = [], []
    for each in differences:
        rule = next((rule for rule in rules if rule.holds_for(each)), None)
        if rule is None:
            counts.append(each)
        else:
            ignored.append((each, rule))
    return Sorted(tuple(counts), tuple(ignored))


async def active_rules(connection: AsyncConnection, project: str, environment: str) -> tuple[IgnoreRule, ...]:
    """The rules that count on an environment now, oldest first."""
    query = (
        select(*_COLUMNS)
        .where(
            IgnoreRuleRow.project == project,
            or_(IgnoreRuleRow.environment.is_(None), IgnoreRuleRow.environment == environment),
            IgnoreRuleRow.removed_at.is_(None),
            IgnoreRuleRow.expires_at > func.now(),
        )
        .order_by(IgnoreRuleRow.id)
    )
    return tuple(IgnoreRule(*row) for row in await connection.execute(query))


async def all_rules(connection: AsyncConnection, project: str, *, limit: int = 500) -> tuple[IgnoreRule, ...]:
    """Every rule that a project ever had: those that count first, then the newest."""
    counts = IgnoreRuleRow.removed_at.is_(None) & (IgnoreRuleRow.expires_at > func.now())
    query = (
        select(*_COLUMNS)
        .where(IgnoreRuleRow.project == project)
        .order_by(counts.desc(), IgnoreRuleRow.id.desc())
        .limit(limit)
    )
    return tuple(IgnoreRule(*row) for row in await connection.execute(query))


async def rules_by_environment(
    connection: AsyncConnection, environments: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], Sequence[IgnoreRule]]:
    """The rules that count now, for many environments in one query."""
    wanted = list(environments)
    query = (
        select(*_COLUMNS)
        .where(
            IgnoreRuleRow.project.in_({project for project, _ in wanted}),
            IgnoreRuleRow.removed_at.is_(None),
            IgnoreRuleRow.expires_at > func.now(),
        )
        .order_by(IgnoreRuleRow.id)
    )
    rules = [IgnoreRule(*row) for row in await connection.execute(query)]
    by_project: dict[str, list[IgnoreRule]] = {}
    for rule in rules:
        by_project.setdefault(rule.project, []).append(rule)
    found: dict[tuple[str, str], Any] = {}
    for project, name in wanted:
        found[project, name] = [
            rule for rule in by_project.get(project, ()) if rule.environment in (None, name)
        ]
    return found
