"""Drift in every state."""

from __future__ import annotations

from dataclasses import replace

from tests.pages.samples.ground import DEV, REVISIONS, before
from web import addresses
from web.pages.views.adoption import AdoptionPage
from web.pages.views.comparison import ComparisonPage
from web.pages.views.differences import DriftGroup, DriftItem, RuleNote
from web.pages.views.drift import DriftTab, RepairStatement, ShownRepair
from web.pages.views.errors import ErrorView
from web.pages.views.ignore_rules import RuleForm, RuleList, RuleRow
from web.pages.views.marks import Action, Link, Mark, Option, Pages
from web.pages.views.overview import RunningJob

INDEX = """\
CREATE INDEX ix_appointments_starts_at
  ON public.appointments USING btree (starts_at)
  WHERE (cancelled_at IS NULL)"""

FUNCTION = """\
CREATE OR REPLACE FUNCTION public.touch_updated_at()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
{body}
  RETURN NEW;
END
$function$"""


def drift() -> DriftTab:
    """Four differences in three groups."""
    return DriftTab(
        "different",
        Mark("drift", "4 differences"),
        f"Expected is the schema that the migrations up to {REVISIONS[11]} give in an empty PostgreSQL 17 database.",
        pages=Pages(
            "1 to 4 of 204 differences",
            None,
            f"{addresses.environment('clinic', 'staging', 'drift')}?page=2",
            ("Previous", "Next"),
        ),
        groups=(
            DriftGroup(
                "public.appointments",
                (
                    DriftItem(
                        "Index is missing",
                        "public.ix_appointments_starts_at",
                        "index",
                        "structure",
                        INDEX,
                        None,
                        first_seen=before(hours=12),
                        ignore=Link("Ignore until…", addresses.new_ignore_rule("clinic", kind="index")),
                        code=True,
                    ),
                ),
            ),
            DriftGroup(
                "public.invoices",
                (
                    DriftItem(
                        "Column note has another type",
                        "public.invoices.note",
                        "column",
                        "structure",
                        "character varying(200)",
                        "text",
                        "type",
                        before(days=7),
                    ),
                    DriftItem(
                        "Owner is another role",
                        "public.invoices",
                        "table",
                        "access",
                        "clinic_owner",
                        "dba_marek",
                        "owner",
                    ),
                ),
            ),
            DriftGroup(
                "public.touch_updated_at()",
                (
                    DriftItem(
                        "Function is another one",
                        "public.touch_updated_at()",
                        "function",
                        "behaviour",
                        FUNCTION.format(body="  NEW.updated_at := now();"),
                        FUNCTION.format(
                            body="  -- quick fix\n  NEW.updated_at := clock_timestamp();\n  NEW.touched := true;"
                        ),
                        first_seen=before(days=1),
                        code=True,
                    ),
                ),
            ),
        ),
        count=4,
        compared_at=before(minutes=6),
        compare=Action(
            "Compare again", addresses.start_job("clinic", "production", "observe"), "refresh-cw", "post"
        ),
        actions=(
            Action(
                "Plan the revert again…",
                addresses.new_job("clinic", "production", "plan-revert"),
                "list-checks",
            ),
            Action(
                "Revert…",
                addresses.new_job("clinic", "production", "revert"),
                "history",
                primary=True,
                closed="No verified backup within 24 h.",
            ),
        ),
        repair=repair(),
        ignored=(ignored(),),
        corners=(Link("Another pair…", addresses.comparison("clinic", None, "clinic/production")),),
    )


def repair(refusal: str | None = None) -> ShownRepair:
    """The way back, proven or refused."""
    return ShownRepair(
        Mark("failed", "Not proven") if refusal else Mark("ok", "Proven on a scratch copy"),
        before(minutes=3),
        (
            RepairStatement(INDEX.replace("INDEX", "INDEX CONCURRENTLY")),
            RepairStatement(
                "ALTER TABLE public.invoices ALTER COLUMN note TYPE character varying(200)",
                (Mark("warn", "Rewrites the table."), Mark("failed", "May lose data")),
            ),
        ),
        count=4,
        rest="-- May lose data.\nDROP TABLE public.old_one;\nDROP INDEX public.old_two;",
        left=("cast (text AS integer): Clean Start does not write a cast.",),
        kept=1,
        refusal=refusal,
    )


def ignored() -> DriftItem:
    """A difference that a rule covers."""
    return DriftItem(
        "Index by_report is in the database, not in the migrations",
        "public.by_report",
        "index",
        "structure",
        None,
        INDEX,
        rule=RuleNote("The report needs it.", "Ana Ruiz", before(days=-20), addresses.ignore_rules("clinic")),
    )


def comparisons() -> dict[str, ComparisonPage]:
    """Every state of the comparison's page."""
    sources = (
        Option("clinic/dev", "clinic/dev, as it is"),
        Option("clinic@head", "What the newest migrations give"),
    )
    different = ComparisonPage(
        "clinic",
        "Clinic",
        "clinic@head",
        "clinic/dev",
        sources,
        "different",
        Mark("drift", "4 differences"),
        groups=drift().groups,
        unknown=("subscriptions",),
        compared_at=before(minutes=6),
    )
    return {
        "different": different,
        "same": replace(different, state="same", mark=Mark("ok", "No difference"), groups=(), unknown=()),
        "running": replace(
            different,
            state="not compared",
            mark=Mark("unknown", "Not compared yet"),
            groups=(),
            compared_at=None,
            job=RunningJob(1044, "Comparison", None, Mark("running", "running")),
        ),
        "could-not": replace(
            different,
            state="could not compare",
            mark=Mark("unknown", "Could not compare"),
            groups=(),
            error=ErrorView(
                503, "Could not compare", "There is no PostgreSQL 15 for scratch.", "Install it."
            ),
        ),
        "choice": replace(
            different,
            a="",
            b="",
            state="not chosen",
            groups=(),
            compared_at=None,
            closed="Your role does not allow it.",
        ),
    }


def adoption(*, proven: bool = True) -> AdoptionPage:
    """A migration that was written from drift."""
    return AdoptionPage(
        1042,
        DEV,
        "4f2a9c1b7e30",
        REVISIONS[11],
        "backend/migrations/versions/4f2a9c1b7e30_adopt.py",
        "op.execute('SELECT 1')",
        Mark("ok", "Proven in a scratch database") if proven else Mark("failed", "Not proven"),
        "Run in scratch, it gave exactly the schema of clinic/dev.",
        before(minutes=2),
        4,
        drift().groups,
        left=() if proven else ("cast (text AS integer): Clean Start does not write a cast.",),
        no_downgrade=None if proven else "There is no statement back.",
        loses=not proven,
        actions=(Action("Stamp…", addresses.new_job("clinic", "dev", "stamp"), "list-checks"),)
        if proven
        else (),
    )


def rules() -> RuleList:
    """Rules in every state."""
    made = RuleRow(
        7,
        "public.tmp_*",
        (),
        None,
        "Exports of the finance team, gone in March.",
        "Ana Ruiz",
        Mark("ok", "In force"),
        before(days=-20),
        before(days=10),
        "Ana Ruiz",
        Action("Remove", addresses.ignore_rule_removal("clinic", 7), "x", "post"),
    )
    gone = replace(
        made,
        number=3,
        asks=("column", "type"),
        environment=DEV,
        mark=Mark("warn", "Expired"),
        until=before(days=2),
        remove=None,
    )
    return RuleList("clinic", "Clinic", (made, gone), open=True)


def rule_form(*, refused: bool = False) -> RuleForm:
    """A new rule, filled in for one difference."""
    return RuleForm(
        "clinic",
        "Clinic",
        (Option("", "Every environment"), Option("dev", "clinic/dev", selected=True)),
        "column",
        "public.invoices.note",
        "type",
        "",
        "Ana Ruiz",
        "2026-12-31",
        "2026-11-25",
        "2027-11-25",
        ErrorView(422, "This cannot be done as asked", "The rule has no reason.", "Say why.")
        if refused
        else None,
    )


def drift_states() -> dict[str, DriftTab]:
    """Every other state of the Drift tab."""
    compare = Action("Compare now", addresses.start_job("clinic", "dev", "observe"), "refresh-cw", "post")
    return {
        "same": DriftTab(
            "same",
            Mark("ok", "No differences"),
            "Every object equals what the applied migrations give in an empty PostgreSQL 17 database.",
            compared_at=before(minutes=6),
            compare=compare,
        ),
        "same-but-ignored": DriftTab(
            "same",
            Mark("ok", "No difference, 1 ignored"),
            "The database has exactly this schema, apart from 1 difference that somebody answers for.",
            compared_at=before(minutes=6),
            compare=compare,
            ignored=(ignored(),),
        ),
        "not-proven": replace(drift(), repair=repair("PostgreSQL refused a statement."), corners=()),
        "never": DriftTab(
            "not compared",
            Mark("unknown", "Not compared"),
            "The applied migrations have not been replayed for this database yet.",
            compare=compare,
        ),
        "could-not": DriftTab(
            "could not compare",
            Mark("unknown", "Could not compare"),
            "No PostgreSQL 15 for scratch.",
            "Install server programs of PostgreSQL 15 or name a scratch server under [scratch].",
            compared_at=before(days=2),
            compare=compare,
        ),
        "comparing": DriftTab(
            "comparing",
            Mark("running", "Comparing"),
            "The applied migrations are being replayed in a scratch database.",
            job=RunningJob(1044, "replaying revision 9 of 12", 66, Mark("running", "running")),
        ),
    }
