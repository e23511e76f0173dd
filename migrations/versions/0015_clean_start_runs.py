"""Runs of a clean start, what people did and accepted in them, and proofs of baselines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "baseline_proof",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("baseline_proof_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("baseline_proof_pkey")),
    )
    op.create_index(op.f("baseline_proof_project_idx"), "baseline_proof", ["project"])
    op.create_table(
        "clean_start_rehearsal",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("clean_start_rehearsal_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("clean_start_rehearsal_pkey")),
    )
    op.create_index(op.f("clean_start_rehearsal_project_idx"), "clean_start_rehearsal", ["project"])
    op.create_table(
        "clean_start_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("strategies", postgresql.JSONB(), nullable=False),
        sa.Column("begun_by", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("report", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint("way IN ('clean start', 'keep')", name=op.f("clean_start_run_way_check")),
        sa.CheckConstraint("ended IN ('done', 'stopped')", name=op.f("clean_start_run_ended_check")),
        sa.CheckConstraint(
            "(ended IS NULL) = (ended_at IS NULL)", name=op.f("clean_start_run_ended_at_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("clean_start_run_pkey")),
    )
    op.create_index(
        "clean_start_run_open_idx",
        "clean_start_run",
        ["project"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "clean_start_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("sort", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["clean_start_run.id"],
            name=op.f("clean_start_event_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("clean_start_event_job_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("clean_start_event_pkey")),
    )
    op.create_index(op.f("clean_start_event_run_id_idx"), "clean_start_event", ["run_id"])
    op.create_index(
        "clean_start_event_job_idx",
        "clean_start_event",
        ["job_id"],
        unique=True,
        postgresql_where=sa.text("job_id IS NOT NULL"),
    )
    op.create_table(
        "clean_start_acceptance",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["clean_start_run.id"],
            name=op.f("clean_start_acceptance_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("clean_start_acceptance_pkey")),
        sa.UniqueConstraint("run_id", "about", name=op.f("clean_start_acceptance_run_id_about_key")),
    )


def downgrade() -> None:
    op.drop_table("clean_start_acceptance")
    op.drop_table("clean_start_event")
    op.drop_table("clean_start_run")
    op.drop_table("clean_start_rehearsal")
    op.drop_table("baseline_proof")
