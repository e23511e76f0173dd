"""Failed sign-ins as counters, and the generation of the devices that a user's browsers are known by.

What was counted is dropped: it was worth a day.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("sign_in_failure")
    op.create_table(
        "sign_in_failure",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("sign_in_failure_pkey")),
    )
    op.create_index(op.f("sign_in_failure_at_idx"), "sign_in_failure", ["at"])
    op.add_column(
        "user_account",
        sa.Column("device_generation", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("user_account", "device_generation")
    op.drop_table("sign_in_failure")
    op.create_table(
        "sign_in_failure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_failure_pkey")),
    )
    op.create_index(op.f("sign_in_failure_address_at_idx"), "sign_in_failure", ["address", "at"])
    op.create_index(op.f("sign_in_failure_name_at_idx"), "sign_in_failure", ["name", "at"])
