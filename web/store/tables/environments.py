"""Environments, what was observed of them, and the schemas that they are compared by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class EnvironmentRow(Base):
    """One configured environment and the target identity that was pinned at its first observation."""

    __tablename__ = "environment"
    __table_args__ = (UniqueConstraint("project", "name"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    project: Mapped[str]
    name: Mapped[str]
    #: Decimal text: PostgreSQL's system identifier is an unsigned 64-bit number.
    system_identifier: Mapped[str | None]
    database_oid: Mapped[int | None]
    pinned_at: Mapped[datetime | None]


class ObservationRow(Base):
    """What a look at an environment found. A new row only when something that matters changed."""

    __tablename__ = "observation"
    __table_args__ = (
        Index(None, "environment_id", "id"),
        Index(
            "observation_revisions_changed_idx",
            "environment_id",
            "id",
            postgresql_where=text("revisions_before IS NOT NULL"),
        ),
        CheckConstraint("drift_state IN ('none','drifted','unknown','not compared')", name="drift_state"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"))
    #: Hash over everything below but the times; equal means "nothing changed".
    digest: Mapped[str]
    first_observed_at: Mapped[datetime]
    last_observed_at: Mapped[datetime]
    reachable: Mapped[bool]
    #: Why it could not be observed: title and sentence, without secrets.
    error: Mapped[dict[str, Any] | None]
    server_version: Mapped[int | None] = mapped_column(Integer)
    database: Mapped[str | None]
    host: Mapped[str | None]
    version_table: Mapped[bool | None]
    revisions: Mapped[list[str] | None]
    token: Mapped[str | None]
    fingerprint: Mapped[str | None]
    expected_fingerprint: Mapped[str | None]
    drift_state: Mapped[str] = mapped_column(server_default="not compared")
    drift_reason: Mapped[str | None]
    drift_count: Mapped[int | None] = mapped_column(Integer)
    #: The head of the project's source when this was observed.
    source_digest: Mapped[str | None]
    #: The version rows that the last look before this one found which could read them, where they were others; and
    #: when it last saw them.
    revisions_before: Mapped[list[str] | None]
    revisions_seen_until: Mapped[datetime | None]


class EnvironmentStateRow(Base):
    """The newest observation of an environment and the volatile facts that came with it."""

    __tablename__ = "environment_state"

    environment_id: Mapped[int] = mapped_column(
        ForeignKey("environment.id", ondelete="CASCADE"), primary_key=True
    )
    observation_id: Mapped[int] = mapped_column(ForeignKey("observation.id", ondelete="CASCADE"))
    observed_at: Mapped[datetime]
    #: The newest job that could have changed the target and had ended when this look began, by its number: those
    #: of one target run one after the other. Numbers, because clocks of workers and store may differ.
    seen_job: Mapped[int | None]
    #: Uptime, size, sessions, tables with rows and sizes, extensions: `observation.facts` owns the shape.
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class HistoryRow(Base):
    """A project's history as last read from its source, for pages that must not read files."""

    __tablename__ = "history"

    project: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    content: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    read_at: Mapped[datetime]


class AppliedRevisionRow(Base):
    """Evidence for "edited after apply": the digest a migration file had when it was first seen applied."""

    __tablename__ = "applied_revision"

    environment_id: Mapped[int] = mapped_column(
        ForeignKey("environment.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[str] = mapped_column(primary_key=True)
    #: None where no file had this revision when it was first seen.
    file_digest: Mapped[str | None]
    first_seen: Mapped[datetime]
    #: Set when the revision was no longer applied at a later look (downgrade, reset).
    gone_at: Mapped[datetime | None]


class SchemaSnapshotRow(Base):
    """One schema, stored once by its fingerprint; compressed JSON."""

    __tablename__ = "schema_snapshot"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    server_major: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes]
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())


class KeptSchemaRow(Base):
    """What the last reading of an environment's schema left for the next one: one row, written over."""

    __tablename__ = "kept_schema"

    environment_id: Mapped[int] = mapped_column(
        ForeignKey("environment.id", ondelete="CASCADE"), primary_key=True
    )
    #: `system identifier/oid` of the database it was read in: tokens mean nothing in another one.
    identity: Mapped[str]
    #: Of the schema that it belongs to.
    fingerprint: Mapped[str]
    #: Tokens by object, compressed: `schema.refresh` owns the shape.
    content: Mapped[bytes]


class ExpectedSchemaRow(Base):
    """Cache of replayed schemas: key is the hash of tool, prelude, files, revisions and server major."""

    __tablename__ = "expected_schema"

    cache_key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(ForeignKey("schema_snapshot.fingerprint"))
    computed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DriftRow(Base):
    """The differences between two stored schemas; computed once for a pair of fingerprints."""

    __tablename__ = "drift"

    expected_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("schema_snapshot.fingerprint"), primary_key=True
    )
    actual_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("schema_snapshot.fingerprint"), primary_key=True
    )
    differences: Mapped[list[Any]]
    computed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SchemaChangeRow(Base):
    """What a database's schema has differently from what it was; computed once for a pair of fingerprints.

    Not `drift`: there an expected schema is first made comparable, here both sides are as they were read.
    """

    __tablename__ = "schema_change"

    before_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("schema_snapshot.fingerprint"), primary_key=True
    )
    after_fingerprint: Mapped[str] = mapped_column(
        ForeignKey("schema_snapshot.fingerprint"), primary_key=True
    )
    #: None: they could not be compared, and `reason` says why.
    count: Mapped[int | None] = mapped_column(Integer)
    #: `[kind, change, count]`, so that lists need not read the differences.
    kinds: Mapped[list[Any]]
    differences: Mapped[list[Any]]
    reason: Mapped[str | None]
    computed_at: Mapped[datetime] = mapped_column(server_default=func.now())
