"""A clean start that meets something: an unverified backup, a dead worker, a file that changes. Then the other way."""

from __future__ import annotations

import re
import signal
import subprocess

import psutil
import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Demo, Open, Visitor
from tests.journeys.test_clean_start import RUN, accept, answer, ask, at, rehearse, see
from tests.started import until

pytestmark = pytest.mark.xdist_group("journey clean start refused")


def worker_of(demo: Demo) -> psutil.Process:
    """The demo's worker."""
    return until(
        lambda: next(
            (
                each
                for each in psutil.Process(demo.process.pid).children()
                if "worker" in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE
            ),
            None,
        ),
        "no worker runs",
    )


def running(visitor: Visitor, kind: str) -> bool:
    jobs = visitor.page.request.get(f"{visitor.demo.address}/api/v1/jobs").json()["jobs"]
    return any(each["kind"] == kind and each["state"] == "running" and each["step"] for each in jobs)


def test_a_backup_that_nobody_has_restored_passes_nothing(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic")
    page.get_by_role("link", name="Survey…").click()
    page.get_by_role("dialog").get_by_role("button", name="Survey Clinic").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    visitor.go(RUN)
    page.get_by_role("button", name="Begin the clean start").click()
    step = at(page, "back-up")
    saved = visitor.demo.run("backup", "clinic/staging", "--no-verify", "--wait")
    assert saved.returncode == 0, saved.stdout + saved.stderr
    expect(step).to_contain_text("The backup of clinic/staging was never restored")
    step.get_by_role("button", name="Back up all 2").click()
    expect(step).to_contain_text("clinic/production is backed up, and the backup was restored once")
    expect(page.locator("#step-baseline")).to_contain_text("It opens after “Back up”.")
    step.get_by_role("button", name="Verify the backup of staging").click()
    at(page, "baseline")


def test_a_worker_that_dies_is_told_and_the_same_button_leads_on(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    ask(page, "Make the baseline…", "Make a baseline of Clinic")
    step = at(page, "baseline")
    accept(step, "The seed has the roles.")
    step = at(page, "proof")
    step.get_by_role("button", name="Compare with everything").click()
    expect(step).to_contain_text("The baseline is being compared with everything")
    until(lambda: running(visitor, "prove-baseline"), "the comparison does not run")
    worker_of(visitor.demo).send_signal(signal.SIGKILL)
    expect(step).to_contain_text("The last try did not succeed")
    expect(step).to_contain_text("The baseline was not compared with anything yet")
    step.get_by_role("button", name="Compare with everything").click()
    expect(step).to_contain_text("The models: 9 differences")


def test_what_differs_is_accepted_with_a_reason_or_nothing_goes_on(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    step = at(page, "proof")
    expect(page.locator("#step-rehearsal")).to_contain_text("It opens after “Prove it”.")
    form = step.locator(".checks > li > .more").first
    form.locator("summary").click()
    reason = form.get_by_label("Reason")
    reason.fill("   ")
    form.get_by_role("button", name="Accept").click()
    expect(page.locator("#refusals")).to_contain_text("Accepting it takes a reason.")
    # What is typed stays while somebody else works.
    reason.fill("Named by an older")
    expect(page.locator("#live")).to_have_text("Live", use_inner_text=True)
    vera = visit(signed_in=False)
    vera.sign_in("vera")
    vera.page.wait_for_url(f"{visitor.demo.address}/")
    vera.go(RUN)
    expect(vera.page.locator("#step-proof")).to_contain_text("The models: 9 differences")
    expect(vera.page.get_by_label("Reason")).to_have_count(0)
    with page.expect_response(lambda response: response.url.endswith(RUN)):
        saved = visitor.demo.run("backup", "clinic/dev", "--verify", "--wait")
    assert saved.returncode == 0, saved.stdout + saved.stderr
    at(page, "proof")
    expect(reason).to_have_value("Named by an older")
    expect(reason).to_be_visible()


def test_a_migration_that_changes_under_way_is_noticed(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    accept(at(page, "proof"), "Named by an older convention.")
    at(page, "rehearsal")
    folder = visitor.demo.directory / "clinic" / "backend" / "alembic" / "versions"
    changed = max(folder.glob("*.py"))
    before = changed.read_text()
    changed.write_text(f"{before}\n# Edited.\n")
    assert visitor.demo.run("observe", "clinic/dev").returncode == 0
    step = at(page, "survey")
    expect(step).to_contain_text("The migrations are others than the survey saw")
    expect(step.get_by_role("button", name="Survey again")).to_be_visible()
    expect(page.locator("#step-baseline")).to_contain_text(
        "The migrations are not those that the baseline replaces"
    )
    changed.write_text(before)
    assert visitor.demo.run("observe", "clinic/dev").returncode == 0
    at(page, "rehearsal")


def test_it_is_stopped_and_another_begins(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    page.get_by_text("Stop it…").click()
    page.get_by_label("Why").fill("Another week.")
    page.get_by_role("button", name="Stop the clean start").click()
    page.wait_for_url(re.compile("/report"))
    expect(page.locator("main")).to_contain_text("Stopped")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Clean start").click()
    expect(page.locator("main")).to_contain_text("It was stopped, by Ana Ruiz. Another week.")
    page.get_by_role("link", name="Begin another").click()
    page.get_by_role("button", name="Keep the history and repair").click()
    expect(at(page, "back-up")).to_contain_text("clinic/dev has no backup since this clean start began")


def test_the_history_is_kept_and_one_difference_is_repaired_after_the_other(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    expect(page.get_by_role("heading", name="Repair of Clinic")).to_be_visible()
    at(page, "back-up").get_by_role("button", name="Back up all 3").click()
    step = at(page, "apply")
    expect(step).to_contain_text("clinic/dev is what its migrations give")
    see(visitor, RUN)
    # The second of two first.
    index = step.get_by_role("listitem").filter(
        has_text="The index public.ix_appointments_checked_in_at is in none"
    )
    index.get_by_role("link", name=re.compile("Revert only this")).click()
    answer(page, "Plan the revert")
    ask(page, "Revert the drift of staging…", "Revert the drift of clinic/staging", "clinic/staging")
    expect(step).to_contain_text("1 difference")
    page.get_by_role("link", name="Plan a revert of staging…").click()
    # Nothing that loses data is done unless somebody asks for it.
    loses = page.get_by_role("dialog").get_by_label("Also what loses data")
    expect(loses).not_to_be_checked()
    loses.check()
    answer(page, "Plan the revert")
    ask(page, "Revert the drift of staging…", "Revert the drift of clinic/staging", "clinic/staging")
    rehearse(step, "staging")
    ask(page, "Apply what staging lacks…", "Apply 2 migrations")
    # A file of the project was another one for a while: what was rehearsed before that counts no more.
    again = visitor.demo.run("rehearse", "clinic/production", "--wait")
    assert again.returncode == 0, again.stdout + again.stderr
    rehearse(step, "production")
    ask(page, "Apply what production lacks…", "Apply 3 migrations", "clinic/production")
    expect(page.locator("#step-apply")).to_contain_text("clinic/production is what its migrations give")


def test_at_the_end_everything_agrees(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go(RUN)
    at(page, "proof").get_by_role("button", name="Survey again").click()
    step = at(page, "proof")
    for name in ("dev", "staging", "production"):
        expect(step).to_contain_text(f"clinic/{name} is what the history gives")
    accept(step, "Named by an older convention.")
    at(page, "report")
    page.get_by_role("button", name="End it as done").click()
    page.wait_for_url(re.compile("/report"))
    expect(page.locator("main")).to_contain_text("Done")
    see(visitor, page.url.removeprefix(visitor.demo.address), RUN)


#: A migration beside the newest ones: the history has two heads with it.
BRANCH = """
revision = "0f0f0f0f0f0f"
down_revision = "c4a19e70d86f"
branch_labels = None
depends_on = None


def upgrade():
    from alembic import op

    op.execute("CREATE TABLE rooms (id int PRIMARY KEY, number text NOT NULL)")


def downgrade():
    from alembic import op

    op.execute("DROP TABLE rooms")
"""


def test_two_heads_become_one(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    source = visitor.demo.directory / "clinic"
    file = source / "backend" / "alembic" / "versions" / "0f0f0f0f0f0f_rooms.py"
    file.write_text(BRANCH)
    for command in (("add", str(file)), ("commit", "--quiet", "--message", "Rooms")):
        author = ("-c", "user.name=Joy Okafor", "-c", "user.email=joy@clinic.example")
        subprocess.run(["git", *author, *command], cwd=source, check=True)
    visitor.demo.run("observe", "clinic/dev", "--wait")
    visitor.go("/projects/clinic")
    expect(page.locator("main")).to_contain_text("The history has several heads")
    page.get_by_role("link", name="Merge the heads…").click()
    page.get_by_role("button", name="Merge the heads of Clinic").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    page.get_by_role("link", name="See the merge").click()
    expect(page.locator("main")).to_contain_text("Proven in scratch databases")
    see(visitor, page.url.removeprefix(visitor.demo.address))
    page.get_by_role("link", name="Write it into the source…").click()
    page.get_by_role("button", name=re.compile("^Write the change set")).click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#job-head[data-ended]")).to_have_attribute("data-status", "ok")
    visitor.go("/projects/clinic")
    expect(page.locator("main")).not_to_contain_text("The history has several heads")
