"""Jobs, their attempts, steps and events, and the workers that run them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Sequence,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base

#: Fencing numbers: every attempt of any job gets the next one; a smaller one may not write any more.
FENCE = Sequence("fence", metadata=Base.metadata)

#: States in which a job is not finished.
UNFINISHED = ("queued", "running", "cancelling", "interrupted")


class JobRow(Base):
    """One run of an operation."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued','running','cancelling','interrupted','succeeded','failed','cancelled',"
            "'not done','unknown')",
            name="state",
        ),
        Index(None, "environment_id", "id"),
        Index(None, "project", "id"),
        Index("job_mutating_idx", "environment_id", "started_at", postgresql_where=text("mutating")),
        Index(
            "job_unfinished_idx",
            "state",
            postgresql_where=text("state IN ('queued','running','cancelling','interrupted')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    project: Mapped[str]
    #: None: a job of the project as a whole.
    environment_id: Mapped[int | None] = mapped_column(ForeignKey("environment.id"))
    parameters: Mapped[dict[str, Any]]
    mutating: Mapped[bool]
    #: It only looks: nobody is told that it runs.
    observes: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    state: Mapped[str] = mapped_column(server_default="queued")
    requested_by: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    #: Fingerprint and revisions that the person saw; the worker refuses when they are not those any more.
    seen_fingerprint: Mapped[str | None]
    seen_revisions: Mapped[list[str] | None]
    shown_hash: Mapped[str | None]
    #: Number of the confirmation that allowed a destructive job: used once, ever.
    confirmation: Mapped[str | None] = mapped_column(unique=True)
    cancel_requested_at: Mapped[datetime | None]
    cancel_requested_by: Mapped[str | None]
    #: Present step, measure and statement: one row to read for a head.
    step: Mapped[str | None]
    done: Mapped[int | None]
    total: Mapped[int | None]
    unit: Mapped[str | None]
    statement: Mapped[str | None]
    #: How it ended: title, account, evidence, next step; the kind owns the shape of `data`.
    outcome: Mapped[dict[str, Any] | None]
    last_seq: Mapped[int] = mapped_column(server_default="0")


class JobTargetRow(Base):
    """A target that a mutating job touches; the partial unique index is the gate "one at a time"."""

    __tablename__ = "job_target"
    __table_args__ = (
        Index(None, "system_identifier", "database_oid", "job_id"),
        Index(
            "job_target_gate",
            "system_identifier",
            "database_oid",
            unique=True,
            postgresql_where=text("unfinished"),
        ),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    system_identifier: Mapped[str] = mapped_column(primary_key=True)
    database_oid: Mapped[int] = mapped_column(primary_key=True)
    unfinished: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))


class JobAttemptRow(Base):
    """One worker's try at a job; its fence is checked at every write to the store."""

    __tablename__ = "job_attempt"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    fence: Mapped[int] = mapped_column(unique=True)
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    #: Host, process ids with start times, and (pid, backend_start) of every backend it opened.
    host: Mapped[str]
    processes: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    backends: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    outcome: Mapped[str | None]
    #: Why the run stopped (`web.jobs.execution.Stopped`), where it lived to say so and left something behind.
    stopped: Mapped[dict[str, Any] | None]


class JobStepRow(Base):
    """A named part of a job."""

    __tablename__ = "job_step"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued','running','succeeded','failed','cancelled','skipped','unknown')", name="state"
        ),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    title: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    detail: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEventRow(Base):
    """The append-only log of a job; `seq` is also the id of its server-sent event."""

    __tablename__ = "job_event"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    #: `log`, `step`, `progress`, `statement`, `state`.
    kind: Mapped[str]
    level: Mapped[str] = mapped_column(server_default="info")
    text: Mapped[str] = mapped_column(server_default="")
    data: Mapped[dict[str, Any] | None]


class IntentRow(Base):
    """What a step is about to do; written, committed and only then done."""

    __tablename__ = "intent"
    __table_args__ = (UniqueConstraint("attempt_id", "number"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    attempt_id: Mapped[int] = mapped_column(ForeignKey("job_attempt.id", ondelete="CASCADE"))
    #: Counts within the attempt: a write that is repeated because its answer was lost stays one intent.
    number: Mapped[int] = mapped_column(Integer)
    step: Mapped[str]
    what: Mapped[dict[str, Any]]
    written_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ReceiptRow(Base):
    """The proof that an intent was carried out."""

    __tablename__ = "receipt"

    intent_id: Mapped[int] = mapped_column(ForeignKey("intent.id", ondelete="CASCADE"), primary_key=True)
    proof: Mapped[dict[str, Any]]
    written_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JobSchemaRow(Base):
    """The schema of a mutating job's target before and after it; the reason where it could not be read.

    The keys hold the snapshots: they stay as long as the job that names them.
    """

    __tablename__ = "job_schema"

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    before_at: Mapped[datetime | None]
    before_token: Mapped[str | None]
    before_fingerprint: Mapped[str | None] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    #: None: the version table could not be read.
    before_revisions: Mapped[list[str] | None]
    before_reason: Mapped[str | None]
    after_at: Mapped[datetime | None]
    after_token: Mapped[str | None]
    after_fingerprint: Mapped[str | None] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    after_revisions: Mapped[list[str] | None]
    after_reason: Mapped[str | None]


class DoubtRow(Base):
    """What a job left on its targets that nobody can vouch for, and who or what settled it."""

    __tablename__ = "doubt"
    __table_args__ = (
        CheckConstraint("sort IN ('outcome not known','half done')", name="sort"),
        CheckConstraint(
            "settled_at IS NULL OR settled_by IS NOT NULL AND reason IS NOT NULL", name="settled"
        ),
        Index("doubt_open_idx", "job_id", postgresql_where=text("settled_at IS NULL")),
    )

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sort: Mapped[str]
    #: In words, as a whole sentence.
    what: Mapped[str]
    #: Whether a look may settle it (`web.jobs.job.Unproven`).
    by_check: Mapped[bool] = mapped_column(Boolean)
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    #: A person's name, `job 12`, or `a look`.
    settled_by: Mapped[str | None]
    #: What proved it, or why the person vouches for it.
    reason: Mapped[str | None]


class WorkerRow(Base):
    """A worker process and its last sign of life (every 5 s; dead after 15 s)."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stopped_at: Mapped[datetime | None]
    #: What is around projects' code on its machine, in words; None: a worker of before that was told.
    wall: Mapped[str | None]
