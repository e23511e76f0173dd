"""Somebody new: signs in, looks around, asks the question, has another theme and a narrow screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open

FIRST_START = True
pytestmark = pytest.mark.xdist_group("journey first look")


def test_a_wrong_password_is_refused_and_the_right_one_lets_in(visit: Open) -> None:
    visitor = visit(signed_in=False)
    visitor.go("/projects/clinic/environments/staging")
    expect(visitor.page).to_have_title("Sign in · Clean Start")
    visitor.page.get_by_label("Name").fill("ana")
    visitor.page.get_by_label("Password").fill("not the password")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    visitor.page.get_by_label("Password").fill(visitor.demo.password)
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("clinic/staging")


def test_the_overview_tells_how_everything_stands(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    matrix = page.get_by_role("table", name="Databases")
    expect(matrix).to_contain_text("In sync")
    expect(matrix).to_contain_text("2 pending")
    expect(matrix).to_contain_text("3 pending")
    expect(matrix).to_contain_text("2 differences")
    expect(matrix).to_contain_text("build #47")
    attention = page.locator("#attention")
    expect(attention).to_contain_text("clinic/staging differs from its migrations in 2 places")
    expect(attention).to_contain_text("clinic/production is 3 migrations behind")
    expect(page.locator("#live")).to_contain_text("Live")
    expect(page.locator("#answer")).to_contain_text("Not yet: 3 migrations are pending")
    visitor.picture("overview-light")


def test_the_question_is_answered_as_one_chooses(visit: Open) -> None:
    page = visit().page
    page.get_by_label("Build").select_option("47")
    expect(page.locator("#answer")).to_contain_text("Nothing is pending")
    page.get_by_label("Environment").select_option("dev")
    expect(page.locator("#answer")).to_contain_text("No: 3 ahead")


def test_the_pending_sql_is_what_its_rehearsal_executed(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/environments/production/migrations")
    page = visitor.page
    # Rehearsed by the schedule; the page asks for itself again as soon as it is.
    expect(page.get_by_text("Rehearsed", exact=False).first).to_be_visible()
    first = page.get_by_text("Show SQL").first
    first.click()
    expect(page.locator("ol.revs")).to_contain_text("ALTER TABLE users ALTER COLUMN tenant_id SET NOT NULL")
    expect(page.locator("ol.revs")).to_contain_text("ACCESS EXCLUSIVE on public.users")
    visitor.picture("migrations-light")


def test_the_hot_fix_shows_as_two_differences(visit: Open) -> None:
    visitor = visit()
    visitor.go("/projects/clinic/environments/staging/drift")
    panel = visitor.page.locator("#panel")
    expect(panel).to_contain_text("Column checked_in_at is in the database, not in the migrations")
    expect(panel).to_contain_text("ix_appointments_checked_in_at")
    visitor.picture("drift-light")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_every_screen(visit: Open, theme: str, width: int) -> None:
    visitor = visit(color_scheme=theme)
    visitor.page.set_viewport_size({"width": width, "height": 900})
    for path in (
        "/",
        "/projects/clinic",
        "/projects/clinic/environments/production",
        "/projects/clinic/environments/production/migrations",
        "/projects/clinic/environments/staging/drift",
        "/projects/clinic/environments/dev/backups",
        "/projects/clinic/environments/dev/jobs",
        "/projects/clinic/environments/dev/jobs/new/reset",
        "/projects/clinic/builds/48",
        "/builds",
        "/jobs",
        "/audit",
        "/settings",
        "/nowhere",
    ):
        visitor.go(path)
        overflow = visitor.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} is {overflow} px too wide at {width} px"
    visitor.go("/")
    visitor.picture(f"overview-{theme}-{width}")


def test_without_script_everything_can_be_read_and_every_form_posts(visit: Open) -> None:
    visitor = visit(java_script_enabled=False)
    page = visitor.page
    page.get_by_role("link", name="production", exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("clinic/production")
    page.get_by_role("button", name="Back up").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Backup of clinic/production")
    assert "/jobs/" in page.url


def test_a_viewer_sees_but_cannot_act(visit: Open) -> None:
    visitor = visit(signed_in=False)
    visitor.sign_in("vera")
    page = visitor.page
    page.wait_for_url(f"{visitor.demo.address}/")
    visitor.go("/projects/clinic/environments/dev")
    expect(page.get_by_role("button", name="Back up")).to_be_disabled()
    expect(page.locator(".env-head")).to_contain_text("Your role does not allow it.")
    visitor.go("/audit")
    expect(page.get_by_role("heading", level=1)).to_have_text("This operation is not allowed")
