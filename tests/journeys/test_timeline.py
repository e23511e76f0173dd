"""Who changed the schema: a migrate, seen on its job and on the timeline; then somebody by hand."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey timeline")

STAGING = "/projects/clinic/environments/staging"


def entries(page: Page) -> list[str]:
    return page.locator(".timeline > li > div > .row:first-child + p b").all_inner_texts()


def test_a_migrate_says_what_it_changed_as_soon_as_it_ends(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(STAGING)
    page.get_by_role("link", name="Apply 2 migrations").click()
    page.get_by_role("dialog").get_by_role("button", name="Apply 2 migrations").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    # The page was there before the job ended, and was not loaded again.
    expect(page.locator("#job-schema")).to_be_empty()
    changed = page.locator("#job-schema")
    expect(changed).to_contain_text("What changed in the schema")
    changed.get_by_text("Show 11 differences").click()
    expect(changed).to_contain_text("Table public.sessions was removed")
    live = changed.inner_text()
    page.reload()
    changed.get_by_text("Show 11 differences").click()
    assert changed.inner_text() == live
    said = visitor.demo.run("job", page.url.rpartition("/")[2])
    assert re.search(r"schema: \d+ differences \(snapshot:", said.stdout), said.stdout + said.stderr
    changed.get_by_role("link", name="Timeline").click()
    expect(page.locator(".timeline > li").first).to_contain_text("asked for by Ana Ruiz")
    assert entries(page) == ["By", "The first check that is kept"]


def test_what_nobody_we_know_changed_looks_so(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.demo.query("staging", "ALTER TABLE patients ADD COLUMN hot_fix text")
    visitor.go(f"{STAGING}/timeline")
    page.get_by_role("button", name="Check now").click()
    newest = page.locator(".timeline > li").first
    expect(newest).to_contain_text("By nobody we know")
    expect(newest).to_contain_text("1 column added")
    assert entries(page) == ["By nobody we know", "By", "The first check that is kept"]
    newest.get_by_text("Show 1 difference").click()
    expect(newest).to_contain_text("Column hot_fix was added")
    visitor.picture("timeline-light")
    said = visitor.demo.run("timeline", "clinic/staging")
    assert "nobody we know" in said.stdout, said.stdout + said.stderr
    names = newest.locator(".snapshots pre").text_content() or ""
    compared = visitor.demo.run(*names.split()[1:])
    assert compared.returncode == 1, compared.stdout + compared.stderr
    assert "hot_fix" in compared.stdout


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1440, "light")])
def test_it_fits_and_is_read_without_script(visit: Open, width: int, theme: str) -> None:
    visitor = visit(java_script_enabled=False, color_scheme=theme)
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    visitor.go(f"{STAGING}/timeline")
    page.get_by_text("Show 1 difference").click()
    expect(page.locator(".drift-item").first).to_be_visible()
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] <= width
