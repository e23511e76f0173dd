"""Migrating staging while the page streams: cancelled half way, then to its end; reloaded and cut off in between."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey migrate staging")

STAGING = "/projects/clinic/environments/staging"


def apply_pending(page: Page, count: str) -> None:
    """Open the dialog, read what would run, start it."""
    page.get_by_role("link", name=f"Apply {count}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This is the database that answered")
    expect(dialog).to_contain_text("clinic_staging")
    expect(dialog).to_contain_text("backfill tenant_id and reference in batches")
    dialog.get_by_role("button", name=f"Apply {count}").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))


def log_numbers(page: Page) -> list[int]:
    return [int(n) for n in page.locator("#log li").evaluate_all("lines => lines.map(l => l.dataset.seq)")]


def test_a_long_migration_is_cancelled_in_its_true_state(visit: Open) -> None:
    visitor = visit()
    visitor.go(STAGING)
    page = visitor.page
    apply_pending(page, "2 migrations")
    # It streams: the head names the step, the statement that runs is shown, the log grows without a reload.
    expect(page.locator("#job-statement")).to_contain_text("UPDATE appointments")
    expect(page.locator("#log")).to_contain_text("92ad3e6f7b10")
    visitor.picture("job-light")
    page.get_by_role("link", name="Cancel job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel job").click()
    # It says where the database stands, and that nobody can say whether the statement that ran took effect.
    ended = page.locator("#job-head[data-ended]")
    expect(ended).to_contain_text("Ana Ruiz asked for it")
    expect(ended).to_contain_text("f4128cd06b97")
    visitor.go(f"{STAGING}/migrations")
    expect(page.locator("#panel")).to_contain_text("2 pending")


def test_reloading_or_losing_the_connection_loses_nothing(visit: Open) -> None:
    visitor = visit()
    visitor.go(STAGING)
    page = visitor.page
    apply_pending(page, "2 migrations")
    expect(page.locator("#job-statement")).to_contain_text("UPDATE appointments")
    page.reload()
    before = len(log_numbers(page))
    page.context.set_offline(True)
    expect(page.locator("#live")).to_contain_text("Offline")
    page.context.set_offline(False)
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    numbers = log_numbers(page)
    assert len(numbers) > before
    assert numbers == sorted(set(numbers)), "every line once, in order"
    seen = set(numbers)
    page.reload()
    assert seen <= set(log_numbers(page))
    expect(page.locator("#live")).to_have_count(0)


def test_afterwards_staging_is_at_head_and_the_hot_fix_is_still_drift(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    expect(page.locator("#attention")).not_to_contain_text("staging is 2 migrations behind")
    visitor.go(STAGING)
    expect(page.locator("#env-facts")).to_contain_text("In sync")
    expect(page.locator("#env-facts")).to_contain_text("2 differences")
    expect(page.locator(".env-head")).to_contain_text("Nothing is pending.")
