"""CLIN-141 prescriptions, search patients by name

Revision ID: 0f62b9d4e8a1
Revises: c4a19e70d86f
Create Date: 2025-05-06 07:15:40.118264+00:00

"""

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision = "0f62b9d4e8a1"
down_revision = "c4a19e70d86f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prescriptions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("practitioner_id", sa.BigInteger(), nullable=False),
        sa.Column("medicine", sa.String(120), nullable=False),
        sa.Column("dose", sa.String(60), nullable=False),
        sa.Column("prescribed_on", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        sa.Column("repeats", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prescriptions"),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_prescriptions_patient_id_patients"),
        sa.ForeignKeyConstraint(
            ["practitioner_id"], ["practitioners.id"], name="fk_prescriptions_practitioner_id_practitioners"
        ),
    )
    op.create_index("ix_prescriptions_patient_id", "prescriptions", ["patient_id"])
    op.add_column(
        "patients",
        sa.Column(
            "full_name", sa.Text(), sa.Computed("family_name || ', ' || given_name", persisted=True), nullable=True
        ),
    )
    op.create_index(
        "ix_patients_full_name_current",
        "patients",
        ["full_name"],
        postgresql_where=sa.text("archived_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_patients_full_name_current", "patients")
    op.drop_column("patients", "full_name")
    op.drop_table("prescriptions")
