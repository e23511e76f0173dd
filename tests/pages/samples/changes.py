"""Changes of a schema: an environment's timeline, and what a job did."""

from __future__ import annotations

from tests.pages.samples.drift import drift
from tests.pages.samples.ground import REVISIONS, before
from web import addresses
from web.pages.views.differences import Snapshots
from web.pages.views.environment.timeline import TimelineEntry, TimelineTab
from web.pages.views.jobs import SchemaChange
from web.pages.views.marks import Link, Mark, Pages

SNAPSHOTS = Snapshots("5e" * 32, "a1" * 32)


def timeline() -> TimelineTab:
    """An entry of every cause."""
    path = addresses.environment("clinic", "production", "timeline")
    return TimelineTab(
        (
            TimelineEntry(
                "5",
                Mark("drift", "By nobody we know"),
                "2 columns added, 1 index removed",
                before(hours=2),
                before(hours=3),
                "No job of this dashboard changed it: somebody or something else did.",
                snapshots=SNAPSHOTS,
                count=34,
                groups=drift().groups,
                more=30,
                out_of_band=True,
            ),
            TimelineEntry(
                "4",
                Mark("ok", "By"),
                "1 table added",
                before(hours=5),
                jobs=(Link("job 1042, Migrate", addresses.job(1042)),),
                requested_by="Ana Ruiz",
                revisions_before=(REVISIONS[10],),
                revisions_after=(REVISIONS[11],),
                snapshots=SNAPSHOTS,
                count=4,
                groups=drift().groups,
            ),
            TimelineEntry(
                "3",
                Mark("unknown", "Not known by whom"),
                "Could not be compared",
                before(days=1),
                before(days=2),
                "This ran in that time.",
                jobs=(Link("Job 1029, Migrate", addresses.job(1029)),),
                snapshots=SNAPSHOTS,
            ),
            TimelineEntry(
                "2",
                Mark("warn", "Another database was pinned"),
                "The schema is the same",
                before(days=3),
                jobs=(Link("Job 1001, Pin", addresses.job(1001)),),
                requested_by="Ana Ruiz",
                snapshots=SNAPSHOTS,
            ),
            TimelineEntry(
                "1",
                Mark("queued", "The first check that is kept"),
                "First seen",
                before(days=9),
                revisions_after=(),
            ),
        ),
        Pages("5 entries", None, f"{path}?before=1"),
    )


def schema_changes() -> dict[str, SchemaChange]:
    """What a job changed, in every state."""
    link = Link("Timeline", addresses.environment("clinic", "staging", "timeline"))
    return {
        "changed": SchemaChange(
            Mark("pending", "34 differences"), "1 table added.", drift().groups, 30, SNAPSHOTS, link, 34
        ),
        "same": SchemaChange(
            Mark("ok", "Nothing changed"), "The schema is what it was.", snapshots=SNAPSHOTS, timeline=link
        ),
        "unknown": SchemaChange(
            Mark("unknown", "Not known"), "Not known, because: it was given up.", timeline=link
        ),
    }
