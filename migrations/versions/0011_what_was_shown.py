"""The hash of what a person was shown, a plan's or a repair's, by its own name; and what a check may settle."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("job", "plan_hash", new_column_name="shown_hash")
    op.alter_column("doubt", "by_look", new_column_name="by_check")
    op.alter_column("approval", "plan_hash", new_column_name="shown_hash")
    op.execute(
        "ALTER INDEX approval_environment_id_plan_hash_approved_by_key "
        "RENAME TO approval_environment_id_shown_hash_approved_by_key"
    )


def downgrade() -> None:
    op.execute(
        "ALTER INDEX approval_environment_id_shown_hash_approved_by_key "
        "RENAME TO approval_environment_id_plan_hash_approved_by_key"
    )
    op.alter_column("approval", "shown_hash", new_column_name="plan_hash")
    op.alter_column("doubt", "by_check", new_column_name="by_look")
    op.alter_column("job", "shown_hash", new_column_name="plan_hash")
