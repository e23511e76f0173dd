"""The audit trail's page: newest first, filtered, whole or not."""

from __future__ import annotations

import asyncio

import psycopg

from tests.web.site import Site, said
from web.access import audit


async def fill(site: Site, count: int) -> None:
    async with site.store.begin() as store:
        for number in range(count):
            await audit.append(store, actor="user:ada", action="backup", object=f"clinic/e{number % 3}")


async def test_pages_and_filters(site: Site) -> None:
    await fill(site, 150)
    first = await site.get("/audit")
    assert "100 entries" in first.text
    older = await site.get("/audit?before=54")
    assert "53 entries" in older.text
    filtered = await site.get("/audit?q=ADA&project=clinic")
    assert "100 entries" in filtered.text
    assert "1 entry" in (await site.get("/audit?only=refused")).text
    for pattern in ("%", "_", "\\"):
        assert "user:ada" not in (await site.get("/audit", params={"q": pattern})).text
    assert "Unbroken, 153 entries" in said(first)


async def test_a_rule_is_told_with_what_it_covers(site: Site) -> None:
    detail = {"object_pattern": "public.tmp_*", "reason": "gone in March"}
    async with site.store.begin() as store:
        await audit.append(
            store, actor="user:ada", action="ignore rule made", object="clinic/dev", detail=detail
        )
    assert "Ignore rule made for public.tmp_*: gone in March" in said(await site.get("/audit"))


async def test_a_changed_entry_is_seen(site: Site) -> None:
    with psycopg.connect(site.superuser_url) as connection:
        connection.execute("UPDATE audit_entry SET actor = 'user:somebody' WHERE id = 2")
    page = await site.get("/audit")
    assert "Not whole: entry 2 was changed" in said(page)
    chain = (await site.get("/api/v1/audit/chain")).json()
    assert (chain["intact"], chain["problem"]) == (False, "entry 2 was changed")


async def test_many_readers_do_not_wait_for_each_other(site: Site) -> None:
    """The walk takes a connection of its own: more readers than the pool has connections still all get through."""
    pages = await asyncio.wait_for(asyncio.gather(*(site.get("/audit") for _ in range(60))), 25)
    assert {page.status_code for page in pages} == {200}
