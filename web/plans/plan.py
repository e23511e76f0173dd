"""A plan: what applying the pending migrations executes, as a rehearsal saw it. The shape of `plan.content`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from web.schema.ddl.hazard import LOSES, Hazard, hazards_from_json
from web.schema.ddl.statement import Statement


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """A pending migration with what it executed."""

    revision: str
    message: str
    statements: tuple[Statement, ...]

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """All of its statements' hazards, each once."""
        return tuple(dict.fromkeys(hazard for each in self.statements for hazard in each.hazards))

    def to_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "message": self.message,
            "statements": [_to_json(statement) for statement in self.statements],
        }


def executed(
    sql: str, seconds: float, hazards: tuple[Hazard, ...] = (), *, in_transaction: bool
) -> Statement:
    """A statement as a rehearsal saw it; outside of a transaction it commits by itself and cannot be undone."""
    loses = any(each.kind in LOSES for each in hazards)
    return Statement(sql, loses, not in_transaction, seconds=seconds, hazards=hazards)


def _to_json(statement: Statement) -> dict[str, Any]:
    return {
        "sql": statement.sql,
        "in_transaction": not statement.alone,
        "seconds": statement.seconds,
        "hazards": [hazard.to_json() for hazard in statement.hazards],
    }


#: `failed`: a migration was seen to start, and it was refused. `not held`: nothing can be said about the migrations.
RehearsalOutcome = Literal["succeeded", "failed", "not held"]


@dataclass(frozen=True, slots=True)
class RehearsalFailure:
    """Where a rehearsal stopped, or why it could not be held."""

    revision: str | None
    message: str
    sqlstate: str | None
    #: Whether a migration was seen to start and was refused.
    held: bool = True
    hint: str = ""
    #: Whether it may pass although nothing changes that the key covers: no scratch server, a full disk, a time limit.
    passing: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "message": self.message,
            "sqlstate": self.sqlstate,
            "held": self.held,
            "hint": self.hint,
            "passing": self.passing,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The rehearsed statements of a migrate; `hash` binds what was shown to what runs."""

    from_revisions: tuple[str, ...]
    to_revisions: tuple[str, ...]
    migrations: tuple[PlannedMigration, ...]
    #: Digest of each pending migration's file, by revision.
    files: Mapping[str, str]
    failure: RehearsalFailure | None = None
    #: What a rehearsal in a database without rows cannot show.
    not_exercised: tuple[str, ...] = ()
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: The migrations that were seen to come to their end.
    ran: tuple[str, ...] = ()
    #: What it stood on, so that the schedule knows when to hold it again: the digest of the project's code, None where
    #: that cannot be told; and the target's fingerprint as it was last looked at.
    inputs: str | None = None
    observed: str | None = None
    #: How often in a row it could not be held.
    tries: int = 0

    @property
    def outcome(self) -> RehearsalOutcome:
        if self.failure is None:
            return "succeeded"
        return "failed" if self.failure.held else "not held"

    @property
    def succeeded(self) -> bool:
        return self.failure is None

    @property
    def hash(self) -> str:
        """SHA-256 over where it goes from and to, the files, and every statement in order."""
        content = {
            "from": sorted(self.from_revisions),
            "to": sorted(self.to_revisions),
            "files": dict(self.files),
            "statements": [
                [migration.revision, [statement.sql for statement in migration.statements]]
                for migration in self.migrations
            ],
            "failure": [self.failure.revision, self.failure.message, self.failure.sqlstate]
            if self.failure
            else None,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def statements(self) -> int:
        return sum(len(migration.statements) for migration in self.migrations)

    def to_json(self) -> dict[str, Any]:
        """What is stored; `answers.gate` reads all but the statements of it."""
        return {
            "succeeded": self.succeeded,
            "outcome": self.outcome,
            "ran": list(self.ran),
            "inputs": self.inputs,
            "observed": self.observed,
            "tries": self.tries,
            "failure": self.failure.to_json() if self.failure else None,
            "files": dict(self.files),
            "migrations": [migration.to_json() for migration in self.migrations],
            "not_exercised": list(self.not_exercised),
        }


def plan_from_json(
    from_revisions: list[str], to_revisions: list[str], content: Mapping[str, Any], made_at: datetime
) -> Plan:
    """A stored plan as a value."""
    failure = content["failure"]
    return Plan(
        from_revisions=tuple(from_revisions),
        to_revisions=tuple(to_revisions),
        migrations=tuple(
            PlannedMigration(
                each["revision"],
                each["message"],
                tuple(
                    executed(
                        one["sql"],
                        one["seconds"],
                        hazards_from_json(one["hazards"]),
                        in_transaction=one["in_transaction"],
                    )
                    for one in each["statements"]
                ),
            )
            for each in content["migrations"]
        ),
        files=content["files"],
        failure=RehearsalFailure(**failure) if failure else None,
        not_exercised=tuple(content["not_exercised"]),
        made_at=made_at,
        ran=tuple(content.get("ran", ())),
        inputs=content.get("inputs"),
        observed=content.get("observed"),
        tries=content.get("tries", 0),
    )
