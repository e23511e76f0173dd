"""practitioners + appointments

Revision ID: 5c2f81a90e6b
Revises: b07d92e6413c
Create Date: 2024-05-27 14:21:37.004519

"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = "5c2f81a90e6b"
down_revision = "b07d92e6413c"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "practitioners",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("speciality", sa.String(80), nullable=False),
        sa.Column("licence_number", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_practitioners"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_practitioners_user_id_users"),
        sa.UniqueConstraint("user_id", name="uq_practitioners_user_id"),
        sa.UniqueConstraint("licence_number", name="uq_practitioners_licence_number"),
    )
    status = postgresql.ENUM(
        "booked", "confirmed", "done", "cancelled", name="appointment_status", create_type=False
    )
    status.create(op.get_bind())
    op.create_table(
        "appointments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("practitioner_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", status, server_default="booked", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_appointments"),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="fk_appointments_patient_id_patients"),
        sa.ForeignKeyConstraint(
            ["practitioner_id"], ["practitioners.id"], name="fk_appointments_practitioner_id_practitioners"
        ),
        sa.CheckConstraint("ends_at > starts_at", name="ck_appointments_ends_after_start"),
    )
    op.create_index("ix_appointments_patient_id", "appointments", ["patient_id"])
    op.create_index(
        "ix_appointments_starts_at",
        "appointments",
        ["starts_at"],
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )


def downgrade():
    op.drop_table("appointments")
    op.execute("DROP TYPE appointment_status")
    op.drop_table("practitioners")
