"""Which wall a worker has around projects' code."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("wall", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("worker", "wall")
