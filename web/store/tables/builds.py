"""Builds, where they are deployed, and the plans that lead there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class BuildRow(Base):
    """What CI produced: a number, a commit, and the manifest of migrations in it."""

    __tablename__ = "build"
    __table_args__ = (UniqueConstraint("project", "number"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    number: Mapped[int]
    commit: Mapped[str | None]
    manifest: Mapped[dict[str, Any]]
    manifest_digest: Mapped[str]
    registered_at: Mapped[datetime] = mapped_column(server_default=func.now())
    registered_by: Mapped[str]


class DeploymentRow(Base):
    """A record that an environment runs a build; the newest one counts."""

    __tablename__ = "deployment"
    __table_args__ = (Index(None, "environment_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    build_id: Mapped[int] = mapped_column(ForeignKey("build.id"))
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())
    recorded_by: Mapped[str]


class PlanRow(Base):
    """The rehearsed list of statements of a migrate; `hash` binds what was shown to what runs."""

    __tablename__ = "plan"
    __table_args__ = (Index(None, "environment_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    hash: Mapped[str] = mapped_column(index=True)
    #: Hash of what the rehearsal stood on: files, from, to, server major, schema fingerprint.
    cache_key: Mapped[str]
    from_revisions: Mapped[list[str]]
    to_revisions: Mapped[list[str]]
    #: Statements by revision in the order in which the rehearsal executed them.
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
