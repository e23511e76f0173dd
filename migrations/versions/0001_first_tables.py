"""The store's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("fence")))
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer','operator','admin')", name=op.f("api_token_role_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_token_pkey")),
        sa.UniqueConstraint("digest", name=op.f("api_token_digest_key")),
        sa.UniqueConstraint("name", name=op.f("api_token_name_key")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_entry_pkey")),
        sa.UniqueConstraint("hash", name=op.f("audit_entry_hash_key")),
    )
    op.create_table(
        "build",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column(
            "registered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("registered_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("build_pkey")),
        sa.UniqueConstraint("project", "number", name=op.f("build_project_number_key")),
    )
    op.create_table(
        "environment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("system_identifier", sa.Text(), nullable=True),
        sa.Column("database_oid", sa.BigInteger(), nullable=True),
        sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("environment_pkey")),
        sa.UniqueConstraint("project", "name", name=op.f("environment_project_name_key")),
    )
    op.create_table(
        "history",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("history_pkey")),
    )
    op.create_table(
        "schema_snapshot",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("server_major", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("schema_snapshot_pkey")),
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_failure_pkey")),
    )
    op.create_index(
        op.f("sign_in_failure_address_at_idx"), "sign_in_failure", ["address", "at"], unique=False
    )
    op.create_index(op.f("sign_in_failure_name_at_idx"), "sign_in_failure", ["name", "at"], unique=False)
    op.create_table(
        "signing_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("signing_key_pkey")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("user_account_pkey")),
        sa.UniqueConstraint("name", name=op.f("user_account_name_key")),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("worker_pkey")),
    )
    op.create_table(
        "applied_revision",
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("file_digest", sa.Text(), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("applied_revision_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", "revision", name=op.f("applied_revision_pkey")),
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_hash", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("approval_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("approval_pkey")),
        sa.UniqueConstraint(
            "environment_id",
            "plan_hash",
            "approved_by",
            name=op.f("approval_environment_id_plan_hash_approved_by_key"),
        ),
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("build_id", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["build.id"], name=op.f("deployment_build_id_fkey")),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("deployment_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("deployment_pkey")),
    )
    op.create_index(
        op.f("deployment_environment_id_id_idx"), "deployment", ["environment_id", "id"], unique=False
    )
    op.create_table(
        "drift",
        sa.Column("expected_fingerprint", sa.Text(), nullable=False),
        sa.Column("actual_fingerprint", sa.Text(), nullable=False),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["actual_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("drift_actual_fingerprint_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["expected_fingerprint"],
            ["schema_snapshot.fingerprint"],
            name=op.f("drift_expected_fingerprint_fkey"),
        ),
        sa.PrimaryKeyConstraint("expected_fingerprint", "actual_fingerprint", name=op.f("drift_pkey")),
    )
    op.create_table(
        "expected_schema",
        sa.Column("cache_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["schema_snapshot.fingerprint"], name=op.f("expected_schema_fingerprint_fkey")
        ),
        sa.PrimaryKeyConstraint("cache_key", name=op.f("expected_schema_pkey")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("mutating", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_fingerprint", sa.Text(), nullable=True),
        sa.Column("seen_revisions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("plan_hash", sa.Text(), nullable=True),
        sa.Column("confirmation", sa.Text(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_by", sa.Text(), nullable=True),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('queued','running','cancelling','interrupted','succeeded','failed','cancelled',"
            "'not done','unknown')",
            name=op.f("job_state_check"),
        ),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], name=op.f("job_environment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
        sa.UniqueConstraint("confirmation", name=op.f("job_confirmation_key")),
    )
    op.create_index(op.f("job_environment_id_id_idx"), "job", ["environment_id", "id"], unique=False)
    op.create_index(
        "job_unfinished_idx",
        "job",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued','running','cancelling','interrupted')"),
    )
    op.create_table(
        "observation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("first_observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("server_version", sa.Integer(), nullable=True),
        sa.Column("database", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("version_table", sa.Boolean(), nullable=True),
        sa.Column("revisions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("expected_fingerprint", sa.Text(), nullable=True),
        sa.Column("drift_state", sa.Text(), server_default="not compared", nullable=False),
        sa.Column("drift_reason", sa.Text(), nullable=True),
        sa.Column("drift_count", sa.Integer(), nullable=True),
        sa.Column("source_digest", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "drift_state IN ('none','drifted','unknown','not compared')",
            name=op.f("observation_drift_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("observation_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("observation_pkey")),
    )
    op.create_index(
        op.f("observation_environment_id_id_idx"), "observation", ["environment_id", "id"], unique=False
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("cache_key", sa.Text(), nullable=False),
        sa.Column("from_revisions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("to_revisions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name=op.f("plan_environment_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("plan_pkey")),
    )
    op.create_index(op.f("plan_environment_id_id_idx"), "plan", ["environment_id", "id"], unique=False)
    op.create_index(op.f("plan_hash_idx"), "plan", ["hash"], unique=False)
    op.create_table(
        "role_grant",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('viewer','operator','admin')", name=op.f("role_grant_role_check")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("role_grant_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "project", name=op.f("role_grant_pkey")),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("csrf_secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("session_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("session_pkey")),
    )
    op.create_index(op.f("session_user_id_idx"), "session", ["user_id"], unique=False)
    op.create_table(
        "backup",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("manifest_version", sa.Integer(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="unverified", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verification", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('unverified','verified','failed verification','removed')",
            name=op.f("backup_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name=op.f("backup_environment_id_fkey")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("backup_job_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("backup_pkey")),
        sa.UniqueConstraint("key", name=op.f("backup_key_key")),
    )
    op.create_index(
        op.f("backup_environment_id_created_at_idx"), "backup", ["environment_id", "created_at"], unique=False
    )
    op.create_table(
        "environment_state",
        sa.Column("environment_id", sa.BigInteger(), nullable=False),
        sa.Column("observation_id", sa.BigInteger(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "facts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environment.id"],
            name=op.f("environment_state_environment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["observation_id"],
            ["observation.id"],
            name=op.f("environment_state_observation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", name=op.f("environment_state_pkey")),
    )
    op.create_table(
        "job_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column(
            "processes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "backends",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("job_attempt_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("job_attempt_pkey")),
        sa.UniqueConstraint("fence", name=op.f("job_attempt_fence_key")),
        sa.UniqueConstraint("job_id", "number", name=op.f("job_attempt_job_id_number_key")),
    )
    op.create_table(
        "job_event",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), server_default="info", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("job_event_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("job_event_pkey")),
    )
    op.create_table(
        "job_step",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued','running','succeeded','failed','cancelled','skipped','unknown')",
            name=op.f("job_step_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("job_step_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("job_step_pkey")),
    )
    op.create_table(
        "job_target",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("system_identifier", sa.Text(), nullable=False),
        sa.Column("database_oid", sa.BigInteger(), nullable=False),
        sa.Column("unfinished", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("job_target_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "system_identifier", "database_oid", name=op.f("job_target_pkey")),
    )
    op.create_index(
        "job_target_gate",
        "job_target",
        ["system_identifier", "database_oid"],
        unique=True,
        postgresql_where=sa.text("unfinished"),
    )
    op.create_table(
        "intent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("what", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["job_attempt.id"], name=op.f("intent_attempt_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("intent_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("intent_pkey")),
        sa.UniqueConstraint("attempt_id", "number", name=op.f("intent_attempt_id_number_key")),
    )
    op.create_index(op.f("intent_job_id_idx"), "intent", ["job_id"], unique=False)
    op.create_table(
        "receipt",
        sa.Column("intent_id", sa.BigInteger(), nullable=False),
        sa.Column("proof", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["intent_id"], ["intent.id"], name=op.f("receipt_intent_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("receipt_pkey")),
    )


def downgrade() -> None:
    op.drop_table("signing_key")
    op.drop_table("receipt")
    op.drop_index(op.f("intent_job_id_idx"), table_name="intent")
    op.drop_table("intent")
    op.drop_index("job_target_gate", table_name="job_target", postgresql_where=sa.text("unfinished"))
    op.drop_table("job_target")
    op.drop_table("job_step")
    op.drop_table("job_event")
    op.drop_table("job_attempt")
    op.drop_table("environment_state")
    op.drop_index(op.f("backup_environment_id_created_at_idx"), table_name="backup")
    op.drop_table("backup")
    op.drop_index(op.f("session_user_id_idx"), table_name="session")
    op.drop_table("session")
    op.drop_table("role_grant")
    op.drop_index(op.f("plan_hash_idx"), table_name="plan")
    op.drop_index(op.f("plan_environment_id_id_idx"), table_name="plan")
    op.drop_table("plan")
    op.drop_index(op.f("observation_environment_id_id_idx"), table_name="observation")
    op.drop_table("observation")
    op.drop_index(
        "job_unfinished_idx",
        table_name="job",
        postgresql_where=sa.text("state IN ('queued','running','cancelling','interrupted')"),
    )
    op.drop_index(op.f("job_environment_id_id_idx"), table_name="job")
    op.drop_table("job")
    op.drop_table("expected_schema")
    op.drop_table("drift")
    op.drop_index(op.f("deployment_environment_id_id_idx"), table_name="deployment")
    op.drop_table("deployment")
    op.drop_table("approval")
    op.drop_table("applied_revision")
    op.drop_table("worker")
    op.drop_table("user_account")
    op.drop_index(op.f("sign_in_failure_name_at_idx"), table_name="sign_in_failure")
    op.drop_index(op.f("sign_in_failure_address_at_idx"), table_name="sign_in_failure")
    op.drop_table("sign_in_failure")
    op.drop_table("schema_snapshot")
    op.drop_table("history")
    op.drop_table("environment")
    op.drop_table("build")
    op.drop_table("audit_entry")
    op.drop_table("api_token")
    op.execute(sa.schema.DropSequence(sa.Sequence("fence")))
