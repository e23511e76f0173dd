"""create audit_log

Revision ID: e94a26c0d7b3
Revises: d2b64f07c91e
Create Date: 2026-03-30 09:44:12.087356+00:00

"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "e94a26c0d7b3"
down_revision = "d2b64f07c91e"
branch_labels = None
depends_on = None

AUDITED = ("patients", "prescriptions", "invoices")
TOUCHED = ("users", "patients", "appointments")


def upgrade() -> None:
    op.execute("CREATE SCHEMA audit")
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("CURRENT_USER"), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(6), nullable=False),
        sa.Column("old", postgresql.JSONB(), nullable=True),
        sa.Column("new", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        schema="audit",
    )
    op.create_index("ix_audit_log_table_name_row_id", "audit_log", ["table_name", "row_id"], schema="audit")
    op.execute(
        """
        CREATE FUNCTION audit.record_change() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit.audit_log (table_name, row_id, action, old, new)
            VALUES (
                TG_TABLE_NAME,
                CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END,
                lower(TG_OP),
                CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
                CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END
            );
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION touch_updated_at() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at := now();
            RETURN NEW;
        END
        $$
        """
    )
    for table in AUDITED:
        op.execute(
            f"CREATE TRIGGER {table}_audit AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit.record_change()"
        )
    for table in TOUCHED:
        op.add_column(
            table,
            sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        )
        op.execute(
            f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        )


def downgrade() -> None:
    for table in TOUCHED:
        op.execute(f"DROP TRIGGER {table}_touch ON {table}")
        op.drop_column(table, "updated_at")
    for table in AUDITED:
        op.execute(f"DROP TRIGGER {table}_audit ON {table}")
    op.execute("DROP FUNCTION touch_updated_at()")
    op.execute("DROP SCHEMA audit CASCADE")
