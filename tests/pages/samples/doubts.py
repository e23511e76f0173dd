"""What jobs left in doubt: the banner in a head and in a dialog, and the question before it is settled."""

from __future__ import annotations

from dataclasses import replace

from tests.pages.samples.dialogs import migrate_dialog
from tests.pages.samples.environment import dev_head, production_head
from tests.pages.samples.ground import DEV, PRODUCTION, before
from web import addresses
from web.pages.views.dialogs import Dialog
from web.pages.views.doubts import Settlement
from web.pages.views.environment.head import DoubtNote, EnvironmentHead, Unseen
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Link, Mark

HALF = (
    "The database is at 8f14e45fceea. 9bf31c7ff062 is half applied: it is not recorded as applied. Committed of "
    "9bf31c7ff062: ALTER TABLE users ADD COLUMN extra int. Invalid indexes: public.users_email."
)
WAY = (
    "It is settled by a check that finds exactly the schema of the recorded migrations, or the one of before the job, "
    "by a reset that succeeds, or by an administrator with a reason (`cleanstart settle`)."
)


def doubts(*, settle: bool = False) -> tuple[DoubtNote, ...]:
    """One of each sort."""
    way = Link("Settle it…", addresses.settlement("clinic", "production", 1042)) if settle else None
    half = DoubtNote(
        Mark("warn", "Job 1042 (migrate) is half done."),
        HALF,
        WAY,
        before(minutes=4),
        Link("Open job 1042", addresses.job(1042)),
        way,
    )
    return (
        half,
        replace(
            half,
            mark=Mark("unknown", "How job 1043 (reset) ended is not known."),
            what="9 of 14 objects are gone, 5 are still there.",
            job=Link("Open job 1043", addresses.job(1043)),
            settle=None,
        ),
    )


def doubtful_head() -> EnvironmentHead:
    """Production, with what two jobs left."""
    return replace(production_head(), doubts=doubts())


def outdated_head() -> EnvironmentHead:
    """Development, right after a job whose end no look has come after."""
    return replace(
        dev_head(), unseen=Unseen("Migration", Link("job 1042", addresses.job(1042)), before(seconds=4))
    )


def doubtful_dialog() -> Dialog:
    """A migrate of what is in doubt."""
    return replace(migrate_dialog(), where=PRODUCTION, doubts=doubts(settle=True))


def settlement(*, refused: bool = False) -> Settlement:
    """The question, and once more after an empty reason."""
    error = ErrorView(
        422, "This cannot be done as asked", "There is no reason.", "Say what you have looked at."
    )
    return Settlement(
        DEV,
        1042,
        "Vouch for what job 1042 (migrate) left?",
        HALF,
        WAY,
        500,
        refusal=error if refused else None,
    )
