"""Is build #48 ready for production? One answer on the page, in the API and on the command line; before and after."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Demo, Open, Visitor

pytestmark = pytest.mark.xdist_group("journey build 48")

#: What was rehearsed with a copied demo's source somewhere else does not count for production.
FIRST_START = True
PRODUCTION = "/projects/clinic/environments/production"
ANSWER = "/api/v1/projects/clinic/builds/48/environments/production"


def run_job(visitor: Visitor, button: str, *, typed: str | None = None) -> None:
    """Press a button of the page, answer its dialog, and wait for the job's good end."""
    page = visitor.page
    page.get_by_role("link", name=button).or_(page.get_by_role("button", name=button)).first.click()
    if typed is not None:
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("to confirm").fill(typed)
        dialog.locator("button[type=submit]").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok")


def api(page: Page, demo: Demo) -> dict[str, object]:
    answer = page.request.get(demo.address + ANSWER)
    assert answer.status == 200
    found: dict[str, object] = answer.json()
    return found


def test_before_three_migrations_are_pending_everywhere(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/builds/48?environment=production")
    page = visitor.page
    expect(page.get_by_role("heading", name="Not yet: 3 migrations are pending")).to_be_visible()
    expect(page.locator("main")).to_contain_text(
        "Production is at 7be5a90f13d6; build #48 ends at 1c7f5e8d2a46."
    )
    visitor.picture("build-light")
    found = api(page, visitor.demo)
    assert found["verdict"] == "pending"
    assert len(found["pending"]) == 3  # type: ignore[arg-type]
    checked = visitor.demo.run("check", "clinic/production", "--build", "48", "--format", "json")
    assert checked.returncode == 1, checked.stderr
    assert json.loads(checked.stdout)["verdict"] == "pending"
    assert visitor.demo.run("check", "clinic/dev", "--build", "48").returncode == 0
    assert visitor.demo.run("check", "clinic/dev", "--build", "47").returncode == 2
    assert visitor.demo.run("check", "clinic/nowhere", "--build", "48").returncode == 3


def test_a_token_of_ci_gets_the_same_answer_over_http(visit: Open) -> None:
    visitor = visit()
    made = visitor.demo.run(
        "tokens", "create", "ci", "--project", "clinic", "--role", "operator", "--format", "json"
    )
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    remote = {"CLEANSTART_URL": visitor.demo.address, "CLEANSTART_TOKEN": token}
    checked = visitor.demo.run("check", "clinic/production", "--build", "48", **remote)
    assert checked.returncode == 1, checked.stderr
    assert httpx.get(visitor.demo.address + ANSWER).status_code == 401


def test_production_is_migrated_once_everything_is_proven(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(PRODUCTION)
    page.get_by_role("button", name="Back up").click()
    expect(page.locator("#job-head")).to_contain_text("Backed up, not verified")
    visitor.go(f"{PRODUCTION}/backups")
    page.get_by_role("link", name="Verify").click()
    page.get_by_role("dialog").locator("button[type=submit]").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok")
    visitor.go(f"{PRODUCTION}/migrations")
    expect(page.locator("#panel")).to_contain_text("Show SQL")
    run_job(visitor, "Apply 3 migrations", typed="clinic/production")


def test_afterwards_the_answer_is_yes_everywhere(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/builds/48?environment=production")
    page = visitor.page
    expect(page.get_by_role("heading", name="Yes: nothing is pending")).to_be_visible()
    assert api(page, visitor.demo)["verdict"] == "in sync"
    checked = visitor.demo.run("check", "clinic/production", "--build", "48", "--gate")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    recorded = visitor.demo.run("record-deployment", "clinic/production", "--build", "48")
    assert recorded.returncode == 0, recorded.stderr
    visitor.go("/")
    expect(page.get_by_role("table", name="Databases")).to_contain_text("build #48")
    badge = page.request.get(
        visitor.demo.address + "/projects/clinic/builds/48/environments/production/badge.svg"
    )
    assert "In sync" in badge.text()
