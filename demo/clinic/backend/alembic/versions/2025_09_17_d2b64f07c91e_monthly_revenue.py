"""monthly_revenue (materialized) for the finance report

Revision ID: d2b64f07c91e
Revises: 0f62b9d4e8a1
Create Date: 2025-09-17 13:02:55.730948+00:00

"""

from alembic import op

# revision identifiers, used by Alembic.
revision = "d2b64f07c91e"
down_revision = "0f62b9d4e8a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE MATERIALIZED VIEW monthly_revenue AS
        SELECT date_trunc('month', i.issued_on)::date AS month,
               count(*) AS invoices,
               sum(i.total) AS invoiced,
               sum(i.total) FILTER (WHERE i.status = 'paid') AS paid
          FROM invoices i
         WHERE i.status <> 'void'
         GROUP BY 1
        """
    )
    # Needed for REFRESH MATERIALIZED VIEW CONCURRENTLY.
    op.execute("CREATE UNIQUE INDEX ix_monthly_revenue_month ON monthly_revenue (month)")


def downgrade() -> None:
    op.execute("DROP MATERIALIZED VIEW monthly_revenue")
