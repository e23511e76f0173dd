"""A history with a branch, its merge, pending and unknown revisions; and one with two heads."""

from __future__ import annotations

from tests.pages.samples.ground import HEAD, REVISIONS, before
from web import addresses
from web.pages import graph
from web.pages.views.environment.migrations import Hazard, MigrationRow, MigrationsTab, RehearsedStatement
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Mark

HAZARD_LOCK = Hazard(Mark("blocked", "ACCESS EXCLUSIVE lock on users (1.2M rows)"))


HAZARD_SCAN = Hazard(Mark("wait", "Full table scan, about 4 s"))


HAZARD_DROP = Hazard(Mark("failed", "Deletes 2 tables, 2.3M rows"))


SQL_NOT_NULL = "-- from the rehearsal\nALTER TABLE users\n  ALTER COLUMN tenant_id SET NOT NULL"


SQL_FOREIGN_KEY = (
    "ALTER TABLE users\n  ADD CONSTRAINT fk_users_tenant_id_tenants\n"
    "  FOREIGN KEY (tenant_id) REFERENCES tenants (id)"
)


SQL_BACKFILL = (
    "UPDATE users SET tenant_id = m.tenant_id\n  FROM memberships m\n WHERE m.user_id = users.id\n"
    "   AND users.kind <> 'robot' AND users.id > 1000"
)


MESSAGES = (
    "create users, roles and sessions of the old sign-in",
    "appointments",
    "invoices, with a check on the amount",
    "tenants",
    "appointment status as an enum",
    "memberships",
    "audit log, with a trigger",
    "row security on appointments",
    "enum grows: no-show",
    "merge of billing and tenants",
    "partial index on open appointments",
    "users: add tenant_id, nullable",
    "backfill users.tenant_id from memberships",
    "users.tenant_id becomes NOT NULL with a foreign key",
    "drop legacy sessions and password_resets",
)


#: Newest first; 5 and 6 stand on a branch that 9 merges.
PARENTS = {number: ([number - 1] if number else []) for number in range(15)} | {
    5: [3],
    6: [5],
    7: [4],
    8: [7],
    9: [8, 6],
}


def statements(number: int) -> tuple[RehearsedStatement, ...] | None:
    """What the rehearsal of a pending migration executed."""
    return {
        12: (RehearsedStatement(SQL_BACKFILL, 2.41),),
        13: (
            RehearsedStatement(SQL_NOT_NULL, 0.0042, (HAZARD_LOCK, HAZARD_SCAN)),
            RehearsedStatement(SQL_FOREIGN_KEY, 0.013),
        ),
        14: (
            RehearsedStatement("DROP TABLE password_resets", 0.002),
            RehearsedStatement("DROP TABLE sessions", 0.002, (HAZARD_DROP,)),
        ),
    }.get(number)


def migration(number: int, applied: int = 12) -> MigrationRow:
    """One row of the history."""
    pending = number >= applied
    return MigrationRow(
        REVISIONS[number],
        MESSAGES[number],
        "pending" if pending else "applied",
        Mark("pending", "Pending") if pending else Mark("ok", "Applied"),
        f"database/versions/{REVISIONS[number]}_{MESSAGES[number].split()[0]}.py",
        "18 Nov 2026",
        note=Mark("warn", "Edited after apply") if number == 6 else None,
        applied_at=None if pending else before(days=20 - number),
        here=number == applied - 1,
        head=number == 14,
        labels=("billing",) if number == 5 else (),
        hazards={13: (HAZARD_LOCK,), 14: (HAZARD_DROP,)}.get(number, ()) if pending else (),
        statements=statements(number) if pending else None,
    )


def migrations() -> MigrationsTab:
    """A history with a branch and its merge, three pending, one unknown."""
    order = [14, 13, 12, 11, 10, 9, 6, 5, 8, 7, 4, 3, 2, 1, 0]
    picture = graph.lay_out(
        [(REVISIONS[number], [REVISIONS[parent] for parent in PARENTS[number]]) for number in order],
        {REVISIONS[number] for number in (12, 13, 14)},
    )
    unknown = MigrationRow(
        "d4e09b71c2f5", "not in the project", "unknown", Mark("unknown", "Unknown"), note=None
    )
    return MigrationsTab(
        (unknown, *(migration(number) for number in order)),
        picture,
        12,
        3,
        1,
        (HEAD,),
        problems=("database/versions/notes.py has no revision and is left out",),
        rehearsal=Mark("ok", "Rehearsed on PostgreSQL 17"),
        actions=(
            Action(
                "Rehearse again",
                addresses.start_job("clinic", "production", "rehearse"),
                "refresh-cw",
                "post",
            ),
        ),
    )


def several_heads() -> MigrationsTab:
    """A history that is refused."""
    rows = tuple(migration(number) for number in (9, 8, 7))
    return MigrationsTab(
        rows,
        graph.lay_out([(REVISIONS[9], [REVISIONS[7]]), (REVISIONS[8], [REVISIONS[7]]), (REVISIONS[7], [])]),
        8,
        0,
        0,
        (REVISIONS[9], REVISIONS[8]),
        refusals=(
            ErrorView(
                409,
                "The history has 2 heads",
                f"{REVISIONS[9]} and {REVISIONS[8]} both stand at the end. Which one to go to is not guessed.",
                "Merge them with `alembic merge heads`, commit the merge and register the new build.",
            ),
        ),
    )
