"""Backups: a row for each one that exists or existed."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class BackupRow(Base):
    """A backup that exists: its manifest, where it lies and whether a restore has proven it."""

    __tablename__ = "backup"
    __table_args__ = (
        CheckConstraint("state IN ('unverified','verified','failed verification','removed')", name="state"),
        Index(None, "environment_id", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    key: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int]
    sha256: Mapped[str]
    manifest_version: Mapped[int] = mapped_column(Integer)
    manifest: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="unverified")
    created_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    verification: Mapped[dict[str, Any] | None]
    removed_at: Mapped[datetime | None]
