"""Everything that the steps of a run are judged by, read from the store at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.environment import View, view
from web.answers.stored_surveys import newest_survey
from web.answers.survey import Survey
from web.clean_start.runs import Run
from web.comparison.ignore_rules import active_rules, sort_out
from web.config import Configuration, Project
from web.cutover.stored_scans import CutOver, newest_cut_over
from web.jobs.job import FINISHED
from web.jobs.reading import JobRecord, newest_jobs
from web.observation.history_cache import Histories
from web.observation.records import read_drift, read_records
from web.observation.stored_history import StoredHistory, load_history
from web.remedies.stored_baselines import StoredBaseline, newest_baseline
from web.remedies.stored_proofs import BaselineProof, newest_proof
from web.remedies.stored_rehearsals import CleanStartRehearsal, newest_rehearsal
from web.schema.difference import Difference
from web.store.tables import BackupRow


@dataclass(frozen=True, slots=True)
class RunBackup:
    """The newest backup of an environment since the run began."""

    id: str
    state: str
    created_at: datetime
    verified_at: datetime | None
    size: int
    identity: str
    job_id: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a project that a run leads through a clean start."""

    project: Project
    run: Run
    #: By environment, in the order in which they are gone through: development, staging, production.
    views: Mapping[str, View]
    source: StoredHistory | None
    survey: Survey | None
    backups: Mapping[str, RunBackup]
    baseline: StoredBaseline | None
    proof: BaselineProof | None
    rehearsal: CleanStartRehearsal | None
    cut_over: CutOver | None = None
    #: Where the history is kept: what differs, by environment, without what ignore rules cover.
    differences: Mapping[str, Sequence[Difference]] = field(default_factory=dict)
    #: Since the run began: those that have not ended, and the last of each kind on each environment; newest first.
    jobs: Sequence[JobRecord] = ()

    def running(self, kind: str, environment: str | None = None) -> JobRecord | None:
        """The unfinished job of a kind; of a project's kind without an environment."""
        return next((each for each in self._of(kind, environment) if each.state not in FINISHED), None)

    def last(self, kind: str, environment: str | None = None) -> JobRecord | None:
        """The newest job of a kind that has ended."""
        return next((each for each in self._of(kind, environment) if each.state in FINISHED), None)

    def _of(self, kind: str, environment: str | None) -> Sequence[JobRecord]:
        return [each for each in self.jobs if each.kind == kind and each.environment == environment]


async def read_evidence(
    connection: AsyncConnection,
    configuration: Configuration,
    run: Run,
    *,
    histories: Histories | None = None,
) -> Evidence:
    """Read all of it. Raises NotFound where the project is no longer configured."""
    project = configuration.project(run.project)
    histories = histories or Histories()
    records = await read_records(connection, project.name)
    order = {"development": 0, "staging": 1, "production": 2}
    views = {
        each.name: await view(
            connection, configuration, project.name, each.name, histories=histories, records=records
        )
        for each in sorted(project.environments.values(), key=lambda one: order[one.tier])
    }
    survey = await newest_survey(connection, project.name)
    baseline = await newest_baseline(connection, project.name)
    proof = await newest_proof(connection, project.name)
    rehearsal = await newest_rehearsal(connection, project.name)
    cut_over = await newest_cut_over(connection, project.name)
    return Evidence(
        project,
        run,
        views,
        await load_history(connection, project.name, histories),
        survey,
        await _backups(connection, views, run.begun_at),
        baseline if baseline is not None and baseline.made_at >= run.begun_at else None,
        proof if proof is not None and proof.made_at is not None and proof.made_at >= run.begun_at else None,
        rehearsal
        if rehearsal is not None and rehearsal.made_at is not None and rehearsal.made_at >= run.begun_at
        else None,
        cut_over
        if cut_over is not None and cut_over.made_at is not None and cut_over.made_at >= run.begun_at
        else None,
        await _differences(connection, views) if run.way == "keep" and run.is_open else {},
        # A merge of heads that is written into the source is none of it.
        await newest_jobs(connection, project.name, run.begun_at, without="merge"),
    )


async def _differences(
    connection: AsyncConnection, views: Mapping[str, View]
) -> Mapping[str, Sequence[Difference]]:
    found = {}
    for name, seen in views.items():
        observation, environment = seen.observation, seen.environment
        if observation is not None and observation.drift.state == "drifted":
            rules = await active_rules(connection, environment.project, name)
            found[name] = sort_out(await read_drift(connection, observation.drift), rules).differences
    return found


async def _backups(
    connection: AsyncConnection, views: Mapping[str, View], since: datetime
) -> Mapping[str, RunBackup]:
    """By environment the newest verified one since then, else the newest one."""
    numbers = {each.record.environment_id: name for name, each in views.items() if each.record is not None}
    query = (
        select(
            BackupRow.environment_id,
            BackupRow.id,
            BackupRow.state,
            BackupRow.created_at,
            BackupRow.verified_at,
            BackupRow.size,
            BackupRow.manifest["identity"].astext.label("identity"),
            BackupRow.job_id,
        )
        .where(
            BackupRow.environment_id.in_(numbers), BackupRow.created_at >= since, BackupRow.state != "removed"
        )
        .order_by((BackupRow.state == "verified"), BackupRow.created_at)
    )
    return {
        numbers[row.environment_id]: RunBackup(
            str(row.id), row.state, row.created_at, row.verified_at, row.size, row.identity, row.job_id
        )
        for row in await connection.execute(query)
    }
