"""reminders: index for those that wait to be sent

Revision ID: a1f6930b2ce8
Revises: 27d5f3c8b90a
Create Date: 2026-10-21 14:37:29.805133+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "a1f6930b2ce8"
down_revision = "27d5f3c8b90a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The sender writes to this table all day: build the index without locking it out.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_reminders_send_at_waiting",
            "reminders",
            ["send_at"],
            postgresql_where=sa.text("sent_at IS NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_reminders_send_at_waiting", "reminders", postgresql_concurrently=True, if_exists=True
        )
