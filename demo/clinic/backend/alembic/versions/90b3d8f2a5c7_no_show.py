"""no_show and arrived, at last

Revision ID: 90b3d8f2a5c7
Revises: e1746bd3c095
Create Date: 2024-11-15 17:48:51.669030

"""

from alembic import op

# revision identifiers, used by Alembic.
revision = "90b3d8f2a5c7"
down_revision = "e1746bd3c095"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TYPE appointment_status ADD VALUE IF NOT EXISTS 'arrived' AFTER 'confirmed'")
    op.execute("ALTER TYPE appointment_status ADD VALUE IF NOT EXISTS 'no_show'")


def downgrade():
    # PostgreSQL cannot take a value out of an enum. A value too many does no harm.
    pass
