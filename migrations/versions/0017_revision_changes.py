"""Looks that found other version rows than the one before say what those were, and until when they were seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("observation", sa.Column("revisions_before", postgresql.ARRAY(sa.Text())))
    op.add_column("observation", sa.Column("revisions_seen_until", sa.DateTime(timezone=True)))
    op.create_index(
        "observation_revisions_changed_idx",
        "observation",
        ["environment_id", "id"],
        postgresql_where=sa.text("revisions_before IS NOT NULL"),
    )
    # Those that may have changed them, by when they ran.
    op.create_index(
        "job_mutating_idx", "job", ["environment_id", "started_at"], postgresql_where=sa.text("mutating")
    )


def downgrade() -> None:
    op.drop_index("job_mutating_idx", table_name="job")
    op.drop_index("observation_revisions_changed_idx", table_name="observation")
    op.drop_column("observation", "revisions_seen_until")
    op.drop_column("observation", "revisions_before")
