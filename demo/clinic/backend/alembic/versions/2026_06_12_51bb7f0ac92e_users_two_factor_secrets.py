"""users: two-factor secrets

Revision ID: 51bb7f0ac92e
Revises: e94a26c0d7b3
Create Date: 2026-06-12 15:26:33.491207+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "51bb7f0ac92e"
down_revision = "e94a26c0d7b3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("two_factor_secret", sa.String(64), nullable=True))
    op.add_column("users", sa.Column("two_factor_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_users_last_seen_at_active", "users", ["last_seen_at"], postgresql_where=sa.text("is_active")
    )


def downgrade() -> None:
    op.drop_index("ix_users_last_seen_at_active", "users")
    op.drop_column("users", "two_factor_since")
    op.drop_column("users", "two_factor_secret")
