"""Every page in every state worth looking at."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.pages.samples.approvals import asking, request_list, request_page
from tests.pages.samples.builds import build_page, build_rows, project_page
from tests.pages.samples.changes import schema_changes
from tests.pages.samples.clean_start import (
    baseline,
    clean_start,
    clean_start_rehearsal,
    cut_over,
    merge,
    no_clean_start,
    proof,
    report,
    survey,
)
from tests.pages.samples.dialogs import backup_dialog, migrate_dialog, reset_dialog, verify_dialog
from tests.pages.samples.doubts import doubtful_dialog, doubtful_head, outdated_head, settlement
from tests.pages.samples.drift import adoption, comparisons, drift_states, rule_form, rules
from tests.pages.samples.environment import check_now, dev_head, environment_page, staging_head, tabs
from tests.pages.samples.ground import DEV, NO_WORKER, PRODUCTION, STAGING, at, dialog_path, shell
from tests.pages.samples.history import several_heads
from tests.pages.samples.jobs import (
    cancellation,
    cancellation_too_late,
    job_list,
    job_shell,
    queued_job,
    running_job,
)
from tests.pages.samples.outcomes import ended_job, outcomes
from tests.pages.samples.overview import calm_overview, large_overview, no_projects, overview, question
from tests.pages.samples.rest import audit_list, errors, settings, sign_in
from web import addresses
from web.pages import graph
from web.pages.views.approvals import RequestList
from web.pages.views.builds import BuildList
from web.pages.views.environment.backups import BackupsTab
from web.pages.views.environment.head import EnvironmentHead
from web.pages.views.environment.migrations import MigrationsTab
from web.pages.views.environment.state import StateTab
from web.pages.views.environment.timeline import TimelineTab
from web.pages.views.jobs import JobFilter, JobList
from web.pages.views.marks import Action, Link, Mark, Pages
from web.pages.views.shell import Shell


@dataclass(frozen=True, slots=True)
class Sample:
    """A page to render: template, view and surroundings."""

    template: str
    view: object
    shell: Shell


def pages() -> dict[str, Sample]:
    """Every page in every state worth looking at."""
    home = shell("/", section="overview", here="Overview", stream=addresses.overview_stream())
    made = {
        "overview": Sample("overview/show.html", overview(), home),
        "overview-calm": Sample(
            "overview/show.html",
            calm_overview(),
            shell("/", section="overview", here="Overview", notices=(NO_WORKER,)),
        ),
        "overview-large": Sample("overview/show.html", large_overview(), home),
        "overview-empty": Sample(
            "overview/show.html", no_projects(), shell("/", section="overview", here="Overview", projects=())
        ),
        "question": Sample(
            "overview/question.html", question(), shell(addresses.question(), here="Is it ready?")
        ),
        "project": Sample(
            "projects/show.html",
            project_page(),
            shell(
                addresses.project("clinic"), section="project", here="Clinic", crumbs=(Link("Overview", "/"),)
            ),
        ),
        "state": Sample("environments/state.html", environment_page(""), at(PRODUCTION)),
        "state-dev": Sample("environments/state.html", environment_page("", dev_head()), at(DEV)),
        "state-unreachable": Sample(
            "environments/state.html", environment_page("", staging_head()), at(STAGING)
        ),
        "state-in-doubt": Sample(
            "environments/state.html", environment_page("", doubtful_head()), at(PRODUCTION)
        ),
        "state-outdated": Sample("environments/state.html", environment_page("", outdated_head()), at(DEV)),
        "state-never": Sample(
            "environments/state.html",
            environment_page(
                "",
                EnvironmentHead(DEV, tabs(0), (), (), check_now(DEV)),
                state=StateTab((), (), (), 0, (), None),
            ),
            at(DEV),
        ),
        "migrations": Sample(
            "environments/migrations.html", environment_page("migrations"), at(PRODUCTION, "migrations")
        ),
        "migrations-heads": Sample(
            "environments/migrations.html",
            environment_page("migrations", dev_head(), migrations=several_heads()),
            at(DEV, "migrations"),
        ),
        "migrations-none": Sample(
            "environments/migrations.html",
            environment_page(
                "migrations",
                dev_head(),
                migrations=MigrationsTab(
                    (),
                    graph.lay_out([]),
                    0,
                    0,
                    0,
                    (),
                    never_migrated=True,
                    empty_because="The folder database/versions has no migration.",
                ),
            ),
            at(DEV, "migrations"),
        ),
        "drift": Sample("environments/drift.html", environment_page("drift"), at(PRODUCTION, "drift")),
        "timeline": Sample(
            "environments/timeline.html", environment_page("timeline"), at(PRODUCTION, "timeline")
        ),
        "timeline-none": Sample(
            "environments/timeline.html",
            environment_page("timeline", dev_head(), timeline=TimelineTab((), Pages(""))),
            at(DEV, "timeline"),
        ),
        "backups": Sample(
            "environments/backups.html", environment_page("backups"), at(PRODUCTION, "backups")
        ),
        "backups-none": Sample(
            "environments/backups.html",
            environment_page(
                "backups",
                dev_head(),
                backups=BackupsTab(
                    (),
                    Mark("warn", "No verified backup"),
                    "backups, not encrypted",
                    (Action("Back up now", dialog_path(DEV, "backup"), "database-backup"),),
                ),
            ),
            at(DEV, "backups"),
        ),
        "environment-jobs": Sample(
            "environments/jobs.html", environment_page("jobs"), at(PRODUCTION, "jobs")
        ),
        "job": Sample("jobs/show.html", running_job(), job_shell(STAGING, 1042)),
        "job-queued": Sample("jobs/show.html", queued_job(), job_shell(DEV, 1043)),
        "jobs": Sample("jobs/index.html", job_list(), shell("/jobs", section="jobs", here="Jobs")),
        "jobs-none": Sample(
            "jobs/index.html",
            JobList((), JobFilter(), Pages("")),
            shell("/jobs", section="jobs", here="Jobs"),
        ),
        "dialog-reset": Sample("dialogs/show.html", reset_dialog(), at(DEV)),
        "dialog-reset-closed": Sample("dialogs/show.html", reset_dialog(closed=True), at(DEV)),
        "dialog-reset-refused": Sample("dialogs/show.html", reset_dialog(refused=True), at(DEV)),
        "dialog-migrate": Sample("dialogs/show.html", migrate_dialog(), at(PRODUCTION)),
        "dialog-in-doubt": Sample("dialogs/show.html", doubtful_dialog(), at(PRODUCTION)),
        "settlement": Sample("dialogs/settlement.html", settlement(), at(DEV)),
        "settlement-refused": Sample("dialogs/settlement.html", settlement(refused=True), at(DEV)),
        "clean-start": Sample("clean_start/show.html", clean_start(), job_shell(DEV, 1041)),
        "clean-start-viewer": Sample(
            "clean_start/show.html", clean_start(at=1, changes=False), job_shell(DEV, 1041)
        ),
        "clean-start-ended": Sample(
            "clean_start/show.html",
            clean_start(at=8, changes=False, ended="It was stopped, by Ana Ruiz. Another way was found."),
            job_shell(DEV, 1041),
        ),
        "clean-start-none": Sample("clean_start/none.html", no_clean_start(), job_shell(DEV, 1041)),
        "clean-start-unsurveyed": Sample(
            "clean_start/none.html", no_clean_start(surveyed=False), job_shell(DEV, 1041)
        ),
        "clean-start-report": Sample("clean_start/report.html", report(), job_shell(DEV, 1041)),
        "proof": Sample("clean_start/proof.html", proof(), job_shell(DEV, 1042)),
        "proof-equal": Sample("clean_start/proof.html", proof(equal=True), job_shell(DEV, 1042)),
        "clean-start-rehearsal": Sample(
            "clean_start/rehearsal.html", clean_start_rehearsal(), job_shell(DEV, 1042)
        ),
        "survey": Sample("surveys/show.html", survey(), job_shell(DEV, 1041)),
        "survey-keep": Sample("surveys/show.html", survey(messy=False), job_shell(DEV, 1041)),
        "cut-over": Sample("cut_overs/show.html", cut_over(), job_shell(DEV, 1043)),
        "cut-over-done": Sample("cut_overs/show.html", cut_over(done=True), job_shell(DEV, 1043)),
        "baseline": Sample("baselines/show.html", baseline(), job_shell(DEV, 1042)),
        "baseline-not-proven": Sample("baselines/show.html", baseline(proven=False), job_shell(DEV, 1042)),
        "merge": Sample("merges/show.html", merge(), job_shell(DEV, 1044)),
        "merge-not-proven": Sample("merges/show.html", merge(proven=False), job_shell(DEV, 1044)),
        "approvals": Sample(
            "approvals/index.html", request_list(), shell("/approvals", section="approvals", here="Approvals")
        ),
        "approvals-none": Sample(
            "approvals/index.html",
            RequestList((), (), Pages("")),
            shell("/approvals", section="approvals", here="Approvals"),
        ),
        "approval": Sample("approvals/show.html", request_page(), at(PRODUCTION)),
        "approval-approved": Sample("approvals/show.html", request_page("approved"), at(PRODUCTION)),
        "approval-ended": Sample("approvals/show.html", request_page("ended"), at(PRODUCTION)),
        "asking": Sample("dialogs/asking.html", asking(), at(PRODUCTION)),
        "asking-refused": Sample("dialogs/asking.html", asking(refused=True), at(PRODUCTION)),
        "dialog-backup": Sample("dialogs/show.html", backup_dialog(), at(DEV)),
        "dialog-verify": Sample("dialogs/show.html", verify_dialog(), at(PRODUCTION)),
        "dialog-cancel": Sample("dialogs/cancel.html", cancellation(), job_shell(STAGING, 1042)),
        "dialog-cancel-ended": Sample(
            "dialogs/cancel.html", cancellation_too_late(), job_shell(STAGING, 1042)
        ),
        "builds": Sample(
            "builds/index.html", BuildList(build_rows()), shell("/builds", section="builds", here="Builds")
        ),
        "builds-none": Sample(
            "builds/index.html",
            BuildList((), "clinic", "cleanstart register-build clinic --number 48"),
            shell("/projects/clinic/builds", section="builds", here="Builds"),
        ),
        "build": Sample(
            "builds/show.html",
            build_page(),
            shell(
                addresses.build("clinic", 48),
                section="builds",
                here="Build #48",
                crumbs=(Link("Overview", "/"), Link("Clinic", addresses.project("clinic"))),
            ),
        ),
        "audit": Sample("audit/index.html", audit_list(), shell("/audit", section="audit", here="Audit")),
        "settings": Sample(
            "settings/show.html", settings(), shell("/settings", section="settings", here="Settings")
        ),
        "sign-in": Sample("sign_in/show.html", sign_in(), shell("/sign-in")),
        "sign-in-refused": Sample("sign_in/show.html", sign_in(refused=True), shell("/sign-in")),
    }
    for name, comparison in comparisons().items():
        made[f"comparison-{name}"] = Sample(
            "comparisons/show.html",
            comparison,
            shell("/projects/clinic/comparison", section="project", here="Comparison"),
        )
    for proven in (True, False):
        made[f"adoption{'' if proven else '-not-proven'}"] = Sample(
            "adoptions/show.html",
            adoption(proven=proven),
            shell("/jobs/1042/migration", section="jobs", here="Migration"),
        )
    made["ignore-rules"] = Sample(
        "ignore_rules/index.html",
        rules(),
        shell("/projects/clinic/ignore-rules", section="project", here="Ignore rules"),
    )
    made["ignore-rules-none"] = Sample(
        "ignore_rules/index.html",
        replace(rules(), rows=(), open=False),
        shell("/projects/clinic/ignore-rules", section="project", here="Ignore rules"),
    )
    for refused in (False, True):
        made[f"ignore-rule-new{'-refused' if refused else ''}"] = Sample(
            "ignore_rules/new.html",
            rule_form(refused=refused),
            shell("/projects/clinic/ignore-rules/new", section="project", here="New ignore rule"),
        )
    for name, view in drift_states().items():
        made[f"drift-{name}"] = Sample(
            "environments/drift.html", environment_page("drift", dev_head(), drift=view), at(DEV, "drift")
        )
    for name, outcome in outcomes().items():
        made[f"job-{name}"] = Sample(
            "jobs/show.html", ended_job(outcome), job_shell(STAGING, 1042, ended=True)
        )
    for name, schema in schema_changes().items():
        ended = replace(ended_job(outcomes()["succeeded"]), schema=schema)
        made[f"job-schema-{name}"] = Sample("jobs/show.html", ended, job_shell(STAGING, 1042, ended=True))
    for name, error in errors().items():
        template = "errors/plain.html" if name in ("401", "429") else "errors/show.html"
        made[f"error-{name}"] = Sample(template, error, shell("/somewhere", here=error.title))
    return made
