"""Ignore rules: what they take, what they cover, and that an expired one brings the difference back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from tests.operations.conftest import Site
from tests.operations.test_revert import drifted
from web.access.permissions import Principal
from web.comparison.ignore_rules import active_rules, all_rules
from web.errors import CleanStartError, Invalid, NotFound, OperationNotAllowed
from web.observation.records import record_of
from web.remedies.ignoring import NewRule, add_rule, end_of, remove_rule
from web.store.tables import AuditEntryRow, IgnoreRuleRow

OPERATOR = Principal("user:ana", "Ana", "session", {"clinic": "operator"})
VIEWER = Principal("user:vic", "Vic", "session", {"clinic": "viewer"})


def rule(**values: Any) -> NewRule:
    usual = {"pattern": "public.*", "reason": "why", "expires_at": datetime.now(UTC) + timedelta(days=3)}
    return NewRule(**{**usual, **values})


async def add(site: Site, new: NewRule, who: Principal = OPERATOR) -> int:
    async with site.store.begin() as store:
        return await add_rule(store, site.configuration.project("clinic"), who, new)


async def drift_told(site: Site) -> tuple[str, int | None, int]:
    async with site.store.connect() as store:
        record = await record_of(store, site.dev)
    assert record is not None
    assert record.observation is not None
    drift = record.observation.drift
    return drift.state, drift.count, drift.ignored


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"pattern": " "}, Invalid),
        ({"pattern": "**"}, Invalid),
        ({"pattern": "*.*"}, Invalid),
        ({"reason": ""}, Invalid),
        ({"reason": "x" * 501}, Invalid),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, Invalid),
        ({"expires_at": datetime.now(UTC) + timedelta(days=400)}, Invalid),
        ({"environment": "nowhere"}, NotFound),
        ({"environment": " "}, Invalid),
        ({"kind": "colum"}, Invalid),
        ({"pattern": "*", "kind": " "}, Invalid),
        ({"pattern": "*", "attribute": " "}, Invalid),
    ],
)
async def test_a_rule_that_hides_too_much_is_refused(
    site: Site, values: dict[str, Any], error: type[CleanStartError]
) -> None:
    with pytest.raises(error):
        await add(site, rule(**values))
    async with site.store.connect() as store:
        assert await all_rules(store, "clinic") == ()


async def test_a_kind_that_there_is_not_is_answered_with_those_that_come_near(site: Site) -> None:
    with pytest.raises(Invalid, match="no kind of object") as refused:
        await add(site, rule(kind="Materialised View"))
    assert "materialized view" in refused.value.hint
    with pytest.raises(Invalid) as refused:
        await add(site, rule(kind="zzz"))
    assert "column, " in refused.value.hint
    for kind in ("cast", "text search dictionary", "procedure", "default privileges", "grant"):
        await add(site, rule(kind=kind))


async def test_who_may_not_makes_none(site: Site) -> None:
    with pytest.raises(OperationNotAllowed):
        await add(site, rule(), VIEWER)
    number = await add(site, rule())
    async with site.store.begin() as store:
        with pytest.raises(OperationNotAllowed):
            await remove_rule(store, site.configuration.project("clinic"), VIEWER, number)


async def test_rules_count_in_every_answer_until_they_end(site: Site) -> None:
    await drifted(site)
    assert await drift_told(site) == ("drifted", 4, 0)
    first = await add(site, rule(pattern="public.users.*"))
    second = await add(site, rule(pattern="public.*", kind="index", environment="dev"))
    assert await drift_told(site) == ("drifted", 1, 3)
    await add(site, rule(pattern="public.tenants.positive", attribute=None))
    assert await drift_told(site) == ("none", 0, 4)
    # A look that finds the same leaves what is stored as it was: rules come and go.
    seen = await site.observe()
    assert (seen.drift.state, seen.drift.ignored) == ("none", 4)
    assert seen.drift.words == "No difference, 4 ignored"

    async with site.store.begin() as store:
        await store.execute(
            update(IgnoreRuleRow)
            .where(IgnoreRuleRow.id == first)
            .values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        )
    assert await drift_told(site) == ("drifted", 2, 2)
    async with site.store.begin() as store:
        await remove_rule(store, site.configuration.project("clinic"), OPERATOR, second)
    assert await drift_told(site) == ("drifted", 3, 1)
    async with site.store.begin() as store:
        with pytest.raises(NotFound):
            await remove_rule(store, site.configuration.project("clinic"), OPERATOR, second)
    async with site.store.connect() as store:
        assert {each.state for each in await all_rules(store, "clinic")} == {"active", "expired", "removed"}
        stored = await store.scalar(text("SELECT drift_count FROM observation ORDER BY id DESC LIMIT 1"))
    assert stored == 4


async def test_a_rule_for_another_environment_or_attribute_covers_nothing(site: Site) -> None:
    await drifted(site, "ALTER TABLE users ALTER COLUMN email DROP NOT NULL")
    await add(site, rule(pattern="public.users.email", attribute="type"))
    await add(site, rule(pattern="public.users.emai"))
    assert await drift_told(site) == ("drifted", 1, 0)
    await add(site, rule(pattern="public.users.emai?", kind="column", attribute="not null"))
    assert await drift_told(site) == ("none", 0, 1)
    async with site.store.connect() as store:
        assert len(await active_rules(store, "clinic", "dev")) == 3
        assert await active_rules(store, "clinic", "elsewhere") != ()
        assert await active_rules(store, "other", "dev") == ()


async def test_both_acts_are_in_the_audit_trail(site: Site) -> None:
    number = await add(site, rule(pattern="public.users.*", owner="Mo"))
    async with site.store.begin() as store:
        await remove_rule(store, site.configuration.project("clinic"), OPERATOR, number)
        rows = (await store.execute(select(AuditEntryRow.action, AuditEntryRow.detail))).all()
    made, removed = [row for row in rows if "rule" in row.action]
    assert (made.action, made.detail["rule"], made.detail["owner"]) == ("ignore rule made", number, "Mo")
    assert (removed.action, removed.detail["rule"]) == ("ignore rule removed", number)


def test_the_last_day_is_whole() -> None:
    assert end_of(date(2026, 12, 31)) > datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
