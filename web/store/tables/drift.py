"""What people decide about differences: ignore rules, repairs, adoptions, and comparisons that they asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class IgnoreRuleRow(Base):
    """Differences that somebody answers for until a day. Rows stay: who ignored what is part of the record."""

    __tablename__ = "ignore_rule"
    __table_args__ = (Index(None, "project", "expires_at"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    #: None: every environment of the project.
    environment: Mapped[str | None]
    #: None: every kind of object.
    kind: Mapped[str | None]
    #: `*` stands for any characters, `?` for one.
    object_pattern: Mapped[str]
    #: None: every attribute, and the object as a whole.
    attribute: Mapped[str | None]
    reason: Mapped[str]
    #: Who answers for it.
    owner: Mapped[str]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[str]
    removed_at: Mapped[datetime | None]
    removed_by: Mapped[str | None]


class RepairRow(Base):
    """Statements that lead an environment back to its migrations, and what came of them on a scratch copy."""

    __tablename__ = "repair"
    __table_args__ = (Index(None, "environment_id", "id"), Index(None, "hash"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    #: Binds what was shown to what runs.
    hash: Mapped[str]
    revisions: Mapped[list[str]]
    expected_fingerprint: Mapped[str] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    actual_fingerprint: Mapped[str] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    #: Statements, what they leave and what the proof found: `remedies.repair` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AdoptionRow(Base):
    """The migration that an adoption wrote, with what running it in scratch showed."""

    __tablename__ = "adoption"
    __table_args__ = (Index(None, "environment_id"),)

    job_id: Mapped[int] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    #: The file and its proof: `remedies.adoption` owns the shape.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ComparisonRow(Base):
    """The last time that two sources of a project were held side by side."""

    __tablename__ = "comparison"
    __table_args__ = (UniqueConstraint("project", "a", "b"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    #: The sources as people write them.
    a: Mapped[str]
    b: Mapped[str]
    #: What was compared; None where it could not be.
    a_fingerprint: Mapped[str | None] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    b_fingerprint: Mapped[str | None] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    #: What one side's role may not read.
    unknown: Mapped[list[str]]
    #: Why it could not be compared: title, message and hint.
    error: Mapped[dict[str, Any] | None]
    compared_at: Mapped[datetime]
