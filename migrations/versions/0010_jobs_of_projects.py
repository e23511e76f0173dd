"""Jobs that belong to a project and to none of its environments; and which jobs only look."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("project", sa.Text(), nullable=True))
    op.execute(
        "UPDATE job SET project = environment.project FROM environment WHERE environment.id = job.environment_id"
    )
    op.alter_column("job", "project", nullable=False)
    op.alter_column("job", "environment_id", nullable=True)
    op.create_index(op.f("job_project_id_idx"), "job", ["project", "id"])
    op.add_column("job", sa.Column("observes", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute("UPDATE job SET observes = true WHERE kind = 'observe'")


def downgrade() -> None:
    # An older version knows no place for them.
    op.execute("DELETE FROM job WHERE environment_id IS NULL")
    op.drop_column("job", "observes")
    op.drop_index(op.f("job_project_id_idx"), table_name="job")
    op.alter_column("job", "environment_id", nullable=False)
    op.drop_column("job", "project")
