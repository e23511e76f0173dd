"""A clean start by clicking: surveyed, one migration in place of twenty, in the repository, and dev is at it."""

from __future__ import annotations

import re
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open, Visitor

pytestmark = pytest.mark.xdist_group("journey clean start")

PROJECT = "/projects/clinic"
DEV = f"{PROJECT}/environments/dev"


def start(page: Page, button: str, submit: str, typed: str | None = None) -> None:
    """Open a dialog, answer it, and wait for the job to succeed."""
    page.get_by_role("link", name=button).first.click()
    answer(page, submit, typed)


def answer(page: Page, submit: str, typed: str | None = None) -> None:
    dialog = page.get_by_role("dialog")
    if typed is not None:
        dialog.get_by_label(re.compile("Type")).fill(typed)
    dialog.get_by_role("button", name=submit).click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok", timeout=120_000)


def git(visitor: Visitor, *arguments: str) -> str:
    folder = visitor.demo.configuration.parent / "clinic"
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_it_would_stand_on(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(PROJECT)
    start(page, "Survey…", "Survey Clinic")
    page.get_by_role("link", name="See the survey").click()
    expect(page.get_by_role("heading", name="Survey of Clinic")).to_be_visible()
    expect(page.locator("main")).to_contain_text("A clean start is recommended")
    expect(page.locator("main")).to_contain_text("Changes were made by hand: staging differs from it.")
    rows = page.locator(".surveyed > li")
    expect(rows.nth(0)).to_contain_text("Reset: everything is dropped")
    expect(rows.nth(1)).to_contain_text("Repair, then stamp")
    expect(rows.nth(2)).to_contain_text("Stamp: data stay")
    visitor.picture("survey-light")


def test_one_migration_in_place_of_twenty(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(PROJECT)
    start(page, "Make a baseline…", "Make a baseline of Clinic")
    page.get_by_role("link", name="See the baseline").click()
    expect(page.locator("main")).to_contain_text("Proven in a scratch database")
    # The roles that the old migrations inserted come along only where somebody says so.
    page.get_by_label("public.roles").check()
    page.get_by_role("button", name="Make it again with these rows…").click()
    expect(page.get_by_role("dialog").get_by_label("Rows of these tables")).to_have_value("public.roles")
    answer(page, "Make a baseline of Clinic")
    expect(page.locator("#job-head")).to_contain_text("4 rows of 1 look-up table came along")
    page.get_by_role("link", name="See the baseline").click()
    expect(page.get_by_label("public.roles")).to_be_checked()
    visitor.picture("baseline-light")

    page.get_by_role("link", name="Write it into the source…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("clinic/staging lacks 2 migrations")
    expect(dialog).to_contain_text("clinic/production lacks 3 migrations")
    answer(page, "Write the baseline into the source of Clinic")
    assert git(visitor, "status", "--porcelain") == ""
    assert git(visitor, "branch", "--show-current").startswith("clean-start/")
    page.get_by_role("link", name="See the baseline").click()
    expect(page.get_by_role("link", name="Take it back…")).to_be_visible()


def test_dev_is_brought_over(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(DEV)
    page.get_by_role("button", name="Check now").click()
    expect(page.locator("main")).to_contain_text("Before the clean start", timeout=60_000)
    start(page, "Restamp…", "Restamp clinic/dev", "clinic/dev")
    expect(page.locator("#job-head")).to_contain_text("Drift afterwards: no difference.")
    visitor.go(DEV)
    expect(page.locator("main")).to_contain_text("In sync")


def test_production_waits_for_its_migrations_and_the_source_goes_back(visit: Open) -> None:
    """It is not at the end of the old history: nothing is offered there that would not be true."""
    visitor = visit()
    page = visitor.page
    visitor.go(f"{PROJECT}/environments/production")
    page.get_by_role("button", name="Check now").click()
    expect(page.locator("main")).to_contain_text("Before the clean start", timeout=60_000)
    expect(page.get_by_role("button", name="Restamp…").first).to_be_disabled()
    expect(page.locator("main")).to_contain_text("at 17 of 20 of the history that was archived")
