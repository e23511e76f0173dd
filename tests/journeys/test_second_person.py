"""A second person approves: Ana asks, Omar is told and decides, Ana goes on from the page that she is on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Open, served_with

pytestmark = pytest.mark.xdist_group("journey second person")

STAGING = "/projects/clinic/environments/staging"


@pytest.fixture(scope="module")
def careful(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, seen through a web server whose configuration wants an approval on staging."""
    changes = {'tier = "staging"\n': 'tier = "staging"\napprovals = 1\n'}
    with served_with(demo, changes, tmp_path_factory.mktemp("careful")) as served:
        yield served


def test_somebody_else_approves_and_it_runs(visit: Open, careful: Demo) -> None:
    ana = visit(signed_in=False)
    ana.demo = careful
    ana.sign_in()
    page = ana.page
    # Only the approval is missing: a demo that was just made is rehearsed first.
    ana.go(f"{STAGING}/migrations")
    expect(page.get_by_text("Rehearsed", exact=False).first).to_be_visible()
    ana.go(STAGING)
    page.get_by_role("link", name="Apply 2 migrations").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Not approved")
    expect(dialog.get_by_role("button", name="Apply 2 migrations")).to_be_disabled()
    dialog.get_by_role("link", name="Ask for approval").click()
    expect(page.get_by_role("heading", name="Ask for approval: Apply 2 migrations")).to_be_visible()
    page.get_by_label("Reason").fill("Release 48 goes out at noon.")
    page.get_by_role("button", name="Ask for approval").click()
    page.wait_for_url(re.compile(r"/approvals/\d+$"))
    request = page.url
    expect(page.locator("#content")).to_contain_text("You asked for it yourself.")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.locator("#rail-waiting")).to_contain_text("1 open")
    ana.picture("approval-light")

    omar = visit(signed_in=False)
    omar.demo = careful
    omar.sign_in("omar", careful.password)
    attention = omar.page.locator("#attention li", has_text="waits for an approval")
    expect(attention).to_contain_text("clinic/staging")
    attention.get_by_role("link", name="Decide").click()
    omar.page.wait_for_url(request)
    expect(omar.page.locator("#content")).to_contain_text("Release 48 goes out at noon.")
    expect(omar.page.locator("#content")).to_contain_text("backfill tenant_id and reference in batches")
    omar.page.get_by_role("button", name="Reject").click()
    expect(omar.page.locator("#content, #refusals").first).to_contain_text("A rejection needs a reason")
    omar.page.get_by_label("Note").fill("Read it with the on-call.")
    omar.page.get_by_role("button", name="Approve").click()
    expect(omar.page.locator("#content")).to_contain_text("Approved by")

    # Ana's page says so by itself, and leads on.
    expect(page.locator("#content")).to_contain_text("Read it with the on-call.")
    page.get_by_role("link", name="Apply 2 migrations…").click()
    again = page.get_by_role("dialog")
    expect(again).to_contain_text("Approved")
    again.get_by_role("button", name="Apply 2 migrations").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    ana.go("/approvals")
    expect(page.locator("#content")).to_contain_text("Nothing waits for approval.")
    expect(page.get_by_role("row", name=re.compile("Used"))).to_contain_text("clinic")
