"""Backing up and verifying dev, then resetting it: with a wrong name, with the right one, never on production."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey reset dev")

DEV = "/projects/clinic/environments/dev"


def test_reset_is_closed_until_there_is_a_verified_backup(visit: Open) -> None:
    visitor = visit()
    visitor.go(DEV)
    page = visitor.page
    page.get_by_role("link", name="Reset…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No verified backup within 24 h")
    expect(dialog.get_by_role("button", name="Reset clinic/dev")).to_be_disabled()
    dialog.get_by_role("link", name="Keep the data").click()
    expect(dialog).to_have_count(0)


def test_a_backup_is_made_and_proven_by_a_restore(visit: Open) -> None:
    visitor = visit()
    visitor.go(f"{DEV}/backups")
    page = visitor.page
    page.get_by_role("button", name="Back up").first.click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_contain_text("Backed up, not verified")
    visitor.go(f"{DEV}/backups")
    expect(page.locator("#panel")).to_contain_text("Not verified")
    page.get_by_role("link", name="Verify").click()
    page.get_by_role("dialog").get_by_role("button", name="Verify").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok")
    visitor.go(f"{DEV}/backups")
    expect(page.locator("#panel")).to_contain_text("restored and equal")


def test_the_wrong_name_is_refused_and_the_right_one_resets(visit: Open) -> None:
    visitor = visit()
    visitor.go(DEV)
    page = visitor.page
    page.get_by_role("link", name="Reset…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Is removed")
    expect(dialog).to_contain_text("object storage")
    expect(dialog).to_contain_text("clinic_dev")
    button = dialog.get_by_role("button", name="Reset clinic/dev")
    field = dialog.get_by_label("to confirm")
    field.fill("clinic/production")
    expect(button).to_be_disabled()
    # The server checks too: a script may have switched the button on.
    button.evaluate("button => { button.disabled = false; button.click(); }")
    expect(page.get_by_role("dialog")).to_contain_text("Nothing was started.")
    visitor.picture("reset-light")
    page.get_by_role("dialog").get_by_label("to confirm").fill("clinic/dev")
    page.get_by_role("dialog").get_by_role("button", name="Reset clinic/dev").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok")
    # The navigation of the job's page hears of the end too; rehearsals of the others may be running.
    mark = page.locator("#rail").get_by_role("listitem").filter(has_text="dev")
    expect(mark).to_have_count(1)
    expect(mark).not_to_contain_text("job running")
    visitor.go(f"{DEV}/migrations")
    expect(page.locator("#env-facts")).to_contain_text("In sync")
    expect(page.locator("#env-facts")).to_contain_text("No difference")


def test_the_audit_trail_has_it_all(visit: Open) -> None:
    visitor = visit()
    visitor.go("/audit")
    page = visitor.page
    expect(page.locator("#entries")).to_contain_text("Reset refused")
    expect(page.locator("#entries")).to_contain_text("Verify")
    expect(page.locator("main")).to_contain_text("Unbroken")


def test_production_has_no_such_thing(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/environments/production")
    page = visitor.page
    expect(page.get_by_role("link", name="Reset")).to_have_count(0)
    expect(page.locator(".env-head")).to_contain_text("No reset here")
    visitor.go("/projects/clinic/environments/production/jobs/new/reset")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    answer = httpx.post(
        f"{visitor.demo.address}/projects/clinic/environments/production/jobs/reset",
        cookies=cookies,
        headers={"Origin": visitor.demo.address},
        data={"csrf_token": page.locator('input[name="csrf_token"]').first.get_attribute("value") or ""},
    )
    assert answer.status_code == 404
