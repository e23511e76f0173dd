"""What a clean start is made of: surveys, baselines with their change sets, what a cut-over found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func
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
