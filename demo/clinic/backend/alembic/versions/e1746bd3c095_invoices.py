"""CLIN-61: invoices

Revision ID: e1746bd3c095
Revises: 5c2f81a90e6b
Create Date: 2024-09-02 10:55:08.317742

"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = "e1746bd3c095"
down_revision = "5c2f81a90e6b"
branch_labels = None
depends_on = None

money_amount = postgresql.DOMAIN("money_amount", sa.Numeric(10, 2), create_type=False)


def upgrade():
    op.execute("CREATE DOMAIN money_amount AS numeric(10, 2) CHECK (VALUE >= 0)")
    op.execute("CREATE SEQUENCE invoice_number_seq")
    status = postgresql.ENUM("draft", "open", "paid", "void", name="invoice_status", create_type=False)
    status.create(op.get_bind())
    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "number",
            sa.String(20),
            server_default=sa.text("'INV-' || lpad(nextval('invoice_number_seq')::text, 7, '0')"),
            nullable=False,
        ),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=True),
        sa.Column("status", status, server_default="draft", nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("total", money_amount, server_default=sa.text("0"), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
        sa.UniqueConstraint("number", name="uq_invoices_number"),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_invoices_patient_id_patients"),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["appointments.id"], name="fk_invoices_appointment_id_appointments"
        ),
        sa.CheckConstraint("due_on >= issued_on", name="ck_invoices_due_after_issue"),
        sa.CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name="ck_invoices_paid_has_a_date"),
    )
    op.create_index("ix_invoices_patient_id", "invoices", ["patient_id"])
    op.create_index(
        "ix_invoices_due_on_open", "invoices", ["due_on"], postgresql_where=sa.text("paid_at IS NULL")
    )
    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("quantity", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("unit_price", money_amount, nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "position", name="pk_invoice_lines"),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name="fk_invoice_lines_invoice_id_invoices", ondelete="CASCADE"
        ),
        sa.CheckConstraint("quantity > 0", name="ck_invoice_lines_quantity_is_positive"),
    )


def downgrade():
    op.drop_table("invoice_lines")
    op.drop_table("invoices")
    op.execute("DROP TYPE invoice_status")
    op.execute("DROP SEQUENCE invoice_number_seq")
    op.execute("DROP DOMAIN money_amount")
