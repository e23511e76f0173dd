"""Reminders by SMS, e-mail and letter

Revision ID: 27d5f3c8b90a
Revises: 51bb7f0ac92e
Create Date: 2026-10-06 08:58:01.344876+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "27d5f3c8b90a"
down_revision = "51bb7f0ac92e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reminders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(10), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reminders"),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointments.id"],
            name="fk_reminders_appointment_id_appointments",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("appointment_id", "channel", name="uq_reminders_appointment_id_channel"),
        sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", name="ck_reminders_channel_is_known"),
    )


def downgrade() -> None:
    op.drop_table("reminders")
