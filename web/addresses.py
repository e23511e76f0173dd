"""Every address of the pages, made in one place: templates call these as `to.job(id)`, pages redirect with them.

Names come from people, so every part is percent-encoded whole, slashes too. Who answers is left to the route modules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import quote, urlencode


def _path(*parts: str | int, query: Mapping[str, str | int | None] | None = None) -> str:
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    given = {key: value for key, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def query(**values: str | int | None) -> str:
    """The query of an address, with its question mark; empty where nothing is given."""
    given = {key: value for key, value in values.items() if value not in (None, "")}
    return f"?{urlencode(given)}" if given else ""


def overview(only: str | None = None) -> str:
    """The overview, or only what needs attention in it."""
    return _path(query={"only": only}) if only else "/"


def overview_stream(project: str | None = None, seen: str | None = None, **asked: str | int | None) -> str:
    """Live changes of the overview, or of one project's part of it, since the reading `seen`.

    `asked` is the question whose answer the page shows (`about`, `on`, `build`) and which answer that is (`answered`).
    """
    return _path("stream", query={"project": project, "seen": seen, **asked})


def observations() -> str:
    """Where the wish for a fresh look at every environment is sent to."""
    return "/observations"


def question(
    project: str | None = None, build: str | int | None = None, environment: str | None = None
) -> str:
    """The question box with its answer."""
    return _path("question", query={"project": project, "build": build, "environment": environment})


def project(name: str) -> str:
    """One project."""
    return _path("projects", name)


def environment(project: str, name: str, tab: str = "") -> str:
    """One environment; `tab` is one of its sections, State where it is empty."""
    parts = ("projects", project, "environments", name)
    return _path(*parts, tab) if tab else _path(*parts)


def environment_stream(project: str, name: str, seen: str | None = None) -> str:
    """Live changes of one environment since the state `seen`."""
    return environment(project, name, "stream") + query(seen=seen)


def new_job(project: str, environment: str, kind: str, **query: str | int | None) -> str:
    """The dialog that asks before a job of this kind starts; `query` chooses in advance (a backup, a build)."""
    return _path("projects", project, "environments", environment, "jobs", "new", kind, query=query)


def start_job(project: str, environment: str, kind: str) -> str:
    """Where that dialog is sent to."""
    return _path("projects", project, "environments", environment, "jobs", kind)


def new_project_job(project: str, kind: str, **query: str | int | None) -> str:
    """The dialog before a job of the whole project."""
    return _path("projects", project, "jobs", "new", kind, query=query)


def start_project_job(project: str, kind: str) -> str:
    """Where that dialog is sent to."""
    return _path("projects", project, "jobs", kind)


def settlement(project: str, environment: str, job: int) -> str:
    """The question before somebody settles what a job left in doubt, and where the answer is sent to."""
    return _path("projects", project, "environments", environment, "doubts", job, "settlement")


def jobs(**query: str | int | None) -> str:
    """All jobs, filtered."""
    return _path("jobs", query=query)


def jobs_stream() -> str:
    """A word whenever the list of jobs may have changed."""
    return "/jobs/stream"


def job_toast(number: int) -> str:
    """How a look ended, as a notification."""
    return _path("jobs", number, "toast")


def job(number: int) -> str:
    """One job."""
    return _path("jobs", number)


def job_stream(number: int, after: int) -> str:
    """A job's events that follow the given one."""
    return _path("jobs", number, "stream", query={"after": after})


def job_log(number: int) -> str:
    """A job's whole log as plain text."""
    return _path("jobs", number, "log")


def adoption(number: int) -> str:
    """The migration that an adoption wrote."""
    return _path("jobs", number, "migration")


def adoption_file(number: int) -> str:
    """That migration's file alone."""
    return _path("jobs", number, "migration", "file")


def survey(number: int) -> str:
    """What a job surveyed."""
    return _path("jobs", number, "survey")


def cut_over(number: int) -> str:
    """What a job found that migrates besides this dashboard."""
    return _path("jobs", number, "cut-over")


def cut_over_task(number: int, form: str) -> str:
    """The files of the task that migrates instead, in one of its forms."""
    return _path("jobs", number, "cut-over", "tasks", form)


def baseline(number: int) -> str:
    """The baseline that a job wrote."""
    return _path("jobs", number, "baseline")


def merge(number: int) -> str:
    """The migration that a job wrote to join heads."""
    return _path("jobs", number, "merge")


def proof(number: int) -> str:
    """What a job proved of a baseline."""
    return _path("jobs", number, "proof")


def clean_start_rehearsal(number: int) -> str:
    """What a job did to copies of a project's databases."""
    return _path("jobs", number, "rehearsal")


def clean_start(project: str, run: int | None = None) -> str:
    """A project's clean start: the one that goes on, or `run`."""
    return _path("projects", project, "clean-start", query={"run": run})


def new_clean_start(project: str) -> str:
    """Where another one is begun."""
    return _path("projects", project, "clean-start", "new")


def clean_start_stream(project: str, seen: str) -> str:
    """A word whenever it is not as the page has it, which `seen` names."""
    return _path("projects", project, "clean-start", "stream", query={"seen": seen})


def clean_start_step(project: str, step: str, **query: str | int | None) -> str:
    """Where the wish for a step's jobs is sent to: those of a `kind`, on one `environment` or all."""
    return _path("projects", project, "clean-start", "steps", step, query=query)


def clean_start_report(project: str, run: int, form: str = "") -> str:
    """The report of a run, as a page or as `markdown`."""
    return _path("projects", project, "clean-start", "report", query={"run": run, "form": form})


def clean_start_part(project: str, part: str) -> str:
    """Where a choice in it is sent to: `strategies`, `acceptances`, `end`."""
    return _path("projects", project, "clean-start", part)


def change_set(number: int, form: str) -> str:
    """What a job would change in a repository, as `patch` or `zip`."""
    return _path("jobs", number, "change-set", form)


def cancellation(number: int) -> str:
    """Where the wish to cancel a job is sent to; a GET asks first."""
    return _path("jobs", number, "cancellation")


def approvals(before: int | None = None) -> str:
    """Requests for approval."""
    return _path("approvals", query={"before": before})


def approval(number: int) -> str:
    """One request for approval."""
    return _path("approvals", number)


def approval_decisions(number: int) -> str:
    """Where the answer to a request is sent to."""
    return _path("approvals", number, "decisions")


def approval_withdrawal(number: int) -> str:
    """Where the wish to take a request back is sent to."""
    return _path("approvals", number, "withdrawal")


def new_approval(project: str, environment: str, kind: str, **query: str | int | None) -> str:
    """The dialog that asks others to approve a job of this kind."""
    return _path("projects", project, "environments", environment, "approvals", "new", kind, query=query)


def ask_approval(project: str, environment: str, kind: str) -> str:
    """Where that dialog is sent to."""
    return _path("projects", project, "environments", environment, "approvals", kind)


def builds(project: str | None = None) -> str:
    """The builds of a project, or of all projects."""
    return _path("projects", project, "builds") if project else "/builds"


def build(project: str, number: int, environment: str | None = None) -> str:
    """One build; `environment` chooses whose answer is shown in full."""
    return _path("projects", project, "builds", number, query={"environment": environment})


def build_stream(project: str, number: int) -> str:
    """Word of whatever may change a build's answer."""
    return _path("projects", project, "builds", number, "stream")


def badge(project: str, number: int, environment: str) -> str:
    """The badge that says how a build stands to an environment."""
    return _path("projects", project, "builds", number, "environments", environment, "badge.svg")


def comparison(project: str, a: str | None = None, b: str | None = None) -> str:
    """Two sources of a project's schema side by side; without them, the choice."""
    return _path("projects", project, "comparison", query={"a": a, "b": b})


def ignore_rules(project: str) -> str:
    """The project's ignore rules."""
    return _path("projects", project, "ignore-rules")


def new_ignore_rule(project: str, **chosen: str | None) -> str:
    """The form of a new rule, filled in for one difference."""
    return _path("projects", project, "ignore-rules", "new", query=chosen)


def ignore_rule_removal(project: str, number: int) -> str:
    """Where the wish to remove a rule is sent to."""
    return _path("projects", project, "ignore-rules", number, "removal")


def audit(**query: str | int | None) -> str:
    """The audit trail, filtered."""
    return _path("audit", query=query)


def settings() -> str:
    """The configuration as resolved."""
    return "/settings"


def theme() -> str:
    """Where the choice of light or dark is sent to."""
    return "/theme"


def sign_in(next: str | None = None) -> str:
    """The sign-in page; `next` is where to go afterwards."""
    return _path("sign-in", query={"next": next})


def sign_out() -> str:
    """Where signing out is sent to."""
    return "/sign-out"


def element_id(noun: str, *names: str | int) -> str:
    """An element's id for things with names of any kind: safe in a selector, the same in page and stream."""
    key = "\0".join(str(name) for name in names)
    return f"{noun}-{hashlib.blake2s(key.encode(), digest_size=5).hexdigest()}"
