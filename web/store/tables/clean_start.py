"""What a clean start is made of: surveys, baselines with change sets and proofs, and the runs that lead through it.

Merges are kept as baselines are, for the same ways into a source.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class SurveyRow(Base):
    """What a project's history, models and environments were before a clean start."""

    __tablename__ = "survey"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: `answers.survey` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BaselineRow(Base):
    """The baseline that replaces a history, with what running it in scratch showed, and its change set."""

    __tablename__ = "baseline"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: The file and its proof: `remedies.stored_baselines` owns the shape.
    content: Mapped[dict[str, Any]]
    #: What each old revision was, as it lies in the archive.
    manifest: Mapped[dict[str, Any]]
    #: Every file of the change set with its content before and after, compressed: `remedies.change_set` owns the shape.
    change_set: Mapped[bytes]
    #: The job that wrote it into the source, with the commit: `remedies.stored_baselines` owns the shape.
    written: Mapped[dict[str, Any] | None]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MergeRow(Base):
    """The migration that joins a history's heads, with what running it in scratch showed, and its change set."""

    __tablename__ = "merge_of_heads"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: The file and its proof: `remedies.stored_merges` owns the shape.
    content: Mapped[dict[str, Any]]
    #: As in `baseline`.
    change_set: Mapped[bytes]
    #: As in `baseline`.
    written: Mapped[dict[str, Any] | None]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BaselineProofRow(Base):
    """What running a baseline anew showed, and how everything that it is to stand for differs from it."""

    __tablename__ = "baseline_proof"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: `remedies.stored_proofs` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CleanStartRehearsalRow(Base):
    """What applying a baseline did to copies of a project's databases."""

    __tablename__ = "clean_start_rehearsal"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: `remedies.stored_rehearsals` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CutOverScanRow(Base):
    """What migrates a project's databases besides this dashboard, as a job found it."""

    __tablename__ = "cut_over_scan"
    __table_args__ = (Index(None, "project"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project: Mapped[str]
    #: `cutover.stored_scans` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RunRow(Base):
    """A project's clean start, from its beginning to its end; one may be open."""

    __tablename__ = "clean_start_run"
    __table_args__ = (
        Index("clean_start_run_open_idx", "project", unique=True, postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("way IN ('clean start', 'keep')", name="way"),
        CheckConstraint("ended IN ('done', 'stopped')", name="ended"),
        CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name="ended_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    #: Whether the history is replaced or kept.
    way: Mapped[str]
    #: By environment: `answers.strategy` owns the words.
    strategies: Mapped[dict[str, Any]]
    begun_by: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    why: Mapped[str | None]
    #: What was and what is, as it was when the run ended: `clean_start.report` owns the shape.
    report: Mapped[dict[str, Any] | None]


class RunEventRow(Base):
    """What people did in a run, in order; never changed."""

    __tablename__ = "clean_start_event"
    __table_args__ = (
        Index(None, "run_id"),
        # A job is started by one step of one run.
        Index(
            "clean_start_event_job_idx", "job_id", unique=True, postgresql_where=text("job_id IS NOT NULL")
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("clean_start_run.id", ondelete="CASCADE"))
    #: `begun`, `strategy`, `started`, `proven`, `accepted`, `ended`: `clean_start.runs` owns the words.
    sort: Mapped[str]
    step: Mapped[str | None]
    environment: Mapped[str | None]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    #: What was so at that time.
    detail: Mapped[dict[str, Any]]
    by: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class AcceptanceRow(Base):
    """What a person answers for in a run although it is not as it should be."""

    __tablename__ = "clean_start_acceptance"
    __table_args__ = (UniqueConstraint("run_id", "about"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("clean_start_run.id", ondelete="CASCADE"))
    #: Names it: a difference by its digest, or a risk by its name and environment.
    about: Mapped[str]
    step: Mapped[str]
    environment: Mapped[str | None]
    #: In words, for who reads it later.
    what: Mapped[str]
    reason: Mapped[str]
    accepted_by: Mapped[str]
    accepted_at: Mapped[datetime] = mapped_column(server_default=func.now())
