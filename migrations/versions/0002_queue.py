"""The queue: Procrastinate 3.10's tables and functions."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SCHEMA = Path(__file__).parent.parent / "sql" / "procrastinate-3.10.sql"


def upgrade() -> None:
    # One string, several statements: the driver's own cursor, without parameters, sends it as it is.
    connection = op.get_bind().connection.dbapi_connection
    connection.execute(_SCHEMA.read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute(
        """
        DO $$
        DECLARE item record;
        BEGIN
          DROP TABLE procrastinate_periodic_defers, procrastinate_events, procrastinate_jobs,
                     procrastinate_workers CASCADE;
          FOR item IN
            SELECT p.oid::regprocedure AS signature FROM pg_proc p
            WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'procrastinate\\_%'
          LOOP
            EXECUTE 'DROP FUNCTION ' || item.signature;
          END LOOP;
          DROP TYPE procrastinate_job_to_defer_v1;
          DROP TYPE procrastinate_job_status;
          DROP TYPE procrastinate_job_event_type;
        END
        $$
        """
    )
