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
    op.execute("UPDATE doubt SET settled_by = 'a check' WHERE settled_by = 'a look'")
    # Jobs that wait were announced with the step's old name.
    op.execute("UPDATE job_step SET name = 'observe' WHERE name = 'look'")
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
    op.execute("UPDATE doubt SET settled_by = 'a look' WHERE settled_by = 'a check'")
    op.alter_column("doubt", "by_check", new_column_name="by_look")
    op.alter_column("job", "shown_hash", new_column_name="plan_hash")
