"""What the schema was before and after a job, and what lies between two schemas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_schema",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("before_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before_token", sa.Text(), nullable=True),
        sa.Column("before_fingerprint", sa.Text(), nullable=True),
        sa.Column("before_revisions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("before_reason", sa.Text(), nullable=True),
        sa.Column("after_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("after_token", sa.Text(), nullable=True),
        sa.Column("after_fingerprint", sa.Text(), nullable=True),
        sa.Column("after_revisions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("after_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("job_schema_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["before_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("job_schema_before_fingerprint_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["after_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("job_schema_after_fingerprint_fkey"),
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("job_schema_pkey")),
    )
    op.create_table(
        "schema_change",
        sa.Column("before_fingerprint", sa.Text(), nullable=False),
        sa.Column("after_fingerprint", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("kinds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["before_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("schema_change_before_fingerprint_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["after_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("schema_change_after_fingerprint_fkey"),
        ),
        sa.PrimaryKeyConstraint("before_fingerprint", "after_fingerprint", name=op.f("schema_change_pkey")),
    )


def downgrade() -> None:
    op.drop_table("schema_change")
    op.drop_table("job_schema")
