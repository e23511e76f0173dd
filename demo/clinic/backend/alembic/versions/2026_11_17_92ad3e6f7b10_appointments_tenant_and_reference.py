"""appointments: backfill tenant_id and reference in batches

Takes seconds to minutes, because every reference is stretched with many rounds of a hash. So it runs in batches, each
committed on its own: reception can go on working, since a row is locked for one batch only; vacuum can clean up behind
it; and a run that was stopped goes on where it was, since rows that have a reference are passed over.

Revision ID: 92ad3e6f7b10
Revises: f4128cd06b97
Create Date: 2026-11-17 11:45:56.721548+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "92ad3e6f7b10"
down_revision = "f4128cd06b97"
branch_labels = None
depends_on = None

BATCH = 1500

FILL = sa.text(
    """
    UPDATE appointments
       SET tenant_id = u.tenant_id,
           reference = booking_reference(u.tenant_id, appointments.id)
      FROM practitioners p
      JOIN users u ON u.id = p.user_id
     WHERE p.id = appointments.practitioner_id
       AND appointments.id BETWEEN :first AND :last
       AND appointments.reference IS NULL
    """
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        newest = connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM appointments")).scalar_one()
        for first in range(1, newest + 1, BATCH):
            connection.execute(FILL, {"first": first, "last": first + BATCH - 1})


def downgrade() -> None:
    op.execute("UPDATE appointments SET tenant_id = NULL, reference = NULL")
