"""memberships: a tenant sees its own (row security)

Revision ID: b8e37a05d1c6
Revises: 6c08d4e7a1f9
Create Date: 2026-10-30 16:19:05.977421+00:00

"""

from alembic import op

revision = "b8e37a05d1c6"
down_revision = "6c08d4e7a1f9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE memberships ENABLE ROW LEVEL SECURITY")
    op.execute(
        """
        CREATE POLICY tenant_isolation ON memberships
        USING (tenant_id = nullif(current_setting('clinic.tenant_id', true), '')::bigint)
        """
    )


def downgrade() -> None:
    op.execute("DROP POLICY tenant_isolation ON memberships")
    op.execute("ALTER TABLE memberships DISABLE ROW LEVEL SECURITY")
