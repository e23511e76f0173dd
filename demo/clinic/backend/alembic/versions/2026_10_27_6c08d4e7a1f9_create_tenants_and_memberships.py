"""create tenants and memberships

The first step away from one clinic with its own users. Every user so far becomes a member of the first tenant.

Revision ID: 6c08d4e7a1f9
Revises: 51bb7f0ac92e
Create Date: 2026-10-27 10:11:47.260394+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "6c08d4e7a1f9"
down_revision = "51bb7f0ac92e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.String(60), nullable=False),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("slug", name="uq_tenants_slug"),
        sa.CheckConstraint("slug ~ '^[a-z0-9-]+$'", name="ck_tenants_slug_is_plain"),
    )
    op.create_table(
        "memberships",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_memberships_tenant_id_tenants", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_memberships_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name="fk_memberships_role_id_roles"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])

    connection = op.get_bind()
    if connection.execute(sa.text("SELECT EXISTS (SELECT FROM users)")).scalar():
        tenant = connection.execute(
            sa.text("INSERT INTO tenants (slug, name) VALUES ('clinic', 'Clinic') RETURNING id")
        ).scalar_one()
        connection.execute(
            sa.text(
                """
                INSERT INTO memberships (tenant_id, user_id, role_id, since)
                SELECT :tenant, u.id, min(r.role_id), u.created_at
                  FROM users u
                  JOIN user_roles r ON r.user_id = u.id
                 GROUP BY u.id
                """
            ),
            {"tenant": tenant},
        )


def downgrade() -> None:
    op.drop_table("memberships")
    op.drop_table("tenants")
