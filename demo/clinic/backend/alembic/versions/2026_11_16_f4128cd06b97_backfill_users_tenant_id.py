"""backfill users.tenant_id from clinic memberships

Also makes room for the next step: appointments get a tenant, and a reference that a patient can be sent in a link
instead of signing in with a password.

Revision ID: f4128cd06b97
Revises: 7be5a90f13d6
Create Date: 2026-11-16 09:07:22.408817+00:00

"""

import sqlalchemy as sa
from alembic import op

revision = "f4128cd06b97"
down_revision = "7be5a90f13d6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        UPDATE users
           SET tenant_id = m.tenant_id
          FROM (SELECT user_id, min(tenant_id) AS tenant_id FROM memberships GROUP BY user_id) m
         WHERE m.user_id = users.id
           AND users.tenant_id IS NULL
        """
    )
    op.add_column("appointments", sa.Column("tenant_id", sa.BigInteger(), nullable=True))
    op.add_column("appointments", sa.Column("reference", sa.String(24), nullable=True))
    op.execute(
        """
        CREATE FUNCTION booking_reference(tenant bigint, appointment bigint) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT AS $$
        DECLARE
            stretched bytea := sha256(convert_to(tenant || '/' || appointment, 'UTF8'));
        BEGIN
            -- Ids are easy to count through. Many rounds make guessing a reference expensive.
            FOR round IN 1..250 LOOP
                stretched := sha256(stretched);
            END LOOP;
            RETURN upper(left(encode(stretched, 'hex'), 24));
        END
        $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION booking_reference(bigint, bigint)")
    op.drop_column("appointments", "reference")
    op.drop_column("appointments", "tenant_id")
    op.execute("UPDATE users SET tenant_id = NULL")
