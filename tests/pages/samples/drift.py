"""Drift in every state."""

from __future__ import annotations

from tests.pages.samples.ground import REVISIONS, before
from web.pages import addresses
from web.pages.views.environment import Drift, DriftGroup, DriftItem
from web.pages.views.marks import Action, Mark
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


def drift() -> Drift:
    """Four differences in three groups."""
    return Drift(
        "different",
        Mark("drift", "4 differences"),
        f"Expected is the schema that the migrations up to {REVISIONS[11]} give in an empty PostgreSQL 17 database.",
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
    )


def drift_states() -> dict[str, Drift]:
    """Every other state of the Drift tab."""
    compare = Action("Compare now", addresses.start_job("clinic", "dev", "observe"), "refresh-cw", "post")
    return {
        "same": Drift(
            "same",
            Mark("ok", "No differences"),
            "Every object equals what the applied migrations give in an empty PostgreSQL 17 database.",
            compared_at=before(minutes=6),
            compare=compare,
        ),
        "never": Drift(
            "not compared",
            Mark("unknown", "Not compared"),
            "The applied migrations have not been replayed for this database yet.",
            compare=compare,
        ),
        "could-not": Drift(
            "could not compare",
            Mark("unknown", "Could not compare"),
            "No PostgreSQL 15 for scratch.",
            "Install server programs of PostgreSQL 15 or name a scratch server under [scratch].",
            compared_at=before(days=2),
            compare=compare,
        ),
        "comparing": Drift(
            "comparing",
            Mark("running", "Comparing"),
            "The applied migrations are being replayed in a scratch database.",
            job=RunningJob(1044, "replaying revision 9 of 12", 66, Mark("running", "running")),
        ),
    }
