"""What is pressed is answered: looks, confirmations, backups, the list of jobs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey answers")


def test_a_look_ends_in_words_and_the_focus_stays(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic/environments/staging/drift")
    expect(page.locator("#live")).to_have_text("Live", use_inner_text=True)
    for name in ("Compare now", "Check now"):
        button = page.get_by_role("button", name=name)
        button.focus()
        page.keyboard.press("Enter")
        toast = page.locator("[data-toast]", has_text="Checked clinic/staging")
        expect(toast).to_contain_text("2 differences")
        expect(button).to_be_focused()
        toast.get_by_label("Dismiss").click()
    expect(page.locator("[data-toast]", has_text="Checking")).to_have_count(0)
    visitor.go("/")
    page.get_by_role("button", name="Check all now").click()
    expect(page.locator("[data-toast]")).to_contain_text("Checking 3 databases")


def test_the_answer_and_the_summary_follow_the_looks(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    looked = page.locator("#answer time")
    oldest = page.locator("#summary time")
    expect(page.locator("#live")).to_have_text("Live", use_inner_text=True)
    before = looked.get_attribute("datetime"), oldest.get_attribute("datetime")
    page.get_by_role("button", name="Check all now").click()
    expect(looked).not_to_have_attribute("datetime", str(before[0]))
    expect(oldest).not_to_have_attribute("datetime", str(before[1]))
    # Who has chosen another question gets that one's answer anew.
    page.get_by_label("Environment").select_option("dev")
    expect(page.locator("#answer")).to_contain_text("Dev is at")
    chosen = str(looked.get_attribute("datetime"))
    page.get_by_role("button", name="Check all now").click()
    expect(looked).not_to_have_attribute("datetime", chosen)
    expect(page.locator("#answer")).to_contain_text("Dev is at")


def test_a_wrong_name_is_told_while_it_is_typed(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic/environments/production")
    expect(page.get_by_role("heading", level=1)).to_have_text("clinic/production")
    visitor.go("/projects/clinic/environments/production/jobs/new/migrate")
    field = page.get_by_label("to confirm")
    told = page.get_by_text("This is not clinic/production.")
    field.press_sequentially("clinic")
    expect(told).to_be_hidden()
    field.press("Enter")
    expect(told).to_be_visible()
    field.press_sequentially(" / production")
    expect(told).to_be_visible()
    field.fill("clinic/production")
    expect(told).to_be_hidden()


def test_a_backup_is_not_green_before_its_proof_which_is_offered(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/jobs")
    expect(page.locator("#live")).to_have_text("Live", use_inner_text=True)
    watching = page.context.new_page()
    watching.goto(f"{visitor.demo.address}/projects/clinic/environments/staging")
    watching.get_by_role("button", name="Back up").click()
    head = watching.locator("#job-head")
    expect(head).to_contain_text("Backed up, not verified")
    expect(head).to_have_attribute("data-status", "queued")
    # The list of jobs has it without being asked for again.
    backup = page.locator("#jobs tbody tr").filter(has_text="Backup").filter(has_text="staging")
    expect(backup.first).to_be_visible()
    watching.goto(f"{visitor.demo.address}/projects/clinic/environments/staging")
    expect(watching.locator("#env-facts")).to_contain_text(re.compile("not verified"))
    watching.go_back()
    watching.get_by_role("link", name="Verify this backup").click()
    dialog = watching.get_by_role("dialog")
    expect(dialog).to_contain_text("The database of clinic/staging is not touched.")
    expect(dialog).not_to_contain_text("the database that answered")
    dialog.get_by_role("button", name="Verify").click()
    expect(watching.locator("#job-head")).to_contain_text("Verified")
    watching.goto(f"{visitor.demo.address}/projects/clinic/environments/staging")
    expect(watching.locator("#env-facts")).to_contain_text(
        re.compile(r"\d+ \w+ ago, verified|just now, verified")
    )


def test_the_badge_is_pasted_with_a_whole_address(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/builds/48")
    expect(visitor.page.locator("#badge-markdown")).to_contain_text(
        f"[![build #48 on production]({visitor.demo.address}/projects/clinic/builds/48/"
    )
    expect(visitor.page.locator("main")).to_contain_text("public_url is not set")
