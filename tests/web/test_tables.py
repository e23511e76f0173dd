"""How many tables a database has is one number, wherever it is said."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import update

from tests.web.filled import facts
from tests.web.site import Site, said
from web.jobs.start import environment_row
from web.store.tables import EnvironmentStateRow


async def test_a_materialized_view_is_no_table_anywhere(site: Site) -> None:
    seen = facts(12)
    view = replace(seen.tables[0], name="monthly_revenue", kind="materialized view", rows=10**6)
    async with site.store.begin() as store:
        key, _ = await environment_row(store, "clinic", "idle")
        await store.execute(
            update(EnvironmentStateRow)
            .where(EnvironmentStateRow.environment_id == key)
            .values(facts=replace(seen, tables=(*seen.tables, view)).to_json())
        )
    page = said(await site.get("/projects/clinic/environments/idle"))
    assert "12 and 1 materialized view<" in page
    tabs = said(await site.get("/projects/clinic/environments/idle/backups"))
    assert "12 tables" in tabs, [tabs[i : i + 40] for i in range(len(tabs)) if tabs.startswith("State", i)]
    dialog = said(await site.get("/projects/clinic/environments/idle/jobs/new/reset"))
    assert "in 12 tables" in dialog
    assert "monthly_revenue" not in dialog
    told = (await site.get("/api/v1/projects/clinic/environments/idle/jobs/new/reset")).json()
    assert len(told["goes"]["tables"]) == 12
