"""view: day_sheet

Revision ID: c4a19e70d86f
Revises: 90b3d8f2a5c7
Create Date: 2025-01-20 11:30:26.245981

"""

from alembic import op

# revision identifiers, used by Alembic.
revision = "c4a19e70d86f"
down_revision = "90b3d8f2a5c7"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        "ix_appointments_practitioner_id_starts_at", "appointments", ["practitioner_id", "starts_at"]
    )
    op.execute(
        """
        CREATE VIEW day_sheet AS
        SELECT a.starts_at::date AS day,
               u.full_name AS practitioner,
               a.starts_at,
               a.ends_at,
               p.number AS patient_number,
               p.family_name || ', ' || p.given_name AS patient,
               a.status,
               a.reason
          FROM appointments a
          JOIN patients p ON p.id = a.patient_id
          JOIN practitioners d ON d.id = a.practitioner_id
          JOIN users u ON u.id = d.user_id
         WHERE a.cancelled_at IS NULL
           AND a.status <> 'no_show'
        """
    )


def downgrade():
    op.execute("DROP VIEW day_sheet")
    op.drop_index("ix_appointments_practitioner_id_starts_at", "appointments")
