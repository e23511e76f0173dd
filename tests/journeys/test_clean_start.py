"""A clean start by clicking, survey to report: dev is reset, staging repaired, production approved by two."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotInTime

from tests.journeys.conftest import Demo, Open, Visitor, served_with

pytestmark = pytest.mark.xdist_group("journey clean start")

RUN = "/projects/clinic/clean-start"


@pytest.fixture(scope="module")
def careful(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, seen through a web server whose configuration wants an approval on production."""
    with served_with(demo, {"approvals = 0": "approvals = 1"}, tmp_path_factory.mktemp("careful")) as served:
        yield served


@pytest.fixture
def visit(visit: Open) -> Iterator[Open]:
    """Windows whose consoles have nothing to say: nothing is refused on this way."""
    opened: list[Visitor] = []

    def open_window(**options: Any) -> Visitor:
        opened.append(visit(**options))
        return opened[-1]

    yield open_window
    assert [error for each in opened for error in each.errors] == []


def at(page: Page, name: str) -> Locator:
    """A step, once it is the one that is gone through."""
    step = page.locator(f"#step-{name}")
    expect(step).to_have_attribute("aria-current", "step")
    return step


def ask(page: Page, button: str, submit: str, typed: str | None = None) -> None:
    """Open the dialog of a step's act, answer it, and come back to the run."""
    page.get_by_role("link", name=button, exact=True).click()
    answer(page, submit, typed)


def answer(page: Page, submit: str, typed: str | None = None) -> None:
    dialog = page.get_by_role("dialog")
    if typed is not None:
        dialog.get_by_label(re.compile("Type")).fill(typed)
    dialog.get_by_role("button", name=submit).click()
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile(f"{RUN}$"))


def accept(step: Locator, reason: str) -> None:
    """Answer for what the step names first."""
    form = step.locator(".checks > li > .more").first
    form.locator("summary").click()
    form.get_by_label("Reason").fill(reason)
    form.get_by_role("button", name="Accept").click()
    expect(step.page.locator("main")).to_contain_text(f": {reason}")


def git(visitor: Visitor, *arguments: str) -> str:
    folder = visitor.demo.configuration.parent / "clinic"
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def see(visitor: Visitor, *paths: str) -> None:
    """Read pages on a wide and a narrow screen, by ear as well."""
    for path in paths:
        for width in (390, 1440):
            visitor.page.set_viewport_size({"width": width, "height": 960})
            visitor.go(path)
            assert (path, width, visitor.barriers()) == (path, width, [])
            assert (path, width, visitor.overflow()) == (path, width, 0)


def test_the_survey_recommends_and_it_begins(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    page.get_by_role("link", name="Survey…").click()
    page.get_by_role("dialog").get_by_role("button", name="Survey Clinic").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    page.get_by_role("link", name="See the survey").click()
    expect(page.locator("main")).to_contain_text("A clean start is recommended")
    expect(page.locator("main")).to_contain_text("Changes were made by hand: staging differs from it.")
    visitor.picture("survey-light")
    see(visitor, RUN)
    visitor.picture("clean-start-begin-light")
    chosen = [
        page.get_by_label(f"Strategy of {name}").locator("option[selected]").text_content()
        for name in ("dev", "staging", "production")
    ]
    assert chosen == ["Reset", "Repair, then stamp", "Stamp"]
    # Production is never reset: nobody can choose it.
    offered = page.get_by_label("Strategy of production").locator("option").all_text_contents()
    assert offered == ["Fresh database beside", "Stamp", "Repair, then stamp", "Leave out"]
    page.get_by_role("button", name="Begin the clean start").click()
    at(page, "back-up")


def test_backed_up_made_and_proven(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    at(page, "back-up").get_by_role("button", name="Back up all 3").click()

    step = at(page, "baseline")
    ask(page, "Make the baseline…", "Make a baseline of Clinic")
    expect(step).to_contain_text("A database that it makes has none of public.roles")
    page.get_by_role("link", name="Make it again with these rows…").click()
    expect(page.get_by_role("dialog").get_by_label("Rows of these tables")).to_have_value("public.roles")
    answer(page, "Make a baseline of Clinic")

    at(page, "proof").get_by_role("button", name="Compare with everything").click()
    models = at(page, "proof").locator(".checks > li", has_text="The models: 9 differences")
    expect(models).to_be_visible()
    expect(at(page, "proof")).to_contain_text("clinic/staging: 2 differences, which are repaired")
    # One that was read by itself, the rest together.
    step.page.get_by_text("Accept them one by one, 9 differences").click()
    one = page.get_by_role("list", name="Differences").get_by_role("listitem").first
    one.locator("summary").click()
    one.get_by_label("Reason").fill("Named by an older convention.")
    one.get_by_role("button", name="Accept").click()
    expect(models).to_contain_text("8 of them not accepted")
    accept(at(page, "proof"), "The models are renamed with build 49.")
    at(page, "rehearsal")


def test_rehearsed_and_committed(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "rehearsal")
    step.get_by_role("button", name="Rehearse", exact=True).click()
    staging = step.locator(".checks > li", has_text="clinic/staging was rehearsed on a copy")
    expect(staging).to_contain_text("1 statement may lose data.")
    visitor.picture("clean-start-light")
    see(visitor, RUN)
    page.get_by_role("link", name="See the rehearsal").click()
    expect(page.locator("main")).to_contain_text("Every act came to its end")
    see(visitor, page.url.removeprefix(visitor.demo.address))
    visitor.go(RUN)
    page.get_by_role("link", name="Write it into the source…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("clinic/production lacks 3 migrations")
    expect(dialog).to_contain_text("They are applied from the archive afterwards")
    answer(page, "Write the change set into the source of Clinic")
    at(page, "apply")
    assert git(visitor, "status", "--porcelain") == ""
    assert git(visitor, "branch", "--show-current").startswith("clean-start/")


def rehearse(step: Locator, name: str) -> None:
    """Have what an environment lacks rehearsed, unless the schedule was quicker."""
    button = step.get_by_role("button", name=f"Rehearse what {name} lacks")
    onward = step.get_by_role("link", name=f"Apply what {name} lacks…")
    expect(button.or_(onward).first).to_be_visible()
    with suppress(NotInTime):
        button.click(timeout=3000)
    expect(onward).to_be_visible(timeout=60_000)


def test_dev_is_reset(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "apply")
    expect(step).to_contain_text("Nothing in the source migrates when the application of clinic/dev starts")
    ask(page, "Reset dev…", "Reset clinic/dev", "clinic/dev")
    expect(step).to_contain_text("clinic/dev is at the baseline, and its schema is that")


def test_staging_catches_up_and_is_repaired(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "apply")
    rehearse(step, "staging")
    ask(page, "Apply what staging lacks…", "Apply 2 archived migrations")
    page.get_by_role("link", name="Plan a revert of staging…").click()
    # What was rehearsed drops a column as well.
    expect(page.get_by_role("dialog").get_by_label("Also what loses data")).to_be_checked()
    answer(page, "Plan the revert")
    ask(page, "Revert the drift of staging…", "Revert the drift of clinic/staging", "clinic/staging")
    ask(page, "Restamp staging…", "Restamp clinic/staging", "clinic/staging")
    expect(step).to_contain_text("clinic/staging is at the baseline, and its schema is that")


def test_production_waits_for_a_second_person(visit: Open, careful: Demo) -> None:
    ana = visit(signed_in=False)
    ana.demo = careful
    ana.sign_in()
    ana.page.wait_for_url(f"{careful.address}/")
    omar = visit(signed_in=False)
    omar.demo = careful
    omar.sign_in("omar", careful.password)
    omar.page.wait_for_url(f"{careful.address}/")
    page = ana.page
    ana.go(RUN)
    rehearse(at(page, "apply"), "production")
    for button, submit in (
        ("Apply what production lacks…", "Apply 3 archived migrations"),
        ("Restamp production…", "Restamp clinic/production"),
    ):
        page.get_by_role("link", name=button).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name=submit)).to_be_disabled()
        dialog.get_by_role("link", name="Ask for approval").click()
        page.get_by_label("Reason").fill("The clean start.")
        page.get_by_role("button", name="Ask for approval").click()
        page.wait_for_url(re.compile(r"/approvals/\d+$"))
        omar.go(page.url.removeprefix(careful.address))
        omar.page.get_by_role("button", name="Approve").click()
        expect(omar.page.locator("#content")).to_contain_text("Approved by")
        ana.go(RUN)
        ask(page, button, submit, "clinic/production")
    at(page, "cut-over")


def test_cut_over_reported_and_done(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "cut-over")
    step.get_by_role("button", name="Search the source").click()
    expect(step).to_contain_text("Nothing in the source migrates when the application starts")
    step.locator("summary", has_text="Say what does…").click()
    step.get_by_label("Reason").last.fill("The deployment runs them.")
    step.get_by_role("button", name="Accept").last.click()
    at(page, "report")
    see(visitor, RUN)
    page.get_by_role("button", name="End it as done").click()
    page.wait_for_url(re.compile("/report"))
    report = page.locator("main")
    expect(report).to_contain_text("Done")
    expect(report).to_contain_text("20 before, 1 now")
    expect(report).to_contain_text("Accepted by Ana Ruiz: The models are renamed with build 49.")
    expect(report).to_contain_text("Restamp on production")
    expect(report.get_by_role("row", name=re.compile("^production"))).to_contain_text(
        "what the missing old migrations change is undone by the backup alone"
    )
    see(visitor, page.url.removeprefix(visitor.demo.address), RUN)
    visitor.picture("clean-start-done-light")
    page.get_by_role("link", name="Begin another").click()
    expect(page.get_by_role("heading", name="What the survey says")).to_be_visible()
