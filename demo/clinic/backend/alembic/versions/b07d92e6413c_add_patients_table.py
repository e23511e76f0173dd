"""Add patients table

Revision ID: b07d92e6413c
Revises: 8a5e0c47b1d2
Create Date: 2024-04-11 08:03:19.902114

"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = "b07d92e6413c"
down_revision = "8a5e0c47b1d2"
branch_labels = None
depends_on = None

phone_number = postgresql.DOMAIN("phone_number", sa.Text(), create_type=False)


def upgrade():
    op.execute(r"CREATE DOMAIN phone_number AS text CHECK (VALUE ~ '^\+?[0-9 ]{6,20}$')")
    # Patients are told this number; it must not say how many patients there are.
    op.execute("CREATE SEQUENCE patient_number_seq START 100000")
    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "number", sa.BigInteger(), server_default=sa.text("nextval('patient_number_seq')"), nullable=False
        ),
        sa.Column("given_name", sa.String(80), nullable=False),
        sa.Column("family_name", sa.String(80), nullable=False),
        sa.Column("born_on", sa.Date(), nullable=False),
        sa.Column("sex", sa.String(1), nullable=False),
        sa.Column("phone", phone_number, nullable=True),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_patients"),
        sa.UniqueConstraint("number", name="uq_patients_number"),
        sa.CheckConstraint("born_on > '1900-01-01'", name="ck_patients_born_on_is_plausible"),
        sa.CheckConstraint("sex IN ('f', 'm', 'x')", name="ck_patients_sex_is_known"),
    )


def downgrade():
    op.drop_table("patients")
    op.execute("DROP SEQUENCE patient_number_seq")
    op.execute("DROP DOMAIN phone_number")
