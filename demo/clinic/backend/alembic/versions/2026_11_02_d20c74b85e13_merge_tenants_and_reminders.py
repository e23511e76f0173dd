"""merge tenants and reminders

Revision ID: d20c74b85e13
Revises: a1f6930b2ce8, b8e37a05d1c6
Create Date: 2026-11-02 08:30:14.612085+00:00

"""

revision = "d20c74b85e13"
down_revision = ("a1f6930b2ce8", "b8e37a05d1c6")
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
