"""Drift on staging: seen, ignored until a day, planned, reverted; then any two sources side by side."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open, Visitor

pytestmark = pytest.mark.xdist_group("journey drift staging")

STAGING = "/projects/clinic/environments/staging"


def plan(visitor: Visitor, *, with_loss: bool = False) -> None:
    """Plan the revert from the Drift page and come back to it."""
    page = visitor.page
    page.get_by_role("link", name="Plan").first.click()
    dialog = page.get_by_role("dialog")
    if with_loss:
        dialog.get_by_label("Also what loses data").check()
    dialog.get_by_role("button", name="Plan the revert").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_have_attribute("data-status", "ok")
    expect(
        page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Clinic")
    ).to_be_visible()
    page.get_by_role("link", name=re.compile("Read the plan|See the drift")).click()
    page.wait_for_url(re.compile(r"/drift$"))


def test_an_index_is_ignored_until_a_day(visit: Open) -> None:
    visitor = visit()
    visitor.go(f"{STAGING}/drift")
    page = visitor.page
    expect(page.locator("#panel")).to_contain_text("2 differences")
    item = page.locator(".drift-item", has_text="ix_appointments_checked_in_at")
    item.get_by_role("link", name="Ignore until…").click()
    expect(page.get_by_label("Object")).to_have_value("public.ix_appointments_checked_in_at")
    page.get_by_label("Reason").fill("The reception's screen needs it until the next release.")
    page.get_by_role("button", name="Ignore until then").click()
    expect(page.get_by_role("row", name="ix_appointments_checked_in_at")).to_contain_text("In force")
    page.set_viewport_size({"width": 390, "height": 844})
    remove = page.get_by_role("button", name="Remove").bounding_box()
    assert remove
    assert remove["height"] < 40, "broken into letters"
    page.set_viewport_size({"width": 1440, "height": 960})
    visitor.go(f"{STAGING}/drift")
    expect(page.locator("#panel")).to_contain_text("1 difference, 1 ignored")
    page.get_by_text("1 difference ignored").click()
    expect(page.locator("#panel")).to_contain_text("Ana Ruiz answers for it")
    visitor.picture("drift-ignored-light")


def test_what_would_lose_data_is_left_unless_it_is_asked_for(visit: Open) -> None:
    visitor = visit()
    visitor.go(f"{STAGING}/drift")
    plan(visitor)
    panel = visitor.page.locator("#panel")
    expect(panel).to_contain_text("Stays as it is")
    expect(panel.get_by_role("button", name="Revert…")).to_be_disabled()


def test_the_rule_is_removed_and_all_of_it_is_reverted(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic/ignore-rules")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("row", name="ix_appointments_checked_in_at")).to_contain_text("Removed")
    done = visitor.demo.run("backup", "clinic/staging", "--wait")
    assert done.returncode == 0, done.stderr
    done = visitor.demo.run("verify", "clinic/staging", "--wait")
    assert done.returncode == 0, done.stderr

    visitor.go(f"{STAGING}/drift")
    plan(visitor, with_loss=True)
    panel = page.locator("#panel")
    expect(panel).to_contain_text("Proven on a scratch copy")
    expect(panel).to_contain_text("May lose data")
    visitor.picture("drift-repair-light")
    panel.get_by_role("link", name="Revert…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("DROP COLUMN")
    expect(dialog).to_contain_text("Proven on a scratch copy")
    button = dialog.get_by_role("button", name="Revert the drift of clinic/staging")
    expect(button).to_be_disabled()
    dialog.get_by_label("to confirm").fill("clinic/staging")
    button.click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head")).to_contain_text("Reverted")
    visitor.go(f"{STAGING}/drift")
    expect(page.locator("#panel")).to_contain_text("The schema is what the migrations say")


def test_two_sources_side_by_side(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic")
    page.get_by_role("link", name="Compare…").click()
    page.get_by_label("Expected").fill("clinic/dev")
    page.get_by_label("Actual").fill("clinic/staging")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(re.compile(r"/comparison\?a="))
    # It shows what was found as soon as it is there.
    expect(page.locator("#content")).to_contain_text(re.compile(r"\d+ difference"))
    expect(page.locator(".drift-item").first).to_contain_text("clinic/staging")
    # The answer and its age stand in one line.
    answer, age = (page.locator(f".answer > {each}").first.bounding_box() for each in (".status", ".push"))
    assert answer
    assert age
    assert answer["y"] <= age["y"] + age["height"] / 2 <= answer["y"] + answer["height"]
    assert answer["x"] + answer["width"] < age["x"]
    # On a narrow screen a side that has nothing takes one line, whatever the other takes.
    page.set_viewport_size({"width": 390, "height": 844})
    empty = page.locator(".drift-item pre:has(.gap)").evaluate_all(
        "all => all.map((pre) => [...pre.children].filter((line) => line.offsetParent).length)"
    )
    assert empty
    assert set(empty) == {1}
    page.set_viewport_size({"width": 1440, "height": 960})
    visitor.picture("comparison-light")
    page.get_by_label("Expected").fill("env:PATH")
    page.get_by_role("button", name="Compare again").click()
    expect(page.locator("#refusals")).to_contain_text("command line only")


def test_what_was_done_by_hand_becomes_a_migration(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.demo.query("dev", "CREATE INDEX ix_patients_by_hand ON patients (id)")
    visitor.go("/projects/clinic/environments/dev/drift")
    page.get_by_role("button", name="Compare now").click()
    expect(page.locator("#panel")).to_contain_text("1 difference")
    page.get_by_role("link", name="Adopt…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Message").fill("index made by hand")
    dialog.get_by_role("button", name="Write the migration").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    page.get_by_role("link", name="See the migration").click()
    content = page.locator("#content")
    expect(content).to_contain_text("Proven in a scratch database")
    expect(content).to_contain_text(
        "op.create_index(op.f('ix_patients_by_hand'), 'patients', ['id'], unique=False)"
    )
    visitor.picture("adoption-light")
    with page.expect_download() as file:
        page.get_by_role("link", name="Download the file").click()
    assert "_index_made_by_hand" in file.value.suggested_filename
    # It is nowhere but here: the dev database is still one difference away from its migrations.
    visitor.go("/projects/clinic/environments/dev/drift")
    expect(page.locator("#panel")).to_contain_text("1 difference")
