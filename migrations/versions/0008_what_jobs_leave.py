"""Which job's end each look came after, and what jobs left in doubt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("environment_state", sa.Column("seen_job", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("job_target_system_identifier_database_oid_job_id_idx"),
        "job_target",
        ["system_identifier", "database_oid", "job_id"],
        unique=False,
    )
    op.create_table(
        "doubt",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sort", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("by_look", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("sort IN ('outcome not known','half done')", name=op.f("doubt_sort_check")),
        sa.CheckConstraint(
            "settled_at IS NULL OR settled_by IS NOT NULL AND reason IS NOT NULL",
            name=op.f("doubt_settled_check"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("doubt_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("doubt_pkey")),
    )
    op.create_index(
        "doubt_open_idx", "doubt", ["job_id"], unique=False, postgresql_where=sa.text("settled_at IS NULL")
    )
    # What the last look came after is told by the clock for once.
    op.execute(
        """
        UPDATE environment_state s
           SET seen_job = (SELECT max(t.job_id)
                             FROM environment e
                             JOIN job_target t ON t.system_identifier = e.system_identifier
                                              AND t.database_oid = e.database_oid
                             JOIN job j ON j.id = t.job_id
                            WHERE e.id = s.environment_id AND j.finished_at <= s.observed_at)
        """
    )
    # An outcome that is not known is in doubt where nothing was done on the target since.
    op.execute(
        """
        INSERT INTO doubt (job_id, sort, what, by_look, opened_at)
        SELECT j.id, 'outcome not known', coalesce(j.outcome ->> 'account', 'How it ended is not known.'), false,
               j.finished_at
          FROM job j
         WHERE j.mutating AND j.kind <> 'backup' AND j.state = 'unknown'
           AND NOT EXISTS (SELECT FROM job later
                            WHERE later.environment_id = j.environment_id AND later.id > j.id
                              AND later.mutating AND later.kind <> 'backup' AND later.state = 'succeeded')
        """
    )


def downgrade() -> None:
    op.drop_table("doubt")
    op.drop_index(op.f("job_target_system_identifier_database_oid_job_id_idx"), table_name="job_target")
    op.drop_column("environment_state", "seen_job")
