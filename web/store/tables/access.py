"""Users, sessions, tokens and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.store.tables.declarative import Base


class UserRow(Base):
    """A local user; `password_hash` is argon2id in PHC form."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    #: Device cookies of another generation are not known any more.
    device_generation: Mapped[int] = mapped_column(server_default=text("1"))


class RoleGrantRow(Base):
    """A user's role on a project; project `*` is all of them."""

    __tablename__ = "role_grant"
    __table_args__ = (CheckConstraint("role IN ('viewer','operator','admin')", name="role"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]


class SessionRow(Base):
    """A signed-in browser. Only the SHA-256 of its id is stored."""

    __tablename__ = "session"

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    csrf_secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]


class ApiTokenRow(Base):
    """A token for CI and scripts, scoped to a role and a project. Only its SHA-256 is stored."""

    __tablename__ = "api_token"
    __table_args__ = (CheckConstraint("role IN ('viewer','operator','admin')", name="role"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    #: First characters, so that a person can tell tokens apart.
    prefix: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str]
    role: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SignInFailureRow(Base):
    """How often signing in has failed for one of the limiter's keys, and when it last did."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index(None, "at"),)

    #: A digest over a name, a name and an address, or a device.
    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    at: Mapped[datetime]


class AuditEntryRow(Base):
    """One act, written before it; each entry's hash covers its predecessor's."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)


class SigningKeyRow(Base):
    """A key that signs for one purpose, made once per store and shared by all web processes."""

    __tablename__ = "signing_key"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bytes]
