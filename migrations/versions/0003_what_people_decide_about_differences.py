"""What people decide about differences: ignore rules, repairs, adoptions, comparisons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ignore_rule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("object_pattern", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("ignore_rule_pkey")),
    )
    op.create_index(op.f("ignore_rule_project_expires_at_idx"), "ignore_rule", ["project", "expires_at"])
    op.create_table(
        "repair",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("revisions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expected_fingerprint", sa.Text(), nullable=False),
        sa.Column("actual_fingerprint", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("repair_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["expected_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("repair_expected_fingerprint_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["actual_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("repair_actual_fingerprint_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("repair_pkey")),
    )
    op.create_index(op.f("repair_environment_id_id_idx"), "repair", ["environment_id", "id"])
    op.create_index(op.f("repair_hash_idx"), "repair", ["hash"])
    op.create_table(
        "adoption",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("adoption_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("adoption_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("adoption_pkey")),
    )
    op.create_index(op.f("adoption_environment_id_idx"), "adoption", ["environment_id"])
    op.create_table(
        "comparison",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("a", sa.Text(), nullable=False),
        sa.Column("b", sa.Text(), nullable=False),
        sa.Column("a_fingerprint", sa.Text(), nullable=True),
        sa.Column("b_fingerprint", sa.Text(), nullable=True),
        sa.Column("unknown", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["a_fingerprint"], ["schema_snapshot.fingerprint"], name=op.f("comparison_a_fingerprint_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["b_fingerprint"], ["schema_snapshot.fingerprint"], name=op.f("comparison_b_fingerprint_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("comparison_pkey")),
        sa.UniqueConstraint("project", "a", "b", name=op.f("comparison_project_a_b_key")),
    )


def downgrade() -> None:
    op.drop_table("comparison")
    op.drop_table("adoption")
    op.drop_table("repair")
    op.drop_table("ignore_rule")
