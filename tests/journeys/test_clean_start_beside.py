"""A clean start whose production gets a fresh database beside; in every step the worker is killed once."""

from __future__ import annotations

import re
import shutil
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Demo, Open, Visitor
from tests.journeys.test_clean_start import RUN, accept, answer, ask, at, see
from tests.journeys.test_clean_start_refused import running, worker_of
from tests.started import until

pytestmark = pytest.mark.xdist_group("journey clean start beside")


def kill(visitor: Visitor, kind: str) -> None:
    """Kill the worker inside a job that was just started."""
    until(lambda: running(visitor, kind), f"no {kind} runs")
    worker_of(visitor.demo).send_signal(signal.SIGKILL)


def told(page: Page, step: str) -> None:
    """Wait until the run says that a job came to nothing; everything that was proven before is."""
    expect(at(page, step)).to_contain_text("The last try did not succeed")


def secret_leads_to(demo: Demo, database: str) -> None:
    """Change production's secret, as the team does."""
    file = demo.directory / "secrets" / "clinic_production_url"
    file.write_text(re.sub(r"/clinic_production\w*\?", f"/{database}?", file.read_text()))


def survey(visitor: Visitor) -> None:
    visitor.go("/projects/clinic")
    visitor.page.get_by_role("link", name="Survey…").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Survey Clinic").click()
    visitor.page.wait_for_url(re.compile(r"/jobs/\d+$"))


def test_it_is_surveyed_backed_up_made_and_proven(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    survey(visitor)
    kill(visitor, "survey")
    expect(page.get_by_role("region", name="Not done")).to_contain_text("The worker that ran it died.")
    survey(visitor)
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    visitor.go(RUN)
    page.get_by_label("Strategy of staging").select_option(label="Leave out")
    page.get_by_label("Strategy of production").select_option(label="Fresh database beside")
    page.get_by_role("button", name="Begin the clean start").click()

    at(page, "back-up").get_by_role("button", name="Back up all 2").click()
    kill(visitor, "backup")
    told(page, "back-up")
    at(page, "back-up").get_by_role("button", name=re.compile("Back up")).first.click()

    at(page, "baseline")
    ask(page, "Make the baseline…", "Make a baseline of Clinic")
    kill(visitor, "baseline")
    told(page, "baseline")
    ask(page, "Make the baseline…", "Make a baseline of Clinic")
    accept(at(page, "baseline"), "The seed has the roles.")

    at(page, "proof").get_by_role("button", name="Compare with everything").click()
    kill(visitor, "prove-baseline")
    told(page, "proof")
    at(page, "proof").get_by_role("button", name="Compare with everything").click()
    accept(at(page, "proof"), "The models are renamed with build 49.")


def test_it_is_rehearsed_and_written(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "rehearsal")
    step.get_by_role("button", name="Rehearse", exact=True).click()
    kill(visitor, "rehearse-clean-start")
    told(page, "rehearsal")
    step.get_by_role("button", name="Rehearse", exact=True).click()
    expect(step).to_contain_text("clinic/production was rehearsed")
    ask(page, "Write it into the source…", "Write the change set into the source of Clinic")


def test_dev_is_reset_and_production_gets_another_database(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    at(page, "apply")
    ask(page, "Reset dev…", "Reset clinic/dev", "clinic/dev")
    kill(visitor, "reset")
    told(page, "apply")
    ask(page, "Reset dev…", "Reset clinic/dev", "clinic/dev")

    page.get_by_role("link", name="Make a fresh database beside production…").click()
    answer(page, "Make a fresh database beside clinic/production", "clinic/production")
    kill(visitor, "beside")
    told(page, "apply")
    page.get_by_role("link", name="Make a fresh database beside production…").click()
    answer(page, "Make a fresh database beside clinic/production", "clinic/production")
    step = at(page, "apply")
    expect(step).to_contain_text("is made and proven")
    secret_leads_to(visitor.demo, "clinic_production_clean")
    step.get_by_role("button", name="Check production").click()
    page.get_by_role("link", name="Pin clinic_production_clean…").click()
    answer(page, "Pin the database of clinic/production")
    at(page, "cut-over")


def test_it_is_cut_over_and_done(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "cut-over")
    # The clinic's source is read in no time; with this it takes long enough to be met in the middle.
    much = visitor.demo.directory / "clinic" / "vendored"
    much.mkdir()
    for number in range(300):
        (much / f"part_{number}.py").write_text("x = 1\n" * 15_000)
    step.get_by_role("button", name="Search the source").click()
    kill(visitor, "cut-over")
    told(page, "cut-over")
    shutil.rmtree(much)
    step.get_by_role("button", name="Search the source").click()
    step.locator("summary", has_text="Say what does…").click()
    step.get_by_label("Reason").last.fill("The deployment runs them.")
    step.get_by_role("button", name="Accept").last.click()
    at(page, "report")
    page.get_by_role("button", name="End it as done").click()
    page.wait_for_url(re.compile("/report"))
    report = page.locator("main")
    expect(report.get_by_role("row", name=re.compile("^production"))).to_contain_text(
        "The old database stays as it is"
    )


def test_what_became_of_it_since_then(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic")
    since = page.get_by_role("region", name="Since the clean start")
    expect(since).to_contain_text("0")
    expect(since.get_by_role("row", name=re.compile("^production"))).to_contain_text(
        "Under a day without drift"
    )
    # Somebody writes into the version table past the dashboard.
    visitor.demo.query("dev", "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert visitor.demo.run("observe", "clinic/dev", "--wait").returncode in (0, 1)
    visitor.go("/projects/clinic")
    expect(since.get_by_role("row", name=re.compile("^dev"))).to_contain_text("By nobody we know")
    see(visitor, "/projects/clinic")
    visitor.go("/")
    expect(page.locator("#attention")).to_contain_text("had its revision changed by nobody we know")
