"""What is stored about environments: the newest observation of each, with what belongs to its cell.

One query, whatever the number of environments; three where ignore rules count. Making them is left to `observe.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from web import words
from web.comparison.ignore_rules import IgnoreRule, rules_by_environment, sort_out
from web.comparison.stored_differences import read_all_differences, read_differences
from web.config import Environment
from web.schema.finding import Difference

#: An observation that is older needs a person: no worker makes new ones.
STALE: Final = timedelta(minutes=30)
DriftState = Literal["none", "drifted", "unknown", "not compared"]


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether the schema is what the applied migrations give, as far as that was compared."""

    state: DriftState
    #: Why it could not be told.
    reason: str | None = None
    #: How many differences.
    count: int | None = None
    expected_fingerprint: str | None = None
    fingerprint: str | None = None
    #: Differences beyond `count` that ignore rules cover.
    ignored: int = 0

    @property
    def words(self) -> str:
        """For cells: "No difference", "2 differences", "2 differences, 1 ignored", "Not compared"."""
        ignored = f", {self.ignored} ignored" if self.ignored else ""
        match self.state:
            case "none":
                return f"No difference{ignored}"
            case "drifted":
                return words.plural(self.count or 0, "difference") + ignored
            case "unknown":
                return "Drift not known"
            case "not compared":
                return "Not compared"

    @property
    def status(self) -> str:
        """The status key of the pages."""
        return {"none": "ok", "drifted": "drift"}.get(self.state, "unknown")


async def read_drift(connection: AsyncConnection, drift: Drift) -> tuple[Difference, ...]:
    """The differences behind an observation's drift; expected first, actual second."""
    return await read_differences(connection, drift.expected_fingerprint, drift.fingerprint)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the last look at an environment says about its revisions."""

    reachable: bool
    #: False: there is no version table. None: it could not be read.
    version_table: bool | None
    #: The version rows.
    revisions: tuple[str, ...] = ()
    #: Why it was not reachable or could not be read, in one sentence without secrets.
    reason: str | None = None
    #: Why this is not the truth any more: a job has ended since. None: it is, as far as is known.
    outdated: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What the last look found. Where it failed (`reachable` false), the rest is what was known before."""

    id: int
    observed_at: datetime
    #: Since when every look has found the same.
    since: datetime
    reachable: bool
    #: Title, message and hint, where the look failed.
    error: Mapping[str, str] | None
    server_version: int | None
    database: str | None
    host: str | None
    #: None: it could not be read.
    version_table: bool | None
    revisions: tuple[str, ...]
    fingerprint: str | None
    drift: Drift
    source_digest: str | None

    @property
    def observed(self) -> Observed:
        """What it says of the revisions, whatever has happened since."""
        return Observed(
            reachable=self.reachable,
            version_table=self.version_table,
            revisions=self.revisions,
            reason=self.error["message"] if self.error else None,
        )

    def is_stale(self, now: datetime) -> bool:
        """Whether people are told that the environment has not been checked for a while."""
        return now - self.observed_at > STALE

    @property
    def major(self) -> int | None:
        return self.server_version // 10000 if self.server_version else None

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "observed_at": self.observed_at.isoformat(),
            "since": self.since.isoformat(),
            "reachable": self.reachable,
            "error": dict(self.error) if self.error else None,
            "server_version": self.server_version,
            "database": self.database,
            "host": self.host,
            "version_table": self.version_table,
            "revisions": list(self.revisions),
            "fingerprint": self.fingerprint,
            "drift": {
                "state": self.drift.state,
                "reason": self.drift.reason,
                "count": self.drift.count,
                "ignored": self.drift.ignored,
            },
        }


@dataclass(frozen=True, slots=True)
class DeployedBuild:
    """The build that an environment runs, as CI last recorded it."""

    number: int
    commit: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The newest backup of an environment and the newest one that a restore has proven."""

    created_at: datetime
    state: str
    verified_created_at: datetime | None
    #: The newest one that a restore has proven: what leans on a backup opens this one first.
    verified_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class JobGlance:
    """A job as a cell shows it."""

    id: int
    kind: str
    state: str
    step: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    finished_at: datetime | None = None
    title: str | None = None
    #: It only looks: nobody is told that it runs.
    observes: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a job left on the database that nobody can vouch for yet."""

    job_id: int
    #: The job's.
    kind: str
    sort: Literal["outcome not known", "half done"]
    #: As a whole sentence.
    what: str
    opened_at: datetime
    #: Whether a look may settle it.
    by_check: bool

    @property
    def words(self) -> str:
        """In a few words, to be read after a name or a colon."""
        left = "ended, and how is not known" if self.sort == "outcome not known" else "is half done"
        return f"job {self.job_id} ({self.kind}) {left}"

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "job": self.job_id,
            "kind": self.kind,
            "sort": self.sort,
            "words": self.words,
            "what": self.what,
            "since": self.opened_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Record:
    """Everything the store knows about an environment at a glance."""

    environment_id: int
    project: str
    name: str
    #: None: it was never checked.
    observation: Observation | None
    pinned: bool
    #: `system identifier/oid` of the pinned target.
    identity: str | None
    build: DeployedBuild | None
    backup: LastBackup | None
    #: The unfinished job that changes it, else the newest unfinished one.
    job: JobGlance | None
    #: The newest finished job that could have changed it.
    last_change: JobGlance | None
    #: The newest job that could have changed the database and ended after the last look began: what that look
    #: found is not what is there now. None: the last look is the truth as far as we know.
    unseen: JobGlance | None = None
    #: What jobs left in doubt on the database, the oldest first.
    doubts: tuple[Doubt, ...] = ()

    @property
    def observed(self) -> Observed | None:
        """What the verdict needs to know; None: it was never checked."""
        if self.observation is None:
            return None
        outdated = None if self.unseen is None else outdated_by(self.unseen)
        return replace(self.observation.observed, outdated=outdated)


def standing_json(record: Record | None) -> dict[str, object]:
    """What stands beside a verdict in the JSON of API and CLI: what is in doubt, and what no look has seen yet."""
    unseen = record.unseen if record else None
    return {
        "doubts": [each.to_json() for each in record.doubts] if record else [],
        "unseen_job": unseen.id if unseen else None,
    }


def outdated_by(job: JobGlance) -> str:
    """Why the last look is not the truth any more, to be read after a colon."""
    return f"job {job.id} ({job.kind}) has ended since the last check, and the database is being checked"


async def read_records(
    connection: AsyncConnection,
    project: str | None = None,
    environment: str | None = None,
    *,
    as_stored: bool = False,
) -> dict[tuple[str, str], Record]:
    """The records of all environments, of a project's, or of one; by (project, name).

    Drift is told with what ignore rules cover left out, two queries more where there are any; `as_stored` leaves
    the rules out of account.
    """
    result = await connection.execute(_records_query(), {"project": project, "environment": environment})
    rows = result.mappings().all()
    records = {(row["project"], row["name"]): _record(row) for row in rows}
    ruled = [
        (row["project"], row["name"]) for row in rows if row["has_rules"] and row["drift_state"] == "drifted"
    ]
    if as_stored:
        return records
    if ruled:
        await _leave_out_ignored(connection, records, ruled)
    return {place: _without_outdated(record) for place, record in records.items()}


def _without_outdated(record: Record) -> Record:
    """What was compared before a job's end says nothing of what is there after it."""
    if record.observation is None or record.unseen is None:
        return record
    drift = Drift(
        "unknown",
        f"{outdated_by(record.unseen).capitalize()}.",
        None,
        record.observation.drift.expected_fingerprint,
        record.observation.drift.fingerprint,
    )
    return replace(record, observation=replace(record.observation, drift=drift))


async def _leave_out_ignored(
    connection: AsyncConnection, records: dict[tuple[str, str], Record], ruled: list[tuple[str, str]]
) -> None:
    rules = await rules_by_environment(connection, ruled)
    drifts = {
        place: record.observation.drift
        for place in ruled
        if (record := records[place]).observation is not None
    }
    pairs = {(drift.expected_fingerprint, drift.fingerprint) for drift in drifts.values()}
    differences = await read_all_differences(connection, pairs)
    for place, drift in drifts.items():
        found = differences.get((drift.expected_fingerprint, drift.fingerprint), ())
        observation = records[place].observation
        assert observation is not None
        judged = without_ignored(drift, found, rules[place])
        records[place] = replace(records[place], observation=replace(observation, drift=judged))


def without_ignored(drift: Drift, differences: Sequence[Difference], rules: Sequence[IgnoreRule]) -> Drift:
    """Give the drift as it is told while these rules count."""
    ignored = len(sort_out(differences, rules).ignored)
    if not ignored or drift.state != "drifted":
        return drift
    left = len(differences) - ignored
    # What the role may not read is still not known to be equal.
    state: DriftState = "drifted" if left else "unknown" if drift.reason else "none"
    return replace(drift, state=state, count=left, ignored=ignored)


async def record_of(connection: AsyncConnection, environment: Environment) -> Record | None:
    """The record of one environment; None where it was never used."""
    found = await read_records(connection, environment.project, environment.name)
    return found.get((environment.project, environment.name))


def _record(row: Mapping[Any, Any]) -> Record:
    return Record(
        environment_id=row["environment_id"],
        project=row["project"],
        name=row["name"],
        observation=_observation(row) if row["observation_id"] is not None else None,
        pinned=row["system_identifier"] is not None,
        identity=f"{row['system_identifier']}/{row['database_oid']}" if row["system_identifier"] else None,
        build=(
            DeployedBuild(row["build_number"], row["build_commit"], row["build_recorded_at"])
            if row["build_number"] is not None
            else None
        ),
        backup=(
            LastBackup(
                row["backup_created_at"], row["backup_state"], row["verified_created_at"], row["verified_id"]
            )
            if row["backup_created_at"] is not None
            else None
        ),
        job=(
            JobGlance(
                row["job_id"],
                row["job_kind"],
                row["job_state"],
                row["job_step"],
                row["job_done"],
                row["job_total"],
                row["job_unit"],
                observes=row["job_observes"],
            )
            if row["job_id"] is not None
            else None
        ),
        last_change=(
            JobGlance(
                row["change_id"],
                row["change_kind"],
                row["change_state"],
                finished_at=row["change_finished_at"],
                title=row["change_title"],
            )
            if row["change_id"] is not None
            else None
        ),
        unseen=(
            JobGlance(
                row["unseen_id"],
                row["unseen_kind"],
                row["unseen_state"],
                finished_at=row["unseen_finished_at"],
            )
            if row["unseen_id"] is not None
            else None
        ),
        doubts=tuple(
            Doubt(job, kind, sort, what, datetime.fromisoformat(opened_at), by_check)
            for job, kind, sort, what, opened_at, by_check in row["doubts"] or ()
        ),
    )


def _observation(row: Mapping[Any, Any]) -> Observation:
    return Observation(
        id=row["observation_id"],
        observed_at=row["observed_at"],
        since=row["first_observed_at"],
        reachable=row["reachable"],
        error=row["error"],
        server_version=row["server_version"],
        database=row["database"],
        host=row["host"],
        version_table=row["version_table"],
        revisions=tuple(row["revisions"] or ()),
        fingerprint=row["fingerprint"],
        drift=Drift(
            row["drift_state"],
            row["drift_reason"],
            row["drift_count"],
            row["expected_fingerprint"],
            row["fingerprint"],
        ),
        source_digest=row["source_digest"],
    )


@cache
def _records_query() -> TextClause:
    # Parsing it anew costs each page a millisecond.
    return text(files("web.observation").joinpath("queries", "records.sql").read_text(encoding="utf-8"))
