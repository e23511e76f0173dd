"""What people are asked to consent to, and what they said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class ApprovalRequestRow(Base):
    """A request for the consent of others to exactly one thing, which its hash binds."""

    __tablename__ = "approval_request"
    __table_args__ = (
        Index(
            "approval_request_asked_once_idx",
            "environment_id",
            "kind",
            "shown_hash",
            "parameters",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("approval_request_shown_idx", "environment_id", "shown_hash"),
        Index("approval_request_open_idx", "project", postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("needed > 0", name="needed"),
        CheckConstraint("ended IN ('rejected', 'withdrawn', 'void', 'expired', 'used')", name="ended"),
        CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name="ended_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    #: The job kind that would be started.
    kind: Mapped[str]
    #: Of what the decider is shown: a plan's, a repair's, or the state's that would be lost.
    shown_hash: Mapped[str]
    #: The parameters that the consent holds for; others may be chosen at the start.
    parameters: Mapped[dict[str, Any]]
    #: The database that was pinned: `system_identifier/oid`.
    identity: Mapped[str | None]
    #: What it is about, as the beginning of a sentence.
    title: Mapped[str]
    reason: Mapped[str]
    #: What the decider was shown, as the API gives it, for who reads it later.
    shown: Mapped[dict[str, Any]]
    #: How many people have to consent.
    needed: Mapped[int]
    asked_by: Mapped[str]
    #: Who made the token that asked; None: a person asked.
    asked_for: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    #: How it ended without being used up, by whom, and why.
    ended: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    why: Mapped[str | None]
    #: The newest job that was started with it.
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)


class ApprovalRow(Base):
    """A person's answer to a request."""

    __tablename__ = "approval"
    __table_args__ = (UniqueConstraint("request_id", "decided_by"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("approval_request.id", ondelete="CASCADE"))
    approves: Mapped[bool]
    decided_by: Mapped[str]
    note: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())
