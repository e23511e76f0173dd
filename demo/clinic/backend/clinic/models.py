"""The clinic's tables, as the newest migration leaves them.

Views, functions, triggers and policies live in the migrations only.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

#: Money is never negative, a phone number has no letters.
MoneyAmount = DOMAIN("money_amount", Numeric(10, 2), check=text("VALUE >= 0"))
PhoneNumber = DOMAIN("phone_number", Text, check=text(r"VALUE ~ '^\+?[0-9 ]{6,20}$'"))
AppointmentStatus = ENUM(
    "booked", "confirmed", "arrived", "done", "cancelled", "no_show", name="appointment_status"
)
InvoiceStatus = ENUM("draft", "open", "paid", "void", name="invoice_status")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


#: Drawn on by server defaults, so that numbers have no connection to ids.
patient_numbers = Sequence("patient_number_seq", start=100_000, metadata=Base.metadata)
invoice_numbers = Sequence("invoice_number_seq", start=1, metadata=Base.metadata)


def identifier() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(always=True), primary_key=True)


def moment(*, default: bool = False) -> Any:
    return mapped_column(DateTime(timezone=True), server_default=text("now()") if default else None)


class Role(Base):
    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(SmallInteger, Identity(always=False), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = (CheckConstraint("slug ~ '^[a-z0-9-]+$'", name="slug_is_plain"),)

    id: Mapped[int] = identifier()
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[dt.datetime] = moment(default=True)


class User(Base):
    __tablename__ = "users"
    __table_args__ = (Index("ix_users_last_seen_at_active", "last_seen_at", postgresql_where=text("is_active")),)

    id: Mapped[int] = identifier()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    full_name: Mapped[str] = mapped_column(String(160))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    last_seen_at: Mapped[dt.datetime | None] = moment()
    created_at: Mapped[dt.datetime] = moment(default=True)
    updated_at: Mapped[dt.datetime] = moment(default=True)
    two_factor_secret: Mapped[str | None] = mapped_column(String(64))
    two_factor_since: Mapped[dt.datetime | None] = moment()
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id"), index=True)


class UserRole(Base):
    __tablename__ = "user_roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"), primary_key=True)


class Membership(Base):
    __tablename__ = "memberships"

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))
    since: Mapped[dt.datetime] = moment(default=True)


class Patient(Base):
    __tablename__ = "patients"
    __table_args__ = (
        CheckConstraint("born_on > '1900-01-01'", name="born_on_is_plausible"),
        CheckConstraint("sex IN ('f', 'm', 'x')", name="sex_is_known"),
        Index("ix_patients_full_name_current", "full_name", postgresql_where=text("archived_at IS NULL")),
    )

    id: Mapped[int] = identifier()
    number: Mapped[int] = mapped_column(
        BigInteger, unique=True, server_default=text("nextval('patient_number_seq'::regclass)")
    )
    given_name: Mapped[str] = mapped_column(String(80))
    family_name: Mapped[str] = mapped_column(String(80))
    born_on: Mapped[dt.date] = mapped_column(Date)
    sex: Mapped[str] = mapped_column(String(1))
    phone: Mapped[str | None] = mapped_column(PhoneNumber)
    email: Mapped[str | None] = mapped_column(String(254))
    notes: Mapped[str] = mapped_column(Text, server_default=text("''"))
    archived_at: Mapped[dt.datetime | None] = moment()
    created_at: Mapped[dt.datetime] = moment(default=True)
    updated_at: Mapped[dt.datetime] = moment(default=True)
    full_name: Mapped[str | None] = mapped_column(
        Text, Computed("(((family_name)::text || ', '::text) || (given_name)::text)", persisted=True)
    )


class Practitioner(Base):
    __tablename__ = "practitioners"

    id: Mapped[int] = identifier()
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), unique=True)
    speciality: Mapped[str] = mapped_column(String(80))
    licence_number: Mapped[str] = mapped_column(String(20), unique=True)


class Appointment(Base):
    __tablename__ = "appointments"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        Index("ix_appointments_starts_at", "starts_at", postgresql_where=text("cancelled_at IS NULL")),
        Index("ix_appointments_practitioner_id_starts_at", "practitioner_id", "starts_at"),
    )

    id: Mapped[int] = identifier()
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    starts_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[str] = mapped_column(AppointmentStatus, server_default=text("'booked'::appointment_status"))
    reason: Mapped[str] = mapped_column(Text, server_default=text("''"))
    cancelled_at: Mapped[dt.datetime | None] = moment()
    created_at: Mapped[dt.datetime] = moment(default=True)
    updated_at: Mapped[dt.datetime] = moment(default=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenants.id"), index=True)
    reference: Mapped[str] = mapped_column(String(24), unique=True)


class Reminder(Base):
    __tablename__ = "reminders"
    __table_args__ = (
        CheckConstraint("channel IN ('sms', 'email', 'letter')", name="channel_is_known"),
        UniqueConstraint("appointment_id", "channel"),
        Index("ix_reminders_send_at_waiting", "send_at", postgresql_where=text("sent_at IS NULL")),
    )

    id: Mapped[int] = identifier()
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointments.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(String(10))
    send_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    sent_at: Mapped[dt.datetime | None] = moment()


class Prescription(Base):
    __tablename__ = "prescriptions"

    id: Mapped[int] = identifier()
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioners.id"))
    medicine: Mapped[str] = mapped_column(String(120))
    dose: Mapped[str] = mapped_column(String(60))
    prescribed_on: Mapped[dt.date] = mapped_column(Date, server_default=text("CURRENT_DATE"))
    repeats: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class Invoice(Base):
    __tablename__ = "invoices"
    __table_args__ = (
        CheckConstraint("due_on >= issued_on", name="due_after_issue"),
        CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name="paid_has_a_date"),
        Index("ix_invoices_due_on_open", "due_on", postgresql_where=text("paid_at IS NULL")),
    )

    id: Mapped[int] = identifier()
    number: Mapped[str] = mapped_column(
        String(20),
        unique=True,
        server_default=text("'INV-'::text || lpad((nextval('invoice_number_seq'::regclass))::text, 7, '0'::text)"),
    )
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    appointment_id: Mapped[int | None] = mapped_column(ForeignKey("appointments.id"))
    status: Mapped[str] = mapped_column(InvoiceStatus, server_default=text("'draft'::invoice_status"))
    issued_on: Mapped[dt.date] = mapped_column(Date)
    due_on: Mapped[dt.date] = mapped_column(Date)
    total: Mapped[decimal.Decimal] = mapped_column(MoneyAmount, server_default=text("0"))
    paid_at: Mapped[dt.datetime | None] = moment()


class InvoiceLine(Base):
    __tablename__ = "invoice_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_is_positive"),)

    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoices.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    description: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    unit_price: Mapped[decimal.Decimal] = mapped_column(MoneyAmount)


class AuditEntry(Base):
    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_table_name_row_id", "table_name", "row_id"), {"schema": "audit"})

    id: Mapped[int] = identifier()
    at: Mapped[dt.datetime] = moment(default=True)
    actor: Mapped[str] = mapped_column(Text, server_default=text("CURRENT_USER"))
    table_name: Mapped[str] = mapped_column(Text)
    row_id: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(String(6))
    old: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    new: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
