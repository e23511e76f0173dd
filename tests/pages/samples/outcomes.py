"""Every way a job can end."""

from __future__ import annotations

from tests.pages.samples.ground import HEAD, REVISIONS, STAGING, before, dialog_path
from tests.pages.samples.history import SQL_NOT_NULL
from tests.pages.samples.jobs import JOB_FACTS, log, steps
from web.pages.views.jobs import JobPage, Outcome
from web.pages.views.marks import Action, Check, Mark


def outcomes() -> dict[str, Outcome]:
    """Every way a job can end."""
    again = Action("Migrate again…", dialog_path(STAGING, "migrate"), "refresh-cw", primary=True)
    started, finished = before(minutes=6), before(minutes=1)
    return {
        "succeeded": Outcome(
            1042,
            Mark("ok", "Finished"),
            f"Finished: staging stands on {HEAD}",
            "3 migrations are applied.",
            "The schema was compared after the last step: no differences.",
            evidence=(
                Check(Mark("ok", "Recorded revision"), HEAD),
                Check(Mark("ok", "Schema equals the migrations"), "0 differences"),
            ),
            actions=(Action("Open clinic/staging", STAGING.path, "database", "page", primary=True),),
            started_at=started,
            finished_at=finished,
            seconds=300.0,
        ),
        "failed": Outcome(
            1042,
            Mark("failed", "Failed"),
            "Failed at step 5 of 7: lock timeout",
            f"The database stands on {REVISIONS[12]}.",
            "Step 5 was rolled back whole; nothing is left half done.",
            'canceling statement due to lock timeout\nCONTEXT:  while locking tuple (0,1) in relation "users"',
            "55P03",
            SQL_NOT_NULL,
            REVISIONS[13],
            actions=(again, Action("Open clinic/staging", STAGING.path, "database", "page")),
            started_at=started,
            finished_at=finished,
            seconds=300.0,
        ),
        "half": Outcome(
            1042,
            Mark("failed", "Failed"),
            "Failed in the middle of a revision",
            "The database is left half way.",
            "The revision leaves its transaction (autocommit_block), so its first part is committed although "
            "the revision is not recorded.",
            'could not create unique index "ix_users_email"',
            "23505",
            "CREATE UNIQUE INDEX CONCURRENTLY ix_users_email ON users (lower(email))",
            REVISIONS[13],
            (
                Check(Mark("ok", "Recorded revision"), REVISIONS[12], "The failed revision is not recorded."),
                Check(
                    Mark("failed", "Index ix_users_email"),
                    "INVALID",
                    "It has to be dropped before the revision runs again.",
                ),
            ),
            (
                "Column users.email_lower exists and is committed.",
                "Index ix_users_email exists and is INVALID.",
            ),
            (again,),
            started,
            finished,
            300.0,
        ),
        "cancelled": Outcome(
            1042,
            Mark("cancelled", "Cancelled"),
            "Cancelled by Joy Okafor",
            "Nothing was changed.",
            "The job was still waiting for the migration lock.",
            actions=(again,),
            started_at=started,
            finished_at=finished,
            seconds=72.0,
        ),
        "unknown": Outcome(
            1042,
            Mark("unknown", "Interrupted, outcome not known"),
            "Interrupted, outcome not known",
            f"The database stands on {REVISIONS[12]} or on {REVISIONS[13]}.",
            "worker-2 stopped answering at 22:14:50 while the revision was being applied. "
            "Nothing else runs here until somebody has looked.",
            evidence=(
                Check(Mark("ok", "Worker, backends and processes are gone"), "10:41:55"),
                Check(Mark("unknown", "Recorded revision"), "not read", "The database does not answer."),
                Check(Mark("ok", "Verified backup from before the job"), "22:11, 840 MB"),
            ),
            actions=(Action("Check the database", STAGING.path, "search", "page", primary=True),),
            started_at=started,
            finished_at=finished,
            seconds=169.0,
        ),
        "not-done": Outcome(
            1042,
            Mark("cancelled", "Interrupted, not done"),
            "Interrupted, not done",
            "The database is unharmed.",
            "The worker was lost before the first statement; the version row is the one from before.",
            evidence=(Check(Mark("ok", "Recorded revision"), REVISIONS[11], "The one from before the job."),),
            actions=(again,),
            started_at=started,
            finished_at=finished,
            seconds=3.0,
        ),
    }


def ended_job(outcome: Outcome) -> JobPage:
    """A job that has ended."""
    return JobPage(
        1042,
        "Migrate clinic to build #48",
        STAGING,
        "Ana Ruiz",
        before(minutes=6, seconds=8),
        steps(failed=outcome.mark.status != "ok"),
        log(),
        JOB_FACTS,
        outcome=outcome,
        earlier_lines=12_040,
    )
