"""Merges of heads with their proof, and the change sets that bring them into a repository."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merge_of_heads",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("change_set", sa.LargeBinary(), nullable=False),
        sa.Column("written", postgresql.JSONB(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("merge_of_heads_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("merge_of_heads_pkey")),
    )
    op.create_index(op.f("merge_of_heads_project_idx"), "merge_of_heads", ["project"])


def downgrade() -> None:
    op.drop_table("merge_of_heads")
