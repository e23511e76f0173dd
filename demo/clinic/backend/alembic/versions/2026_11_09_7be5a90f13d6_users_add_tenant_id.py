"""users: add tenant_id, nullable

Revision ID: 7be5a90f13d6
Revises: d20c74b85e13
Create Date: 2026-11-09 13:51:38.153690+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "7be5a90f13d6"
down_revision = "d20c74b85e13"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("tenant_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "tenant_id")
