"""tenant_id becomes NOT NULL, drop legacy sessions and password_resets

Revision ID: 1c7f5e8d2a46
Revises: 92ad3e6f7b10
Create Date: 2026-11-18 17:22:10.039275+00:00

"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "1c7f5e8d2a46"
down_revision = "92ad3e6f7b10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("users", "appointments"):
        op.alter_column(table, "tenant_id", existing_type=sa.BigInteger(), nullable=False)
        op.create_foreign_key(f"fk_{table}_tenant_id_tenants", table, "tenants", ["tenant_id"], ["id"])
        op.create_index(f"ix_{table}_tenant_id", table, ["tenant_id"])
    op.alter_column("appointments", "reference", existing_type=sa.String(24), nullable=False)
    op.create_unique_constraint("uq_appointments_reference", "appointments", ["reference"])
    # A tenant's identity provider signs people in now.
    op.alter_column("users", "password_hash", existing_type=sa.String(200), nullable=True)
    op.drop_table("password_resets")
    op.drop_table("sessions")


def downgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", postgresql.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", postgresql.INET(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name="pk_password_resets"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_password_resets_user_id_users", ondelete="CASCADE"
        ),
    )
    op.drop_constraint("uq_appointments_reference", "appointments")
    op.alter_column("appointments", "reference", existing_type=sa.String(24), nullable=True)
    for table in ("users", "appointments"):
        op.drop_index(f"ix_{table}_tenant_id", table)
        op.drop_constraint(f"fk_{table}_tenant_id_tenants", table)
        op.alter_column(table, "tenant_id", existing_type=sa.BigInteger(), nullable=True)
